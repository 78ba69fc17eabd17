"""From a trained detector to the files of other runtimes; needs torch. What runs them is ``mmyolox.deploy``."""

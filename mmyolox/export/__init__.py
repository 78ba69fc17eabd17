"""From a trained detector to the files of other runtimes. What runs them is ``mmyolox.deploy``."""

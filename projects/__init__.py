"""Projects that build on mmyolox, installed as ``mmyolox.projects.<name>``; the core imports none of them."""

"""One module for each framework that weights come from, with a ``SOURCE``."""

"""The lazy picture: what a sample will show, described by matrices, and drawn once."""

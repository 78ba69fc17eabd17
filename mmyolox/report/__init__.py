"""The report of a model: a page that is made of an analysis, and of what a training recorded."""

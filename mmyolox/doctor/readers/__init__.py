"""Readers of data sets as they are written, a module a format."""

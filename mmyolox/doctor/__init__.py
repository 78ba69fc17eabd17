"""The data doctor: what is wrong with a data set, found before a training finds it."""

"""Errors that are the user's to mend: their message is all that a tool prints."""


class UserError(Exception):
    """A mistake in a config, an option, a file or a data set.

    The message is one line that names the file, key or value at fault and says what to do.
    """

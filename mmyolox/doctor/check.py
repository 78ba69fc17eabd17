"""Checks: each has a name, a severity, what it looks for, and the advice."""

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from .examined import Examined
from .found import Found
from .pixels import Pixels


class Severity(enum.Enum):
    """How bad a finding is.

    Attributes:
        ERROR: A training fails, or learns what is wrong.
        WARNING: It likely harms.
        NOTE: It is good to know.
    """

    ERROR = 'error'
    WARNING = 'warning'
    NOTE = 'note'


class NotExaminedError(Exception):
    """A check cannot be made on these data, for want of what the message names: ``the pixels``."""


@dataclass(frozen=True)
class Check:
    """Something that can be wrong with a data set.

    Attributes:
        name: Its name, such as ``box-outside``.
        severity: How bad it is.
        what: What is looked for, in a few words.
        advice: What to do about it.
        find: Looks for it. It may raise :class:`NotExaminedError`.
    """

    name: str
    severity: Severity
    what: str
    advice: str
    find: Callable[[Examined], Found]


def check(severity: Severity, advice: str) -> Callable[[Callable[[Examined], Found]], Check]:
    """Makes a check of a function, whose name and docstring are those of the check.

    Args:
        severity: How bad it is.
        advice: What to do about it.
    """

    def made(find: Callable[[Examined], Found]) -> Check:
        what = (inspect.getdoc(find) or '').partition('\n\n')[0].replace('\n', ' ').rstrip('.')
        return Check(find.__name__.replace('_', '-'), severity, what, advice, find)

    return made


def needed_pixels(data: Examined) -> Pixels:
    """What the decoded images say, for a check that cannot do without.

    Raises:
        NotExaminedError: Only headers were read.
    """
    if data.pixels is None:
        raise NotExaminedError('the pixels')
    return data.pixels

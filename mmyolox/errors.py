"""Errors that are the user's to mend (their message is all that a tool prints), and what messages share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TextIO

SHOWN = {'is_shown': True}
"""The ``extra`` of what is logged as information and is for a person's eyes: the terminal shows it, too."""

_LONGEST = 2000
TURNS = ''.join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""The characters that turn the direction of the text behind them, as ``gnp.exe`` into ``exe.png``."""
_CONTROLS = re.compile(f'[\x00-\x1f\x7f-\x9f\u2028\u2029{TURNS}]')


class UserError(Exception):
    """A mistake in a config, an option, a file or a data set.

    The message is one line that names the file, key or value at fault and says what to do. What it repeats of
    a file may hold anything: see :func:`one_line`.
    """

    def __init__(self, message: object = '') -> None:
        super().__init__(one_line(message_of_worker(str(message))))


def one_line(text: str) -> str:
    """A text as one line: what breaks, turns or controls it is escaped, a long middle left out."""
    line = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], printable(text))
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f'{line[:half]} ... {line[-half:]}'


def message_of_worker(text: str) -> str:
    """The message at the end of a traceback, as which a DataLoader hands on the error of its worker."""
    is_traceback = text.startswith('Caught ') and 'Original Traceback' in text
    if not is_traceback:
        return text
    last = text.rstrip().splitlines()[-1]
    return last.partition(': ')[2] or last


def printable(text: str) -> str:
    """A text as it can be written anywhere: what is no Unicode in it, as in some file names, is escaped."""
    return text.encode('utf-8', 'backslashreplace').decode()


def take_any_text(stream: TextIO) -> None:
    """Has a stream escape what is no Unicode, as in :func:`printable`, where it can."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors='backslashreplace')


def did_you_mean(word: str, known: Iterable[str], prefix: str = '', cutoff: float = 0.6) -> str:
    """The end of a message about an unknown word: ``; did you mean person or parson?``.

    Args:
        word: The unknown word.
        known: The words that could be meant; upper and lower case count as the same.
        prefix: What stands before each suggestion in the message.
        cutoff: The least likeness of a suggestion, from 0 to 1.

    Returns:
        The text with one suggestion or two, the nearest first; ``''`` where no word is near.
    """
    by_lower_case = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(word.lower(), by_lower_case, n=2, cutoff=cutoff)
    return f'; did you mean {" or ".join(prefix + by_lower_case[name] for name in close)}?' if close else ''


def alike(names: Iterable[str]) -> list[str]:
    """The names that only upper and lower case, blanks or underscores tell apart: ``["'Cat', 'cat '"]``."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(' '.join(name.casefold().replace('_', ' ').split()), []).append(name)
    return [', '.join(map(repr, group)) for group in groups.values() if len(group) > 1]


def counted(number: float, noun: str) -> str:
    """A number of things, such as ``1 device``, ``2 devices`` or ``0 boxes``.

    Args:
        number: The number.
        noun: One of the things.
    """
    ending = '' if number == 1 else 'es' if noun.endswith(('s', 'x')) else 's'
    return f'{number:.12g} {noun}{ending}'


def first_few(names: Iterable[object], shown: int = 3) -> str:
    """The first names, comma-separated, and ``...`` where there are more."""
    texts = [str(name) for name in islice(names, shown + 1)]
    return ', '.join(texts[:shown]) + ', ...' * (len(texts) > shown)


@dataclass
class ReadingReport:
    """What the reading of a data set of many files left out, and what else the user should know.

    Attributes:
        skipped: One line for everything that was left out, naming its file.
        notes: What else the user should know, with the locations where it was found.
    """

    skipped: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, location: str | Path, reason: str) -> None:
        """Notes that what is at ``location`` was left out."""
        self.skipped.append(f'{location}: {reason}, skipped')

    def note(self, what: str, locations: Iterable[object]) -> None:
        """Notes something that was found at some locations; nothing if there are none."""
        names = [str(location) for location in locations]
        if names:
            self.notes.setdefault(what, []).extend(names)

    def note_lines(self, shown: int = 5) -> list[str]:
        """A line for each note: what it is, how often it was found, and the first locations."""
        return [f'{what}: {len(found)} ({first_few(found, shown)})' for what, found in self.notes.items()]

"""The line that says how far something is: it lives on a terminal, and comes now and then in a file."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .terminal import Terminal, terminal_of

Item = TypeVar('Item')

_LIVE, _PLAIN = 0.2, 10.0
"""Seconds between two drawings, and at most between two lines where nothing lives."""
_BAR = 20


class ProgressLine:
    """Draws how far something is, on a terminal; elsewhere prints it, so that ten seconds have a line.

    Args:
        terminal: Where to draw.
        now: When it begins, in seconds of ``time.monotonic``, as the times of the methods.
    """

    def __init__(self, terminal: Terminal, now: float) -> None:
        self.terminal = terminal
        self._drawn = now

    def is_due(self, now: float, step: float = 0) -> bool:
        """Whether to draw; where nothing lives, a line comes before too much time has passed.

        Args:
            now: The time.
            step: How long it takes, about, until this is asked again.
        """
        if self.terminal.verbose or not is_main_process():
            return False
        is_due = now - self._drawn >= (_LIVE if self.terminal.is_live else _PLAIN - step)
        if is_due:
            self._drawn = now
        return is_due

    def show(self, share: float, parts: Sequence[str]) -> None:
        """Draws a bar and as many of the parts as there is room for, or prints all of them.

        Args:
            share: How much is done, from 0 to 1; no number (``nan``) where nobody knows, for no bar.
            parts: What is said; empty ones are left out.
        """
        shown = list(filter(None, parts))
        if not self.terminal.is_live:
            self.terminal.print('  '.join(shown))
            return
        room = self.terminal.console.width - 1
        bar = _BAR if room >= 3 * _BAR and not math.isnan(share) else 0
        while len(shown) > 1 and len('  '.join(shown)) > room - bar - 2:
            shown.pop()
        line = Table.grid(padding=(0, 2, 0, 0))
        cells = [Text('  '.join(shown), no_wrap=True, overflow='crop')]
        if bar:
            cells = [ProgressBar(1.0, share, width=bar), *cells]  # type: ignore[list-item]
        line.add_row(*cells)
        self.terminal.draw(line)

    def clear(self, now: float) -> None:
        """Removes the line.

        Args:
            now: The time; the next line is not due at once.
        """
        self._drawn = now
        self.terminal.clear()


def with_progress(items: Iterable[Item], expected: int, noun: str = 'images') -> Iterator[Item]:
    """Passes items on, and shows how many came, where the log goes to a :class:`~.terminal.Terminal`.

    Args:
        items: The items, which take their time to come.
        expected: How many items are expected; 0 if nobody knows.
        noun: What they are.
    """
    terminal = terminal_of(MMLogger.get_current_instance())
    if terminal is None:
        yield from items
        return
    began = time.monotonic()
    line = ProgressLine(terminal, began)
    try:
        for count, item in enumerate(items, 1):
            now = time.monotonic()
            if line.is_due(now):
                pace = (now - began) / count
                share, parts = math.nan, [f'{noun} {count}']
                if expected >= count:
                    share = count / expected
                    parts = [f'{noun} {count}/{expected}', f'ETA {format_time(pace * (expected - count))}']
                line.show(share, [*parts, f'{1 / pace:.{0 if pace < 0.1 else 1}f} {noun}/s'])
            yield item
    finally:
        terminal.clear()


def format_time(seconds: float | None) -> str:
    """A length of time such as ``1:02:03``; ``?`` if it is not known.

    Args:
        seconds: The length.
    """
    return '?' if seconds is None else str(timedelta(seconds=round(seconds)))

"""Work on many files in threads: most of it is done by the system and by decoders, which need no lock."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar('Item')
Result = TypeVar('Result')

_THREADS = 4
"""On two cores as fast as two processes, for headers too, and without what processes need to start."""
_CHUNK = 64


class Distinct(NamedTuple):
    """The different ones of N paths.

    Attributes:
        paths: The D different ones, in the order in which they come.
        firsts: (D,) int64, where each comes first among the N.
        numbers: (N,) int64, which of ``paths`` each is.
    """

    paths: list[str]
    firsts: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, paths: Iterable[str]) -> 'Distinct':
        """Tells which paths are the same, so that files are read once."""
        known: dict[str, int] = {}
        numbers = np.array([known.setdefault(path, len(known)) for path in paths], np.int64)
        firsts = np.unique(numbers, return_index=True)[1].astype(np.int64)
        return cls([*known], firsts, numbers)


class Progress(Protocol):
    """Passes items on, and shows how many came: ``engine.progress_line.with_progress``, or :func:`silent`."""

    def __call__(self, items: Iterable[Item], expected: int, noun: str = ...) -> Iterator[Item]: ...


def silent(items: Iterable[Item], expected: int, noun: str = '') -> Iterator[Item]:
    """Passes items on, and shows nothing."""
    yield from items


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, noun: str
) -> list[Result]:
    """Calls a function for every item.

    Args:
        function: What is called; what it raises ends the work.
        items: The items.
        progress: Shows how many are done.
        noun: What they are.

    Returns:
        The results, in the order of the items.
    """
    chunks = [items[first : first + _CHUNK] for first in range(0, len(items), _CHUNK)]
    pool = ThreadPoolExecutor(_THREADS)
    try:
        done = pool.map(lambda chunk: [function(item) for item in chunk], chunks)
        return [*progress(chain.from_iterable(done), len(items), noun)]
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C too

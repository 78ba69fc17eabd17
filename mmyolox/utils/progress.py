"""A progress bar."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mmengine.utils import track_iter_progress

Item = TypeVar('Item')


def with_progress(items: Iterable[Item], expected: int) -> Iterator[Item]:
    """Passes items on with MMEngine's progress bar on stderr; an error that ends it gets a line of its own.

    Args:
        items: What takes its time to come.
        expected: How many; 0 if nobody knows.
    """
    try:
        yield from track_iter_progress((items, expected), file=sys.stderr)
    except Exception:
        print(file=sys.stderr)
        raise

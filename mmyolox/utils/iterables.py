"""Work over many items: ahead in threads, and with a progress bar."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import starmap
from typing import TypeVar

from mmengine.utils import track_iter_progress

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_ahead(
    function: Callable[..., Result], items: Iterable[tuple], workers: int, ahead: int
) -> Iterator[Result]:
    """``itertools.starmap`` by threads: the results in order, and what a call raises.

    Args:
        function: Releases Python's lock for most of its time, as decoding and resizing images do.
        items: Arguments of each call. They are taken by the caller's thread.
        workers: Threads; 0 calls in the caller's thread when a result is asked for.
        ahead: Calls begun and not yet asked for, at most, so that memory is bounded.
    """
    if not workers:
        yield from starmap(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, *item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


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

"""Work done by threads ahead of whoever needs it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import starmap
from typing import TypeVar

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

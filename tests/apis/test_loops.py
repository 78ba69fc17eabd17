"""Work ahead in threads."""

import threading
import time

import pytest

from mmyolox.apis.detectors import map_ahead


@pytest.mark.parametrize('workers', [0, 1, 4])
@pytest.mark.parametrize('count', [0, 1, 10])
def test_results_in_order(workers, count):
    def slow_first(number):
        time.sleep(0.01 if number == 0 else 0)
        return 3 * number

    assert list(map_ahead(slow_first, range(count), workers, 2)) == [3 * number for number in range(count)]


@pytest.mark.parametrize(('workers', 'ahead', 'taken'), [(0, 5, 1), (1, 0, 1), (1, 5, 6), (4, 2, 3)])
def test_no_more_is_begun_than_asked_for(workers, ahead, taken):
    items = iter(range(20))
    results = map_ahead(lambda number: number, items, workers, ahead)
    assert next(results) == 0
    assert len(list(items)) == 20 - taken
    results.close()


@pytest.mark.parametrize(('workers', 'threads'), [(0, 1), (3, 3)])
def test_calls_overlap(workers, threads):
    """All threads wait for one another, which ends only if there are enough."""
    barrier = threading.Barrier(threads, timeout=10)
    list(map_ahead(lambda _: barrier.wait(), range(6), workers, 6))


@pytest.mark.parametrize('workers', [0, 2])
def test_errors_are_raised_in_turn(workers):
    results = map_ahead(lambda number: 1 // number, [1, 0, 1], workers, 3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)

"""Arrays of several processes come together on the first one, in the order of the data set."""

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from mmyolox.datasets import gathering
from mmyolox.datasets.gathering import gather_rows, in_order
from tests.processes import in_processes


@pytest.mark.parametrize('dtype', [np.float32, np.int64])
@pytest.mark.parametrize('counts', [(3, 3), (4, 1), (0, 5), (5, 0), (0, 0), (1, 0, 9)])
@pytest.mark.parametrize('piece', [2**22, 4, 1])
def test_rows_of_all_processes(monkeypatch, dtype, counts, piece):
    monkeypatch.setattr(gathering, '_PIECE', piece)
    rows = [
        np.arange(count * 3).reshape(count, 3).astype(dtype) * 7 + rank for rank, count in enumerate(counts)
    ]
    gathered = in_processes(lambda rank: gather_rows(rows[rank]), len(counts))
    assert gathered[1:] == [[]] * (len(counts) - 1)
    for own, one in zip(rows, gathered[0], strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, own)


def test_a_process_without_rows_need_not_know_their_width():
    rows = [np.ones((2, 5), np.float32), np.ones((0, 0), np.float32)]
    gathered = in_processes(lambda rank: gather_rows(rows[rank]), 2)[0]
    assert [one.shape for one in gathered] == [(2, 5), (0, 5)]


def test_one_process_gathers_its_own():
    (own,) = gather_rows(np.arange(6).reshape(2, 3))
    assert own.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize('size', [1, 5, 6, 7])
@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('round_up', [False, True])
def test_samples_are_in_the_order_of_the_data_set_without_repeats(monkeypatch, size, count, round_up):
    shares = []
    for rank in range(count):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, count))
        shares.append(list(DefaultSampler(range(size), shuffle=False, round_up=round_up)))
    assert in_order(shares, size) == list(range(size))

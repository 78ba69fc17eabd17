"""An order in which neighbours are read together: every sample once, a function of seed and epoch."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmyolox.datasets import ChunkedSampler, MixedDataset
from mmyolox.errors import UserError
from mmyolox.registry import DATA_SAMPLERS
from tests.datasets.small_sets import open_coco, write_coco


class Numbers(torch.utils.data.Dataset):
    """As many samples as asked for: their index, and the worker that loads them."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        worker = torch.utils.data.get_worker_info()
        return torch.tensor([index, -1 if worker is None else worker.id])


@pytest.fixture
def sampler_of(monkeypatch):
    """Makes the sampler of a rank."""

    def make(dataset, rank=0, ranks=1, **options):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, ranks))
        return ChunkedSampler(dataset, seed=options.pop('seed', 3), **options)

    return make


def orders(sampler_of, count, ranks, workers, epochs, batch_size=4, **options):
    """The samples by epoch, of all ranks one after the other."""
    samplers = [sampler_of(Numbers(count), rank, ranks, **options) for rank in range(ranks)]
    found = []
    for epoch in epochs:
        for sampler in samplers:
            sampler.share_among(batch_size, workers)
            sampler.set_epoch(epoch)
        found.append([index for sampler in samplers for index in sampler])
        assert len(found[-1]) == sum(map(len, samplers))
        assert len({len(sampler) for sampler in samplers}) == 1
    return found


@pytest.mark.parametrize('ranks', [1, 2, 3])
@pytest.mark.parametrize('workers', [0, 1, 3])
@pytest.mark.parametrize(
    ('count', 'chunk_size'), [(1, 8), (7, 8), (96, 8), (97, 8), (211, 8), (50, 1), (100, 64)]
)
def test_every_sample_comes_once(sampler_of, ranks, workers, count, chunk_size):
    for order in orders(sampler_of, count, ranks, workers, [0, 1], chunk_size=chunk_size, window=2):
        counts = Counter(order)
        assert counts.keys() == set(range(count))
        # All ranks are as long as each other: so many samples come twice as are missing for it.
        assert counts.total() == -(-count // ranks) * ranks
        assert max(counts.values()) == 1 or counts.total() > count


@pytest.mark.parametrize('ranks', [1, 2, 3])
@pytest.mark.parametrize('workers', [0, 3])
def test_every_sample_comes_once_in_a_pass(sampler_of, ranks, workers):
    epochs = orders(sampler_of, 211, ranks, workers, range(10), chunk_size=8, window=2, pass_epochs=5)
    length = -(-211 // (5 * ranks)) * ranks
    assert [len(order) for order in epochs] == [length] * 10
    for epoch in (0, 5):
        counts = Counter(index for order in epochs[epoch : epoch + 5] for index in order)
        assert counts.keys() == set(range(211))
        assert sum(counts.values()) - 211 == 5 * length - 211
    assert epochs[0] != epochs[5]


@pytest.mark.parametrize('workers', [0, 2])
def test_the_order_is_a_function_of_seed_and_epoch(sampler_of, workers):
    first = orders(sampler_of, 100, 2, workers, [0, 1, 2], chunk_size=8, window=2)
    assert orders(sampler_of, 100, 2, workers, [2, 1, 0], chunk_size=8, window=2) == first[::-1]
    assert first[0] != first[1] != first[2]
    assert orders(sampler_of, 100, 2, workers, [0], chunk_size=8, window=2, seed=4) != first[:1]


def test_a_loader_gives_each_worker_chunks_of_its_own(sampler_of):
    sampler = sampler_of(Numbers(24 * 8), chunk_size=8, window=2)
    sampler.share_among(4, 3)
    loader = DataLoader(Numbers(24 * 8), batch_size=4, sampler=sampler, num_workers=3)
    rows = torch.cat(list(loader)).numpy()
    chunks = [{*(rows[rows[:, 1] == worker, 0] // 8).tolist()} for worker in range(3)]
    assert [len(own) for own in chunks] == [8, 8, 8]
    assert len(set.union(*chunks)) == 24
    # No more chunks at a time than the window has.
    for worker in range(3):
        own = rows[rows[:, 1] == worker, 0] // 8
        spans = [np.flatnonzero(own == chunk)[[0, -1]] for chunk in chunks[worker]]
        assert max(sum(first <= time <= last for first, last in spans) for time in range(len(own))) == 2
        assert not np.array_equal(own, np.sort(own))


def test_workers_that_nobody_told_of_change_no_set(sampler_of):
    # A loader of others has workers of which the sampler does not know: reading is slower, and no more.
    sampler = sampler_of(Numbers(50), chunk_size=8)
    loader = DataLoader(Numbers(50), batch_size=4, sampler=sampler, num_workers=3)
    assert sorted(torch.cat(list(loader))[:, 0].tolist()) == list(range(50))


def test_samples_of_a_window_are_mixed(sampler_of):
    (order,) = orders(sampler_of, 64 * 32, 1, 0, [0], chunk_size=64, window=16, batch_size=16)
    windows = np.array(order).reshape(2, 1024)
    for window in windows:
        chunks = window // 64
        assert len({*chunks.tolist()}) == 16
        # In a batch of 16 from 16 chunks 10.3 are expected, if each is as likely.
        kinds = [len({*batch}) for batch in chunks.reshape(-1, 16).tolist()]
        assert 9.5 < np.mean(kinds) < 11.1


def test_chunks_come_from_everywhere(sampler_of):
    (order,) = orders(sampler_of, 8 * 1000, 1, 0, [0], chunk_size=8, window=2)
    firsts = np.array(order)[::16] // 8
    assert abs(np.corrcoef(firsts, np.arange(len(firsts)))[0, 1]) < 0.15


@pytest.mark.parametrize('name', ['chunk_size', 'window', 'pass_epochs'])
@pytest.mark.parametrize('value', [0, -1, 1.5, True, None])
def test_numbers_that_are_none(name, value):
    with pytest.raises(UserError, match=rf'ChunkedSampler: {name}={value} must be a whole number above 0'):
        ChunkedSampler(Numbers(3), **{name: value})


def test_built_from_a_config():
    sampler = DATA_SAMPLERS.build(dict(type='ChunkedSampler', dataset=Numbers(5), chunk_size=2, seed=4))
    assert (sampler.chunk_size, sampler.seed) == (2, 4)


def test_several_data_sets_are_drawn_in_chunks(tmp_path):
    parts = [open_coco(write_coco(tmp_path / name, count), []) for name, count in (('a', 9), ('b', 14))]
    mixed = MixedDataset(parts)
    sampler = ChunkedSampler(mixed, chunk_size=4, seed=5)
    sampler.set_epoch(3)
    assert [part.draw_key for part in parts] == [(5, 3)] * 2
    order = list(sampler)
    assert sorted(order) == list(range(23))
    assert [mixed[index]['img_id'] for index in order] == [
        index if index < 9 else index - 9 for index in order
    ]

"""The order of samples, and who is told the seed and the epoch."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, DefaultSampler, RepeatDataset
from mmengine.hooks import DistSamplerSeedHook

from mmyolox.datasets import DetectionDataset, SeededSampler, detection_datasets
from mmyolox.datasets.transforms import LoadAnnotations, LoadImage, Mosaic, PackDetInputs, RandomAffine
from mmyolox.registry import DATA_SAMPLERS
from tests.datasets.small_sets import open_coco, write_coco

LOADING = [LoadImage(), LoadAnnotations()]
PIPELINE = [*LOADING, Mosaic(LOADING), RandomAffine(), PackDetInputs()]


@pytest.fixture
def dataset(tmp_path):
    return open_coco(write_coco(tmp_path, 9), PIPELINE)


@pytest.fixture
def told(monkeypatch):
    """What data sets are told, as (data set, seed, epoch)."""
    calls = []
    monkeypatch.setattr(DetectionDataset, 'set_draw_key', lambda *args: calls.append(args))
    return calls


@pytest.fixture
def pretend_rank(monkeypatch):
    """Makes samplers built from now on believe in a rank and a world size."""

    def pretend(rank, world_size):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))

    return pretend


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('seed', [0, 7])
@pytest.mark.parametrize(('rank', 'world_size'), [(0, 1), (0, 2), (1, 2)])
def test_order_is_default_samplers(dataset, pretend_rank, shuffle, seed, rank, world_size):
    pretend_rank(rank, world_size)
    ours = SeededSampler(dataset, shuffle=shuffle, seed=seed)
    theirs = DefaultSampler(dataset, shuffle=shuffle, seed=seed)
    orders = []
    for epoch in range(3):
        ours.set_epoch(epoch)
        theirs.set_epoch(epoch)
        orders.append(list(ours))
        assert orders[-1] == list(theirs)
        assert len(ours) == len(theirs) == len(orders[-1])
    assert (orders[0] != orders[1]) == shuffle


def test_built_from_a_config(dataset):
    sampler = DATA_SAMPLERS.build(dict(type='SeededSampler', dataset=dataset, shuffle=True, seed=4))
    assert sampler.seed == 4


@pytest.mark.parametrize(
    ('wrap', 'count'),
    [
        (lambda dataset: dataset, 1),
        (lambda dataset: ClassBalancedDataset(dataset, oversample_thr=0.1), 1),
        (lambda dataset: RepeatDataset(dataset, times=3), 1),
        (lambda dataset: ConcatDataset([dataset, dataset]), 2),
        (lambda dataset: list(range(5)), 0),
    ],
)
def test_data_sets_are_told(dataset, told, wrap, count):
    whole = wrap(dataset)
    assert list(detection_datasets(whole)) == [dataset] * count
    sampler = SeededSampler(whole, seed=5)
    sampler.set_epoch(3)
    assert told == [(dataset, 5, 3)] * count


def test_mmengines_hook_tells(dataset, told):
    loader = SimpleNamespace(sampler=SeededSampler(dataset, seed=5))
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=loader), epoch=11)
    DistSamplerSeedHook().before_train_epoch(runner)
    assert told == [(dataset, 5, 11)]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: ClassBalancedDataset(dataset, oversample_thr=0.1),
        lambda dataset: ConcatDataset([dataset, dataset]),
    ],
)
def test_wrapped_samples_follow_the_key(dataset, wrap):
    whole = wrap(dataset)
    sampler = SeededSampler(whole, seed=1)
    drawn = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        drawn.append([whole[i]['inputs'] for i in (0, len(whole) - 1)])
    for first, second, again in zip(*drawn, strict=True):
        assert np.array_equal(first, again)
        assert not np.array_equal(first, second)


@pytest.mark.parametrize('epoch', [0, 2])
@pytest.mark.parametrize('batch_size', [2, 3])
def test_two_ranks_together_see_what_one_sees(dataset, pretend_rank, epoch, batch_size):
    def batches(rank, world_size):
        pretend_rank(rank, world_size)
        sampler = SeededSampler(dataset, seed=3)
        sampler.set_epoch(epoch)
        order = list(sampler)
        size = 2 * batch_size // world_size
        return [[(i, dataset[i]['inputs']) for i in order[k : k + size]] for k in range(0, len(order), size)]

    together = batches(0, 1)
    apart = zip(batches(0, 2), batches(1, 2), strict=True)
    for whole, halves in zip(together, apart, strict=True):
        found = {i: image for half in halves for i, image in half}
        for i, image in whole:
            assert np.array_equal(image, found[i])


def test_ranks_are_as_long_as_each_other(dataset, pretend_rank):
    # Nine samples on two ranks: one is seen twice, so that no rank waits for another.
    orders = []
    for rank in range(2):
        pretend_rank(rank, 2)
        orders.append(list(SeededSampler(dataset, seed=3)))
    assert [len(order) for order in orders] == [5, 5]
    assert set(orders[0]) | set(orders[1]) == set(range(9))

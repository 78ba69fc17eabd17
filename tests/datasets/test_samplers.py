"""Which images are drawn how often, and that draws are functions of seed and epoch."""

import pickle
from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset, ConcatDataset

from mmyolox.config import load_config
from mmyolox.datasets import BalancedSampler, MixedDataset
from mmyolox.datasets.base import Draw
from mmyolox.datasets.samplers import repeat_factors
from mmyolox.datasets.transforms import LoadAnnotations, LoadImage, Mosaic, PackDetInputs, RandomAffine
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco

LOADING = [LoadImage(), LoadAnnotations()]
PIPELINE = [*LOADING, Mosaic(LOADING), RandomAffine(), PackDetInputs()]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sets of images')
    return [write_coco(folder / name, count, empty=[1]) for name, count in (('first', 12), ('second', 4))]


def open_set(folder, **kwargs):
    return open_coco(folder, PIPELINE, filter_cfg=dict(filter_empty_gt=False), **kwargs)


def mixed(folders):
    return MixedDataset([open_set(folder) for folder in folders])


@pytest.mark.parametrize('threshold', [0.3, 0.7, 1.0])
def test_factors_are_those_of_mmengine(folders, threshold):
    dataset = open_set(folders[0])
    theirs = ClassBalancedDataset(dataset, threshold)._get_repeat_factors(dataset, threshold)
    assert repeat_factors([dataset], threshold)[0].tolist() == pytest.approx(theirs)


def test_an_image_comes_as_often_as_its_weight_says(folders):
    dataset = open_set(folders[0])
    sampler = BalancedSampler(dataset, oversample_thr=1.0, seed=3)
    factors = repeat_factors([dataset], 1.0)[0]
    expected = 12 * factors / factors.sum()
    sums = np.zeros(12)
    for epoch in range(400):
        sampler.set_epoch(epoch)
        counts = np.bincount([int(draw) for draw in sampler], minlength=12)
        assert counts.sum() == len(sampler) == 12
        assert (counts >= np.floor(expected)).all()
        assert (counts <= np.ceil(expected)).all()
        sums += counts
    assert sums / 400 == pytest.approx(expected, abs=0.1)


def test_of_each_data_set_as_much_is_drawn_as_its_share(folders):
    sampler = BalancedSampler(mixed(folders), dataset_weights=[1, 3], seed=0)
    counts = Counter(draw >= 12 for draw in sampler)
    assert counts == {False: 4, True: 12}  # of 12 images and 4
    sampler = BalancedSampler(mixed(folders), 1.0, [1, 0], seed=0)
    assert all(draw < 12 for draw in sampler)


def draws(dataset, epoch, seed=5):
    sampler = BalancedSampler(dataset, dataset_weights=[1, 3], seed=seed)
    sampler.set_epoch(epoch)
    return [(int(draw), draw.repeat) for draw in sampler]


def test_draws_are_functions_of_seed_and_epoch(folders, monkeypatch):
    dataset = mixed(folders)
    first = draws(dataset, 2)
    np.random.rand(7)
    assert draws(dataset, 2) == first
    assert draws(dataset, 3) != first
    assert draws(dataset, 2, seed=6) != first
    assert len(set(first)) == len(first)  # of an image each draw has a number of its own
    assert {repeat for _, repeat in first} == {0, 1, 2}
    ranks = []
    for rank in (0, 1):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        ranks.append(draws(dataset, 2))
    assert [draw for pair in zip(*ranks, strict=True) for draw in pair] == first


def test_each_draw_of_an_image_is_augmented_by_draws_of_its_own(folders):
    dataset = mixed(folders)
    BalancedSampler(dataset, seed=5).set_epoch(0)
    again = pickle.loads(pickle.dumps(Draw(13, 2)))
    assert (again, again.repeat) == (13, 2)
    plain, first, third, same = (dataset[draw]['inputs'] for draw in (13, Draw(13), Draw(13, 2), again))
    assert np.array_equal(plain, first)
    assert np.array_equal(third, same)
    assert not np.array_equal(first, third)


def test_partners_are_drawn_by_the_same_weights(folders):
    dataset, plain = open_set(folders[0]), open_set(folders[0])
    BalancedSampler(dataset, oversample_thr=1.0, seed=0)
    BalancedSampler(plain, seed=0)
    rng, weights = np.random.default_rng(0), repeat_factors([dataset], 1.0)[0]
    counts = np.bincount([dataset.draw_partner(rng) for _ in range(6000)], minlength=12)
    assert counts / 6000 == pytest.approx(weights / weights.sum(), abs=0.02)
    expected = np.random.default_rng(0).integers(12, size=5)
    rng = np.random.default_rng(0)
    assert [plain.draw_partner(rng) for _ in range(5)] == expected.tolist()


def test_classes_are_mapped_by_name_and_must_agree(folders):
    dataset = mixed(folders)
    assert dataset.metainfo['classes'] == ('a', 'b', 'c')
    assert len(dataset) == 16
    others = open_set(folders[1], metainfo=dict(classes=('b', 'a')))
    with pytest.raises(UserError, match='data set 1 has the classes b, a, and data set 0 a, b, c; give all'):
        MixedDataset([open_set(folders[0]), others])
    with pytest.raises(UserError, match=r'datasets=\[\]'):
        MixedDataset([])


@pytest.mark.parametrize('weights', [[1], [1, 2, 3], [1, -1], [0, 0], [1, float('inf')], [1, float('nan')]])
def test_shares_that_fit_no_data_sets_are_named(folders, weights):
    with pytest.raises(UserError, match='there are 2 data sets, which need a number each'):
        BalancedSampler(mixed(folders), dataset_weights=weights)


def test_a_data_set_that_forgets_the_draws_is_refused(folders):
    part = open_set(folders[0])
    with pytest.raises(UserError, match='ConcatDataset is none'):
        BalancedSampler(ConcatDataset([part]))


@pytest.mark.parametrize('name', ['yolox_nano_fast_8xb8-300e_coco', 'yolox_s_fast_8xb8-300e-cached_coco'])
def test_the_variable_of_the_configs(name):
    assert load_config(name).train_dataloader.sampler == dict(type='SeededSampler', shuffle=True)
    sampler = load_config(name, {'oversample_thr': 0.1}).train_dataloader.sampler
    assert sampler == dict(type='BalancedSampler', oversample_thr=0.1)
    with pytest.raises(UserError, match='oversample_thr=-1: it must be at least 0 and at most 1'):
        load_config(name, {'oversample_thr': -1})

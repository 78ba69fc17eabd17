"""Draws that depend on seed, epoch and index alone, and files that do not decode."""

import copy
import json
import os
import pickle
import random
from multiprocessing import popen_spawn_posix
from multiprocessing.context import set_spawning_popen
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace

import numpy as np
import pytest
from mmdet.datasets.transforms import PhotoMetricDistortion
from torch.utils.data import DataLoader

from mmyolox.datasets import SeededSampler, yolox_collate
from mmyolox.datasets.transforms import (
    FilterAnnotations,
    Letterbox,
    LoadAnnotations,
    LoadImage,
    Mosaic,
    PackDetInputs,
    RandomAffine,
    RandomFlip,
    UndecodableImageError,
    YOLOXHSVRandomAug,
    YOLOXMixUp,
)
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco


def loading():
    return [LoadImage(), LoadAnnotations()]


def plain(*more, keep_empty=True):
    return [*loading(), Letterbox(), *more, FilterAnnotations(keep_empty=keep_empty), PackDetInputs()]


def recipe():
    """The training recipe, and a transform of another project that draws from NumPy's global state."""
    steps = [Mosaic(loading()), RandomAffine(), YOLOXMixUp(loading()), RandomFlip(), YOLOXHSVRandomAug()]
    return [*loading(), *steps, PhotoMetricDistortion(), FilterAnnotations(), PackDetInputs()]


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path, 10)


def is_same(a, b):
    """Whether two packed samples or batches are equal, down to the ids."""
    tensors = ((x['inputs'], *(x['data_samples'][key] for key in ('bboxes', 'labels'))) for x in (a, b))
    return all(x.shape == y.shape and bool((x == y).all()) for x, y in zip(*tensors, strict=True))


def image_of(packed):
    return packed['data_samples']['meta']['img_id']


# Draws


def epochs(root, num_workers, seed=0, count=2):
    """The batches of a few epochs of one loader, the way MMEngine runs it."""
    dataset = open_coco(root, recipe())
    loader = DataLoader(
        dataset,
        batch_size=4,
        sampler=SeededSampler(dataset, seed=seed),
        collate_fn=yolox_collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
    result = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)
        result.append(list(loader))
    return result


def test_batches_do_not_depend_on_workers(root):
    alone = epochs(root, 0)
    for num_workers in (1, 2):
        for wanted, batches in zip(alone, epochs(root, num_workers), strict=True):
            assert len(batches) == 3
            for batch, other in zip(batches, wanted, strict=True):
                assert is_same(batch, other)
                ids = [[meta['img_id'] for meta in b['data_samples']['metas']] for b in (batch, other)]
                assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ('first', 'second', 'same'), [((0, 0), (0, 0), 1), ((0, 0), (0, 1), 0), ((0, 1), (1, 0), 0)]
)
def test_sample_depends_on_seed_and_epoch(root, first, second, same):
    dataset = open_coco(root, recipe())
    dataset.set_draw_key(*first)
    before = [dataset[i] for i in range(10)]
    dataset.set_draw_key(*second)
    assert [is_same(dataset[i], before[i]) for i in range(10)] == [bool(same)] * 10


def test_samples_differ_from_each_other(tmp_path):
    pixels = write_coco(tmp_path, 2) / 'images'
    (pixels / '1.png').write_bytes((pixels / '0.png').read_bytes())
    content = json.loads((tmp_path / 'ann.json').read_text())
    content['images'][1] = dict(content['images'][0], id=1, file_name='1.png')
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    dataset = open_coco(tmp_path, [LoadImage(), RandomAffine(), PackDetInputs()])
    dataset.set_draw_key(0, 0)
    assert not np.array_equal(dataset[0]['inputs'], dataset[1]['inputs'])


def test_sample_does_not_depend_on_what_was_drawn_before(root):
    dataset = open_coco(root, recipe())
    dataset.set_draw_key(3, 4)
    wanted = [dataset[i] for i in range(10)]
    np.random.seed(99)
    random.seed(99)
    for i in (7, 2, 2, 9, 0):
        assert is_same(dataset[i], wanted[i])


def test_without_a_key_numpys_state_decides(root):
    dataset = open_coco(root, recipe())
    drawn = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        drawn.append([dataset[3], dataset[3]])
    (first, next_one), (again, _), (other, _) = drawn
    assert is_same(first, again)
    assert not is_same(first, next_one)
    assert not is_same(first, other)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda dataset: dataset.get_subset(9)])
def test_running_workers_of_a_copy_are_told_too(root, copied):
    dataset = copied(open_coco(root, recipe()))
    loader = DataLoader(
        dataset, sampler=[3], num_workers=1, persistent_workers=True, collate_fn=yolox_collate
    )
    for epoch in (0, 1):
        dataset.set_draw_key(0, epoch)
        batch = next(iter(loader))
        assert is_same(batch, yolox_collate([dataset[3]]))


class Jitter:
    """A transform of another project that draws from both global states."""

    def __call__(self, results):
        results['img'] = (
            results['img'] // 4 + np.uint8(np.random.randint(90)) + np.uint8(random.randrange(90))
        )
        return results


def test_global_states_are_seeded_for_others(root):
    dataset = open_coco(root, plain(Jitter()))
    images = []
    for state, epoch in ((1, 0), (2, 0), (1, 1)):
        np.random.seed(state)
        random.seed(state)
        dataset.set_draw_key(0, epoch)
        images.append(dataset[0]['inputs'])
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


# Redraws


def test_empty_samples_are_replaced(tmp_path):
    dataset = open_coco(write_coco(tmp_path, 10, empty=range(7)), plain(keep_empty=False))
    shown = set()
    for epoch in range(30):
        dataset.set_draw_key(0, epoch)
        taken = [image_of(dataset[i]) for i in range(10)]
        assert taken[7:] == [7, 8, 9]
        assert set(taken[:7]) <= {7, 8, 9}
        # The same again, though redrawn.
        assert [image_of(dataset[i]) for i in range(10)] == taken
        shown.add(tuple(taken))
    assert len(shown) > 20


# Files that do not decode


@pytest.fixture
def log(monkeypatch):
    """The lines that the data set logs."""
    lines = []
    monkeypatch.setattr('mmyolox.datasets.base.print_log', lambda line, *_: lines.append(line))
    return lines


def test_undecodable_file_is_named_once_and_replaced(tmp_path, log):
    root = write_coco(tmp_path, 10, broken=(2, 5))
    dataset = open_coco(root, plain(), max_undecodable_ratio=0.2)
    for epoch in range(3):
        dataset.set_draw_key(0, epoch)
        shown = [image_of(dataset[i]) for i in range(10)]
        assert not {2, 5} & set(shown)
        assert [shown[i] for i in (0, 1, 3, 4)] == [0, 1, 3, 4]
    assert len(log) == 2
    for line, name, count in zip(log, ('2.png', '5.png'), (1, 2), strict=True):
        assert str(root / 'images' / name) in line
        assert f'{count} so far' in line


def test_undecodable_partner_is_named(tmp_path, log):
    root = write_coco(tmp_path, 6, broken=(2,))
    dataset = open_coco(root, recipe(), max_undecodable_ratio=0.5)
    for epoch in range(4):
        dataset.set_draw_key(0, epoch)
        for i in (0, 1, 3, 4, 5):
            assert image_of(dataset[i]) != 2
    assert len(log) == 1
    assert '2.png' in log[0]


@pytest.mark.parametrize(
    ('ratio', 'aborts'), [(0.1, True), (0.19, True), (0.2, False), (1.0, False), (0, True)]
)
def test_too_many_undecodable_files_abort(tmp_path, log, ratio, aborts):
    root = write_coco(tmp_path, 10, broken=(2, 5))
    dataset = open_coco(root, plain(), max_undecodable_ratio=ratio)
    dataset.set_draw_key(0, 0)
    if not aborts:
        assert len([dataset[i] for i in range(10)]) == 10
        return
    with pytest.raises(UserError, match='of 10 images cannot be decoded') as caught:
        [dataset[i] for i in range(10)]
    assert f'max_undecodable_ratio={ratio}' in str(caught.value)
    assert str(root / 'images') in str(caught.value)
    assert '\n' not in str(caught.value)


def test_by_default_one_in_a_hundred_is_tolerated(tmp_path):
    dataset = open_coco(write_coco(tmp_path, 1), plain())
    assert dataset.max_undecodable_ratio == 0.01


def test_workers_count_together(tmp_path):
    root = write_coco(tmp_path, 30, broken=(0, 1, 2, 3))
    dataset = open_coco(root, plain(), max_undecodable_ratio=0.1)
    dataset.set_draw_key(0, 0)
    loader = DataLoader(dataset, sampler=[0, 1, 2], batch_size=1, num_workers=2, collate_fn=yolox_collate)
    assert len(list(loader)) == 3
    with pytest.raises(UserError, match='4 of 30 images cannot be decoded'):
        dataset[3]


def test_in_test_mode_the_error_is_raised(tmp_path, log):
    root = write_coco(tmp_path, 3, broken=(1,))
    dataset = open_coco(root, plain(), test_mode=True)
    assert image_of(dataset[0]) == 0
    with pytest.raises(UndecodableImageError, match=r'1\.png'):
        dataset[1]
    assert not log


def test_of_a_subset_only_its_own_files_count(tmp_path, log):
    dataset = open_coco(write_coco(tmp_path, 6, broken=(2,)), plain(), max_undecodable_ratio=0.5)
    dataset.set_draw_key(0, 0)
    dataset[2]
    dataset.get_subset_([0, 1, 3] * 4)
    assert [image_of(dataset[i]) for i in range(12)] == [0, 1, 3] * 4
    assert len(log) == 1


# Annotations


def pickled_for_a_spawned_worker(value):
    """What `multiprocessing` sends when it spawns a process."""
    set_spawning_popen(SimpleNamespace(duplicate_for_child=os.dup, DupFd=popen_spawn_posix._DupFd))
    try:
        return bytes(ForkingPickler.dumps(value))
    finally:
        set_spawning_popen(None)


def test_spawned_workers_map_the_annotations(root):
    dataset = open_coco(root, plain())
    pickled = pickled_for_a_spawned_worker(dataset)
    assert dataset.data_list.instances('bboxes')[:4].tobytes() not in pickled
    other = pickle.loads(pickled)
    assert np.array_equal(other.data_list.instances('bboxes'), dataset.data_list.instances('bboxes'))
    assert image_of(other[4]) == 4
    other.set_draw_key(6, 7)
    assert dataset.draw_key == (6, 7)


@pytest.mark.parametrize(
    'options', [{}, dict(serialize_data=False), dict(lazy_init=True), dict(indices=[1, 4])]
)
@pytest.mark.parametrize('copied', [copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))])
def test_copies_have_the_same_samples(root, copied, options):
    dataset = open_coco(root, plain(), **options)
    other = copied(dataset)
    assert len(other) == len(dataset)
    assert all(is_same(other[i], dataset[i]) for i in range(len(dataset)))


@pytest.mark.parametrize('serialize_data', [True, False])
@pytest.mark.parametrize(
    ('indices', 'wanted'), [(4, [0, 1, 2, 3]), (-3, [7, 8, 9]), ([2, 2, 7], [2, 2, 7]), ((9, 0), [9, 0])]
)
def test_subsets(root, indices, wanted, serialize_data):
    dataset = open_coco(root, plain(), serialize_data=serialize_data)
    subset = dataset.get_subset(indices)
    dataset.get_subset_(indices)
    for found in (subset, dataset):
        assert [image_of(found[i]) for i in range(len(found))] == wanted


# Settings


@pytest.mark.parametrize('img_scale', [(64, 32), [416, 416], (32, 32)])
def test_img_scale(root, img_scale):
    dataset = open_coco(root, plain(), img_scale=img_scale)
    assert dataset.img_scale == tuple(img_scale)
    width, height = img_scale
    assert dataset[0]['inputs'].shape == (3, height, width)


@pytest.mark.parametrize(
    'img_scale', [640, (640,), (640, 640, 3), (0, 64), (-32, 32), (64.0, 64), '640', None]
)
def test_img_scale_is_checked(root, img_scale):
    with pytest.raises(UserError, match='two whole numbers above 0') as caught:
        open_coco(root, plain(), img_scale=img_scale)
    assert f'img_scale={img_scale!r}' in str(caught.value)

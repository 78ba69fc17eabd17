"""Decoded images that are kept over epochs and shared by workers, and the refusal of what does not fit."""

import copy
import gc
import json
import os

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ConcatDataset
from torch.utils.data import DataLoader

from mmyolox.datasets import SeededSampler, yolox_collate
from mmyolox.datasets.image_cache import ImageCache
from mmyolox.datasets.transforms import (
    Letterbox,
    LoadAnnotations,
    LoadImage,
    Mosaic,
    PackDetInputs,
    RandomAffine,
    RandomFlip,
    YOLOXHSVRandomAug,
    YOLOXMixUp,
)
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco

SIZES = [Size(6, 4), Size(1, 1), Size(3, 3)]


def pictures(sizes=SIZES):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size.shape_hw, 3), dtype=np.uint8) for size in sizes]


def recipe():
    loading = [LoadImage(), LoadAnnotations()]
    steps = [Mosaic(loading), RandomAffine(), YOLOXMixUp(loading), RandomFlip(), YOLOXHSVRandomAug()]
    return [*loading, *steps, PackDetInputs()]


def plain():
    return [LoadImage(), LoadAnnotations(), Letterbox(), PackDetInputs()]


def held(dataset):
    """The indices of the images in a data set's cache."""
    return [i for i in range(len(dataset)) if dataset.image_cache.get(i) is not None]


def batches(dataset, num_workers=0, epochs=2, **kwargs):
    """Images and boxes of a few epochs of one loader."""
    loader = DataLoader(
        dataset,
        batch_size=4,
        sampler=SeededSampler(dataset, seed=1),
        collate_fn=yolox_collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        **kwargs,
    )
    result = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        result += [(batch['inputs'], batch['data_samples']['bboxes']) for batch in loader]
    return result


def is_same(first, second):
    return len(first) == len(second) and all(
        a.shape == b.shape and bool((a == b).all())
        for pair, other in zip(first, second, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / 'set', 10)


@pytest.fixture
def log(monkeypatch):
    """The lines that the cache logs."""
    lines = []
    monkeypatch.setattr('mmyolox.datasets.image_cache.print_log', lambda line, *_: lines.append(line))
    return lines


@pytest.fixture
def decoded(monkeypatch):
    """What OpenCV decodes in this process."""
    calls, imdecode = [], cv2.imdecode
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: calls.append(1) or imdecode(*args))
    return calls


# The cache by itself


@pytest.mark.parametrize('kind', ['ram', 'disk'])
def test_what_was_put_is_got(kind):
    cache, images = ImageCache(SIZES, kind), pictures()
    assert [cache.get(i) for i in range(3)] == [None] * 3
    for i in (1, 0, 2):
        cache.put(i, images[i])
    for i in (2, 0, 1):
        assert np.array_equal(cache.get(i), images[i])
    assert cache.unfit == 0


def test_an_image_does_not_touch_its_neighbours():
    cache, images = ImageCache(SIZES, 'ram'), pictures()
    cache.put(1, images[1])
    assert cache.get(0) is cache.get(2) is None
    cache.put(0, images[0])
    assert np.array_equal(cache.get(1), images[1])


def test_what_is_got_is_a_view_that_cannot_be_written():
    cache = ImageCache(SIZES, 'ram')
    cache.put(0, pictures()[0])
    got = cache.get(0)
    assert np.shares_memory(got, cache.get(0))
    assert not got.flags.writeable
    # It outlives the cache.
    del cache
    gc.collect()
    assert np.array_equal(got, pictures()[0])


def test_the_first_of_two_writers_wins():
    cache, image = ImageCache(SIZES, 'ram'), pictures()[0]
    cache.put(0, image)
    cache.put(0, 255 - image)
    assert np.array_equal(cache.get(0), image)


def test_pixels_need_not_be_contiguous():
    cache, image = ImageCache(SIZES, 'ram'), pictures()[0]
    cache.put(0, image[::-1, :, ::-1])
    assert np.array_equal(cache.get(0), image[::-1, :, ::-1])


@pytest.mark.parametrize(
    ('pixels', 'said'),
    [
        (np.zeros((6, 4, 3), np.uint8), '6x4x3'),
        (np.zeros((4, 6, 1), np.uint8), '4x6x1'),
        (np.zeros((4, 6, 4), np.uint8), '4x6x4'),
        (np.zeros((4, 7, 3), np.uint8), '4x7x3'),
        (np.zeros((0, 0, 3), np.uint8), '0x0x3'),
    ],
)
def test_other_shapes_are_not_kept_but_counted(log, pixels, said):
    cache, images = ImageCache([Size(6, 4), *SIZES], 'ram'), pictures()
    cache.put(0, pixels)
    cache.put(0, pixels)
    # Also nothing that fits any more: all processes see the same of an image.
    cache.put(0, images[0])
    assert cache.get(0) is None
    assert cache.unfit == 1
    cache.put(1, pixels)
    assert cache.unfit == 2
    cache.put(2, images[1])
    assert np.array_equal(cache.get(2), images[1])
    assert len(log) == 1
    assert f'image 0 is not kept, because it decodes to {said}, and is annotated as 4x6x3' in log[0]


def test_other_types_are_not_kept(log):
    cache = ImageCache(SIZES, 'ram')
    cache.put(0, pictures()[0].astype(np.uint16))
    assert cache.get(0) is None
    assert len(log) == 1


def test_a_full_disk_ends_the_keeping_only(log, monkeypatch, tmp_path):
    cache, images, pwrite = ImageCache(SIZES, 'disk', str(tmp_path)), pictures(), os.pwrite

    def nearly_full(file, data, offset):
        if len(data) > 27:
            raise OSError(28, 'No space left on device')
        return pwrite(file, data, offset)

    monkeypatch.setattr(os, 'pwrite', nearly_full)
    for i in range(3):
        cache.put(i, images[i])
    assert cache.get(0) is None
    assert np.array_equal(cache.get(1), images[1])
    assert np.array_equal(cache.get(2), images[2])
    assert len(log) == 1
    assert 'No space left' in log[0]


def test_a_subset_shares_the_pixels():
    cache, images = ImageCache(SIZES, 'ram'), pictures()
    subset = cache.subset([2, 0, 2])
    subset.put(0, images[2])
    cache.put(0, images[0])
    assert np.array_equal(cache.get(2), images[2])
    assert np.array_equal(subset.get(1), images[0])
    assert np.array_equal(subset.get(2), images[2])
    assert cache.get(1) is None
    assert np.array_equal(subset.subset([1]).get(0), images[0])


def test_no_images_at_all():
    assert ImageCache([], 'ram').unfit == 0


# Refusals


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.image_cache.available_memory', lambda: 10_000_000_000)
    ImageCache([Size(1000, 1000)] * 2600, 'ram')
    gc.collect()
    with pytest.raises(UserError) as caught:
        ImageCache([Size(1000, 1000)] * 2700, 'ram')
    assert str(caught.value) == (
        "image_cache='ram' needs 8.1 GB for 2700 images, but may take 80% of the 10.0 GB free of memory; "
        "set image_cache='disk' or None"
    )


def test_what_does_not_fit_on_the_disk_is_refused(monkeypatch, tmp_path):
    usage = type('Usage', (), dict(free=10_000_000_000))
    monkeypatch.setattr('mmyolox.datasets.image_cache.shutil.disk_usage', lambda folder: usage)
    ImageCache([Size(1000, 1000)] * 2600, 'disk', str(tmp_path))
    gc.collect()
    with pytest.raises(UserError) as caught:
        ImageCache([Size(1000, 1000)] * 2700, 'disk', str(tmp_path))
    assert str(caught.value) == (
        "image_cache='disk' needs 8.1 GB for 2700 images, but may take 80% of the 10.0 GB free in "
        f'{tmp_path}; set image_cache_dir to a folder with more space, or image_cache=None'
    )


def test_every_process_of_the_machine_counts(monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.image_cache.available_memory', lambda: 10_000_000_000)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    ImageCache([Size(1000, 1000)] * 600, 'ram')
    gc.collect()
    with pytest.raises(UserError, match=r'needs 8\.4 GB for 700 images in each of 4 processes, but'):
        ImageCache([Size(1000, 1000)] * 700, 'ram')


def test_caches_that_will_fill_count(monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.image_cache.available_memory', lambda: 10_000_000_000)
    usage = type('Usage', (), dict(free=10_000_000_000))
    monkeypatch.setattr('mmyolox.datasets.image_cache.shutil.disk_usage', lambda folder: usage)
    first = ImageCache([Size(1000, 1000)] * 2000, 'ram')
    # A cache on the disk takes nothing of the memory.
    on_disk = ImageCache([Size(1000, 1000)] * 100, 'disk')
    with pytest.raises(UserError, match=r'needs 9\.0 GB for 1000 images, 6\.0 GB for other caches, but'):
        ImageCache([Size(1000, 1000)] * 1000, 'ram')
    del first, on_disk
    gc.collect()
    ImageCache([Size(1000, 1000)] * 1000, 'ram')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(image_cache='memory'), "image_cache='memory' must be 'ram', 'disk' or None"),
        (dict(image_cache=True), "image_cache=True must be 'ram', 'disk' or None"),
        (
            dict(image_cache='disk', image_cache_dir='/not/there'),
            "image_cache_dir='/not/there' must be an exist",
        ),
        (dict(image_cache='disk', image_cache_dir=''), "image_cache_dir='' must be an existing folder"),
        (
            dict(image_cache='ram', image_cache_dir='/tmp'),
            "image_cache_dir='/tmp' is only for image_cache='disk'",
        ),
        (dict(image_cache_dir='/tmp'), "image_cache_dir='/tmp' is only for image_cache='disk'"),
    ],
)
def test_options_are_checked(root, options, message):
    with pytest.raises(UserError) as caught:
        open_coco(root, plain(), **options)
    assert str(caught.value).startswith(message)


def test_ram_needs_a_system_with_anonymous_files(monkeypatch):
    monkeypatch.delattr(os, 'memfd_create')
    with pytest.raises(UserError, match="image_cache='disk'"):
        ImageCache(SIZES, 'ram')


# In a data set


def test_off_by_default(root):
    assert open_coco(root, plain()).image_cache is None


def test_made_when_the_annotations_are_loaded(root):
    dataset = open_coco(root, plain(), image_cache='ram', lazy_init=True)
    assert dataset.image_cache is None
    dataset.full_init()
    cache = dataset.image_cache
    dataset.full_init()
    assert dataset.image_cache is cache


@pytest.mark.parametrize('kind', ['ram', 'disk'])
def test_the_second_epoch_decodes_nothing(root, decoded, kind):
    dataset = open_coco(root, recipe(), image_cache=kind)
    dataset.set_draw_key(0, 0)
    for i in range(10):
        dataset[i]
    assert len(decoded) == 10
    dataset.set_draw_key(0, 1)
    for i in range(10):
        dataset[i]
    assert len(decoded) == 10


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('pipeline', [plain, recipe])
@pytest.mark.parametrize('kind', ['ram', 'disk'])
def test_samples_are_the_same_with_and_without(root, kind, pipeline, suffix):
    if suffix == '.jpg':
        to_jpeg(root)
    assert is_same(
        batches(open_coco(root, pipeline(), image_cache=kind)), batches(open_coco(root, pipeline()))
    )


def to_jpeg(root):
    """Makes JPEG files of the images of a small set."""
    content = json.loads((root / 'ann.json').read_text())
    for image in content['images']:
        pixels = cv2.imread(str(root / 'images' / image['file_name']))
        image['file_name'] = f'{image["id"]}.jpg'
        cv2.imwrite(str(root / 'images' / image['file_name']), pixels)
    (root / 'ann.json').write_text(json.dumps(content))


@pytest.mark.parametrize('kind', ['ram', 'disk'])
def test_forked_workers_fill_it_for_all(root, kind, decoded):
    dataset = open_coco(root, recipe(), image_cache=kind)
    with_workers = batches(dataset, num_workers=2, multiprocessing_context='fork')
    # This process has decoded nothing and has it all.
    assert held(dataset) == list(range(10))
    for i in range(10):
        dataset[i]
    assert not decoded
    assert is_same(with_workers, batches(open_coco(root, recipe())))


def test_spawned_workers_share_images_and_annotations(root):
    dataset = open_coco(root, recipe(), image_cache='disk')
    found = batches(dataset, num_workers=1, multiprocessing_context='spawn')
    assert held(dataset) == list(range(10))
    assert is_same(found, batches(open_coco(root, recipe())))


def test_workers_read_what_this_process_wrote(root):
    dataset = open_coco(root, plain(), image_cache='ram')
    wanted = yolox_collate([dataset[3]])
    (root / 'images' / '3.png').unlink()
    loader = DataLoader(dataset, sampler=[3], collate_fn=yolox_collate, num_workers=1)
    assert np.array_equal(next(iter(loader))['inputs'], wanted['inputs'])


def test_images_of_another_size_than_annotated_are_decoded_each_time(root, log, decoded):
    height, width = cv2.imread(str(root / 'images' / '2.png')).shape[:2]
    cv2.imwrite(str(root / 'images' / '2.png'), np.full((height, width - 1, 3), 7, np.uint8))
    dataset = open_coco(root, plain(), image_cache='ram')
    assert is_same(batches(dataset), batches(open_coco(root, plain())))
    assert dataset.image_cache.unfit == 1
    assert len(log) == 1
    assert 'image 2' in log[0]


@pytest.mark.parametrize('serialize_data', [True, False])
@pytest.mark.parametrize(
    ('indices', 'chosen'), [(3, [0, 1, 2]), (-2, [8, 9]), ([5, 1, 5], [5, 1, 5]), ((9,), [9])]
)
@pytest.mark.parametrize('in_place', [True, False])
def test_subsets_have_their_own_images(root, indices, chosen, in_place, serialize_data):
    dataset = open_coco(root, plain(), image_cache='ram', serialize_data=serialize_data)
    wanted = [dataset[i] for i in chosen]
    if in_place:
        subset = dataset
        subset.get_subset_(indices)
    else:
        subset = dataset.get_subset(indices)
    assert held(subset) == list(range(len(chosen)))
    for found, sample in zip((subset[i] for i in range(len(chosen))), wanted, strict=True):
        assert np.array_equal(found['inputs'], sample['inputs'])


def test_a_subset_has_nothing_of_data_sets_that_are_gone(root, monkeypatch):
    """MMEngine 0.10.7 remembers all copies that it ever made by addresses, which are used again."""
    memos = []
    copied = BaseDataset._copy_without_annotation

    def recorded(dataset, memo):
        memos.append(memo)
        return copied(dataset, memo)

    monkeypatch.setattr(BaseDataset, '_copy_without_annotation', recorded)
    dataset = open_coco(root, plain(), image_cache='ram')
    assert [len(dataset.get_subset([2, 3])), len(dataset.get_subset(1))] == [2, 1]
    assert memos[0] is not memos[1]


def test_the_option_indices_works_along(root):
    dataset = open_coco(root, plain(), image_cache='ram', indices=[4, 7])
    whole = open_coco(root, plain())
    for _ in range(2):
        assert np.array_equal(dataset[1]['inputs'], whole[7]['inputs'])


def test_a_copy_shares_the_images(root):
    dataset = open_coco(root, plain(), image_cache='ram')
    other = copy.deepcopy(dataset)
    other[3]
    assert held(dataset) == held(other) == [3]
    other.set_draw_key(4, 5)
    assert dataset.draw_key == (-1, 0)


def test_in_a_concatenation_each_has_its_own(root, tmp_path):
    other = write_coco(tmp_path / 'other', 4, seed=9)
    datasets = [open_coco(folder, plain(), image_cache='ram') for folder in (root, other)]
    whole = ConcatDataset(datasets)
    plain_whole = ConcatDataset([open_coco(folder, plain()) for folder in (root, other)])
    for _ in range(2):
        for i in range(14):
            assert np.array_equal(whole[i]['inputs'], plain_whole[i]['inputs'])
    assert [len(held(dataset)) for dataset in datasets] == [10, 4]

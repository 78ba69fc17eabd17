"""The padded batch, against a loop, and the batches of test-time augmentation."""

import numpy as np
import pytest
import torch
from mmcv.transforms import TestTimeAug as TimeAug
from mmengine.registry import FUNCTIONS

from mmyolox.datasets import tta_collate, yolox_collate
from mmyolox.datasets.transforms import Letterbox, PackDetInputs, RandomFlip, Sample, begin_scene
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError


def packed(size, objects, ignored=0, seed=0, channels=3):
    """A packed sample of random content."""
    rng = np.random.default_rng(seed)
    data = dict(
        bboxes=rng.uniform(0, 30, (objects, 4)).astype(np.float32),
        labels=rng.integers(0, 80, objects),
        ignored_bboxes=rng.uniform(0, 30, (ignored, 4)).astype(np.float32),
        meta=dict(img_id=seed),
    )
    pixels = rng.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return dict(inputs=pixels.transpose(2, 0, 1), data_samples=data)


def by_loop(samples, divisor):
    """The batch in plain Python lists."""
    sides = [max(s['inputs'].shape[axis] for s in samples) for axis in (1, 2)]
    height, width = (side + -side % divisor for side in sides)
    most = max(len(s['data_samples']['labels']) for s in samples)
    images, boxes, labels = [], [], []
    for sample in samples:
        image = torch.full((sample['inputs'].shape[0], height, width), 114).tolist()
        for c, rows in enumerate(sample['inputs'].tolist()):
            for y, row in enumerate(rows):
                image[c][y][: len(row)] = row
        images.append(image)
        data = sample['data_samples']
        empty = most - len(data['labels'])
        boxes.append(data['bboxes'].tolist() + [[0, 0, 0, 0]] * empty)
        labels.append(data['labels'].tolist() + [-1] * empty)
    return images, boxes, labels


SIZES = [(64, 64), (30, 40), (33, 64), (1, 1)]


@pytest.mark.parametrize('counts', [(3,), (0,), (2, 5), (0, 4, 1), (7, 0, 0, 7), (0, 0)])
@pytest.mark.parametrize('divisor', [32, 1, 24])
def test_equals_a_loop(counts, divisor):
    samples = [packed(SIZES[i], count, seed=i) for i, count in enumerate(counts)]
    batch = yolox_collate(samples, divisor)
    images, boxes, labels = by_loop(samples, divisor)
    data = batch['data_samples']
    assert batch['inputs'].tolist() == images
    assert batch['inputs'].dtype == torch.uint8
    assert data['bboxes'].shape == (len(counts), max(counts), 4)
    assert data['bboxes'].tolist() == (boxes if max(counts) else [[]] * len(counts))
    assert data['bboxes'].dtype == torch.float32
    assert data['labels'].shape == (len(counts), max(counts))
    assert data['labels'].tolist() == labels
    assert data['labels'].dtype == torch.int64
    assert [meta['img_id'] for meta in data['metas']] == list(range(len(counts)))


@pytest.mark.parametrize(
    ('sizes', 'wanted'),
    [
        ([(64, 96)], (96, 64)),
        ([(64, 96), (96, 64)], (96, 96)),
        ([(65, 32)], (32, 96)),
        ([(1, 1)], (32, 32)),
        ([(312, 416)], (416, 320)),
    ],
)
def test_sides_are_multiples_of_32(sizes, wanted):
    batch = yolox_collate([packed(size, 1) for size in sizes])
    assert tuple(batch['inputs'].shape) == (len(sizes), 3, *wanted)
    for image, (width, height) in zip(batch['inputs'], sizes, strict=True):
        assert (image[:, height:] == 114).all()
        assert (image[:, :, width:] == 114).all()


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_memory_is_channels_last(channels):
    samples = [packed((64, 64), 1, channels=channels), packed((32, 64), 1, channels=channels)]
    inputs = yolox_collate(samples)['inputs']
    assert inputs.shape == (2, channels, 64, 64)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_ignored_regions_are_padded_on_their_own():
    samples = [packed((32, 32), 3, ignored=0), packed((32, 32), 1, ignored=2, seed=1)]
    ignored = yolox_collate(samples)['data_samples']['ignored_bboxes']
    assert (ignored.shape, ignored.dtype) == ((2, 2, 4), torch.float32)
    assert (ignored[0] == 0).all()
    assert (ignored[1] == samples[1]['data_samples']['ignored_bboxes']).all()


def test_further_arrays_are_padded_by_zeros():
    samples = [packed((32, 32), count, seed=count) for count in (1, 3, 0)]
    for sample in samples:
        count = len(sample['data_samples']['labels'])
        sample['data_samples'].update(outlines=np.full((count, 5, 2), 7, np.float16), sizes=np.ones(count))
    data = yolox_collate(samples)['data_samples']
    assert list(data) == ['bboxes', 'labels', 'ignored_bboxes', 'outlines', 'sizes', 'metas']
    assert (data['outlines'].shape, data['outlines'].dtype) == ((3, 3, 5, 2), torch.float16)
    assert data['outlines'][..., 0, 0].tolist() == [[7, 0, 0], [7, 7, 7], [0, 0, 0]]
    assert data['sizes'].tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_no_object_is_left_out_of_a_crowd():
    # Megvii's loader drops whatever is beyond 120 of an image, without a word.
    samples = [packed((32, 32), 500), packed((32, 32), 1)]
    data = yolox_collate(samples)['data_samples']
    assert (data['labels'][0] == samples[0]['data_samples']['labels']).all()
    assert (data['labels'][1, 1:] == -1).all()


def test_samples_are_left_alone():
    sample = packed((40, 30), 2)
    before = sample['inputs'].copy()
    yolox_collate([sample])['inputs'].zero_()
    assert (sample['inputs'] == before).all()


@pytest.mark.parametrize('name', ['yolox_collate', 'tta_collate'])
def test_registered(name):
    assert FUNCTIONS.get(name) is not None


def test_test_time_augmentation():
    def load(seed):
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 256, (40 + 30 * seed, 80, 3), dtype=np.uint8)
        sample = Sample(
            img_id=seed,
            img_scale=Size(64, 64),
            rng=rng,
            gt_bboxes=rng.uniform(0, 40, (seed, 4)).astype(np.float32),
            gt_bboxes_labels=np.zeros(seed, np.int64),
        )
        return begin_scene(sample, pixels)

    letterboxes = [Letterbox(1.0), Letterbox(0.75), Letterbox(1.25)]
    flips = [RandomFlip(0.0), RandomFlip(1.0)]
    augment = TimeAug([letterboxes, flips, [PackDetInputs()]])
    batches = tta_collate([augment(load(seed)) for seed in range(3)])
    sizes = [tuple(inputs.shape[2:]) for inputs in batches['inputs']]
    assert sizes == [(64, 64)] * 2 + [(64, 64)] * 2 + [(96, 96)] * 2  # 48 and 80, padded
    views = [(letterbox, flip) for letterbox in letterboxes for flip in flips]
    for view, (letterbox, flip) in enumerate(views):
        alone = yolox_collate([PackDetInputs()(flip(letterbox(load(seed)))) for seed in range(3)])
        assert (batches['inputs'][view] == alone['inputs']).all()
        data, wanted = batches['data_samples'][view], alone['data_samples']
        assert (data['bboxes'] == wanted['bboxes']).all()
        assert (data['labels'] == wanted['labels']).all()
        for meta, other in zip(data['metas'], wanted['metas'], strict=True):
            assert meta['img_id'] == other['img_id']
            np.testing.assert_array_equal(meta['matrix'], other['matrix'])


def test_images_are_never_cut_to_bytes():
    def filled(inputs):
        return [dict(inputs=np.full((3, 32, 32), inputs), data_samples=dict(meta={}))]

    assert (yolox_collate(filled(7.0))['inputs'] == 7).all()
    for value in (0.5, 256, -1.0):
        with pytest.raises(
            UserError, match=rf'images of \w+ with values from {value:.5g} to {value:.5g}: yolox'
        ):
            yolox_collate(filled(value))

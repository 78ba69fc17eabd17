"""Augmentations of whole batches: HSV, flip and multi-scale."""

import itertools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmyolox.datasets.transforms import YOLOXHSVRandomAug
from mmyolox.datasets.transforms.augmentations import map_hsv, shift_tables
from mmyolox.errors import UserError
from mmyolox.models import YOLOXBatchFlip, YOLOXBatchHSV, YOLOXBatchSyncRandomResize
from mmyolox.models.batch_augments import (
    mirror_batch,
    mirror_one_by_one,
    shift_hsv_by_opencv,
    shift_hsv_of_batch,
)
from mmyolox.registry import MODELS
from tests.models.batches import make_batch, set_run

TINY_RANGE = (10 / 13, 20 / 13)


# HSV

GAINS = [
    (3, -20, 10),
    (-5, 30, -30),
    (0, 0, 30),
    (0, -30, 0),
    (5, 0, 0),
    (-1, 1, -1),
    (90, 255, 0),
    (0, 0, -255),
]


def pictures(count, size=(64, 96)):
    """Random pixels (B, h, w, 3) uint8: all colours, greys, pure colours, and a photo's smooth ones."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    colours[:, :4] = colours[:, :4, :, :1]
    colours[:, 4:8] = rng.choice([0, 255], (count, 4, size[1], 3))
    colours[:, 8:24] = 114 + colours[:, 8:24] // 16
    return colours


def as_batch(images):
    """Pixels (B, h, w, 3) uint8 as the preprocessor gives them to augmentations."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def as_pixels(batch):
    return batch.permute(0, 2, 3, 1).numpy()


def test_hsv_is_opencvs():
    images = pictures(len(GAINS))
    found = as_pixels(shift_hsv_of_batch(as_batch(images), torch.tensor(GAINS).float()))
    wanted = np.stack(
        [map_hsv(image, shift_tables(*gains)) for image, gains in zip(images, GAINS, strict=True)]
    )
    differences = np.abs(found - wanted)
    # OpenCV cuts decimals off: where the exact level is whole, a float's last bit decides.
    assert differences.max() <= 1
    assert differences.mean() < 0.05


def test_every_colour_with_some_steps():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    image = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, 52, -1, 3)
    found = as_pixels(shift_hsv_of_batch(as_batch(image), torch.tensor([[4.0, 17.0, -9.0]])))
    differences = np.abs(found[0] - map_hsv(image[0], shift_tables(4, 17, -9)))
    assert differences.max() <= 1
    assert differences.mean() < 0.01


def test_images_without_a_shift_are_the_same():
    images = as_batch(pictures(3))
    found = shift_hsv_of_batch(images, torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[2], images[2])
    assert not torch.equal(found[1], images[1])


@pytest.mark.parametrize('memory_format', [torch.channels_last, torch.contiguous_format])
def test_hsv_keeps_strides_and_leaves_its_input_alone(memory_format):
    images = as_batch(pictures(2)).contiguous(memory_format=memory_format)
    before = images.clone()
    found = shift_hsv_of_batch(images, torch.tensor([[3.0, -20.0, 10.0]] * 2))
    assert found.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)


def test_hsv_compiles_without_a_break():
    images, gains = as_batch(pictures(3)), torch.tensor(GAINS[:3]).float()
    compiled = torch.compile(shift_hsv_of_batch, fullgraph=True, backend='aot_eager')
    assert torch.equal(compiled(images, gains), shift_hsv_of_batch(images, gains))


@pytest.mark.parametrize('deltas', [(5, 30, 30), (0, 0, 0), (18, 70, 40)])
def test_shifts_are_distributed_as_on_the_cpu(deltas):
    set_run(seed=0, iteration=1)
    found = YOLOXBatchHSV(*deltas).draw_gains(20000)
    assert np.array_equal(found, np.trunc(found))
    seen = []
    for channel, delta in enumerate(deltas):
        # Zero by the coin, and by cutting off decimals.
        share = 0.5 + 0.5 / max(delta, 1) if delta else 1.0
        seen.append(np.abs(np.mean(found[:, channel] == 0) - share))
        assert np.abs(found[:, channel]).max() == max(delta - 1, 0)
        assert np.abs(found[:, channel].mean()) <= 0.02 * delta
    assert max(seen) < 0.02
    # Each shift has a coin of its own.
    assert np.abs(np.corrcoef(found.T == 0)[np.triu_indices(3, 1)]).max() < 0.03 if all(deltas) else True


def test_defaults_are_those_on_the_cpu():
    assert np.array_equal(YOLOXBatchHSV().deltas, YOLOXHSVRandomAug().deltas)


@pytest.mark.parametrize('channels', [1, 2])
def test_hsv_needs_colour(channels):
    with pytest.raises(UserError, match=f'these have {channels} channel'):
        YOLOXBatchHSV()(torch.zeros(2, channels, 8, 8), {})


@pytest.mark.parametrize('channels', [4, 5])
@pytest.mark.parametrize('memory_format', [torch.channels_last, torch.contiguous_format])
def test_hsv_leaves_channels_beside_colour_alone(channels, memory_format):
    set_run(seed=0, iteration=5)
    images = torch.randint(256, (2, channels, 8, 6)).float().contiguous(memory_format=memory_format)
    before = images.clone()
    shifted, _ = YOLOXBatchHSV()(images, {})
    assert torch.equal(images, before)
    assert torch.equal(shifted[:, 3:], images[:, 3:])
    assert torch.equal(shifted[:, :3], YOLOXBatchHSV()(images[:, :3].contiguous(), {})[0])
    assert not torch.equal(shifted[:, :3], images[:, :3])
    assert shifted.is_contiguous(memory_format=memory_format)


def test_annotations_are_passed_through():
    set_run(seed=0, iteration=1)
    samples = make_batch()['data_samples']
    inputs = as_batch(pictures(2))
    images, found = YOLOXBatchHSV()(inputs, samples)
    assert found is samples
    assert torch.equal(images, shift_hsv_by_opencv(inputs, YOLOXBatchHSV().draw_gains(2)))


LAYOUTS = {
    'channels last': lambda images: images,
    'contiguous': lambda images: images.contiguous(),
    'a part of a larger batch': lambda images: F.pad(images, (2, 3, 1, 4))[:, :, 1:-4, 2:-3],
    'columns first': lambda images: images.transpose(2, 3).contiguous().transpose(2, 3),
}
SHAPES = [
    (1, 3, 48, 64),
    (8, 3, 33, 47),
    (8, 4, 31, 20),
    (2, 6, 5, 7),
    (3, 3, 1, 40),
    (3, 3, 40, 1),
    (0, 3, 8, 8),
]


def random_bytes(shape, layout):
    batch, channels, height, width = shape
    rng = np.random.default_rng(len(layout))
    pixels = rng.integers(0, 256, (batch, height, width, channels), dtype=np.uint8)
    return LAYOUTS[layout](torch.from_numpy(pixels).permute(0, 3, 1, 2))


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES)
def test_hsv_by_opencv_is_that_of_batches(shape, layout, dtype):
    images = random_bytes(shape, layout).to(dtype)
    gains = np.array(GAINS, np.float32)[: shape[0]]
    before = images.clone()
    found = shift_hsv_by_opencv(images, gains)
    wanted = shift_hsv_of_batch(images, torch.from_numpy(gains))
    assert torch.equal(images, before)
    for shifted in (found, wanted):
        assert shifted.dtype == dtype
        assert shifted.stride() == torch.empty_like(images).stride()
        assert torch.equal(shifted[:, 3:], images[:, 3:])
    assert torch.allclose(found.float(), wanted.float(), rtol=0, atol=1)
    for image, pixels, shifts in zip(found, images, gains, strict=True):
        exact = map_hsv(pixels.byte().permute(1, 2, 0).numpy(), shift_tables(*shifts.astype(int)))
        assert np.array_equal(image.permute(1, 2, 0).float(), exact)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_images_without_a_shift_are_the_same_in_bytes(layout):
    images = random_bytes((4, 4, 33, 20), layout)
    gains = np.zeros((4, 3), np.float32)
    gains[2, 1] = 9
    for found in (shift_hsv_by_opencv(images, gains), shift_hsv_of_batch(images, torch.from_numpy(gains))):
        assert [torch.equal(*pair) for pair in zip(found, images, strict=True)] == [True, True, False, True]
    assert torch.equal(shift_hsv_by_opencv(images, np.zeros((4, 3), np.float32)), images)


@pytest.mark.parametrize('by_reciprocals', [False, True])
def test_darkest_saturated_levels_do_not_wrap_around(by_reciprocals, monkeypatch):
    if by_reciprocals:  # as accelerators divide by a number
        monkeypatch.setattr(
            torch.Tensor, 'div_', lambda self, number: self.mul_(float(1 / np.float32(number)))
        )
    levels = torch.arange(256, dtype=torch.uint8)
    images = torch.zeros(1, 3, 3, 256, dtype=torch.uint8)
    for channel in range(3):
        images[0, channel, channel] = levels
    found = shift_hsv_of_batch(images, torch.tensor([[0.0, 255, -1]]))
    assert torch.equal(found, shift_hsv_by_opencv(images, np.array([[0.0, 255, -1]], np.float32)))
    assert found.max() == 254


@pytest.mark.parametrize('augment', [YOLOXBatchHSV(), YOLOXBatchFlip()])
def test_other_devices_take_whole_batches(augment):
    data = make_batch()
    samples = {key: data['data_samples'][key].to('meta') for key in ('bboxes', 'ignored_bboxes')}
    found, _ = augment(data['inputs'].to('meta'), samples)
    assert (found.device.type, found.dtype) == ('meta', torch.uint8)
    assert found.shape == data['inputs'].shape


# Flip


def always(inputs, samples):
    return YOLOXBatchFlip(prob=1.0)(inputs, samples)


def test_pixels_and_boxes_are_mirrored():
    data = make_batch()
    inputs, before = data['inputs'].float(), data['data_samples']
    images, samples = always(inputs, before)
    assert torch.equal(images, inputs.flip(3))
    # (8, 16, 24, 48) in a width of 96.
    assert torch.equal(samples['bboxes'], torch.tensor([72.0, 16.0, 88.0, 48.0]).expand(2, 3, 4))
    assert torch.equal(samples['ignored_bboxes'], torch.tensor([92.0, 2.0, 96.0, 8.0]).expand(2, 1, 4))
    assert samples['labels'] is before['labels']
    assert samples['metas'] is before['metas']
    assert torch.equal(before['bboxes'], make_batch()['data_samples']['bboxes'])


def test_twice_is_never():
    data = make_batch()
    images, samples = always(*always(data['inputs'].float(), data['data_samples']))
    assert torch.equal(images, data['inputs'].float())
    for key in ('bboxes', 'ignored_bboxes'):
        assert torch.equal(samples[key], data['data_samples'][key])


def test_boxes_follow_their_pixels():
    inputs = torch.zeros(1, 3, 10, 20)
    inputs[0, :, 2:5, 3:9] = 1
    samples = dict(bboxes=torch.tensor([[[3.0, 2.0, 9.0, 5.0]]]), ignored_bboxes=torch.zeros(1, 0, 4))
    images, found = always(inputs, samples)
    x1, y1, x2, y2 = found['bboxes'][0, 0].int().tolist()
    assert images[0, :, y1:y2, x1:x2].all()
    assert images.sum() == inputs.sum()


def test_padding_rows_stay_zero():
    samples = dict(
        bboxes=torch.tensor([[[0.0, 0.0, 5.0, 5.0], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]]),
        ignored_bboxes=torch.zeros(2, 3, 4),
        labels=torch.tensor([[0, -1], [-1, -1]]),
    )
    _, found = always(torch.rand(2, 3, 8, 20), samples)
    assert found['bboxes'][0].tolist() == [[15, 0, 20, 5], [0, 0, 0, 0]]
    assert not found['bboxes'][1].any()
    assert not found['ignored_bboxes'].any()


def test_only_the_drawn_images_are_mirrored():
    data = make_batch(batch=16)
    set_run(seed=0, iteration=3)
    flip = YOLOXBatchFlip()
    drawn = flip.draw_flips(16).tolist()
    assert 3 < sum(drawn) < 13
    inputs = data['inputs'].float()
    images, samples = flip(inputs, data['data_samples'])
    for image, before, boxes, is_flipped in zip(images, inputs, samples['bboxes'], drawn, strict=True):
        assert torch.equal(image, before.flip(2) if is_flipped else before)
        assert (boxes[0, 0] == 72) == is_flipped


@pytest.mark.parametrize(
    ('prob', 'low', 'high'), [(0.0, 0, 0), (0.5, 4800, 5200), (0.1, 850, 1150), (1.0, 10000, 10000)]
)
def test_the_probability(prob, low, high):
    set_run(seed=0, iteration=3)
    assert low <= YOLOXBatchFlip(prob).draw_flips(10000).sum() <= high


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('share', ['none', 'some', 'all'])
def test_mirroring_one_by_one_is_that_of_batches(shape, layout, dtype, share):
    images = random_bytes(shape, layout).to(dtype)
    flips = dict(none=np.zeros, all=np.ones, some=lambda count, dtype: np.arange(count) % 3 == 0)[share](
        shape[0], dtype=bool
    )
    before = images.clone()
    found = mirror_one_by_one(images, flips)
    assert torch.equal(images, before)
    assert torch.equal(found, mirror_batch(images, torch.from_numpy(flips)))
    wanted = [np.flip(image, 2) if flip else image for image, flip in zip(images.numpy(), flips, strict=True)]
    assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))
    assert (found.dtype, found.stride()) == (dtype, torch.empty_like(images).stride())
    assert not found.numel() or found.data_ptr() != images.data_ptr()


def test_flip_keeps_channels_last():
    inputs = torch.rand(2, 3, 8, 10).to(memory_format=torch.channels_last)
    images, _ = always(inputs, make_batch()['data_samples'])
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_more_annotations_can_be_flipped_along():
    class WithPoints(YOLOXBatchFlip):
        def flip_annotations(self, data_samples, flips, width):
            points = torch.where(flips.view(-1, 1), width - data_samples['points'], data_samples['points'])
            return super().flip_annotations(data_samples, flips, width) | dict(points=points)

    samples = make_batch()['data_samples'] | dict(points=torch.tensor([[1.0], [2.0]]))
    _, found = WithPoints(prob=1.0)(torch.rand(2, 3, 8, 10), samples)
    assert found['points'].tolist() == [[9], [8]]
    assert torch.equal(found['bboxes'], always(torch.rand(2, 3, 8, 10), samples)[1]['bboxes'])


# Draws of both


DRAWS = [
    lambda: YOLOXBatchHSV(18, 90, 90).draw_gains(8).tolist(),
    lambda: YOLOXBatchFlip().draw_flips(32).tolist(),
]


@pytest.mark.parametrize('draws', DRAWS)
def test_draws_depend_on_seed_iteration_and_rank_alone(draws, monkeypatch):
    seen = []
    for seed, iteration, rank in itertools.product((0, 1), (0, 7), (0, 1)):
        monkeypatch.setattr('mmyolox.models.batch_augments.get_rank', lambda rank=rank: rank)
        set_run(seed, iteration)
        torch.rand(3), np.random.rand(), random.random()
        seen.append(draws())
        assert draws() == seen[-1]
    assert all(a != b for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize('draws', DRAWS)
def test_the_global_generators_are_left_alone(draws):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    draws()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def test_images_of_a_batch_are_shifted_differently():
    set_run(seed=0, iteration=0)
    assert len({tuple(gains) for gains in YOLOXBatchHSV(90, 90, 90).draw_gains(16).tolist()}) > 12


# Multi-scale


def draw(size, iterations, seed=0, **kwargs):
    """The sizes of some iterations."""
    resize = YOLOXBatchSyncRandomResize(**kwargs)
    return [resize.draw_shape(size, seed, iteration) for iteration in iterations]


@pytest.mark.parametrize(
    ('size', 'ratio_range', 'heights', 'ratio'),
    [
        ((640, 640), (0.75, 1.25), range(480, 801, 32), 1.0),
        ((416, 416), TINY_RANGE, range(320, 641, 32), 1.0),
        # In floating point just below and just above a multiple.
        ((416, 416), (10 / 13, 15 / 13), range(320, 481, 32), 1.0),
        ((960, 960), (31 / 30, 1.25), range(992, 1201, 32), 1.0),
        ((544, 960), (0.75, 1.25), range(416, 673, 32), 960 / 544),
        ((960, 544), (0.75, 1.25), range(736, 1185, 32), 544 / 960),
        ((64, 64), (0.5, 1.5), range(32, 97, 32), 1.0),
        ((32, 64), (0.1, 1.0), range(32, 33), 2.0),
        ((64, 64), (1.1, 1.2), range(96, 97), 1.0),
        ((640, 640), (1.0, 1.0), range(640, 641), 1.0),
    ],
)
def test_sizes_are_multiples_within_the_range(size, ratio_range, heights, ratio):
    sizes = set(draw(size, range(10, 6000, 10), ratio_range=ratio_range))
    assert {height for height, _ in sizes} <= set(heights)
    assert {height for height, _ in sizes} >= {heights[0], heights[-1]}
    for height, width in sizes:
        assert width % 32 == 0
        assert abs(width - height * ratio) <= 16


def test_all_sizes_are_about_equally_frequent():
    heights = [height for height, _ in draw((640, 640), range(10, 22010, 10))]
    counts = [heights.count(height) for height in range(480, 801, 32)]
    assert sum(counts) == 2200
    assert 130 < min(counts) <= max(counts) < 275


@pytest.mark.parametrize('interval', [1, 3, 10])
def test_a_size_lasts_for_an_interval(interval):
    sizes = draw((640, 640), range(60 * interval), interval=interval)
    windows = [sizes[start : start + interval] for start in range(0, len(sizes), interval)]
    assert windows[0] == [(640, 640)] * interval
    assert all(len(set(window)) == 1 for window in windows)
    assert len({window[0] for window in windows}) == 11


def test_sizes_depend_on_nothing_but_seed_and_iteration():
    straight = draw((640, 640), range(300), seed=3)
    shuffled = list(range(300))
    random.Random(0).shuffle(shuffled)
    resize = YOLOXBatchSyncRandomResize()
    for iteration in shuffled:
        torch.rand(3), np.random.rand(), random.random()
        assert resize.draw_shape((640, 640), 3, iteration) == straight[iteration]


def test_drawing_leaves_the_global_generators_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    draw((640, 640), range(100))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def test_another_seed_gives_other_sizes():
    runs = [tuple(draw((640, 640), range(0, 500, 10), seed=seed)) for seed in range(5)]
    assert len(set(runs)) == 5


def test_the_run_says_seed_and_iteration():
    resize = YOLOXBatchSyncRandomResize(ratio_range=(0.5, 2.0), interval=2)
    for seed, iteration in itertools.product((0, 1), (0, 1, 2, 7, 30)):
        set_run(seed, iteration)
        images, _ = resize(torch.rand(1, 3, 64, 96), make_batch(batch=1)['data_samples'])
        assert tuple(images.shape[2:]) == resize.draw_shape((64, 96), seed, iteration)


def test_pixels_and_boxes_are_scaled():
    resize = YOLOXBatchSyncRandomResize(ratio_range=(1.5, 1.5), interval=1)
    set_run(seed=0, iteration=4)
    data = make_batch()
    inputs, before = data['inputs'].float(), data['data_samples']
    images, samples = resize(inputs, before)
    assert torch.equal(images, F.interpolate(inputs, (96, 128), mode='bilinear', align_corners=False))
    scale = torch.tensor([128 / 96, 96 / 64] * 2)
    assert torch.allclose(samples['bboxes'], before['bboxes'] * scale)
    assert torch.allclose(samples['ignored_bboxes'], before['ignored_bboxes'] * scale)
    assert torch.equal(samples['labels'], before['labels'])
    assert samples['metas'] is before['metas']
    assert torch.equal(before['bboxes'], make_batch()['data_samples']['bboxes'])


def test_more_annotations_can_be_scaled_along():
    class WithPoints(YOLOXBatchSyncRandomResize):
        def scale_annotations(self, data_samples, ratios):
            points = data_samples['points'] * ratios
            return super().scale_annotations(data_samples, ratios) | dict(points=points)

    set_run(seed=0, iteration=4)
    inputs, samples = torch.rand(2, 3, 64, 96), make_batch()['data_samples']
    samples['points'] = torch.tensor([[1.0, 2.0], [30.0, 40.0]])
    options = dict(ratio_range=(1.5, 1.5), interval=1)
    _, found = WithPoints(**options)(inputs, samples)
    assert torch.allclose(found['points'], samples['points'] * torch.tensor([128 / 96, 96 / 64]))
    _, plain = YOLOXBatchSyncRandomResize(**options)(inputs, samples)
    assert torch.equal(found['bboxes'], plain['bboxes'])
    assert plain['points'] is samples['points']


def test_no_boxes_at_all():
    resize = YOLOXBatchSyncRandomResize(ratio_range=(0.5, 0.5), interval=1)
    set_run(seed=0, iteration=4)
    empty = dict(
        bboxes=torch.zeros(2, 0, 4), labels=torch.zeros(2, 0).long(), ignored_bboxes=torch.zeros(2, 0, 4)
    )
    images, samples = resize(torch.rand(2, 3, 64, 64), empty)
    assert images.shape == (2, 3, 32, 32)
    assert samples['bboxes'].shape == samples['ignored_bboxes'].shape == (2, 0, 4)


def test_the_same_size_is_passed_through():
    resize = YOLOXBatchSyncRandomResize(ratio_range=(1.0, 1.0), interval=1)
    set_run(seed=0, iteration=4)
    inputs, samples = torch.rand(1, 3, 64, 64), make_batch()['data_samples']
    out = resize(inputs, samples)
    assert out[0] is inputs
    assert out[1] is samples


@pytest.mark.parametrize('ratio_range', [(1.2, 0.8), (0, 1), (-1, 1)])
def test_a_range_the_wrong_way_round_is_an_error(ratio_range):
    with pytest.raises(UserError, match='ratio_range'):
        YOLOXBatchSyncRandomResize(ratio_range)


@pytest.mark.parametrize('module', [YOLOXBatchHSV, YOLOXBatchFlip, YOLOXBatchSyncRandomResize])
def test_registered_by_name(module):
    assert isinstance(MODELS.build(dict(type=module.__name__)), module)

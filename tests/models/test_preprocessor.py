"""YOLOXDataPreprocessor, and YOLOXBatchSyncRandomResize."""

import itertools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub

from mmyolox.models import YOLOXBatchSyncRandomResize, YOLOXDataPreprocessor
from mmyolox.registry import MODELS
from mmyolox.utils.errors import UserError

TINY_RANGE = (10 / 13, 20 / 13)


def make_batch(size=(64, 96), channels=3, batch=2):
    torch.manual_seed(0)
    return dict(
        inputs=torch.randint(256, (batch, channels, *size), dtype=torch.uint8),
        data_samples=dict(
            bboxes=torch.tensor([[[8.0, 16.0, 24.0, 48.0]] * 3] * batch),
            labels=torch.tensor([[1, 0, -1]] * batch),
            ignored_bboxes=torch.tensor([[[0.0, 2.0, 4.0, 8.0]]] * batch),
            metas=[dict(img_id=i, ori_shape=size, matrix=np.eye(3)) for i in range(batch)],
        ),
    )


def set_run(seed, iteration):
    """Sets what MMEngine's RuntimeInfoHook tells all parts of a run."""
    hub = MessageHub.get_instance('run')
    hub.update_info('seed', seed)
    hub.update_info('iter', iteration)


def draw(size, iterations, seed=0, **kwargs):
    """The sizes of some iterations."""
    resize = YOLOXBatchSyncRandomResize(**kwargs)
    return [resize.draw_size(size, seed, iteration) for iteration in iterations]


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_pixels_become_floats_and_nothing_else_changes(training, channels):
    data = make_batch(channels=channels)
    out = YOLOXDataPreprocessor()(data, training)
    assert out.keys() == data.keys()
    assert out['inputs'].dtype == torch.float32
    assert torch.equal(out['inputs'], data['inputs'].float())
    samples, before = out['data_samples'], data['data_samples']
    assert samples.keys() == before.keys()
    assert all(torch.equal(samples[key], before[key]) for key in ('bboxes', 'labels', 'ignored_bboxes'))
    assert all(a.keys() == b.keys() for a, b in zip(samples['metas'], before['metas'], strict=True))
    assert samples['labels'].dtype == torch.int64


def test_the_batch_given_is_left_alone():
    data, same = make_batch(), make_batch()
    YOLOXDataPreprocessor(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)(data)
    assert data['inputs'].dtype == torch.uint8
    assert torch.equal(data['inputs'], same['inputs'])


def test_mean_and_std_are_per_channel():
    data = make_batch()
    out = YOLOXDataPreprocessor(mean=[10, 20, 30], std=[2, 4, 5])(data)['inputs']
    for channel, (mean, std) in enumerate(((10, 2), (20, 4), (30, 5))):
        assert torch.allclose(out[:, channel], (data['inputs'][:, channel].float() - mean) / std)


def test_a_mean_of_zero_still_divides():
    data = make_batch(channels=1)
    out = YOLOXDataPreprocessor(mean=[0.0], std=[255.0])(data)['inputs']
    assert torch.allclose(out, data['inputs'] / 255)


def test_channels_are_reversed_before_normalising():
    data = make_batch()
    plain = YOLOXDataPreprocessor(bgr_to_rgb=True)(data)['inputs']
    assert torch.equal(plain, data['inputs'].float()[:, [2, 1, 0]])
    normalised = YOLOXDataPreprocessor(mean=[10, 20, 30], std=[1, 1, 1], bgr_to_rgb=True)(data)['inputs']
    assert torch.equal(normalised, plain - torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1))


@pytest.mark.parametrize('kwargs', [dict(mean=[0.0]), dict(std=[1.0])])
def test_half_a_normalisation_is_an_error(kwargs):
    with pytest.raises(UserError, match='both mean and std'):
        YOLOXDataPreprocessor(**kwargs)


def test_nothing_of_it_is_in_checkpoints():
    assert not YOLOXDataPreprocessor(mean=[1.0], std=[2.0]).state_dict()


def test_tensors_go_to_the_device_and_metas_stay():
    preprocessor = YOLOXDataPreprocessor().to('meta')
    out = preprocessor(make_batch())
    assert out['inputs'].device.type == 'meta'
    assert out['data_samples']['bboxes'].device.type == 'meta'
    assert isinstance(out['data_samples']['metas'][0]['matrix'], np.ndarray)


def test_batch_augments_run_in_training_only():
    resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.5, 0.5), interval=1)
    preprocessor = YOLOXDataPreprocessor(batch_augments=[resize])
    set_run(seed=0, iteration=5)
    assert preprocessor(make_batch(), training=True)['inputs'].shape == (2, 3, 32, 64)
    assert preprocessor(make_batch(), training=False)['inputs'].shape == (2, 3, 64, 96)


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
        assert resize.draw_size((640, 640), 3, iteration) == straight[iteration]


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
        assert tuple(images.shape[2:]) == resize.draw_size((64, 96), seed, iteration)


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


def test_registered_by_name():
    assert isinstance(MODELS.build(dict(type='YOLOXDataPreprocessor')), YOLOXDataPreprocessor)
    assert isinstance(MODELS.build(dict(type='YOLOXBatchSyncRandomResize')), YOLOXBatchSyncRandomResize)

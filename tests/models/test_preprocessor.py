"""YOLOXDataPreprocessor."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.models import YOLOXBatchFlip, YOLOXBatchHSV, YOLOXDataPreprocessor
from mmyolox.models.batch_augments import shift_hsv_by_opencv
from mmyolox.registry import MODELS
from tests.models.batches import make_batch, set_run


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


@pytest.mark.parametrize(('channels', 'wanted'), [(3, 4), (4, 3), (1, 3), (3, 1)])
def test_images_of_other_channels_than_the_models_are_named(channels, wanted):
    config = load_config('yolox_nano_fast_8xb8-300e_coco', {'model.backbone.input_channels': wanted}).model
    model = MODELS.build(config)
    assert model.input_channels == wanted
    batch = make_batch(channels=channels)
    batch['data_samples']['metas'][0]['img_path'] = 'a.png'
    said = (
        rf'a\.png was read with {channels} channel.*takes {wanted}: mend LoadImage.*backbone.input_channels'
    )
    with pytest.raises(UserError, match=said):
        model.test_step(batch)


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


def test_means_and_deviations_of_unequal_number_are_an_error():
    with pytest.raises(UserError, match='mean has 3 entries, but std 1'):
        YOLOXDataPreprocessor(mean=[1, 2, 3], std=[1])


@pytest.mark.parametrize(('entries', 'channels'), [(1, 3), (3, 1), (3, 4)])
def test_another_number_of_means_than_channels_is_an_error(entries, channels):
    preprocessor = YOLOXDataPreprocessor(mean=[1] * entries, std=[2] * entries)
    with pytest.raises(UserError, match=rf'{entries} entries, but images have {channels} channel\(s\)'):
        preprocessor(make_batch(channels=channels))


@pytest.mark.parametrize('channels', [4, 6])
def test_channels_beside_colour_keep_their_places(channels):
    data = make_batch(channels=channels)
    found = YOLOXDataPreprocessor(bgr_to_rgb=True)(data)['inputs']
    assert torch.equal(found, data['inputs'].float()[:, [2, 1, 0, *range(3, channels)]])


@pytest.mark.parametrize('channels', [1, 2])
def test_images_without_colour_have_no_order_of_it(channels):
    with pytest.raises(UserError, match=rf'bgr_to_rgb, but images have {channels} channel\(s\)'):
        YOLOXDataPreprocessor(bgr_to_rgb=True)(make_batch(channels=channels))


@pytest.mark.parametrize('training', [False, True])
def test_sides_are_padded_to_multiples_of_the_divisor(training):
    preprocessor, data = YOLOXDataPreprocessor(mean=[14] * 3, std=[2] * 3), make_batch((64, 96))
    preprocessor.set_size_divisor(64)
    out = preprocessor(data, training)
    assert out['inputs'].shape == (2, 3, 64, 128)
    assert torch.equal(out['inputs'][..., :96], (data['inputs'].float() - 14) / 2)
    assert torch.equal(out['inputs'][..., 96:], torch.full((2, 3, 64, 32), (114 - 14) / 2))
    assert torch.equal(out['data_samples']['bboxes'], data['data_samples']['bboxes'])


@pytest.mark.parametrize(
    ('given', 'divisor', 'expected'), [(32, 64, 64), (32, 16, 32), (64, 32, 64), (48, 32, 96)]
)
def test_sizes_of_multi_scale_training_fit_the_divisor_too(given, divisor, expected):
    resize = dict(type='YOLOXBatchSyncRandomResize', size_divisor=given)
    preprocessor = YOLOXDataPreprocessor(batch_augments=[dict(type='YOLOXBatchFlip'), resize])
    for _ in range(2):
        preprocessor.set_size_divisor(divisor)
        assert preprocessor.batch_augments[1].size_divisor == expected


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


def test_augmentations_see_bytes_up_to_a_resize(monkeypatch):
    seen = []
    hsv, flip = YOLOXBatchHSV.forward, YOLOXBatchFlip.forward
    monkeypatch.setattr(YOLOXBatchHSV, 'forward', lambda *args: seen.append(args[1].dtype) or hsv(*args))
    monkeypatch.setattr(YOLOXBatchFlip, 'forward', lambda *args: seen.append(args[1].dtype) or flip(*args))
    resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.5, 0.5), interval=1)
    augments = [dict(type='YOLOXBatchHSV'), dict(type='YOLOXBatchFlip', prob=1.0), resize]
    set_run(seed=0, iteration=5)
    found = YOLOXDataPreprocessor(batch_augments=[*augments, augments[1]])(make_batch(), training=True)
    assert seen == [torch.uint8, torch.uint8, torch.float32]
    shifted = shift_hsv_by_opencv(make_batch()['inputs'], YOLOXBatchHSV().draw_gains(2)).float()
    # Mirrored twice.
    wanted = F.interpolate(shifted.flip(3), (32, 64), mode='bilinear', align_corners=False).flip(3)
    assert found['inputs'].dtype == torch.float32
    assert torch.equal(found['inputs'], wanted)


def test_augmentations_see_grey_levels_in_bgr():
    flip, hsv = dict(type='YOLOXBatchFlip', prob=1.0), dict(type='YOLOXBatchHSV')
    options = dict(mean=[10.0, 20.0, 30.0], std=[2.0, 4.0, 5.0], bgr_to_rgb=True)
    set_run(seed=0, iteration=5)
    augmented = YOLOXDataPreprocessor(batch_augments=[flip, hsv])(make_batch(), training=True)['inputs']
    found = YOLOXDataPreprocessor(batch_augments=[flip, hsv], **options)(make_batch(), training=True)
    mean, std = (torch.tensor(options[key]).view(3, 1, 1) for key in ('mean', 'std'))
    assert torch.equal(found['inputs'], (augmented.flip(1) - mean) / std)


def test_augmentations_run_in_their_order():
    flip = dict(type='YOLOXBatchFlip', prob=1.0)
    resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.5, 0.5), interval=1)
    set_run(seed=0, iteration=5)
    for augments in ([flip, resize], [resize, flip]):
        modules = [MODELS.build(augment) for augment in augments]
        inputs, samples = make_batch()['inputs'].float(), make_batch()['data_samples']
        for module in modules:
            inputs, samples = module(inputs, samples)
        found = YOLOXDataPreprocessor(batch_augments=augments)(make_batch(), training=True)
        assert torch.equal(found['inputs'], inputs)
        assert torch.equal(found['data_samples']['bboxes'], samples['bboxes'])


def test_registered_by_name():
    assert isinstance(MODELS.build(dict(type='YOLOXDataPreprocessor')), YOLOXDataPreprocessor)

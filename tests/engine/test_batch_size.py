"""The batch size ``auto``, with a stand-in for a device's memory."""

from types import SimpleNamespace

import pytest
import torch

from mmyolox.config import load_config
from mmyolox.deploy.letterbox import Size
from mmyolox.engine import batch_size
from mmyolox.engine.batch_size import (
    BATCH_SIZE,
    bytes_of_image,
    largest_batch,
    settle_batch_size,
    training_size,
    trial,
)
from mmyolox.errors import UserError
from mmyolox.registry import MODELS

NANO = 'yolox_nano_fast_8xb8-300e_coco'


class Device:
    """Has memory for some images, as PyTorch's devices say it."""

    def __init__(self, capacity, message='CUDA out of memory. Tried to allocate 2 GiB'):
        self.capacity, self.message, self.tried = capacity, message, []

    def __call__(self, count):
        self.tried.append(count)
        if count > self.capacity:
            raise torch.OutOfMemoryError(self.message)


@pytest.mark.parametrize('capacity', [0, 1, 2, 3, 5, 7, 8, 9, 13, 100, 200, 255, 256, 10_000])
def test_the_largest_that_fits_is_found_to_an_eighth(capacity):
    device = Device(capacity)
    found = largest_batch(device, 256)
    assert found <= min(capacity, 256)
    assert min(capacity, 256) - found <= found // 8
    assert found in device.tried or not found
    assert len(device.tried) <= 14
    assert max(device.tried) <= 256


def test_another_error_is_none_of_memory():
    def step(count):
        raise RuntimeError('shapes do not fit')

    with pytest.raises(RuntimeError, match='shapes do not fit'):
        largest_batch(step, 256)


def auto(**options):
    return load_config(NANO, {'train_batch_size_per_gpu': 'auto'} | options)


@pytest.fixture(scope='module')
def model():
    return MODELS.build(auto().model).train()


def test_the_largest_size_of_multi_scale_training(model):
    assert training_size(auto(), model) == (640, 640)
    # Multiples of the stride within the ratios.
    assert training_size(auto(img_scale=(416, 224)), model) == (608, 320)


def test_a_trial_is_a_whole_step_and_leaves_nothing(model, monkeypatch):
    taken = []
    device = SimpleNamespace(
        mem_get_info=lambda _: (0, 1000), empty_cache=lambda: taken.append(torch.get_rng_state().sum())
    )
    monkeypatch.setattr(torch, 'get_device_module', lambda _: device)
    gradients = []
    handle = model.backbone.stage1.register_full_backward_hook(lambda *_: gradients.append(1))
    trial(model, Size(64, 64), torch.device('cpu'), None)(2)
    handle.remove()
    assert len(gradients) == len(taken) == 1
    assert all(weight.grad is None for weight in model.parameters())


def test_what_an_image_needs_grows_with_its_area(model):
    small, large = (bytes_of_image(model, Size(side, side)) for side in (64, 128))
    assert 3 * small < large < 4.2 * small


@pytest.mark.parametrize(('free', 'expected'), [(10**12, 16), (0, 1), (None, 5)])
def test_on_a_cpu_half_of_the_free_memory_is_used(model, monkeypatch, free, expected):
    cfg = auto(img_scale=(64, 64))
    size = training_size(cfg, model)
    free = 2 * 5 * bytes_of_image(model, size) + 999 if free is None else free
    monkeypatch.setattr(batch_size, 'available_memory', lambda: free)
    said = settle_batch_size(cfg, None)
    assert cfg.train_dataloader.batch_size == expected
    assert said.startswith(f'train_batch_size_per_gpu=auto: {expected} (')


@pytest.mark.parametrize(('capacity', 'expected'), [(24, 24), (0, None)])
def test_on_an_accelerator_it_is_what_fits(monkeypatch, capacity, expected):
    monkeypatch.setattr(batch_size, 'get_device', lambda: 'meta')
    monkeypatch.setattr(batch_size, 'trial', lambda *_: Device(capacity))
    cfg = auto()
    if expected is None:
        with pytest.raises(UserError, match='not even one image of 640x640 fits'):
            settle_batch_size(cfg, None)
        return
    assert f'auto: {expected} (the largest that fits at 640x640' in settle_batch_size(cfg, None)
    assert cfg.train_dataloader.batch_size == expected


def test_a_resumed_training_keeps_its_size():
    cfg = auto()
    assert settle_batch_size(cfg, {BATCH_SIZE: 11}) == (
        'train_batch_size_per_gpu=auto: 11, as the training began with'
    )
    assert cfg.train_dataloader.batch_size == 11


def test_a_number_stays():
    cfg = load_config(NANO, {'train_batch_size_per_gpu': 3})
    assert settle_batch_size(cfg, {BATCH_SIZE: 11}) is None
    assert cfg.train_dataloader.batch_size == 3


def test_only_a_training_takes_auto():
    with pytest.raises(UserError, match="val_batch_size_per_gpu='auto' must be a number"):
        load_config(NANO, {'val_batch_size_per_gpu': 'auto'})
    with pytest.raises(UserError, match="train_batch_size_per_gpu='most' must be a number"):
        load_config(NANO, {'train_batch_size_per_gpu': 'most'})

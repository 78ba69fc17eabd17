"""The moving average, beside MMDetection's."""

import pytest
import torch
from mmdet.models.layers.ema import ExpMomentumEMA
from torch import nn

from mmyolox.engine import YOLOXEMA
from mmyolox.errors import UserError
from mmyolox.registry import MODELS


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).to(
        memory_format=torch.channels_last
    )


def disturb(model, seed):
    """What a training step changes: weights and statistics, and one more batch counted."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(torch.randn(value.shape, generator=generator) if value.is_floating_point() else 1)


def run(cls, steps, start=None, first=0, **kwargs):
    """The average after some steps, resumed from a state dict if one is given."""
    model = small_model()
    for step in range(first):
        disturb(model, step)
    ema = cls(model, **kwargs)
    if start is not None:
        ema.load_state_dict(start)
    for step in range(first, steps):
        disturb(model, step)
        ema.update_parameters(model)
    return ema, model


def floats(ema):
    return {name: value for name, value in ema.state_dict().items() if value.is_floating_point()}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        # Versions of MMDetection differ in the last bit: some interpolate, some multiply and add.
        torch.testing.assert_close(actual[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('update_buffers', [True, False])
@pytest.mark.parametrize('settings', [{}, dict(momentum=0.01, gamma=3), dict(momentum=1e-4, interval=3)])
def test_averages_are_those_of_mmdetection(settings, update_buffers):
    ours, _ = run(YOLOXEMA, 12, update_buffers=update_buffers, **settings)
    theirs, _ = run(ExpMomentumEMA, 12, update_buffers=update_buffers, **settings)
    assert_same(floats(ours), floats(theirs))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert int(ours.steps) == int(theirs.steps) == 12


def test_counters_follow_the_model():
    ema, model = run(YOLOXEMA, 5, update_buffers=True)
    assert int(ema.module[1].num_batches_tracked) == int(model[1].num_batches_tracked) == 5


@pytest.mark.parametrize(('before', 'after'), [(YOLOXEMA, YOLOXEMA), (ExpMomentumEMA, YOLOXEMA)])
def test_resumed_average_goes_on_as_if_never_stopped(before, after):
    straight, _ = run(YOLOXEMA, 9, update_buffers=True)
    saved, _ = run(before, 4, update_buffers=True)
    resumed, _ = run(after, 9, saved.state_dict(), first=4, update_buffers=True)
    assert_same(resumed.state_dict(), straight.state_dict())


def test_steps_are_counted_on_the_host():
    with torch.device('meta'):
        model = nn.Linear(2, 2)
    ema = YOLOXEMA(model)
    assert ema.steps.device.type == 'cpu'
    assert ema.module.weight.is_meta


def test_average_does_not_train_and_leaves_the_model_alone():
    ema, model = run(YOLOXEMA, 3)
    assert not any(weight.requires_grad for weight in ema.parameters())
    assert all(weight.requires_grad for weight in model.parameters())
    assert not torch.equal(ema.module[0].weight, model[0].weight)


@pytest.mark.parametrize('settings', [dict(momentum=0), dict(momentum=1), dict(gamma=0)])
def test_settings_out_of_range(settings):
    with pytest.raises(UserError, match='YOLOXEMA'):
        YOLOXEMA(small_model(), **settings)


def test_registered_by_name():
    assert MODELS.get('YOLOXEMA') is YOLOXEMA

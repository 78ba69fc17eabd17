"""The moving average, beside MMDetection's."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.models.layers.ema import ExpMomentumEMA
from mmengine.hooks import EMAHook
from torch import distributed, multiprocessing, nn

from mmyolox.engine import YOLOXEMA, SharedStatisticsHook
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


def share_statistics(rank, store, results):
    """One of two processes: statistics of its own, then the hook; keeps what it has in a file."""
    distributed.init_process_group('gloo', store=distributed.FileStore(store, 2), rank=rank, world_size=2)
    model = small_model()
    hook = EMAHook('YOLOXEMA', update_buffers=True)
    hook.ema_model = YOLOXEMA(model, update_buffers=True)
    for number, net in enumerate((model, hook.ema_model.module)):
        net[1].running_mean.fill_(1 + 2 * rank + 10 * number)
        net[1].num_batches_tracked.fill_(6)
    SharedStatisticsHook().after_train_epoch(SimpleNamespace(model=model, hooks=[hook]))
    torch.save((model.state_dict(), hook.ema_model.state_dict()), f'{results}{rank}')
    distributed.destroy_process_group()


def test_processes_share_their_statistics_at_the_end_of_an_epoch(tmp_path):
    results = tmp_path / 'results'
    args = str(tmp_path / 'store'), str(results)
    multiprocessing.start_processes(share_statistics, args, nprocs=2, start_method='fork')
    first, second = (torch.load(f'{results}{rank}') for rank in (0, 1))
    for number in (0, 1):
        assert first[number].keys() == second[number].keys()
        assert all(torch.equal(first[number][name], second[number][name]) for name in first[number])
    assert first[0]['1.running_mean'].tolist() == [2] * 4
    assert first[1]['module.1.running_mean'].tolist() == [12] * 4
    assert first[0]['1.num_batches_tracked'] == 6
    assert first[0]['1.num_batches_tracked'].dtype == torch.int64

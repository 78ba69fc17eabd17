"""Losses: copied without stopping the device, logged as MMEngine does, and halted at when they break."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmyolox.engine import InvalidLossHook
from mmyolox.engine.hooks import losses
from mmyolox.engine.hooks.losses import HostCopy
from mmyolox.engine.hooks.timing import DeviceMark
from mmyolox.errors import UserError

NAN, INF = float('nan'), float('inf')


def test_values_are_those_at_the_time_of_the_copy():
    scalars = dict(loss=torch.tensor(1.5, requires_grad=True) * 2, other=torch.tensor([0.1]))
    copied = HostCopy(scalars)
    scalars['other'].zero_()
    assert copied.wait() == dict(loss=3.0, other=pytest.approx(0.1))


def test_bfloat16_and_float32_together():
    assert HostCopy(dict(a=torch.tensor(0.5).bfloat16(), b=torch.tensor(0.1))).wait()['b'] == pytest.approx(
        0.1
    )


@pytest.mark.gpu
def test_the_device_is_not_waited_for():
    torch.cuda._sleep(1)
    torch.cuda.synchronize()
    torch.cuda._sleep(500_000_000)  # cycles: some tenths of a second
    copied = HostCopy(dict(loss=torch.ones((), device='cuda')))
    mark = DeviceMark(torch.device('cuda'))
    assert not mark.is_reached()
    assert copied.wait() == dict(loss=1.0)
    mark.wait()
    assert mark.is_reached()


# --- logging ---------------------------------------------------------------------------------------------


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, *inputs, mode='tensor'):
        out = self.layer(torch.stack(inputs))
        return dict(loss_a=out.square().mean(), loss_b=(out - 1).abs().mean())


class Watch(Hook):
    """Notes how many values of the loss there are, after the hooks of each iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.counts = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        scalars = runner.message_hub.log_scalars
        self.counts.append(len(scalars['train/loss'].data[0]) if 'train/loss' in scalars else 0)


def train(folder, hook, interval=3, **options):
    """Two epochs of 7 iterations."""
    watch = Watch()
    runner = Runner(
        model=Tiny(),
        work_dir=str(folder),
        experiment_name=str(folder),
        train_dataloader=dict(
            dataset=list(torch.rand(14, 2, generator=torch.Generator().manual_seed(0))),
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            runtime_info=dict(type=hook, **options), logger=dict(type='LoggerHook', interval=interval)
        ),
        custom_hooks=[watch],
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        default_scope='mmyolox',
    )
    runner.train()
    (log,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return (
        runner,
        watch,
        [
            {key: value for key, value in line.items() if 'time' not in key and key != 'memory'}
            for line in lines
        ],
    )


@pytest.mark.parametrize('interval', [1, 3, 5, 100])
def test_logs_are_those_of_mmengine(tmp_path, interval):
    ours, _, lines = train(tmp_path / 'ours', 'AsyncRuntimeInfoHook', interval)
    theirs, _, expected = train(tmp_path / 'theirs', 'RuntimeInfoHook', interval)
    assert lines == expected
    assert lines or interval == 100
    for name in ('train/loss', 'train/loss_a', 'train/loss_b', 'train/lr'):
        one, other = (runner.message_hub.get_scalar(name).data[0].tolist() for runner in (ours, theirs))
        assert len(one) == 14
        assert one == other


def test_values_come_an_iteration_late_unless_they_are_logged(tmp_path):
    _, watch, _ = train(tmp_path, 'AsyncRuntimeInfoHook')
    assert watch.counts == [0, 1, 3, 3, 4, 6, 7, 7, 8, 10, 10, 11, 13, 14]


def test_an_iteration_that_is_not_logged_waits_for_the_one_before(tmp_path, monkeypatch):
    events = []

    class Copy(HostCopy):
        def __init__(self, scalars):
            super().__init__(scalars)
            self.number = sum(event.startswith('copy') for event in events) + 1
            events.append(f'copy {self.number}')

        def wait(self):
            events.append(f'wait {self.number}')
            return super().wait()

    monkeypatch.setattr(losses, 'HostCopy', Copy)
    train(tmp_path, 'AsyncRuntimeInfoHook')
    assert events[:7] == ['copy 1', 'wait 1', 'copy 2', 'wait 2', 'copy 3', 'wait 3', 'copy 4']


def test_history_is_bounded(tmp_path):
    runner, _, _ = train(tmp_path, 'AsyncRuntimeInfoHook', max_history=5)
    everything, _, _ = train(tmp_path / 'all', 'AsyncRuntimeInfoHook')
    for name, history in runner.message_hub.log_scalars.items():
        assert len(history.data[0]) == len(history.data[1]) == 5, name
    last = everything.message_hub.get_scalar('train/loss').data[0][-5:]
    assert runner.message_hub.get_scalar('train/loss').data[0].tolist() == last.tolist()


# --- the halt --------------------------------------------------------------------------------------------


class Training:
    """Drives the hook as a Runner does."""

    def __init__(self, folder):
        self.hook = InvalidLossHook()
        self.runner = SimpleNamespace(iter=0, epoch=0, log_dir=str(folder))

    def step(self, **outputs):
        meta = dict(img_path=f'{self.runner.iter + 1}.jpg')
        batch = dict(inputs=torch.full((1,), self.runner.iter + 1), data_samples=dict(metas=[meta]))
        tensors = {name: torch.tensor(value) for name, value in outputs.items()}
        self.hook.after_train_iter(self.runner, self.runner.iter, batch, tensors)
        self.runner.iter += 1

    def checkpoint(self, weights=(1.0,), average=(1.0,)):
        checkpoint = dict(
            state_dict=dict(weight=torch.tensor(weights), count=torch.tensor(3)),
            ema_state_dict=dict(weight=torch.tensor(average)),
        )
        self.hook.before_save_checkpoint(self.runner, checkpoint)


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path)


@pytest.mark.parametrize('value', [NAN, INF, -INF])
def test_a_broken_loss_stops_the_training_one_iteration_later(training, tmp_path, value):
    training.step(loss=1.0, loss_obj=2.0)
    training.step(loss=1.0, loss_obj=value)
    with pytest.raises(UserError, match=rf'at iteration 2 \(loss=1, loss_obj={value:g}\)'):
        training.step(loss=1.0, loss_obj=2.0)
    (report,) = tmp_path.glob('*.json')
    content = json.loads(report.read_text())
    assert report.name == 'invalid_loss_iter2_rank0.json'
    assert (content['iteration'], content['epoch'], content['images']) == (2, 1, ['2.jpg'])
    assert torch.load(report.with_suffix('.pth'))['inputs'].tolist() == [2]


@pytest.mark.parametrize('name', ['after_train_epoch', 'after_train'])
def test_the_last_iteration_is_looked_at(training, name):
    training.step(loss=NAN)
    with pytest.raises(UserError, match='at iteration 1'):
        getattr(training.hook, name)(training.runner)


def test_no_checkpoint_after_a_broken_loss(training):
    training.step(loss=NAN)
    with pytest.raises(UserError, match='at iteration 1'):
        training.checkpoint()


@pytest.mark.parametrize(('weights', 'average'), [((1.0, NAN), (1.0,)), ((1.0,), (INF,)), ((NAN,), (NAN,))])
def test_no_checkpoint_of_broken_weights(training, weights, average):
    training.step(loss=1.0)
    with pytest.raises(UserError, match=r'not finite any more \(weight'):
        training.checkpoint(weights, average)


def test_what_is_finite_goes_on(training, tmp_path):
    for _ in range(3):
        training.step(loss=1.0, grad_norm=INF)  # no loss; an overflow that the scaler will skip
    training.checkpoint()
    training.hook.after_train_epoch(training.runner)
    training.hook.after_train(training.runner)
    training.hook.before_save_checkpoint(training.runner, dict(state_dict={}))
    assert not list(tmp_path.iterdir())


def test_an_iteration_without_outputs(training):
    training.hook.after_train_iter(training.runner, 0, None, None)
    training.step(loss=1.0)


def test_the_device_is_waited_for_an_iteration_later_only(training, monkeypatch):
    events = []

    class Copy:
        def __init__(self, scalars):
            self.number = training.runner.iter + 1
            events.append(f'copy {self.number}')

        def wait(self):
            events.append(f'wait {self.number}')
            return {}

    monkeypatch.setattr(losses, 'HostCopy', Copy)
    for _ in range(3):
        training.step(loss=1.0)
    assert events == ['copy 1', 'wait 1', 'copy 2', 'wait 2', 'copy 3']

"""Logging without waits: the same logs as MMEngine's, from a real Runner."""

import json

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmyolox.engine.hooks import runtime_info
from mmyolox.engine.host_copy import HostCopy


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


def train(folder, kind, interval=3, **options):
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
            runtime_info=dict(type=kind, **options), logger=dict(type='LoggerHook', interval=interval)
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

    monkeypatch.setattr(runtime_info, 'HostCopy', Copy)
    train(tmp_path, 'AsyncRuntimeInfoHook')
    assert events[:7] == ['copy 1', 'wait 1', 'copy 2', 'wait 2', 'copy 3', 'wait 3', 'copy 4']


def test_history_is_bounded(tmp_path):
    runner, _, _ = train(tmp_path, 'AsyncRuntimeInfoHook', max_history=5)
    everything, _, _ = train(tmp_path / 'all', 'AsyncRuntimeInfoHook')
    for name, history in runner.message_hub.log_scalars.items():
        assert len(history.data[0]) == len(history.data[1]) == 5, name
    last = everything.message_hub.get_scalar('train/loss').data[0][-5:]
    assert runner.message_hub.get_scalar('train/loss').data[0].tolist() == last.tolist()

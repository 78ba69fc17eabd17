"""The warning of a training that waits for data, and the time to the first iteration."""

import os
import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import IterTimerHook
from mmengine.logging import MessageHub
from mmengine.runner import get_priority

from mmyolox.engine import DataTimeHook, StartUpTimeHook
from mmyolox.engine.hooks import timing
from mmyolox.engine.hooks.timing import DeviceMark
from mmyolox.utils import devices


def test_the_cpu_has_always_come_so_far():
    mark = DeviceMark(torch.device('cpu'))
    mark.wait()
    assert mark.is_reached()


def test_one_line_with_the_parts(monkeypatch):
    times = iter([13.0, 14.5, 14.75, 16.0, 19.0])
    monkeypatch.setattr(timing, 'STARTED', 10.0)
    monkeypatch.setattr(timing, 'time', SimpleNamespace(monotonic=lambda: next(times)))
    lines = []
    runner = SimpleNamespace(logger=SimpleNamespace(info=lines.append))
    hook = StartUpTimeHook()
    hook.before_run(runner)
    hook.before_train(runner)
    for idx in range(3):
        hook.before_train_iter(runner, idx)
        hook.after_train_iter(runner, idx, None, dict(loss=torch.zeros(())))
    parts = 'imports, config and model 3.0, data sets 1.5, weights 0.2, first batch 1.2, first step 3.0'
    assert lines == [f'first iteration after 9.0 s ({parts})']


def test_the_start_is_before_now():
    hook = StartUpTimeHook()
    assert re.match(r'\d', str(hook._parts['imports, config and model']))


class Training:
    """Drives the hook with times as MMEngine's timer would take them."""

    def __init__(self, num_workers=2, **kwargs):
        self.hook = DataTimeHook(**{**dict(window=10, skip=2), **kwargs})
        self.warnings = []
        self.runner = SimpleNamespace(
            message_hub=MessageHub.get_instance('test_timing'),
            logger=SimpleNamespace(warning=self.warnings.append),
            train_dataloader=SimpleNamespace(num_workers=num_workers),
        )

    def epoch(self, iterations, data, step=1.0, first=None):
        hub = self.runner.message_hub
        for idx in range(iterations):
            waiting = first if first is not None and idx < 2 else data
            hub.update_scalar('train/data_time', waiting)
            self.hook.before_train_iter(self.runner, idx)
            hub.update_scalar('train/time', waiting + step)
            self.hook.after_train_iter(self.runner, idx, None, dict(loss=torch.zeros(())))
        return len(self.warnings)


@pytest.mark.parametrize(('data', 'warnings'), [(0.0, 0), (0.2, 0), (0.24, 0), (0.26, 1), (5.0, 1)])
def test_warns_above_a_fifth_of_the_time(data, warnings):
    assert Training().epoch(50, data) == warnings


def test_the_warning_says_how_much_and_what_helps(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(16), raising=False)
    training = Training()
    training.epoch(20, 1.0, 1.0)
    (text,) = training.warnings
    words = ['1.000 of 2.000 s', '50%', 'train_num_workers=16 (now 2', '*-cached', 'image_cache=ram']
    for word in [*words, 'max_shrink=8', 'YOLOXBatchHSV']:
        assert word in text


@pytest.mark.parametrize(
    ('workers', 'processes', 'advice'),
    [(4, 1, 'train_num_workers=8'), (8, 1, 'more CPU cores (8 workers share 8'), (4, 2, 'more CPU cores (4')],
)
def test_more_workers_are_advised_while_there_are_cores(monkeypatch, workers, processes, advice):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(8), raising=False)
    monkeypatch.setattr(devices, 'processes_on_machine', lambda: processes)
    training = Training(workers)
    training.epoch(20, 1.0)
    assert advice in training.warnings[0]


def test_once_a_training():
    training = Training()
    assert [training.epoch(100, 1.0) for _ in range(3)] == [1, 1, 1]


def test_the_window_spans_short_epochs():
    training = Training()
    assert [training.epoch(7, 1.0) for _ in range(3)] == [0, 1, 1]


def test_the_begin_of_an_epoch_does_not_count():
    assert Training().epoch(50, 0.0, first=1e3) == 0


def test_one_slow_batch_in_a_window_does_not_count():
    training = Training()
    training.epoch(30, 0.0)
    training.epoch(3, 1.0)
    assert training.epoch(30, 0.0) == 0


def test_loading_behind_a_busy_device_does_not_count(monkeypatch):
    monkeypatch.setattr(timing, 'DeviceMark', lambda device: SimpleNamespace(is_reached=lambda: False))
    assert Training().epoch(50, 1.0) == 0


def test_a_training_without_a_timer_goes_on():
    training = Training(window=1, skip=0)
    training.hook.before_train_iter(training.runner, 0)
    training.hook.after_train_iter(training.runner, 0, None, dict(loss=torch.zeros(())))
    assert not training.warnings


def test_the_hook_runs_after_the_timer():
    assert get_priority(DataTimeHook.priority) > get_priority(IterTimerHook.priority)

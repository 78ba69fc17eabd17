"""The time to the first iteration."""

import re
from types import SimpleNamespace

import torch

from mmyolox.engine import StartUpTimeHook
from mmyolox.engine.hooks import start_up


def test_one_line_with_the_parts(monkeypatch):
    times = iter([13.0, 14.5, 14.75, 16.0, 19.0])
    monkeypatch.setattr(start_up, 'STARTED', 10.0)
    monkeypatch.setattr(start_up, 'time', SimpleNamespace(monotonic=lambda: next(times)))
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

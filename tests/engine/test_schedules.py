import logging
import math
from types import SimpleNamespace

import pytest
import torch

from mmyolox.engine import YOLOXLR, YOLOXModeSwitchHook
from mmyolox.engine.runner import PlanHook


def rates(base_lr=0.01, epoch_length=4, end=300, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)
    scheduler = YOLOXLR.build_iter_from_epoch(optimizer, end=end, epoch_length=epoch_length, **kwargs)
    values = []
    for _ in range(end * epoch_length):
        values.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return values


def megvii(step, total, warmup, last, lr, floor):
    """The formula of ``yolox_warm_cos_lr``, written down once more."""
    if step <= warmup:
        return lr * (step / warmup) ** 2
    if step >= total - last:
        return floor
    return floor + 0.5 * (lr - floor) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup - last)))


def test_published_schedule():
    values = rates(warmup_epochs=5, num_last_epochs=15)
    # Megvii counts the warm-up from 1, and everything after it from 0.
    expected = [megvii(i + 1 if i < 20 else i, 1200, 20, 60, 0.01, 0.0005) for i in range(1200)]
    expected[20] = 0.01
    assert values == pytest.approx(expected)
    assert values[-60:] == pytest.approx([0.0005] * 60)


def test_shape_does_not_depend_on_the_base_rate():
    small, large = (rates(base_lr=lr, end=20, warmup_epochs=1, num_last_epochs=5) for lr in (0.001, 1.0))
    assert [value * 1000 for value in small] == pytest.approx(large)


@pytest.mark.parametrize(
    ('end', 'warmup', 'last', 'expected'),
    [
        (2, 0, 1, [1.0, 0.525, 0.05, 0.05]),
        (1, 0, 2, [0.05, 0.05]),
        (2, 1, 1, [0.25, 1.0, 0.05, 0.05]),
        (1, 5, 15, [0.01, 0.04]),
    ],
)
def test_short_trainings(end, warmup, last, expected):
    values = rates(base_lr=1.0, epoch_length=2, end=end, warmup_epochs=warmup, num_last_epochs=last)
    assert values == pytest.approx(expected)


FLOOR = ', 0.0005 in the last epochs'


@pytest.mark.parametrize(
    ('epochs', 'last', 'switched', 'length', 'phases', 'floor'),
    [
        (5, 2, 2, '', 'main phase 2, last epochs 2 (without mosaic and mixup)', FLOOR),
        (5, 2, 3, '', 'main phase 2, last epochs 2 (the last 3 of all without mosaic and mixup)', FLOOR),
        (5, 2, 0, '', 'main phase 2, last epochs 2 (mosaic and mixup, if any, stay on)', FLOOR),
        (5, 0, 0, '', 'main phase 4 (mosaic and mixup, if any, stay on)', ', 0.0005 at the end'),
        (5, 0, 2, '', 'main phase 4 (the last 2 of all without mosaic and mixup)', ', 0.0005 at the end'),
        (
            *(9, 2, 2, ' (the training has 9)'),
            'main phase 2, last epochs 2 (the last 2 of all without mosaic and mixup)',
            FLOOR,
        ),
    ],
    ids=['one switch', 'another switch', 'no switch', 'no last epochs', 'switch alone', 'resumed for longer'],
)
def test_the_plan_is_one_line(epochs, last, switched, length, phases, floor):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = YOLOXLR.build_iter_from_epoch(
        optimizer, end=5, epoch_length=7, warmup_epochs=1, num_last_epochs=last
    )
    assert scheduler.phases(7, epochs, switched) == f'5 epochs{length}: warm-up 1, {phases}'
    assert scheduler.rates == f'up to 0.01{floor}'


@pytest.mark.parametrize(
    ('hooks', 'warmup', 'last', 'level', 'told'),
    [
        ([], 1, 2, logging.INFO, 'stay on'),
        ([YOLOXModeSwitchHook(num_last_epochs=2)], 1, 2, logging.INFO, '2 (without mosaic and mixup)'),
        ([], 0, 5, logging.WARNING, 'rate 0.0005 from the start: let num_last_epochs be below max_epochs'),
        ([], 1, 5, logging.INFO, 'rate up to 0.01, 0.0005 in the last'),
    ],
)
def test_the_plan_is_logged(hooks, warmup, last, level, told):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = YOLOXLR.build_iter_from_epoch(
        optimizer, end=5, epoch_length=7, warmup_epochs=warmup, num_last_epochs=last
    )
    lines = []
    runner = SimpleNamespace(
        hooks=hooks, param_schedulers=[scheduler], train_dataloader=range(7), max_epochs=5
    )
    runner.logger = SimpleNamespace(log=lambda *line: lines.append(line))
    PlanHook().before_train(runner)
    assert [line[0] for line in lines] == [level]
    assert told in lines[0][1]

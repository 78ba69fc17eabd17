"""Where the switch to the second phase takes its pipeline from, and what it checks of it."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import DataLoader

from mmyolox.engine import YOLOXModeSwitchHook
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.errors import UserError

FIRST, SECOND = ([dict(type='LoadImage'), dict(type=name)] for name in ('Letterbox', 'RandomFlip'))


def before_train(hook: YOLOXModeSwitchHook, **variables) -> YOLOXModeSwitchHook:
    hook.before_train(SimpleNamespace(cfg=Config(variables), _train_dataloader={}))
    return hook


@pytest.mark.parametrize(
    ('given', 'variables', 'expected'),
    [
        (None, dict(train_pipeline_stage2=FIRST), FIRST),
        (SECOND, dict(train_pipeline_stage2=FIRST), SECOND),
        (SECOND, {}, SECOND),
    ],
    ids=['variable', 'own before the variable', 'own alone'],
)
def test_the_pipeline_is_the_hooks_own_or_the_configs(given, variables, expected):
    hook = before_train(YOLOXModeSwitchHook(num_last_epochs=2, new_train_pipeline=given), **variables)
    assert hook.new_train_pipeline == expected


def test_a_missing_pipeline_is_told_before_the_training():
    with pytest.raises(UserError, match='give the config a variable train_pipeline_stage2'):
        before_train(YOLOXModeSwitchHook(num_last_epochs=2))


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_a_step_that_needs_colours_is_refused_before_the_training(color_type):
    pipeline = [dict(type='LoadImage', color_type=color_type), dict(type='YOLOXHSVRandomAug')]
    hook = YOLOXModeSwitchHook(num_last_epochs=2, new_train_pipeline=pipeline)
    if color_type == 'color':
        before_train(hook)
        return
    with pytest.raises(UserError, match=r'YOLOXHSVRandomAug needs images in colour, these have 1 channel'):
        before_train(hook)


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.bbox_head = nn.Linear(2, 1)

    def forward(self, *inputs, mode):
        return dict(loss=self.bbox_head(torch.stack(inputs)).mean())


@pytest.mark.parametrize('loader', [dict, DataLoader])
def test_a_runner_without_a_config_switches_or_says_before_the_training_why_not(tmp_path, loader):
    data = loader(dataset=list(torch.ones(8, 2)), batch_size=4)
    if loader is dict:
        data |= dict(sampler=dict(type='DefaultSampler', shuffle=False))
    runner = YOLOXRunner(
        model=Tiny(),
        work_dir=str(tmp_path),
        train_dataloader=data,
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[YOLOXModeSwitchHook(num_last_epochs=1, new_train_pipeline=FIRST)],
        default_scope='mmyolox',
        experiment_name=f'switch of {loader.__name__}',
    )
    with pytest.raises(UserError, match='train_dataloader') if loader is DataLoader else nullcontext():
        runner.train()
    assert getattr(runner.model.bbox_head, 'use_l1', False) == (loader is dict)
    assert runner.epoch == (2 if loader is dict else 0)


def test_without_last_epochs_no_pipeline_is_needed():
    assert before_train(YOLOXModeSwitchHook(num_last_epochs=0)).new_train_pipeline is None

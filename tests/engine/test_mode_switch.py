"""Where the switch to the second phase takes its pipeline from, and what it checks of it."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmyolox.engine import YOLOXModeSwitchHook
from mmyolox.errors import UserError

FIRST, SECOND = ([dict(type='LoadImage'), dict(type=name)] for name in ('Letterbox', 'RandomFlip'))


def before_train(hook: YOLOXModeSwitchHook, **variables) -> YOLOXModeSwitchHook:
    hook.before_train(SimpleNamespace(cfg=Config(variables), param_schedulers=None))
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


def test_without_last_epochs_no_pipeline_is_needed():
    assert before_train(YOLOXModeSwitchHook(num_last_epochs=0)).new_train_pipeline is None

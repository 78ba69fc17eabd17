"""What would stop or spoil a training after it has begun is named before, or follows."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

NANO = 'yolox_nano_fast_8xb8-300e_coco'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'val_interval': 0}, 'train_cfg.val_interval=0: it must be at least 1'),
        ({'max_epochs': 0}, 'train_cfg.max_epochs=0: it must be at least 1'),
        ({'max_epochs': 2.5}, 'train_cfg.max_epochs=2.5: EpochBasedTrainLoop takes a whole number there'),
        (
            {'train_cfg.dynamic_intervals': [(3, 0)]},
            r'dynamic_intervals.0=.*: the interval must be at least 1',
        ),
        ({'train_batch_size_per_gpu': 0}, 'train_dataloader.batch_size=0: it must be at least 1'),
        (
            {'train_batch_size_per_gpu': 2.5},
            'train_dataloader.batch_size=2.5: DataLoader takes a whole number',
        ),
        ({'val_num_workers': -1}, 'val_dataloader.num_workers=-1: it must be at least 0'),
        ({'warmup_epochs': -1}, 'param_scheduler.warmup_epochs=-1: it must be at least 0'),
        ({'base_lr': 'fast'}, "base_lr='fast' must be a number"),
        ({'base_lr': -0.1}, 'optim_wrapper.optimizer.lr=-0.1: a learning rate is above 0'),
        ({'optim_wrapper.optimizer.lr': 'fast'}, "optim_wrapper.optimizer.lr='fast': SGD takes a number"),
        (
            {'val_evaluator.iou_thrs': 0.5},
            'val_evaluator.iou_thrs=0.5: YOLOXCocoMetric takes a list, each entry a number or None there',
        ),
        (
            {'val_evaluator.proposal_nums': 100},
            'proposal_nums=100: .* takes a list, each entry a whole number',
        ),
        (
            {'default_hooks.checkpoint.interval': '5'},
            "checkpoint.interval='5': .*CheckpointHook takes a whole number",
        ),
        ({'train_pipeline_stage2': [1]}, 'train_pipeline_stage2=.* must be a list of dicts'),
        ({'train_dataloader.dataset.pipeline.0': 3}, r'pipeline.0=3 does not fit'),
        (
            {'default_hooks.ema.ema_type': 'YOLOXEMO'},
            'ema.ema_type: there is no YOLOXEMO; did you mean YOLOXEMA',
        ),
        ({'default_hooks.ema.ema_type': 3}, 'ema.ema_type=3: it must be the name of a component'),
        ({'default_hooks.ema.momentun': 3}, 'ema.momentun: EMAHook takes no such .*did you mean momentum'),
        ({'default_hooks.ema.momentum': 'x'}, "ema.momentum='x': YOLOXEMA takes a number"),
        ({'optim_wrapper.constructor': 'X'}, 'optim_wrapper.constructor: there is no X'),
        ({'default_scope': 3}, 'default_scope=3 must be text'),
        ({'model.test_cfg.score_thr': 'low'}, "model.test_cfg.score_thr='low' must be a number"),
    ],
)
def test_what_would_fail_later_is_named(options, message):
    with pytest.raises(UserError, match=message):
        load_config(NANO, options)


def test_a_loader_without_workers_has_none_that_persist():
    keys = {'num_workers': 0, 'persistent_workers': True, 'prefetch_factor': 4}
    cfg = load_config(NANO, {f'train_dataloader.{key}': value for key, value in keys.items()})
    assert cfg.train_dataloader.persistent_workers is False
    assert 'prefetch_factor' not in cfg.train_dataloader
    assert cfg.val_dataloader.persistent_workers is True


def test_a_hook_that_is_none_is_left_out():
    cfg = load_config(NANO, {'default_hooks.ema': None, 'default_hooks.logger': None})
    assert 'ema' not in cfg.default_hooks
    assert cfg.default_hooks.logger is None  # takes away MMEngine's


@pytest.mark.parametrize(
    ('hook', 'name'),
    [
        ("dict(type='EMAHook', ema_type='ExponentialMovingAverage')", 'EMAHook'),
        ("dict(type='YOLOXModeSwitchHook', num_last_epochs=5)", 'YOLOXModeSwitchHook'),
        ("dict(type='mmdet.YOLOXModeSwitchHook', num_last_epochs=5)", 'YOLOXModeSwitchHook'),
        ("dict(type='ParamSchedulerHook')", 'ParamSchedulerHook'),
    ],
)
def test_two_of_a_hook_that_must_be_alone_are_refused(tmp_path, hook, name):
    """MMYOLO's configs have them in ``custom_hooks``; beside ours they would swap the weights twice."""
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\ncustom_hooks = [{hook}]\n")
    with pytest.raises(
        UserError, match=rf'config keys default_hooks\.\w+ and custom_hooks\.0: both are a {name},'
    ):
        load_config(path)


@pytest.mark.parametrize(
    ('config', 'max_epochs', 'warmup', 'last'),
    [
        (NANO, 300, 5, 15),
        (NANO, 50, 5, 15),
        (NANO, 5, 0, 2),
        ('yolox_s_fast_8xb32-300e-rtmdet-hyp_coco', 300, 5, 20),
        ('yolox_s_fast_8xb32-300e-rtmdet-hyp_coco', 50, 5, 20),
        ('yolox_s_fast_1xb8-50e_custom', 300, 1, 10),
        ('yolox_s_fast_1xb8-50e_custom', 50, 1, 10),
        ('yolox_s_fast_1xb8-50e_custom', 5, 1, 2),
        ('yolox_s_fast_1xb8-50e_custom', 1, 0, 0),
    ],
)
def test_phases_fit_the_length_of_the_training(config, max_epochs, warmup, last):
    classes = dict(classes=['a']) if config.endswith('custom') else {}
    cfg = load_config(config, dict(max_epochs=max_epochs, val_interval=1) | classes)
    assert (cfg.param_scheduler.warmup_epochs, cfg.param_scheduler.num_last_epochs) == (warmup, last)
    assert cfg.default_hooks.mode_switch.num_last_epochs == last


def test_phases_that_are_given_stay():
    cfg = load_config(NANO, dict(max_epochs=5, num_last_epochs=4, warmup_epochs=3))
    assert (cfg.param_scheduler.warmup_epochs, cfg.param_scheduler.num_last_epochs) == (3, 4)


def test_a_loop_of_iterations_is_refused_by_name(tmp_path):
    path = tmp_path / 'c.py'
    loop = "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=9)"
    path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{loop}\n")
    with pytest.raises(
        UserError, match=r'IterBasedTrainLoop has no epochs, which default_hooks\.mode_switch'
    ):
        load_config(path)

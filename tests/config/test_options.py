"""Options and names that reach nothing are named, instead of having no effect."""

import logging

import pytest

from mmyolox.config import load_config
from mmyolox.config.options import warn_of_validation_options
from mmyolox.errors import UserError

VARIABLES = """
epochs = 3
hook = dict(type='SyncBuffersHook')
values = [dict(a=1), 2]
unread = 5
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
custom_hooks = [hook]
own = dict(nested=dict(a=1))
second = values
log_processor = dict(window_size=10)
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text(VARIABLES)
    return path


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'imgsz': 3}, 'config option imgsz: there is no imgsz; here it is img_scale'),
        ({'epoch': 3}, 'config option epoch: there is no epoch; did you mean epochs'),
        (
            {'train_confg.x': 3},
            'config option train_confg.x: there is no train_confg; did you mean train_cfg',
        ),
        ({'train_dataloder.batch_size': 4}, 'there is no train_dataloder; did you mean train_dataloader'),
        ({'own.nestet.a': 3}, 'own has no nestet; did you mean nested'),
        ({'custom_hooks.2.type': 'x'}, r'custom_hooks has no 2'),
        ({'custom_hooks.1.interval': 1}, r'has no 1; a new part needs its type: custom_hooks.1.type='),
        ({'custom_hooks.x.type': 'x'}, r'custom_hooks has no x'),
        ({'log_processor.window_size.x': 3}, r'log_processor.window_size has no x'),
        ({'hook.priority': 3}, r'hook.priority has no effect: .*copied .*; change custom_hooks.0 instead'),
        ({'values.0.a': 3}, r'values.0.a has no effect'),
        ({'hook': None}, r'hook has no effect: .*; change custom_hooks.0 instead'),
        ({'unread': 6}, 'unread has no effect: the variable unread is used by nothing'),
        ({'epochs': float('inf')}, 'config option epochs=inf: a number must be finite'),
        ({'own.nested.a': [1, float('nan')]}, r'own.nested.a=\[1, nan\]: a number must be finite'),
        ({'log_processor.windowsize': 3}, 'windowsize: LogProcessor .*did you mean window_size'),
    ],
)
def test_options_that_reach_nothing_are_named(path, options, message):
    with pytest.raises(UserError, match=message):
        load_config(path, options)


@pytest.mark.parametrize(
    'options',
    [
        {'load_from': 'x.pth', 'resume': True, 'work_dir': 'w', 'launcher': 'none'},
        {'randomness.seed': 3, 'visualizer.type': 'Visualizer'},
        {'own.nested.b': 3, 'own.a': 4},
        {'unread': 5},
        {'custom_hooks.0.priority': 49, 'train_cfg.dynamic_intervals': [(1, 1)]},
        {'default_hooks': dict(timer=dict(type='IterTimerHook'))},
    ],
)
def test_options_that_reach_something_pass(path, options):
    cfg = load_config(path, options)
    assert all(cfg.get(key) == value for key, value in options.items() if '.' not in key)


def test_option_that_a_dumped_config_no_longer_computes_from_is_named(path, tmp_path):
    load_config(path).dump(str(tmp_path / 'dumped.py'))
    for options in ({'epochs': 4}, {'hook.type': 'x'}):
        with pytest.raises(UserError, match='has no effect'):
            load_config(tmp_path / 'dumped.py', options)


def test_misspelt_name_in_a_config_is_named(tmp_path):
    (tmp_path / 'c.py').write_text('train_dataloder = dict(batch_size=2)\n')
    with pytest.raises(
        UserError, match=r'c\.py: nothing reads train_dataloder; did you mean train_dataloader'
    ):
        load_config(tmp_path / 'c.py')


def test_a_step_of_a_list_that_is_not_there_is_named():
    """It would become a dict with a key '0'."""
    option = 'default_hooks.mode_switch.new_train_pipeline.0.max_shrink'
    with pytest.raises(UserError, match=r'default_hooks\.mode_switch has no new_train_pipeline'):
        load_config('yolox_s_fast_8xb8-300e_coco', {option: 2})


@pytest.mark.parametrize('key', ['val_evaluator.iou_thrs', 'val_dataloader.batch_size', 'val_cfg.fp16'])
def test_an_option_of_the_validation_alone_has_no_effect_in_a_test(monkeypatch, key):
    told = []
    monkeypatch.setattr('mmyolox.config.options.print_log', lambda *line: told.append(line))
    of_test = key.replace('val', 'test', 1)
    warn_of_validation_options([key, of_test, 'val_num_workers', 'train_dataloader.batch_size'])
    assert not told
    warn_of_validation_options([key])
    line = f'config option {key} has no effect in a test; {of_test} has'
    assert told == [(line, 'current', logging.WARNING)]


REPLACED = """
_base_ = 'mmyolox::yolox/yolox_s_fast_8xb8-300e_coco.py'
train_dataloader = dict(sampler=dict(_delete_=True, type='BalancedSampler'))
default_hooks = dict(patience=None)
optim_wrapper = dict(optimizer=dict(lr=0.02))
"""


@pytest.mark.parametrize(
    ('option', 'key'),
    [
        ({'oversample_thr': 0.3}, 'train_dataloader.sampler.oversample_thr'),
        ({'patience': 5}, 'default_hooks.patience.patience'),
        ({'base_lr': 0.1}, 'optim_wrapper.optimizer.lr'),
    ],
)
def test_a_variable_whose_part_a_file_replaces_is_named(tmp_path, option, key):
    path = tmp_path / 'own.py'
    path.write_text(REPLACED)
    with pytest.raises(UserError, match=f'has no effect: {path} replaces .*; change {key} instead'):
        load_config(path, dict(option, max_epochs=5))
    path.with_name('above.py').write_text("_base_ = './own.py'")
    with pytest.raises(UserError, match=r'has no effect: .*above\.py replaces what depends on it$'):
        load_config(path.with_name('above.py'), option)


def test_variables_that_reach_something_of_a_file_with_parts_of_its_own_pass(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text(REPLACED)
    # As many last epochs as there would be without the option.
    options = dict(max_epochs=5, num_last_epochs=2, warmup_epochs=0, data_root='x', oversample_thr=0)
    options |= dict(val_loss=True, freeze='neck', accumulative_counts=2, train_batch_size_per_gpu=4)
    cfg = load_config(path, options)
    assert cfg.train_cfg.max_epochs == 5
    assert cfg.optim_wrapper.accumulative_counts == 2

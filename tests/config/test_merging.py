"""What ``--cfg-options`` can change, beside MMEngine's ``Config.merge_from_dict``."""

import sys

import pytest
from mmengine.config import Config

from mmyolox.config import load_config
from mmyolox.config.check import value_at
from mmyolox.config.find import find_config
from mmyolox.errors import UserError

NANO = 'yolox_nano_fast_8xb8-300e_coco'
SYNC = dict(type='SyncBuffersHook')
STOP = dict(type='EarlyStoppingHook', monitor='coco/bbox_mAP')
BOARD = dict(type='TensorboardVisBackend')
CUSTOM_KEYS = 'optim_wrapper.paramwise_cfg.custom_keys'


@pytest.mark.parametrize(
    'options',
    [
        {'train_dataloader.batch_size': 4},
        {'train_dataloader.new': 4},
        {'default_hooks.early': STOP},
        {'default_hooks.early.type': 'EarlyStoppingHook', 'default_hooks.early.monitor': 'coco/bbox_mAP'},
        {'default_hooks.early.monitor': 'coco/bbox_mAP', 'default_hooks.early.type': 'EarlyStoppingHook'},
        {'default_hooks': dict(early=STOP)},
        {'default_hooks.logger': dict(interval=9)},
        {'default_hooks.logger': dict(SYNC, _delete_=True)},
        {'custom_hooks': [SYNC]},
        {'custom_hooks': []},
        {'visualizer.vis_backends.0.type': 'TensorboardVisBackend'},
        {'visualizer.vis_backends.0': BOARD},
        {'visualizer.vis_backends': [BOARD, BOARD]},
        {'visualizer': dict(vis_backends={'0': BOARD})},
        {f'{CUSTOM_KEYS}.backbone.lr_mult': 0.1},
        {f'{CUSTOM_KEYS}.backbone': dict(lr_mult=0.1)},
        {CUSTOM_KEYS: {'backbone.stem': dict(lr_mult=0.1), 'neck': dict(decay_mult=0)}},
        {'optim_wrapper.clip_grad.max_norm': 35},
        {'optim_wrapper.clip_grad': dict(max_norm=35, norm_type=2)},
        {'model.backbone.norm_cfg.momentum': 0.1, 'model.backbone.norm_cfg.type': 'BN'},
        {'model.data_preprocessor.batch_augments.0.interval': 5},
        {'train_dataloader.dataset.pipeline.1': dict(type='LoadAnnotations', _delete_=True)},
        {'train_dataloader.dataset.filter_cfg.filter_empty_gt': True},
        {'param_scheduler': dict(warmup_epochs=2)},
        {'randomness.seed': 7, 'randomness.deterministic': True},
        {'env_cfg.mp_cfg.mp_start_method': 'spawn'},
        {'load_from': 'x.pth'},
        {'work_dir': 'w'},
    ],
    ids=lambda options: ' '.join(options),
)
def test_what_mmengine_merges_is_merged_alike(options, monkeypatch):
    monkeypatch.setattr('mmyolox.config.load.check_config', lambda cfg: None)  # some are not to be built
    plain = Config.fromfile(find_config(NANO))
    plain.merge_from_dict(options)
    assert load_config(NANO, options).to_dict() == plain.to_dict()


@pytest.mark.parametrize(
    ('options', 'key', 'value'),
    [
        ({'custom_hooks.0.type': 'SyncBuffersHook'}, 'custom_hooks', [SYNC]),
        (
            {'custom_hooks.0.type': 'SyncBuffersHook', 'custom_hooks.1.type': 'EmptyCacheHook'},
            'custom_hooks',
            [SYNC, dict(type='EmptyCacheHook')],
        ),
        (
            {'visualizer.vis_backends.1.type': 'TensorboardVisBackend'},
            'visualizer.vis_backends',
            [dict(type='LocalVisBackend'), BOARD],
        ),
        (
            {'model.init_cfg.type': 'Pretrained', 'model.init_cfg.checkpoint': 'x.pth'},
            'model.init_cfg',
            dict(type='Pretrained', checkpoint='x.pth'),
        ),
        (
            {f'{CUSTOM_KEYS}.backbone.stem.conv.lr_mult': 0.1},
            CUSTOM_KEYS,
            {'backbone.stem.conv': dict(lr_mult=0.1)},
        ),
    ],
    ids=lambda options: ' '.join(options) if isinstance(options, dict) else '',
)
def test_what_mmengine_cannot_add_or_spoils(options, key, value):
    """It takes no place behind the last, and makes of dots in names of modules, and of new lists, dicts."""
    assert value_at(load_config(NANO, options), key) == value


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'default_hooks.early.monitor': 'x'},
            r'has no early; a new part needs its type: default_hooks.early.type=\.\.\.',
        ),
        (
            {'default_hooks.chkpoint.interval': 1},
            'has no chkpoint; did you mean checkpoint or checkpoint_check',
        ),
        ({'default_hooks.early.type': 'EarlyStopHook'}, 'there is no EarlyStopHook; did you mean EarlyStop'),
        ({'default_hooks.early.type': 'EarlyStoppingHook', 'default_hooks.early.monitr': 'x'}, 'monitr'),
        ({'default_hooks.early': 3}, 'default_hooks.early=3: the Runner takes Hook or dict there'),
        ({'custom_hooks.1.type': 'SyncBuffersHook'}, r'Index 1 exceeds the length of list \[\]'),
        ({'custom_hooks.0.type': 'EMAHook'}, 'default_hooks.ema and custom_hooks.0: both are a EMAHook'),
        ({'custom_hooks': 'SyncBuffersHook'}, "custom_hooks='SyncBuffersHook': it must be a list of dicts"),
        ({'custom_hooks': ['SyncBuffersHook']}, "custom_hooks.0='SyncBuffersHook': it must be a dict"),
        ({'custom_hooks': dict(a=SYNC)}, 'custom_hooks=.*: it must be a list of dicts'),
        ({'visualizer.vis_backends.2.type': 'X'}, 'vis_backends has no 2'),
        ({'visualizer.vis_backends.1.save_dir': 'x'}, 'needs its type: visualizer.vis_backends.1.type='),
        ({'visualizer.vis_backends.1.type': 'TensorBoardBackend'}, 'there is no TensorBoardBackend'),
        ({'visualizer.vis_backends': ['LocalVisBackend']}, 'vis_backends=.*it takes a list, each entry dict'),
        ({f'{CUSTOM_KEYS}.backbone': 0.1}, f'{CUSTOM_KEYS}.backbone=0.1: it takes dict there'),
        ({f'{CUSTOM_KEYS}.backbone.lr_mult': 'x'}, "backbone.lr_mult='x': it takes a number there"),
        ({f'{CUSTOM_KEYS}.backbone.lr_mul': 0.1}, f'{CUSTOM_KEYS}.backbone.lr_mul: .*did you mean lr_mult'),
        ({f'{CUSTOM_KEYS}.backbone.stem.lr_mul': 0.1}, 'backbone.stem.lr_mul: .*did you mean lr_mult'),
        ({CUSTOM_KEYS: {'neck': dict(decay=0)}}, r'neck.decay: .*did you mean .*decay'),
        ({'optim_wrapper.clip_grad.max_nrm': 35}, 'clip_grad.max_nrm: it takes no .*did you mean max_norm'),
        ({'optim_wrapper.paramwise_cfg.norm_decay': 0}, 'norm_decay: .*did you mean norm_decay_mult'),
        ({'model.test_cfg.nmss.iou_threshold': 0.5}, 'model.test_cfg has no nmss; did you mean nms'),
    ],
    ids=lambda options: ' '.join(options) if isinstance(options, dict) else '',
)
def test_mistakes_in_what_is_added_are_named(options, message):
    with pytest.raises(UserError, match=message):
        load_config(NANO, options)


def test_a_module_that_an_option_names_is_imported(tmp_path, monkeypatch):
    (tmp_path / 'named_by_an_option.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    load_config(NANO, {'custom_imports.imports': ['named_by_an_option']})
    assert sys.modules.pop('named_by_an_option', None)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'custom_imports.imports': ['no_such_module']}, "ImportError: No module named 'no_such_module'"),
        ({'custom_imports.imports': 'no_such_module'}, "ImportError: No module named 'no_such_module'"),
        ({'custom_imports.import': ['json']}, "TypeError: .* argument 'import'"),
    ],
)
def test_a_module_of_an_option_that_does_not_import_says_why(options, message):
    with pytest.raises(UserError, match=f'config option custom_imports=.*{message}'):
        load_config(NANO, options)

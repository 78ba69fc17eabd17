"""Types are checked wherever they stand and whatever names them: text, a class, a config of either style."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

BASE = "_base_ = 'mmyolox::yolox/yolox_nano_fast_8xb8-300e_coco.py'\n"
IMPORTS = 'from mmengine.hooks import EMAHook, EmptyCacheHook\nfrom mmyolox.engine import YOLOXEMA\n'
LAZY = f"{IMPORTS}from mmyolox.models import YOLODetector\ndefault_scope = 'mmyolox'\n"
ALONE = 'there must be one only'


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / 'c.py'
        path.write_text(text)
        return load_config(path)

    return load


@pytest.mark.parametrize(
    ('key', 'name', 'text'),
    [
        ('train_dataloader.sampler.type', 'SeededSampler', "dict(sampler=dict(type='SeededSamplr'))"),
        ('train_dataloader.collate_fn.type', 'yolox_collate', "dict(collate_fn=dict(type='yolox_colate'))"),
        (
            'model.train_cfg.assigner.type',
            'SimOTAAssigner',
            "dict(train_cfg=dict(assigner=dict(type='SimOTAAsigner')))",
        ),
        ('model.backbone.norm_cfg.type', 'BN', "dict(backbone=dict(norm_cfg=dict(type='BNN')))"),
        ('model.backbone.act_cfg.type', 'SiLU', "dict(backbone=dict(act_cfg=dict(type='SiLUU')))"),
        ('model.init_cfg.type', 'Kaiming', "dict(init_cfg=dict(type='Kaimng'))"),
        ('optim_wrapper.optimizer.type', 'SGD', "dict(optimizer=dict(type='SDG'))"),
        ('visualizer.vis_backends.0.type', 'LocalVisBackend', "dict(vis_backends=[dict(type='LocalVis')])"),
        ('tta_model.type', 'YOLOXTTAModel', "dict(type='YOLOXTTAModl')"),
        ('tta_pipeline.0.type', 'LoadImage', "[dict(type='LoadImag')]"),
        (
            'tta_pipeline.0.transforms.0.0.type',
            'Letterbox',
            "[dict(type='TestTimeAug', transforms=[[dict(type='Leterbox')]])]",
        ),
        ('train_pipeline_stage2.0.type', 'LoadImage', "[dict(type='LoadImag')]"),
        (
            'train_pipeline_stage2.0.pre_transform.0.type',
            'LoadImage',
            "[dict(type='Mosaic', pre_transform=[dict(type='LoadImag')])]",
        ),
        (
            'default_hooks.mode_switch.new_train_pipeline.0.type',
            'LoadImage',
            "dict(mode_switch=dict(new_train_pipeline=[dict(type='LoadImag')]))",
        ),
        ('val_evaluator.type', 'YOLOXCocoMetric', "dict(type='YOLOXCocoMetrik')"),
        ('log_processor.type', 'LogProcessor', "dict(type='LogProcesor')"),
    ],
)
def test_a_mistyped_type_is_named_with_the_right_one(load, key, name, text):
    with pytest.raises(UserError, match=rf'config key {key}: there is no \w+; did you mean {name}'):
        load(f'{BASE}{key.partition(".")[0]} = {text}\n')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ("custom_hooks = [dict(type=EMAHook, ema_type='YOLOXEMA')]", ALONE),
        ("custom_hooks = (dict(type='EMAHook'),)", ALONE),
        ('custom_hooks = [EMAHook()]', ALONE),
        ("custom_hooks = [dict(type='mmengine.hooks.EMAHook')]", ALONE),
        ("default_hooks = dict(again=dict(type='EMAHook'))", ALONE),
        ("default_hooks = dict(again=dict(type='mmyolox.YOLOXModeSwitchHook', num_last_epochs=3))", ALONE),
        ('custom_hooks = [dict(type=3)]', r'custom_hooks.0.type=3: it must be the name of a component'),
        ('custom_hooks = [None]', r'custom_hooks=\[None\]: the Runner takes a list'),
        ('model = dict(type=None)', 'config key model.type=None: it must be the name of a component'),
        ("model = dict(type=['A'])", 'it must be the name of a component'),
        ('model = dict(_scope_=3)', 'config key model._scope_=3: it must be the name of a package'),
        ("default_hooks = dict(ema=dict(_scope_=['a']))", 'it must be the name of a package'),
        ("model = dict(_scope_='nosuch')", 'the package nosuch is not installed'),
        ("model = dict(_scope_='nosuch.inner')", 'the package nosuch.inner is not installed'),
        ("default_scope = '0.5'", 'the package 0.5 is not installed'),
        ("default_scope = '.'", 'the package . is not installed'),
        ("model = dict(_scope_='mmengine')", 'there is no YOLODetector'),
        ("default_hooks = dict(ema=dict(ema_type='ExponentialMovingAverage', gamma=3))", 'ema.gamma'),
        ("custom_imports = dict(imports=['nosuch_module'])", 'No module named'),
    ],
)
def test_hostile_parts_are_one_line(load, text, message):
    with pytest.raises(UserError, match=message):
        load(f'{BASE}{IMPORTS}{text}\n')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(type=YOLODetector, backbon=3)', 'model.backbon: .*did you mean backbone'),
        ('default_hooks = dict(a=dict(type=EMAHook))\ncustom_hooks = [dict(type=EMAHook)]', ALONE),
        ('default_hooks = dict(a=dict(type=EMAHook, momentun=3))', 'a.momentun: .*did you mean momentum'),
        ('default_hooks = dict(a=dict(type=EMAHook, ema_type=YOLOXEMA, momentum=3))', 'a.momentum=3'),
        ("default_hooks = dict(a=dict(type=EMAHook, ema_type=YOLOXEMA, gamma='x'))", "a.gamma='x'"),
        ("custom_hooks = [dict(type='EMAHok')]", 'there is no EMAHok; did you mean EMAHook'),
    ],
)
def test_configs_of_imported_classes_are_checked_alike(load, text, message):
    with pytest.raises(UserError, match=message):
        load(f'{LAZY}{text}\n')


@pytest.mark.parametrize(
    'text',
    [
        f'{BASE}{IMPORTS}custom_hooks = [EmptyCacheHook()]',
        f'{BASE}{IMPORTS}default_hooks = dict(ema=dict(ema_type=YOLOXEMA))',
        f"{BASE}model = dict(backbone=dict(norm_cfg=dict(type='GN', num_groups=4)))",
        f'{LAZY}default_hooks = dict(a=dict(type=EMAHook, ema_type=YOLOXEMA, momentum=0.1))',
        f'{LAZY}custom_hooks = [dict(type=EMAHook, momentum=0.1, interval=2)]',
    ],
)
def test_what_is_right_passes(load, text):
    load(text)

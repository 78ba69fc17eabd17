"""Configs that were written for MMYOLO or MMDetection: what does nothing here is named, with what does it."""

from pathlib import Path

import pytest

from mmyolox.config import load_config
from mmyolox.config.check import value_at
from mmyolox.config.components import REGISTRY_NAMES, search_registries
from mmyolox.config.elsewhere import TYPES, VARIABLES
from mmyolox.errors import UserError

S, CUSTOM = 'yolox_s_fast_8xb8-300e_coco', 'yolox_s_fast_1xb8-50e_custom'


def write(tmp_path, text, base=S) -> Path:
    path = tmp_path / 'c.py'
    path.write_text(f"_base_ = 'mmyolox::yolox/{base}.py'\n{text}\n")
    return path


@pytest.mark.parametrize(
    ('line', 'hint'),
    [
        ('ema_momentum = 0.0002', 'here it is default_hooks.ema.momentum'),
        ('mixup_ratio_range = (0.5, 1.5)', 'here it is ratio_range of YOLOXMixUp in train_pipeline'),
        ('widen_factor = 0.375', 'here it is widen_factor of model.backbone'),
        ('weight_decay = 5e-4', 'here it is optim_wrapper.optimizer.weight_decay'),
        ('loss_bbox_weight = 3.0', 'here it is model.bbox_head.loss_bbox_weight'),
        ('center_radius = 3', 'here it is model.train_cfg.assigner.center_radius'),
        ('save_epoch_intervals = 5', 'here it is val_interval'),
        ("train_data_prefix = 'train/'", 'here it is train_img_prefix'),
        ('backend_args = None', 'here it is backend_args of the dataset in each dataloader'),
        ("lr_config = dict(policy='step')", 'here it is param_scheduler'),
        ("runner = dict(type='EpochBasedRunner')", 'here it is train_cfg'),
        ('num_classes = 3', 'here it is model.bbox_head.head_module.num_classes'),
        ("metainfo = dict(classes=('a', 'b'))", 'here it is classes, or metainfo of each dataset'),
        ('epochs = 3', 'here it is max_epochs'),
        ('imgsz = 320', 'here it is img_scale'),
        ('ema = dict(momentum=1e-3)', 'change default_hooks.ema instead'),
        ('test_pipeline = [*_base_.test_pipeline]', 'it is computed, and only constants reach the files'),
        ('max_epochs = _base_.max_epochs * 2', 'it is computed, and only constants reach the files'),
        ('max_epoch = 10', 'did you mean max_epochs'),
        (
            'for batch_size in (4, 8):\n    pass',
            'here it is train_batch_size_per_gpu',
        ),
        ('if True:\n    base_batch = 3', 'did you mean base_batch_size|base_batch$'),
    ],
)
def test_a_variable_that_does_nothing_is_named_with_what_does_it(tmp_path, line, hint):
    with pytest.raises(UserError, match=rf'c\.py: nothing reads the variable \w+.*{hint}'):
        load_config(write(tmp_path, line))


@pytest.mark.parametrize(
    'text',
    [
        'max_epochs = 50',
        'widen_factor = 0.25\nmodel = dict(backbone=dict(widen_factor=widen_factor))',
        'size = 320\nimg_scale = (size, size)\ntrain_dataloader = dict(dataset=dict(img_scale=img_scale))',
        "name = 'b'\ntrain_dataloader = dict(dataset=dict(data_root=f'{name}/'))",
        "train_dataloader = dict(dataset=dict(ann_file='{{_base_.train_ann_file}}'))",
        'epochs = 9\ntrain_cfg = dict(val_interval={{_base_.val_interval}}, max_epochs=epochs)',
        'sizes = [1, 2]\nload_from = [str(size) for size in sizes][0]',
        'def double(x):\n    return x * factor\nfactor = 2\ntrain_dataloader = dict(batch_size=double(4))',
        "import os\nroot = os.sep\ndata_root = '/data/'\nwork_dir = root + 'w'",
        'rate = 1\nrate += 1\noptim_wrapper = dict(optimizer=dict(lr=rate))',
        'lr, decay = 0.1, 0.2\noptim_wrapper = dict(optimizer=dict(lr=lr, weight_decay=decay))',
        'hook = dict(type="SyncBuffersHook")\ncustom_hooks = [hook]',
        'found = True\nfind_unused_parameters = found\nsync_bn = "torch"',
        'MY_NOTE = 3\n_private = dict(a=1)',
        'last = _base_.max_epochs - 5\ntrain_cfg = dict(dynamic_intervals=[(last, 1)])',
        'base = _base_.train_dataloader\nbase.batch_size = 4',
        'train_pipeline = [dict(type="LoadImage"), dict(type="LoadAnnotations"), dict(type="PackDetInputs")]',
    ],
)
def test_variables_that_are_read_pass(tmp_path, text):
    load_config(write(tmp_path, text))


def test_a_variable_of_a_file_in_between_may_be_read_above(tmp_path):
    between = write(tmp_path, 'shared = 0.25')
    with pytest.raises(UserError, match=r'c\.py: nothing reads the variable shared'):
        load_config(between)
    top = tmp_path / 'top.py'
    top.write_text("_base_ = './c.py'\nmodel = dict(backbone=dict(widen_factor=_base_.shared))\n")
    assert load_config(top).model.backbone.widen_factor == 0.25


def test_values_from_the_data_and_dumped_configs_are_no_unread_variables(tmp_path):
    path = write(tmp_path, "classes = ['cat', 'dog']\nnum_classes = 2", CUSTOM)
    load_config(path).dump(tmp_path / 'dumped.py')
    load_config(tmp_path / 'dumped.py')


def test_configs_that_build_on_none_of_ours_are_left_alone(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text("_base_ = 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'\nnote = 3\n")
    assert load_config(path).note == 3


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ("train_dataloader = dict(dataset=dict(type='YOLOv5CocoDataset'))", 'here it is YOLOXCocoDataset'),
        ("train_dataloader = dict(collate_fn=dict(type='yolov5_collate'))", 'here it is yolox_collate'),
        ("default_hooks = dict(ema=dict(ema_type='ExpMomentumEMA'))", 'here it is YOLOXEMA'),
        ("model = dict(data_preprocessor=dict(type='YOLOv5DetDataPreprocessor'))", 'YOLOXDataPreprocessor'),
        ('model = dict(use_syncbn=False)', 'here it is sync_bn at the top level of the config'),
        ('model = dict(bbox_head=dict(num_classes=3))', 'here it is head_module.num_classes'),
        ('model = dict(bbox_head=dict(loss_cls=dict(a=1)))', 'nothing is needed instead'),
        ('model = dict(backbone=dict(spp_kernal_sizes=(5, 9, 13)))', 'here it is spp_kernel_sizes'),
        ("model = dict(backbone=dict(type='mmyolo.YOLOXCSPDarknet'))", 'mmyolo is not installed; leave'),
        ("default_scope = 'mmyolo'", 'mmyolo is not installed; leave mmyolo out of names'),
    ],
)
def test_parts_of_others_are_named_with_ours(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        load_config(write(tmp_path, line))


def test_a_base_of_mmyolo_gets_a_hint(tmp_path):
    path = tmp_path / 'c.py'
    path.write_text("_base_ = 'mmyolo::yolox/yolox_s_fast_8xb8-300e_coco.py'\n")
    with pytest.raises(UserError, match=r"cannot be found: .*inherit from 'mmyolox::yolox/yolox_s_fast"):
        load_config(path)


def test_an_option_of_mmyolo_gets_a_hint():
    with pytest.raises(
        UserError, match=r'option ema_momentum: there is no ema_momentum; here it is default_h'
    ):
        load_config(S, {'ema_momentum': 1e-3})


def test_what_the_hints_name_is_there():
    cfg = load_config(S)
    words = {word.rstrip(',') for text in VARIABLES.values() for word in text.split() if '.' in word}
    defaults = ('featmap_strides', 'loss_bbox_weight', 'loss_l1_weight')
    for word in words - {'..._custom', 'metainfo=dict(classes=...)'}:
        assert value_at(cfg, word) is not None or word.endswith(defaults), word
    known = {
        name for registry in search_registries('mmyolox', REGISTRY_NAMES, '') for name in registry.module_dict
    }
    assert known.issuperset(TYPES.values())


EXP = """
import os
from yolox.exp import Exp as MyExp


class {name}(MyExp):
    def __init__(self):
        super().__init__()
        self.depth = {depth}
        self.width = {width}
        self.num_classes = 3
        self.exp_name = os.path.split(os.path.realpath(__file__))[1].split('.')[0]
"""


@pytest.mark.parametrize(
    ('name', 'depth', 'width', 'size'),
    [
        ('Exp', 0.33, 0.5, 's'),
        ('Mine', 0.33, 0.375, 'tiny'),
        ('Exp', 1.33, 1.25, 'x'),
        ('Exp', 0.5, 0.5, 's'),
    ],
)
def test_an_exp_file_of_megvii_is_told_with_the_way(tmp_path, name, depth, width, size):
    path = tmp_path / 'yolox.py'
    path.write_text(EXP.format(name=name, depth=depth, width=width))
    with pytest.raises(
        UserError,
        match=rf"yolox\.py is an Exp file .*yolox_{size}_fast_8xb8-300e_coco\.py'.*max_epochs for max_epoch",
    ):
        load_config(path)


@pytest.mark.parametrize(
    ('text', 'size'),
    [
        ('from yolox.exp import Exp as E\nclass Mine(E):\n    depth = 0.67\n    width = 0.75\n', 'm'),
        ('from exps.default.yolox_s import Exp as E\nclass Mine(E):\n    num_classes = 3\n', 's'),
        (
            'from exps.default.yolox_s import Exp as E\nclass Mine(E):\n    width = 0.25\n    depth = 0.33\n',
            'nano',
        ),
        ('from exps.default.yolox_tiny import Exp as E\nclass Mine(E):\n    num_classes = 3\n', 'tiny'),
    ],
)
def test_an_exp_may_have_class_attributes_or_build_on_a_published_one(tmp_path, text, size):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(UserError, match=rf'mine\.py is an Exp file .*yolox_{size}_fast'):
        load_config(path)

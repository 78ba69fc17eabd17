"""Unknown types, keys, options and class counts are named before anything is built."""

import json
import textwrap

import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from torch import nn

from mmyolox.config import load_config
from mmyolox.config.check import check_channels, check_config, check_sizes
from mmyolox.config.components import accepted_parameters
from mmyolox.errors import UserError
from mmyolox.registry import DATASETS, HOOKS, MODELS


@MODELS.register_module()
class CheckedDetector(BaseModule):
    def __init__(self, backbone, bbox_head, train_cfg=None, init_cfg=None):
        super().__init__(init_cfg)


@MODELS.register_module()
class CheckedHead(BaseModule):
    def __init__(self, num_classes, head_module=None, norm_cfg=None, init_cfg=None):
        super().__init__(init_cfg)


@MODELS.register_module()
class CheckedBackbone(CheckedHead):
    """Hands its keywords to its base, but for one."""

    def __init__(self, depth=1, **kwargs):
        kwargs.pop('stem', None)
        super().__init__(2, **kwargs)


@MODELS.register_module()
class CheckedOpen(nn.Module):
    def __init__(self, a=1, **kwargs):
        super().__init__()
        self.kwargs = kwargs


class CheckedKeeps(CheckedHead):
    """Keeps its keywords to itself."""

    def __init__(self, **kwargs):
        super().__init__(2)
        self.kwargs = kwargs


@MODELS.register_module()
class CheckedForeign(nn.Module):
    """As if of another project: what its parts mean is its own business."""

    __module__ = 'elsewhere.models'

    def __init__(self, part):
        super().__init__()


@HOOKS.register_module()
class CheckedHook(Hook):
    def __init__(self, interval=1):
        pass


@DATASETS.register_module()
class CheckedDataset(BaseDataset):
    pass


# The classes stand for components of ours.
for _cls in (CheckedDetector, CheckedHead, CheckedBackbone, CheckedOpen, CheckedHook, CheckedDataset):
    _cls.__module__ = 'mmyolox.tested'


@pytest.mark.parametrize(
    ('component', 'names'),
    [
        (CheckedHead, {'num_classes', 'head_module', 'norm_cfg', 'init_cfg'}),
        (CheckedBackbone, {'depth', 'stem', 'num_classes', 'head_module', 'norm_cfg', 'init_cfg'}),
        (CheckedOpen, None),
        (CheckedKeeps, None),
        (nn.ReLU, {'inplace'}),
        (lambda data, pad=0: data, {'data', 'pad'}),
        (lambda data, **kwargs: data, None),
        (dict, None),
        (Hook, None),
    ],
)
def test_accepted_parameters_follow_the_bases(component, names):
    assert accepted_parameters(component) == names


def _config(**changes) -> Config:
    cfg = Config(
        dict(
            default_scope='mmyolox',
            model=dict(
                type='CheckedDetector',
                backbone=dict(
                    type='CheckedBackbone', depth=2, stem=1, init_cfg=dict(type='Kaiming', layer='Conv2d')
                ),
                bbox_head=dict(
                    type='CheckedHead',
                    head_module=dict(type='CheckedHead', num_classes=3),
                    norm_cfg=dict(type='BN', momentum=0.03),
                ),
                train_cfg=dict(anything=1),
            ),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                collate_fn=dict(type='pseudo_collate'),
                dataset=dict(
                    type='CheckedDataset', metainfo=dict(classes=('a', 'b', 'c'), type='a'), pipeline=[]
                ),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
            val_cfg=dict(),
            val_evaluator=[dict(type='DumpResults', out_file_path='a.pkl')],
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1),
                clip_grad=dict(type='value', clip_value=1),
                paramwise_cfg=dict(),
            ),
            param_scheduler=[
                dict(type='CosineAnnealingLR', T_max=3, convert_to_iter_based=True, by_epoch=True)
            ],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1, priority='LOW'),
                ours=dict(type='CheckedHook'),
            ),
            custom_hooks=[dict(type='CheckedHook', priority=49)],
            visualizer=dict(
                type='Visualizer', vis_backends=[dict(type='LocalVisBackend', name='x')], name='v'
            ),
            env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
            a_variable=dict(type='unknown'),
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


def test_keys_that_mmengine_handles_itself_pass():
    check_config(_config())


HEAD = 'model.bbox_head.head_module'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        (f'{HEAD}.num_clases', 3, f'config key {HEAD}.num_clases: CheckedHead takes no such parameter; '
         'did you mean num_classes?'),
        ('model.backbone.dept', 3, 'backbone.dept: CheckedBackbone takes no .*did you mean depth'),
        ('model.neck', {}, 'model.neck: CheckedDetector takes no such parameter'),
        ('model.backbone.type', 'CheckedBackbon', 'model.backbone.type: there is no CheckedBackbon; '
         'did you mean CheckedBackbone'),
        ('model.backbone.type', '.X', r"model.backbone.type: the package '' is not installed"),
        ('model.backbone.type', 'nopackage.X', 'model.backbone.type: the package nopackage is not installed'),
        ('model.backbone.type', 'mmengine.X', 'model.backbone.type: there is no mmengine.X'),
        ('model.backbone.init_cfg.laier', 'x', 'init_cfg.laier: KaimingInit takes no such parameter'),
        ('train_dataloader.batchsize', 3, 'batchsize: DataLoader .*did you mean batch_size'),
        ('train_dataloader.dataset.pipline', [], 'pipline: CheckedDataset .*did you mean pipeline'),
        ('train_dataloader.dataset.pipeline', [dict(type='None')], r'pipeline.0.type: there is no None'),
        ('train_dataloader.sampler.shufle', 1, 'shufle: DefaultSampler .*did you mean shuffle'),
        ('train_cfg.max_epoch', 3, 'train_cfg.max_epoch: EpochBasedTrainLoop .*did you mean max_epochs'),
        ('val_cfg.fp15', 3, 'val_cfg.fp15: ValLoop .*did you mean fp16'),
        ('val_evaluator.0.out_file', 'x', r'evaluator.0.out_file: DumpResults .*did you mean out_file_path'),
        ('optim_wrapper.clip_gard', {}, 'optim_wrapper.clip_gard: OptimWrapper .*did you mean clip_grad'),
        ('optim_wrapper.optimizer.momentun', 1, 'momentun: SGD .*did you mean momentum'),
        ('param_scheduler.0.Tmax', 3, r'param_scheduler.0.Tmax: CosineAnnealingLR .*did you mean T_max'),
        ('default_hooks.ours.interva', 3, 'interva: CheckedHook .*did you mean interval'),
        ('default_hooks.our', dict(interval=3), 'default_hooks.our: it needs a type'),
        ('custom_hooks', [dict(priority=3)], r'custom_hooks\.0: it needs a type'),
        ('val_evaluator', dict(_delete_=True, classwise=True), 'val_evaluator: it needs a type'),
        ('val_evaluator', [dict(classwise=True)], r'val_evaluator\.0: it needs a type'),
        ('model.train_cfg.assigner', dict(_delete_=True, candidate_topk=9), r'assigner: it needs a type'),
        ('train_dataloader.collate_fn', dict(_delete_=True, a=1), r'collate_fn: it needs a type'),
        ('model', dict(_delete_=True, num_classes=3), 'model: it needs a type'),
        ('model.backbone', dict(_delete_=True, deepen_factor=1), r'model\.backbone: it needs a type'),
        ('model.bbox_head', dict(_delete_=True, head_module=dict()), r'model\.bbox_head: it needs a type'),
        ('train_dataloader.dataset', dict(_delete_=True, ann_file='a'), r'\.dataset: it needs a type'),
        ('val_dataloader.sampler', dict(_delete_=True, shuffle=True), r'\.sampler: it needs a type'),
        ('train_dataloader.dataset.pipeline', [dict(prob=1)], r'dataset\.pipeline\.0: it needs a type'),
        ('optim_wrapper.optimizer', dict(_delete_=True, lr=1), r'optim_wrapper\.optimizer: it needs a type'),
        ('param_scheduler', [dict(begin=0)], r'param_scheduler\.0: it needs a type'),
        ('visualizer', dict(_delete_=True, name='v'), 'visualizer: it needs a type'),
        ('custom_hooks.0.interva', 3, r'custom_hooks.0.interva: CheckedHook'),
        ('visualizer.vis_backend', [], 'visualizer.vis_backend: Visualizer .*did you mean vis_backends'),
    ],
)  # fmt: skip
def test_unknown_keys_and_types_are_named_with_the_nearest(key, value, message):
    with pytest.raises(UserError, match=message):
        check_config(_config(**{key: value}))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('model.backbone', dict(type='CheckedOpen', anything=dict(a=1))),
        ('model.backbone', dict(type='CheckedForeign', part=dict(type='its own', x=1))),
        ('model.backbone', dict(type=CheckedBackbone, depth=3)),
        ('model.backbone', dict(type='mmengine.model.BaseModule', init_cfg=None)),
        ('model.backbone', dict(type='mmengine.BaseDataPreprocessor', non_blocking=True)),
        ('model.backbone.num_classes', 1000),
        ('model.train_cfg.more', dict(x=[1, dict(y=2)])),
        ('optim_wrapper', dict(constructor='DefaultOptimWrapperConstructor', type='OptimWrapper', lr=3)),
        ('custom_hooks', []),
        ('val_cfg', None),
        ('train_cfg', dict(by_epoch=False, max_iters=3, val_begin=1)),
        ('train_dataloader', None),
        ('train_dataloader.dataset', BaseDataset(lazy_init=True)),
    ],
)
def test_what_cannot_be_judged_is_left_alone(key, value):
    cfg = _config()
    cfg.merge_from_dict({key: value if not isinstance(value, dict) else value | dict(_delete_=True)})
    check_config(cfg)


@pytest.mark.parametrize(
    ('layer', 'message'),
    [
        (dict(eps=0.1), 'norm_cfg: it needs a type'),
        (dict(type='BN', eps='x'), "norm_cfg.eps='x': BatchNorm2d takes a number"),
    ],
)
def test_layers_that_cannot_be_built_are_named(layer, message):
    cfg = _config()
    cfg.model.bbox_head.norm_cfg = layer
    with pytest.raises(UserError, match=f'config key model.bbox_head.{message}'):
        check_config(cfg)


def test_types_are_searched_in_the_scope_of_their_dict():
    cfg = _config()
    cfg.default_scope = 'mmengine'
    with pytest.raises(UserError, match='there is no CheckedDetector'):
        check_config(cfg)
    cfg.model._scope_ = 'mmyolox'
    cfg.default_hooks.pop('ours')
    cfg.custom_hooks = []
    cfg.train_dataloader = None
    check_config(cfg)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({f'{HEAD}.num_classes': 4}, rf'{HEAD}.num_classes=4, but train_dataloader.dataset.metainfo.classes '
         r'names 3 classes \(a, b, c\)'),
        ({'classes': ('a',)}, 'num_classes=3, but classes names 1 classes'),
    ],
)  # fmt: skip
def test_class_counts_must_agree(changes, message):
    with pytest.raises(UserError, match=message):
        check_config(_config(**changes))


def test_configs_of_other_projects_pass(tmp_path):
    pytest.importorskip('mmdet')
    text = """
    _base_ = 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'
    model = dict(bbox_head=dict(num_classes=3))
    metainfo = dict(classes=('a', 'b', 'c'))
    train_dataloader = dict(dataset=dict(dataset=dict(metainfo=metainfo)))
    """
    (tmp_path / 'c.py').write_text(textwrap.dedent(text))
    assert load_config(tmp_path / 'c.py').model.bbox_head.num_classes == 3


@pytest.mark.parametrize(
    ('sides', 'strides', 'is_right'),
    [
        ((96, 64), None, True),
        ((96, 80), None, False),
        ((96, 80), (4, 8, 16), True),
        ((96, 64), (8, 16, 32, 64), False),
        ((128, 64), (8, 16, 32, 64), True),
    ],
)
def test_sizes_are_multiples_of_the_largest_stride(sides, strides, is_right):
    towers = dict(type='YOLOXHeadModule', num_classes=80)
    towers |= dict(featmap_strides=strides) if strides else {}
    config = Config(
        dict(
            default_scope='mmyolox',
            model=dict(bbox_head=dict(head_module=towers)),
            val_dataloader=dict(dataset=dict(dataset=dict(img_scale=sides))),
        )
    )
    if is_right:
        check_sizes(config)
        return
    with pytest.raises(
        UserError, match=r'val_dataloader\.dataset\.dataset\.img_scale=.*featmap_strides=\(8, 16'
    ):
        check_sizes(config)


def test_a_size_that_no_memory_holds_is_named():
    loader = dict(dataset=dict(img_scale=(100_000_000, 100_000_000)))
    with pytest.raises(UserError, match=r'img_scale=\(100000000, 100000000\): .*134217728 pixels at most'):
        check_sizes(Config(dict(model=dict(), test_dataloader=loader)))


GREY, ANY = dict(color_type='grayscale'), dict(color_type='unchanged')


@pytest.mark.parametrize(
    ('taken', 'options', 'refused'),
    [
        (None, {}, None),
        (3, {}, None),
        (
            4,
            {},
            r'train_dataloader.dataset.pipeline.0 loads images of 3 channel\(s\), but .*input_channels is 4',
        ),
        (
            None,
            {'train_dataloader.dataset.pipeline.0': GREY},
            'train_dataloader.dataset.pipeline.0 loads .* 1',
        ),
        (
            None,
            {'train_dataloader.dataset.pipeline.2.pre_transform.0': GREY},
            r'pipeline.2.pre_transform.0 loads images of 1',
        ),
        (None, {'train_pipeline_stage2.0': GREY}, 'train_pipeline_stage2.0 loads images of 1'),
        (
            None,
            {'val_dataloader.dataset.pipeline.0': GREY},
            'val_dataloader.dataset.pipeline.0 loads .* of 1',
        ),
        (
            None,
            {'test_dataloader.dataset.pipeline.0': dict(ANY, channels=4)},
            'test_dataloader.* of 4 channel',
        ),
        (None, {'val_dataloader.dataset.pipeline.0': ANY}, None),
        (None, {'val_dataloader.dataset.pipeline.0': dict(ANY, channels=3)}, None),
        (None, {'tta_pipeline.0': GREY}, None),  # for `tools/test.py --tta` alone, which checks it
    ],
)
def test_pipelines_load_as_many_channels_as_the_backbone_takes(taken, options, refused):
    options = options | ({'model.backbone.input_channels': taken} if taken else {})
    cfg = load_config('yolox_s_fast_8xb8-300e_coco', options)
    if refused is None:
        check_channels(cfg)
        return
    with pytest.raises(UserError, match=refused):
        check_channels(cfg)


def test_channels_of_the_views_of_a_test_are_checked():
    cfg = load_config('yolox_s_fast_8xb8-300e_coco', {'tta_pipeline.0': GREY})
    with pytest.raises(UserError, match=r'tta_pipeline\.0 loads images of 1'):
        check_channels(cfg, ['tta_pipeline'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model': [1]}, r'config key model=\[1\]: it must be a dict'),
        ({'train_cfg': 'x'}, "config key train_cfg='x': it must be a dict"),
        ({'default_hooks': 1}, 'config key default_hooks=1: it must be a dict'),
        ({'custom_hooks': 1}, 'config key custom_hooks=1: it must be a list of dicts'),
        ({'custom_hooks': ['x']}, "config key custom_hooks.0='x': it must be a dict"),
        ({'param_scheduler': 'cosine'}, "config key param_scheduler='cosine': it must be a dict"),
        ({'data_root': 1}, 'data_root=1'),
    ],
)
def test_parts_are_dicts_or_lists_of_them(tmp_path, options, message):
    (tmp_path / 'c.json').write_text(
        json.dumps(load_config('yolox_s_fast_8xb8-300e_coco').to_dict() | options)
    )
    with pytest.raises(UserError, match=message):
        load_config(tmp_path / 'c.json')

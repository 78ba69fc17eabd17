"""Parts of MMDetection and MMCV among ours: those that the page says work are run, the others are refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmyolox.config import load_config
from mmyolox.config.mmdet_parts import INSTEAD, MOVING_TRANSFORMS, PIXEL_TRANSFORMS, check_batches
from mmyolox.datasets import yolox_collate
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco

S = 'yolox_s_fast_8xb8-300e_coco'
LOAD = [dict(type='LoadImage'), dict(type='LoadAnnotations')]
REST = [dict(type='Letterbox'), dict(type='FilterAnnotations', keep_empty=True), dict(type='PackDetInputs')]
ARGUMENTS = {
    'mmcv.CenterCrop': dict(crop_size=32),
    'mmdet.CutOut': dict(n_holes=2, cutout_shape=(8, 8)),
    'mmdet.FixShapeResize': dict(width=64, height=32),
    'mmdet.Pad': dict(size=(96, 96)),
    'mmcv.RandomApply': dict(transforms=[dict(type='mmdet.RandomFlip', prob=1.0)], prob=1.0),
    'mmcv.RandomChoice': dict(transforms=[[dict(type='mmdet.Invert')], [dict(type='mmdet.Rotate')]]),
    'mmdet.RandomOrder': dict(transforms=[dict(type='mmdet.Invert'), dict(type='mmdet.Rotate')]),
    'mmdet.RandomCrop': dict(crop_size=(32, 32), allow_negative_crop=True),
    'mmdet.RandomFlip': dict(prob=1.0),
    'mmcv.RandomResize': dict(scale=(64, 64), ratio_range=(0.5, 1.5), resize_type='mmcv.Resize'),
    'mmdet.Resize': dict(scale=(64, 64), keep_ratio=True),
    'mmdet.ResizeShortestEdge': dict(scale=32),
}
MMCV = ('CenterCrop', 'RandomApply', 'RandomChoice', 'RandomResize')


def full(name: str) -> str:
    return f'mmcv.{name}' if name in MMCV else f'mmdet.{name}'


@pytest.mark.parametrize(
    'name', sorted((PIXEL_TRANSFORMS | MOVING_TRANSFORMS) - {'TestTimeAug', 'LoadImageFromFile'})
)
def test_a_transform_that_works_trains(tmp_path, name):
    init_default_scope('mmyolox')
    write_coco(tmp_path, 6)
    step = dict(type=full(name), **ARGUMENTS.get(full(name), {}))
    for pipeline in (
        [*LOAD, step, *REST],
        [*LOAD, dict(type='Mosaic', pre_transform=LOAD), dict(type='RandomAffine'), step, *REST],
        [*LOAD, dict(type='Mosaic', pre_transform=[*LOAD, step]), dict(type='RandomAffine'), *REST],
    ):
        dataset = open_coco(tmp_path, pipeline)
        batch = yolox_collate([dataset[index] for index in range(6)])
        assert batch['inputs'].shape == (6, 3, 32, 64)
        kinds = dict(bboxes=torch.float32, labels=torch.int64, ignored_bboxes=torch.float32)
        assert {key: batch['data_samples'][key].dtype for key in kinds} == kinds


def test_images_that_mmcv_loads_are_ours(tmp_path):
    init_default_scope('mmyolox')
    write_coco(tmp_path, 4)
    theirs = [dict(type='mmcv.LoadImageFromFile'), LOAD[1]]
    for between in ([], [dict(type='Mosaic', pre_transform=theirs, prob=1.0), dict(type='RandomAffine')]):
        dataset = open_coco(tmp_path, [*theirs, *between, *REST])
        batch = yolox_collate([dataset[index] for index in range(4)])
        assert batch['inputs'].shape == (4, 3, 32, 64)
    plain, ours = open_coco(tmp_path, [*theirs, *REST]), open_coco(tmp_path, [*LOAD, *REST])
    for index in range(4):
        np.testing.assert_array_equal(plain[index]['inputs'], ours[index]['inputs'])


def test_views_of_an_image_by_mmcv(tmp_path):
    init_default_scope('mmyolox')
    write_coco(tmp_path, 1)
    views = [[dict(type='Letterbox'), dict(type='Letterbox', ratio=0.75)], [dict(type='PackDetInputs')]]
    pipeline = [LOAD[0], dict(type='mmcv.TestTimeAug', transforms=views)]
    item = open_coco(tmp_path, pipeline, test_mode=True)[0]
    assert [view.shape for view in item['inputs']] == [(3, 32, 64), (3, 24, 48)]
    load_config(S, {'tta_pipeline.1': dict(pipeline[1], _delete_=True)})


def test_a_moved_box_is_where_its_pixels_are(tmp_path):
    """MMDetection's flip in the place of ours."""
    init_default_scope('mmyolox')
    write_coco(tmp_path, 3)
    flips = [dict(type=name, prob=1.0) for name in ('mmdet.RandomFlip', 'RandomFlip')]
    theirs, ours = (open_coco(tmp_path, [*LOAD, flip, *REST]) for flip in flips)
    for index in range(3):
        np.testing.assert_array_equal(theirs[index]['inputs'], ours[index]['inputs'])
        boxes = [one[index]['data_samples']['bboxes'] for one in (theirs, ours)]
        np.testing.assert_allclose(*boxes, atol=1e-4)


TRANSFORMS_INSTEAD = sorted(
    name
    for name in set(INSTEAD) - PIXEL_TRANSFORMS - MOVING_TRANSFORMS
    if name not in ('CocoDataset', 'VOCDataset', 'MultiImageMixDataset', 'YOLOX')
    and name not in ('RandomGrayscale', 'DefaultFormatBundle')
)


@pytest.mark.parametrize('name', TRANSFORMS_INSTEAD)
def test_a_transform_that_does_not_work_is_refused_with_ours(name):
    option = {'train_dataloader.dataset.pipeline.2': dict(type=f'mmdet.{name}', _delete_=True)}
    with pytest.raises(
        UserError, match=rf'pipeline\.2\.type: \w+\.{name} does not work here; use {INSTEAD[name]}'
    ):
        load_config(S, option)


@pytest.mark.parametrize('name', ['Resize', 'Pad', 'RandomFlip', 'Rotate', 'RandomCrop'])
@pytest.mark.parametrize('where', ['val_dataloader.dataset.pipeline.2', 'tta_pipeline.1.transforms.0.0'])
def test_a_test_pipeline_must_tell_where_it_moves_the_image(name, where):
    arguments = ARGUMENTS.get(f'mmdet.{name}', {})
    with pytest.raises(UserError, match=rf'{where}\.type: mmdet\.{name} does not work here'):
        load_config(S, {where: dict(type=f'mmdet.{name}', _delete_=True, **arguments)})


@pytest.mark.parametrize(
    ('key', 'given', 'used'),
    [
        ('tta_model', 'mmdet.DetTTAModel', 'YOLOXTTAModel'),
        ('model.bbox_head', 'mmdet.YOLOXHead', 'YOLOXHead'),
        ('model.bbox_head', 'mmdet.FCOSHead', 'YOLOXHead'),
        ('model.data_preprocessor', 'mmdet.DetDataPreprocessor', 'YOLOXDataPreprocessor'),
        ('model.train_cfg.assigner', 'mmdet.SimOTAAssigner', 'SimOTAAssigner'),
        (
            'model.data_preprocessor.batch_augments.0',
            'mmdet.BatchSyncRandomResize',
            'YOLOXBatchSyncRandomResize',
        ),
        ('default_hooks.mode_switch', 'mmdet.YOLOXModeSwitchHook', 'YOLOXModeSwitchHook'),
        ('train_dataloader.sampler', 'mmdet.ClassAwareSampler', 'BalancedSampler'),
        ('train_dataloader.dataset', 'mmdet.CocoDataset', 'YOLOXCocoDataset'),
        ('test_dataloader.dataset', 'mmdet.CocoDataset', 'YOLOXCocoDataset'),
        ('val_dataloader.dataset', 'mmdet.VOCDataset', 'YOLOXVOCDataset'),
        (
            'train_dataloader.dataset',
            'mmdet.MultiImageMixDataset',
            'the dataset in it: Mosaic and YOLOXMixUp load their partners themselves',
        ),
        ('train_dataloader.dataset.pipeline.2', 'mmcv.RandomGrayscale', 'YOLOXHSVRandomAug'),
        ('val_dataloader.dataset.pipeline.0', 'mmcv.LoadImageFromFile', 'LoadImage'),
    ],
)
def test_other_parts_that_do_not_work_are_refused(key, given, used):
    message = f'config key {key}.type: {given} does not work here; use {used}'
    with pytest.raises(UserError, match=f'^{re.escape(message)}$'):
        load_config(S, {key: dict(type=given, _delete_=True)})


@pytest.mark.parametrize('named', [False, True])
def test_a_metric_that_takes_classes_in_another_order_is_refused(named):
    theirs = dict(type='mmdet.CocoMetric', _delete_=True, ann_file='a.json')
    options = {'test_evaluator': theirs, 'test_dataloader.dataset.metainfo': dict(classes=['b', 'a'])}
    options['model.bbox_head.head_module.num_classes'] = 2
    if not named:
        load_config(S, dict(test_evaluator=theirs))
        return
    with pytest.raises(UserError, match=r'test_evaluator\.type: .* not of test_dataloader.dataset.metainfo'):
        load_config(S, options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'train_dataloader.collate_fn': dict(type='pseudo_collate', _delete_=True)},
            r"train_dataloader.collate_fn: .* needs dict\(type='yolox_collate'\)",
        ),
        (
            {'val_dataloader.collate_fn': dict(type='default_collate', _delete_=True)},
            r'val_dataloader.collate_fn: .*',
        ),
        ({'train_pipeline': []}, r'train_dataloader.dataset.pipeline: its last step must pack'),
        ({'test_dataloader.dataset.pipeline': []}, r'test_dataloader.dataset.pipeline: its last step must'),
        ({'val_dataloader.dataset.pipeline': LOAD}, r'val_dataloader.dataset.pipeline: its last step must'),
        ({'train_pipeline_stage2': []}, r'train_pipeline_stage2: its last step must pack'),
        (
            {'model.data_preprocessor': None},
            r"model.data_preprocessor: .* dict\(type='YOLOXDataPreprocessor'\)",
        ),
        (
            {'model.data_preprocessor': dict(type='BaseDataPreprocessor', _delete_=True)},
            r'model.data_preprocessor: YOLODetector needs',
        ),
    ],
)
def test_batches_come_as_the_detector_takes_them(options, message):
    with pytest.raises(UserError, match=f'^config key {message}'):
        check_batches(load_config(S, options))


def test_what_packs_stacks_and_prepares_may_be_the_users_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_batches').mkdir()
    (tmp_path / 'own_batches/__init__.py').write_text(
        'from mmyolox.datasets.transforms import PackDetInputs\n'
        'from mmyolox.models import YOLOXDataPreprocessor\n'
        'class OwnPack(PackDetInputs): pass\n'
        'class OwnPreprocessor(YOLOXDataPreprocessor): pass\n'
        'def own_collate(samples): return samples\n'
    )
    file = tmp_path / 'own.py'
    file.write_text(
        f"_base_ = 'mmyolox::yolox/{S}.py'\n"
        "train_dataloader = dict(collate_fn=dict(_delete_=True, type='own_batches.own_collate'))\n"
        "pipeline = [dict(type='LoadImage'), dict(type='own_batches.OwnPack')]\n"
        'val_dataloader = dict(dataset=dict(pipeline=pipeline))\n'
        "model = dict(data_preprocessor=dict(_delete_=True, type='own_batches.OwnPreprocessor'))\n"
    )
    cfg = load_config(file)
    check_batches(cfg)
    assert cfg.model.data_preprocessor.type == 'own_batches.OwnPreprocessor'


FCOS = dict(type='mmdet.FCOS', _delete_=True)


def test_a_model_of_theirs_with_our_data_is_refused():
    message = (
        'config key train_dataloader.dataset.type: YOLOXCocoDataset does not work with mmdet.FCOS '
        "(model.type); use YOLODetector, or MMDetection's data sets and transforms"
    )
    with pytest.raises(UserError, match=f'^{re.escape(message)}$'):
        load_config(S, dict(model=FCOS))


def test_a_model_of_theirs_with_our_transforms_is_refused(tmp_path):
    file = tmp_path / 'own.py'
    file.write_text(
        "default_scope = 'mmdet'\nmodel = dict(type='FCOS')\ntest_dataloader = dict(dataset=dict("
        "type='CocoDataset', pipeline=[dict(type='mmyolox.LoadImage')]))\n"
    )
    with pytest.raises(UserError, match=r'pipeline\.0\.type: LoadImage does not work with mmdet\.FCOS'):
        load_config(file)
    file.write_text(file.read_text().replace('mmyolox.LoadImage', 'LoadImageFromFile'))
    assert load_config(file).model.type == 'FCOS'


def test_the_page_names_what_was_tried():
    page = Path(__file__).parents[2].joinpath('docs/config.md').read_text(encoding='utf-8')
    section = page.partition('## Parts of MMDetection')[2].partition('\n## ')[0]
    named = set(re.findall(r'`(?:mm\w+\.)?(\w+)`', section))
    tried = (PIXEL_TRANSFORMS | MOVING_TRANSFORMS | set(TRANSFORMS_INSTEAD)) - {'TestTimeAug'}
    assert tried <= named

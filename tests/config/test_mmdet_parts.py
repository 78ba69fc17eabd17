"""Parts of MMDetection and MMCV among ours: those that the page says work are run, the others are refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmyolox.config import load_config
from mmyolox.config.mmdet_parts import INSTEAD, MOVING_TRANSFORMS, PIXEL_TRANSFORMS
from mmyolox.datasets import yolox_collate
from mmyolox.errors import UserError
from tests.datasets.small_sets import open_coco, write_coco

S = 'yolox_s_fast_8xb8-300e_coco'
LOAD = [dict(type='LoadImage'), dict(type='LoadAnnotations')]
REST = [dict(type='Letterbox'), dict(type='FilterAnnotations', keep_empty=True), dict(type='PackDetInputs')]
RUNNERS = ('RandomApply', 'RandomChoice', 'RandomOrder', 'TestTimeAug')
ARGUMENTS = {
    'mmcv.CenterCrop': dict(crop_size=32),
    'mmdet.CutOut': dict(n_holes=2, cutout_shape=(8, 8)),
    'mmdet.FixShapeResize': dict(width=64, height=32),
    'mmcv.Normalize': dict(mean=[0, 0, 0], std=[1, 1, 1]),
    'mmdet.Pad': dict(size=(96, 96)),
    'mmdet.RandomCrop': dict(crop_size=(32, 32), allow_negative_crop=True),
    'mmdet.RandomFlip': dict(prob=1.0),
    'mmcv.RandomResize': dict(scale=(64, 64), ratio_range=(0.5, 1.5), resize_type='mmcv.Resize'),
    'mmdet.Resize': dict(scale=(64, 64), keep_ratio=True),
    'mmdet.ResizeShortestEdge': dict(scale=32),
}
MMCV = ('CenterCrop', 'Normalize', 'RandomResize', 'LoadImageFromFile')


def full(name: str) -> str:
    return f'mmcv.{name}' if name in MMCV else f'mmdet.{name}'


@pytest.mark.parametrize(
    'name', sorted((PIXEL_TRANSFORMS | MOVING_TRANSFORMS) - {*RUNNERS, 'LoadImageFromFile'})
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
        assert batch['data_samples']['bboxes'].dtype.is_floating_point


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
    if name not in ('CocoDataset', 'VOCDataset', 'MultiImageMixDataset', 'DetTTAModel', 'YOLOXHead', 'YOLOX')
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
    ('options', 'message'),
    [
        ({'tta_model.type': 'mmdet.DetTTAModel'}, 'tta_model.type: mmdet.DetTTAModel .*use YOLOXTTAModel'),
        ({'model.bbox_head.type': 'mmdet.YOLOXHead'}, 'model.bbox_head.*'),
        ({'train_dataloader.dataset.type': 'mmdet.CocoDataset'}, 'CocoDataset|img_scale'),
    ],
)
def test_other_parts_that_do_not_work_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        load_config(S, options)


def test_the_page_names_what_was_tried():
    page = Path(__file__).parents[2].joinpath('docs/config.md').read_text(encoding='utf-8')
    section = page.partition('## Parts of MMDetection')[2].partition('\n## ')[0]
    named = set(re.findall(r'`(?:mm\w+\.)?(\w+)`', section))
    tried = (PIXEL_TRANSFORMS | MOVING_TRANSFORMS | set(TRANSFORMS_INSTEAD)) - {'TestTimeAug'}
    assert tried <= named

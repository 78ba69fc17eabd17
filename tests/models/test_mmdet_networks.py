"""MMDetection's backbones and necks under our head: those that the page of configs names, and wrong ones."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from mmyolox.datasets import yolox_collate
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.models.test_detector import sample

BACKBONES = {
    'CSPDarknet': (dict(deepen_factor=0.33, widen_factor=0.125, out_indices=(2, 3, 4)), [32, 64, 128]),
    'CSPNeXt': (dict(deepen_factor=0.33, widen_factor=0.125, out_indices=(2, 3, 4)), [32, 64, 128]),
    'MobileNetV2': (dict(widen_factor=0.25, out_indices=(2, 4, 7)), [8, 24, 1280]),
    'ResNet': (dict(depth=18, base_channels=8, out_indices=(1, 2, 3)), [16, 32, 64]),
}
NECKS = {
    'YOLOXPAFPN': dict(num_csp_blocks=1),
    'CSPNeXtPAFPN': dict(num_csp_blocks=1),
    'FPN': dict(num_outs=3),
    'PAFPN': dict(num_outs=3),
}
PAIRS = [
    ('CSPDarknet', 'YOLOXPAFPN'),
    ('CSPNeXt', 'CSPNeXtPAFPN'),
    ('MobileNetV2', 'FPN'),
    ('ResNet', 'PAFPN'),
]


def build(backbone, neck, **changes):
    """A detector of theirs, with our head; a change ``neck__in_channels`` is an argument of the neck."""
    init_default_scope('mmyolox')
    torch.manual_seed(0)
    arguments, channels = BACKBONES[backbone]
    parts = dict(
        backbone=dict(type=f'mmdet.{backbone}', **arguments),
        neck=dict(type=f'mmdet.{neck}', in_channels=channels, out_channels=32, **NECKS[neck]),
    )
    for key, value in changes.items():
        part, _, name = key.partition('__')
        parts[part][name] = value
    head_module = dict(type='YOLOXHeadModule', num_classes=3, widen_factor=0.125)
    return MODELS.build(
        dict(
            type='YOLODetector',
            **parts,
            bbox_head=dict(type='YOLOXHead', use_l1=True, head_module=head_module),
            train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
            test_cfg=dict(
                score_thr=0.0, multi_label=True, nms_pre=9, nms=dict(iou_threshold=0.65), max_per_img=5
            ),
            data_preprocessor=dict(type='YOLOXDataPreprocessor'),
        )
    )


@pytest.mark.parametrize(('backbone', 'neck'), PAIRS)
def test_a_network_of_theirs_trains_and_predicts(backbone, neck):
    model = build(backbone, neck)
    assert model.training
    assert model.input_channels == 3
    images = [sample([[4, 4, 40, 40, 0]]), sample([[10, 20, 60, 60, 2]], img_id=2)]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    losses = model.train_step(yolox_collate(images), optimizer)
    assert all(torch.isfinite(value) for value in losses.values())
    with torch.no_grad():
        (found, _) = model.eval().val_step(yolox_collate(images))
    assert 0 < len(found.pred_instances) <= 5


def test_to_try_the_levels_changes_nothing():
    """The statistics of the batch norms are those of a network that has seen no image."""
    model = build('ResNet', 'FPN')
    assert all(not value.any() for name, value in model.named_buffers() if name.endswith('running_mean'))
    assert model.training


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(backbone__out_indices=(1, 2, 3), neck__in_channels=[16, 32, 64]),
            r'give levels of strides \(4, 8, 16\), but .*featmap_strides=\(8, 16, 32\)',
        ),
        (dict(neck__in_channels=[16, 32, 64]), 'model.neck does not take what comes to it, .*64 channels'),
        (dict(neck__out_channels=64), 'model.bbox_head does not take what comes to it, .*32 channels'),
        (
            dict(backbone__out_indices=(3, 4), neck__in_channels=[64, 128]),
            r'featmap_strides=\(8, 16, 32\), but the neck gives 2 levels',
        ),
    ],
)
def test_parts_that_do_not_fit_are_named_when_they_are_built(changes, message):
    with pytest.raises(UserError, match=message):
        build('CSPDarknet', 'YOLOXPAFPN', **changes)


def test_the_page_names_what_was_tried():
    page = Path(__file__).parents[2].joinpath('docs/config.md').read_text(encoding='utf-8')
    row = re.search(r'\| backbones, necks \|([^|]*)\|', page)
    assert set(re.findall(r'`(\w+)`', row[1])) == {name for pair in PAIRS for name in pair}

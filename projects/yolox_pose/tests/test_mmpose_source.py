"""MMPose's weights: names, and what is left over.

That outputs stay is for ``parity/mmpose_forward.py``, which needs MMPose.
"""

from pathlib import Path

import pytest
import torch

from benchmarks.parity import layout_file
from mmyolox.checkpoints.convert import convert
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.mmpose_checkpoints import rename_key
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS
from tests.checkpoints.layouts import assert_all_used, published

LAYOUTS = layout_file.read(Path(__file__).with_name('mmpose_pose_keys.json'))
THEIRS, OURS = 'head.head_module.', 'bbox_head.head_module.multi_level_'
SIGMAS = 'head.loss_oks.sigmas'
OUR_SIGMAS = ('bbox_head.loss_pose.sigmas', 'bbox_head.assigner_oks_calculator.sigmas')


def weights_of(size, num_keypoints=17):
    weights = {name: torch.zeros(shape, device='meta') for name, shape in LAYOUTS[size].items()}
    for level in range(3):
        for layer, count in dict(out_kpt=2 * num_keypoints, out_kpt_vis=num_keypoints).items():
            for kind in ('weight', 'bias'):
                name = f'{THEIRS}{layer}.{level}.{kind}'
                weights[name] = torch.zeros(count, *weights[name].shape[1:], device='meta')
    return weights | {SIGMAS: torch.zeros(num_keypoints, device='meta')}


@pytest.mark.parametrize('size', LAYOUTS)
def test_every_tensor_of_a_published_model_is_used(size):
    fields = dict(num_keypoints=len(COCO_SIGMAS))
    expected = published(size, num_classes=1, family='YOLOX-Pose', fields=fields)
    assert_all_used(weights_of(size), 'mmpose', expected)


@pytest.mark.parametrize('num_keypoints', [1, 4])
def test_other_keypoints_are_recognised(num_keypoints):
    conversion = convert(weights_of('tiny', num_keypoints))
    assert conversion.architecture.fields == dict(num_keypoints=num_keypoints)
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert {conversion.used[name] for name in OUR_SIGMAS} == {SIGMAS}


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('backbone.stage4.1.conv2.bn.bias', 'backbone.stage4.1.conv2.bn.bias'),
        ('neck.top_down_blocks.1.main_conv.bn.bias', 'neck.top_down_layers.1.main_conv.bn.bias'),
        (f'{THEIRS}conv_cls.0.1.bn.bias', f'{OURS}cls_convs.0.1.bn.bias'),
        (f'{THEIRS}conv_reg.2.0.conv.weight', f'{OURS}reg_convs.2.0.conv.weight'),
        (f'{THEIRS}conv_pose.1.3.conv.weight', f'{OURS}pose_convs.1.3.conv.weight'),
        (f'{THEIRS}out_cls.0.bias', f'{OURS}conv_cls.0.bias'),
        (f'{THEIRS}out_bbox.0.weight', f'{OURS}conv_reg.0.weight'),
        (f'{THEIRS}out_obj.1.bias', f'{OURS}conv_obj.1.bias'),
        (f'{THEIRS}out_kpt.2.bias', f'{OURS}conv_offsets.2.bias'),
        (f'{THEIRS}out_kpt_vis.2.bias', f'{OURS}conv_vis.2.bias'),
        (f'{THEIRS}dcc.weight', f'{THEIRS}dcc.weight'),
    ],
)
def test_names(theirs, ours):
    assert rename_key(theirs) == ours


def test_another_one_stage_head_is_refused():
    rtmo = {f'{THEIRS}{layer}.0.weight': torch.zeros(1) for layer in ('conv_cls', 'conv_pose', 'out_bbox')}
    with pytest.raises(UserError, match="MMPose's RTMO, another network than YOLOX-Pose"):
        convert(rtmo)


def test_absent_sigmas_are_missing():
    weights = weights_of('tiny')
    del weights[SIGMAS]
    assert set(convert(weights).missing) == set(OUR_SIGMAS)


def test_what_has_no_place_is_named():
    weights = weights_of('tiny')
    weights[f'{THEIRS}out_kpt_aux.0.bias'] = weights.pop(f'{THEIRS}out_kpt.1.bias')
    conversion = convert(weights)
    assert conversion.unused == {f'{THEIRS}out_kpt_aux.0.bias': 'the model has no such tensor'}
    assert conversion.missing == (f'{OURS}conv_offsets.1.bias',)

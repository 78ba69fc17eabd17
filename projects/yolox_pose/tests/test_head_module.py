"""The pose head's convolutions, and the layout of the whole model against MMYOLO's."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from mmyolox.models import YOLOXHeadModule
from mmyolox.projects.yolox_pose.head_module import YOLOXPoseHeadModule
from mmyolox.projects.yolox_pose.tests.cases import pose_model

LAYOUTS = json.loads(Path(__file__).with_name('mmyolo_pose_keys.json').read_text())


def small_module(**kwargs):
    torch.manual_seed(0)
    return YOLOXPoseHeadModule(**{'num_keypoints': 5, 'num_classes': 2, 'widen_factor': 0.0625, **kwargs})


def features(channels=16):
    torch.manual_seed(1)
    return tuple(torch.rand(2, channels, 8 >> i, 16 >> i) for i in range(3))


@pytest.mark.parametrize('size', LAYOUTS['models'])
def test_layout_is_that_of_mmyolo(size):
    column = LAYOUTS['models'].index(size)
    expected = {
        name: tuple(row[column]) for name, row in LAYOUTS['shapes'].items() if row[column] is not None
    }
    with torch.device('meta'):
        model = pose_model(size)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == expected


@pytest.mark.parametrize('stacked_convs', [0, 1, 2])
@pytest.mark.parametrize('use_depthwise', [False, True])
def test_shapes_and_depth(stacked_convs, use_depthwise):
    module = small_module(stacked_convs=stacked_convs, use_depthwise=use_depthwise).eval()
    outputs = module(features())
    for levels, channels in zip(outputs, (2, 4, 1, 10, 5), strict=True):
        assert [tuple(x.shape) for x in levels] == [(2, channels, 8 >> i, 16 >> i) for i in range(3)]
    assert [len(tower) for tower in module.multi_level_pose_convs] == [2 * stacked_convs] * 3


def test_detection_outputs_are_those_of_the_detector():
    detector = YOLOXHeadModule(num_classes=2, widen_factor=0.0625).eval()
    module = small_module().eval()
    missing = module.load_state_dict(detector.state_dict(), strict=False).missing_keys
    assert all('pose' in key or 'offsets' in key or 'vis' in key for key in missing)
    for levels, expected in zip(module(features())[:3], detector(features()), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(levels, expected, strict=True))


def test_nano_has_depthwise_towers():
    with torch.device('meta'):
        module = pose_model('nano').bbox_head.head_module
    convs = [m for m in module.multi_level_pose_convs.modules() if isinstance(m, nn.Conv2d)]
    spatial = [conv for conv in convs if conv.kernel_size == (3, 3)]
    assert len(spatial) == 3 * 4
    assert all(conv.groups == conv.in_channels for conv in spatial)


def test_biases_start_at_a_probability_of_one_percent():
    module = small_module()
    module.init_weights()
    for conv in (*module.multi_level_conv_vis, *module.multi_level_conv_cls):
        assert torch.allclose(conv.bias.sigmoid(), torch.tensor(0.01))
    assert all(torch.count_nonzero(conv.bias) == 0 for conv in module.multi_level_conv_offsets)


def test_levels_are_separate():
    module = small_module().eval()
    outputs = module(features())
    for i in range(3):
        module.zero_grad(set_to_none=True)
        (outputs.offsets[i].sum() + outputs.vis_logits[i].sum()).backward(retain_graph=True)
        learning = [
            all(parameter.grad is not None for parameter in tower.parameters())
            for tower in module.multi_level_pose_convs
        ]
        assert learning == [i == j for j in range(3)]
        assert all(parameter.grad is None for parameter in module.multi_level_reg_convs.parameters())

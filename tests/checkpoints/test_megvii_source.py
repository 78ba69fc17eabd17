"""Megvii's weights: names both ways, and that every tensor of its models has a place."""

import re

import pytest
import torch

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.recognise import Architecture
from mmyolox.checkpoints.sources.megvii import rename_key, to_megvii
from mmyolox.errors import UserError
from tests.checkpoints.layouts import MEGVII, megvii_weights, our_weights, published


@pytest.mark.parametrize('model', MEGVII)
def test_every_tensor_of_a_published_model_is_used(model):
    weights = megvii_weights(model)
    conversion = convert(weights)
    assert conversion.architecture == published(model, num_classes=80, input_channels=3)
    assert conversion.source.name == 'megvii'
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert list(conversion.used.values()) == list(weights)
    shapes = {key: tuple(tensor.shape) for key, tensor in conversion.state_dict.items()}
    assert list(shapes.items()) == list(conversion.architecture.shapes().items())
    assert all(conversion.state_dict[new] is weights[old] for new, old in conversion.used.items())


HEAD = 'bbox_head.head_module.multi_level_'


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('backbone.backbone.stem.conv.conv.weight', 'backbone.stem.conv.conv.weight'),
        ('backbone.backbone.dark2.0.bn.bias', 'backbone.stage1.0.bn.bias'),
        ('backbone.backbone.dark3.1.conv1.bn.weight', 'backbone.stage2.1.main_conv.bn.weight'),
        ('backbone.backbone.dark4.1.conv2.conv.weight', 'backbone.stage3.1.short_conv.conv.weight'),
        ('backbone.backbone.dark4.1.m.2.conv2.conv.weight', 'backbone.stage3.1.blocks.2.conv2.conv.weight'),
        ('backbone.backbone.dark5.1.conv2.conv.weight', 'backbone.stage4.1.conv2.conv.weight'),
        ('backbone.backbone.dark5.2.conv3.conv.weight', 'backbone.stage4.2.final_conv.conv.weight'),
        ('backbone.backbone.dark5.0.dconv.bn.bias', 'backbone.stage4.0.depthwise_conv.bn.bias'),
        ('backbone.backbone.dark5.0.pconv.bn.bias', 'backbone.stage4.0.pointwise_conv.bn.bias'),
        ('backbone.lateral_conv0.conv.weight', 'neck.reduce_layers.2.conv.weight'),
        ('backbone.C3_p4.conv1.conv.weight', 'neck.top_down_layers.0.0.main_conv.conv.weight'),
        ('backbone.reduce_conv1.conv.weight', 'neck.top_down_layers.0.1.conv.weight'),
        ('backbone.C3_p3.conv2.conv.weight', 'neck.top_down_layers.1.short_conv.conv.weight'),
        ('backbone.bu_conv2.conv.weight', 'neck.downsample_layers.0.conv.weight'),
        ('backbone.C3_n3.m.0.conv1.bn.bias', 'neck.bottom_up_layers.0.blocks.0.conv1.bn.bias'),
        ('backbone.bu_conv1.conv.weight', 'neck.downsample_layers.1.conv.weight'),
        ('backbone.C3_n4.conv3.conv.weight', 'neck.bottom_up_layers.1.final_conv.conv.weight'),
        ('head.stems.1.bn.weight', 'neck.out_layers.1.bn.weight'),
        ('head.cls_convs.0.1.conv.weight', f'{HEAD}cls_convs.0.1.conv.weight'),
        ('head.reg_convs.2.0.pconv.conv.weight', f'{HEAD}reg_convs.2.0.pointwise_conv.conv.weight'),
        ('head.cls_preds.1.bias', f'{HEAD}conv_cls.1.bias'),
        ('head.reg_preds.1.bias', f'{HEAD}conv_reg.1.bias'),
        ('head.obj_preds.2.weight', f'{HEAD}conv_obj.2.weight'),
        ('backbone.backbone.stem.2.layer1.conv.weight', 'backbone.stem.2.conv1.conv.weight'),
        ('backbone.backbone.dark2.1.layer2.bn.bias', 'backbone.stage1.1.conv2.bn.bias'),
        ('backbone.backbone.dark5.7.conv1.conv.weight', 'backbone.stage4.7.conv1.conv.weight'),
        ('backbone.out1_cbl.conv.weight', 'neck.reduce_layers.0.conv.weight'),
        ('backbone.out1.3.conv.weight', 'neck.top_down_layers.0.3.conv.weight'),
        ('backbone.out2_cbl.bn.bias', 'neck.reduce_layers.1.bn.bias'),
        ('backbone.out2.4.bn.bias', 'neck.top_down_layers.1.4.bn.bias'),
    ],
)
def test_names(theirs, ours):
    assert rename_key(theirs) == ours


@pytest.mark.parametrize('model', ['s', 'darknet53'])
@pytest.mark.parametrize('num_classes', [1, 3])
def test_other_classes_are_recognised(model, num_classes):
    weights = megvii_weights(model)
    for level in range(3):
        for kind in ('weight', 'bias'):
            key = f'head.cls_preds.{level}.{kind}'
            weights[key] = weights[key][:num_classes]
    conversion = convert(weights)
    assert conversion.architecture.num_classes == num_classes
    assert not conversion.unused
    assert not conversion.missing


@pytest.mark.parametrize(
    ('model', 'stem', 'channels'), [('s', 'stem.conv.conv', 4), ('darknet53', 'stem.0.conv', 1)]
)
def test_other_image_channels_are_recognised(model, stem, channels):
    weights = megvii_weights(model)
    out_channels, in_channels, *kernel = weights[f'backbone.backbone.{stem}.weight'].shape
    weights[f'backbone.backbone.{stem}.weight'] = torch.zeros(
        out_channels, in_channels // 3 * channels, *kernel
    )
    conversion = convert(weights)
    assert conversion.architecture.input_channels == channels
    assert not conversion.unused
    assert not conversion.missing


@pytest.mark.parametrize('model', MEGVII)
def test_there_and_back(model):
    weights = megvii_weights(model)
    back = to_megvii(convert(weights).state_dict)
    assert back.keys() == weights.keys()
    assert all(back[name] is tensor for name, tensor in weights.items())


def test_of_other_factors_back_and_there():
    ours = our_weights(Architecture('custom', 0.5, 0.125, True, 3, 1))
    conversion = convert(to_megvii(ours))
    assert conversion.state_dict.keys() == ours.keys()
    assert all(conversion.state_dict[name] is tensor for name, tensor in ours.items())


@pytest.mark.parametrize(
    'strange', ['bbox_head.head_module.multi_level_conv_vis.0.bias', 'backbone.stage4.1.border']
)
def test_what_megvii_has_not_cannot_become_its(strange):
    ours = our_weights(published('nano')) | {strange: torch.zeros(17)}
    with pytest.raises(UserError, match=f'nothing like {re.escape(strange)}'):
        to_megvii(ours)

"""MMDetection's weights, from its own models: all are used, and the outputs stay."""

from collections import OrderedDict
from functools import cache
from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.sources.base import find_source
from mmyolox.checkpoints.sources.openmmlab import rename_mmdet_key
from mmyolox.errors import UserError
from tests.checkpoints.layouts import assert_all_used, published

SIZES = ('nano', 'tiny', 's', 'm', 'l', 'x')
CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs' / 'yolox'
HEAD = 'bbox_head.head_module.multi_level_'


def build(size):
    """The network of one of MMDetection's configs, from images to the head's outputs."""
    config = Config.fromfile(CONFIGS / f'yolox_{size}_8xb8-300e_coco.py').model
    parts = ('backbone', 'neck', 'bbox_head')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return nn.Sequential(OrderedDict((part, MODELS.build(config[part])) for part in parts))


@cache
def layout(size):
    """Names and shapes of its tensors."""
    with torch.device('meta'):
        return {name: tensor.shape for name, tensor in build(size).state_dict().items()}


def weights_of(size):
    return {name: torch.zeros(shape, device='meta') for name, shape in layout(size).items()}


@pytest.mark.parametrize('size', SIZES)
def test_every_tensor_of_a_published_model_is_used(size):
    assert_all_used(weights_of(size), 'mmdet', published(size))


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('backbone.stage4.1.conv2.bn.bias', 'backbone.stage4.1.conv2.bn.bias'),
        ('neck.reduce_layers.0.conv.weight', 'neck.reduce_layers.2.conv.weight'),
        ('neck.reduce_layers.1.bn.bias', 'neck.top_down_layers.0.1.bn.bias'),
        ('neck.top_down_blocks.0.main_conv.conv.weight', 'neck.top_down_layers.0.0.main_conv.conv.weight'),
        ('neck.top_down_blocks.1.blocks.0.conv1.bn.bias', 'neck.top_down_layers.1.blocks.0.conv1.bn.bias'),
        ('neck.downsamples.1.depthwise_conv.bn.bias', 'neck.downsample_layers.1.depthwise_conv.bn.bias'),
        ('neck.bottom_up_blocks.0.final_conv.bn.bias', 'neck.bottom_up_layers.0.final_conv.bn.bias'),
        ('neck.out_convs.2.conv.weight', 'neck.out_layers.2.conv.weight'),
        ('bbox_head.multi_level_cls_convs.0.1.bn.bias', f'{HEAD}cls_convs.0.1.bn.bias'),
        ('bbox_head.multi_level_conv_obj.2.bias', f'{HEAD}conv_obj.2.bias'),
    ],
)
def test_names(theirs, ours):
    assert rename_mmdet_key(theirs) == ours


def randomise_norms(network, images):
    """Random weights of all norm layers, and the statistics of these images."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
            norm.momentum = 1
    network.train()(images)
    network.eval()


@torch.no_grad()
@pytest.mark.parametrize('size', ['nano', 'tiny'])
def test_outputs_stay(size):
    torch.manual_seed(0)
    theirs, images = build(size).double(), torch.rand(2, 3, 64, 96, dtype=torch.float64) * 255
    randomise_norms(theirs, images)
    conversion = convert(theirs.state_dict())
    ours = conversion.architecture.build().double().eval()
    ours.load_state_dict(conversion.state_dict)
    expected = theirs(images)
    outputs = ours.bbox_head.head_module(ours.neck(ours.backbone(images)))
    torch.testing.assert_close([*outputs], [*expected], rtol=0, atol=1e-8)
    assert all(level.std() > 0.1 for levels in expected for level in levels)


def test_raw_weights_beside_the_average_are_dropped():
    weights = weights_of('s')
    raw = {f'ema_{name.replace(".", "_")}': tensor for name, tensor in weights.items()}
    conversion = convert(weights | raw)
    assert list(conversion.dropped) == list(raw)
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert all(conversion.state_dict[ours] is weights[name] for ours, name in conversion.used.items())


def test_what_has_no_place_is_named():
    weights = weights_of('s')
    weights['neck.out_convs.3.conv.weight'] = weights.pop('neck.out_convs.0.conv.weight')
    conversion = convert(weights)
    assert conversion.unused == {'neck.out_convs.3.conv.weight': 'the model has no such tensor'}
    assert conversion.missing == ('neck.out_layers.0.conv.weight',)


def test_another_detector_is_not_taken_for_yolox():
    names = ['backbone.stem.0.conv.weight', 'neck.top_down_blocks.0.main_conv.conv.weight']
    with pytest.raises(UserError, match='no weights of a YOLOX'):
        find_source([*names, 'bbox_head.rtm_cls.0.weight'])

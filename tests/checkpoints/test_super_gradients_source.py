"""SuperGradients' weights: names, the stem's other form, constants, and what is left over.

That outputs stay is for ``benchmarks/parity/super_gradients_forward.py``, which needs SuperGradients.
"""

import pytest
import torch

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.sources.super_gradients import rename_key
from mmyolox.errors import UserError
from tests.checkpoints.layouts import assert_all_used, published, read_layouts

LAYOUTS = read_layouts('super_gradients_yolox_keys.json')
BACKBONE, HEAD = '_backbone._modules_list', '_head._modules_list'
OUR_HEAD = 'bbox_head.head_module.multi_level_'
STEM = f'{BACKBONE}.0.conv.weight'
CONSTANTS = (
    'stride',
    '_head.anchors._stride',
    '_head.anchors._anchors',
    '_head.anchors._anchor_grid',
    '_head._modules_list.14.stride',
)


def weights_of(size):
    return {name: torch.zeros(shape, device='meta') for name, shape in LAYOUTS[size].items()}


@pytest.mark.parametrize('size', LAYOUTS)
def test_every_tensor_of_a_published_model_is_used(size):
    assert_all_used(weights_of(size), 'super-gradients', published(size))


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        (f'{BACKBONE}.0.conv.weight', 'backbone.stem.conv.conv.weight'),
        (f'{BACKBONE}.0.bn.bias', 'backbone.stem.conv.bn.bias'),
        (f'{BACKBONE}.1.conv.weight', 'backbone.stage1.0.conv.weight'),
        (f'{BACKBONE}.1.dconv.conv.weight', 'backbone.stage1.0.depthwise_conv.conv.weight'),
        (f'{BACKBONE}.3.conv.conv.weight', 'backbone.stage2.0.pointwise_conv.conv.weight'),
        (f'{BACKBONE}.5.conv.bn.bias', 'backbone.stage3.0.pointwise_conv.bn.bias'),
        (f'{BACKBONE}.2.conv1.conv.weight', 'backbone.stage1.1.main_conv.conv.weight'),
        (f'{BACKBONE}.4.conv2.bn.bias', 'backbone.stage2.1.short_conv.bn.bias'),
        (f'{BACKBONE}.6.conv3.conv.weight', 'backbone.stage3.1.final_conv.conv.weight'),
        (f'{BACKBONE}.6.bottlenecks.2.cv1.bn.bias', 'backbone.stage3.1.blocks.2.conv1.bn.bias'),
        (f'{BACKBONE}.6.bottlenecks.0.cv2.conv.weight', 'backbone.stage3.1.blocks.0.conv2.conv.weight'),
        (
            f'{BACKBONE}.6.bottlenecks.0.cv2.conv.conv.weight',
            'backbone.stage3.1.blocks.0.conv2.pointwise_conv.conv.weight',
        ),
        (f'{BACKBONE}.7.conv.weight', 'backbone.stage4.0.conv.weight'),
        (f'{BACKBONE}.8.cv1.conv.weight', 'backbone.stage4.1.conv1.conv.weight'),
        (f'{BACKBONE}.8.cv2.bn.bias', 'backbone.stage4.1.conv2.bn.bias'),
        (f'{BACKBONE}.9.conv2.conv.weight', 'backbone.stage4.2.short_conv.conv.weight'),
        (f'{HEAD}.0.conv.weight', 'neck.reduce_layers.2.conv.weight'),
        (f'{HEAD}.3.conv1.conv.weight', 'neck.top_down_layers.0.0.main_conv.conv.weight'),
        (f'{HEAD}.4.bn.bias', 'neck.top_down_layers.0.1.bn.bias'),
        (f'{HEAD}.7.bottlenecks.0.cv1.bn.bias', 'neck.top_down_layers.1.blocks.0.conv1.bn.bias'),
        (f'{HEAD}.8.dconv.bn.bias', 'neck.downsample_layers.0.depthwise_conv.bn.bias'),
        (f'{HEAD}.10.conv3.bn.bias', 'neck.bottom_up_layers.0.final_conv.bn.bias'),
        (f'{HEAD}.11.conv.bn.bias', 'neck.downsample_layers.1.pointwise_conv.bn.bias'),
        (f'{HEAD}.13.conv2.bn.bias', 'neck.bottom_up_layers.1.short_conv.bn.bias'),
        (f'{HEAD}.14.stems.1.conv.weight', 'neck.out_layers.1.conv.weight'),
        (f'{HEAD}.14.cls_convs.0.1.conv.weight', f'{OUR_HEAD}cls_convs.0.1.conv.weight'),
        (f'{HEAD}.14.reg_convs.2.0.dconv.bn.bias', f'{OUR_HEAD}reg_convs.2.0.depthwise_conv.bn.bias'),
        (f'{HEAD}.14.reg_convs.2.0.conv.bn.bias', f'{OUR_HEAD}reg_convs.2.0.pointwise_conv.bn.bias'),
        (f'{HEAD}.14.cls_preds.0.bias', f'{OUR_HEAD}conv_cls.0.bias'),
        (f'{HEAD}.14.reg_preds.1.weight', f'{OUR_HEAD}conv_reg.1.weight'),
        (f'{HEAD}.14.obj_preds.2.bias', f'{OUR_HEAD}conv_obj.2.bias'),
    ],
)
def test_names(theirs, ours):
    assert rename_key(theirs) == ours


def test_other_image_channels_and_classes_are_recognised():
    weights = weights_of('s')
    weights[STEM] = torch.zeros(32, 1, 6, 6)
    for level in range(3):
        weights[f'{HEAD}.14.cls_preds.{level}.weight'] = torch.zeros(2, 128, 1, 1)
        weights[f'{HEAD}.14.cls_preds.{level}.bias'] = torch.zeros(2)
    conversion = convert(weights)
    assert conversion.architecture == published('s', num_classes=2, input_channels=1)
    assert (conversion.unused, conversion.missing) == ({}, ())


def test_constants_of_old_releases_are_dropped():
    conversion = convert(weights_of('s') | {name: torch.zeros(3) for name in CONSTANTS})
    assert list(conversion.dropped) == list(CONSTANTS)
    assert (conversion.unused, conversion.missing) == ({}, ())


def test_the_average_is_taken_from_a_checkpoint(tmp_path):
    path = tmp_path / 'ckpt_best.pth'
    raw, average = ({STEM: torch.full((1,), value)} for value in (1.0, 2.0))
    torch.save(dict(net=raw, ema_net=average, acc=0.4, epoch=1, optimizer_state_dict={}), path)
    assert read_weights(path)[0] == average


@pytest.mark.parametrize('shape', [(32, 12, 3, 3), (32,)])
def test_another_stem_is_refused(shape):
    weights = weights_of('s')
    weights[STEM] = torch.zeros(shape)
    with pytest.raises(UserError, match=r'\(O, C, 6, 6\) is expected'):
        convert(weights)


def test_what_has_no_place_is_named():
    weights = weights_of('s')
    weights[f'{HEAD}.14.stems.3.conv.weight'] = weights.pop(f'{HEAD}.14.stems.0.conv.weight')
    conversion = convert(weights)
    assert conversion.unused == {f'{HEAD}.14.stems.3.conv.weight': 'the model has no such tensor'}
    assert conversion.missing == ('neck.out_layers.0.conv.weight',)

"""Megvii's weights: names, recognised sizes, what is left over; and our layout against MMYOLO's.

The layouts under ``tests/data`` are those of the real projects (``tests/parity`` wrote them).
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmyolox.utils import UserError
from mmyolox.utils.megvii import PUBLISHED, Architecture, convert, read_checkpoint, recognise, rename_key

DATA = Path(__file__).parents[1] / 'data'


def read_layouts(name):
    """Model -> tensor name -> shape."""
    content = json.loads((DATA / name).read_text())
    return {
        model: {key: tuple(row[i]) for key, row in content['shapes'].items() if row[i] is not None}
        for i, model in enumerate(content['models'])
    }


MMYOLO = read_layouts('mmyolo_yolox_keys.json')
MEGVII = read_layouts('megvii_yolox_keys.json')


def megvii_weights(model, device='meta'):
    """A state dict as Megvii's project has it; without values by default."""
    return {key: torch.zeros(shape, device=device) for key, shape in MEGVII[model].items()}


@pytest.mark.parametrize('size', MMYOLO)
def test_our_layout_is_that_of_mmyolo(size):
    assert Architecture(size, *PUBLISHED[size]).shapes() == MMYOLO[size]


@pytest.mark.parametrize(
    ('model', 'millions'),
    [('nano', 0.91), ('tiny', 5.06), ('s', 9.0), ('m', 25.3), ('l', 54.2), ('x', 99.1), ('darknet53', 63.7)],
)
def test_published_models_have_their_parameters(model, millions):
    with torch.device('meta'):
        network = Architecture(model, *PUBLISHED[model]).build()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize('model', MEGVII)
def test_every_tensor_of_a_published_model_is_used(model):
    weights = megvii_weights(model)
    conversion = convert(weights)
    assert conversion.architecture == Architecture(model, *PUBLISHED[model], num_classes=80, input_channels=3)
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert list(conversion.used) == list(weights)
    shapes = {key: tuple(tensor.shape) for key, tensor in conversion.state_dict.items()}
    assert list(shapes.items()) == list(conversion.architecture.shapes().items())
    assert all(conversion.state_dict[new] is weights[old] for old, new in conversion.used.items())


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


def test_other_factors_are_recognised():
    weights = {
        'head.cls_preds.0.weight': torch.zeros(7, 8, 1, 1),
        'backbone.backbone.stem.conv.conv.weight': torch.zeros(8, 12, 3, 3),
        **{f'backbone.backbone.dark2.1.m.{i}.conv1.conv.weight': torch.zeros(8, 8, 1, 1) for i in range(2)},
    }
    assert recognise(weights) == Architecture('custom', 2 / 3, 0.125, False, 7, 3)
    depthwise = weights | {'backbone.bu_conv1.dconv.conv.weight': torch.zeros(64, 1, 3, 3)}
    assert recognise(depthwise).use_depthwise


@pytest.mark.parametrize(
    ('key', 'value', 'reason'),
    [
        ('head.extra.weight', torch.zeros(1), 'the model has no such tensor'),
        (
            'head.stems.0.conv.weight',
            torch.zeros(64, 32, 1, 1),
            'shape (64, 32, 1, 1), the model has (64, 64, 1, 1)',
        ),
        ('head.stems.0.conv.weight', 'text', 'a str, not a tensor'),
        ('neck.out_layers.0.conv.weight', torch.zeros(64, 64, 1, 1), 'is there already'),
    ],
)
def test_what_does_not_fit_is_named(key, value, reason):
    weights = megvii_weights('nano')
    replaced = key in weights
    conversion = convert(weights | {key: value})
    assert list(conversion.unused) == [key]
    assert reason in conversion.unused[key]
    assert conversion.missing == (('neck.out_layers.0.conv.weight',) if replaced else ())


def test_missing_tensors_are_named():
    weights = megvii_weights('nano')
    del weights['backbone.C3_p3.conv2.conv.weight'], weights['head.obj_preds.2.bias']
    assert convert(weights).missing == (
        'neck.top_down_layers.1.short_conv.conv.weight',
        f'{HEAD}conv_obj.2.bias',
    )


def test_counters_that_a_file_lacks_are_zero():
    weights = {key: value for key, value in megvii_weights('nano').items() if 'num_batches' not in key}
    conversion = convert(weights)
    assert not conversion.missing
    assert list(conversion.state_dict) == list(conversion.architecture.shapes())
    assert conversion.state_dict['backbone.stem.conv.bn.num_batches_tracked'] == 0


@pytest.mark.parametrize(
    'weights',
    [
        {},
        {'conv1.weight': torch.zeros(64, 3, 7, 7)},
        {'head.cls_preds.0.weight': torch.zeros(80)},
        {'head.cls_preds.0.weight': 'text'},
        {'head.cls_preds.0.weight': torch.zeros(80, 64, 1, 1)},
        {key: value for key, value in megvii_weights('s').items() if 'stem.' not in key},
        {key: value for key, value in megvii_weights('darknet53').items() if 'stem.' not in key},
    ],
)
def test_other_weights_are_refused(weights):
    with pytest.raises(UserError, match='not the weights of a Megvii YOLOX'):
        convert(weights)


WEIGHTS = {'a': torch.zeros(2)}


@pytest.mark.parametrize(
    ('content', 'others'),
    [
        (WEIGHTS, ()),
        (dict(model=WEIGHTS), ()),
        (
            dict(start_epoch=3, model=WEIGHTS, optimizer=dict(state={}), best_ap=np.float64(0.4)),
            ('start_epoch', 'optimizer', 'best_ap'),
        ),
    ],
)
def test_weights_are_found_in_all_kinds_of_files(tmp_path, content, others):
    torch.save(content, tmp_path / 'w.pth')
    state_dict, found = read_checkpoint(tmp_path / 'w.pth')
    assert list(state_dict) == ['a']
    assert found == others


@pytest.mark.parametrize('content', [dict(model='text'), {1: torch.zeros(2)}])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r'w\.pth holds no state dict'):
        read_checkpoint(tmp_path / 'w.pth')

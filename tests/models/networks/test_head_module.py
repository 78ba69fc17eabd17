"""YOLOXHeadModule, and the whole network of backbone, neck and head module."""

import math

import pytest
import torch
from torch import nn

from mmyolox.errors import UserError
from mmyolox.models.networks.csp_darknet import YOLOXCSPDarknet
from mmyolox.models.networks.head_module import YOLOXHeadModule
from mmyolox.models.networks.pafpn import YOLOXPAFPN
from mmyolox.registry import MODELS


def small_head(**kwargs):
    torch.manual_seed(0)
    return YOLOXHeadModule(**{'num_classes': 3, 'widen_factor': 0.0625, **kwargs})


def features(levels=3, channels=16, batch=2):
    """Random levels, finest first, not square."""
    return tuple(torch.rand(batch, channels, 8 >> i, 16 >> i) for i in range(levels))


def small_network():
    """A complete network of a few thousand parameters."""
    torch.manual_seed(0)
    return nn.Sequential(
        YOLOXCSPDarknet(0.33, 0.125),
        YOLOXPAFPN(deepen_factor=0.33, widen_factor=0.125),
        small_head(widen_factor=0.125),
    )


@pytest.mark.parametrize('num_classes', [1, 3, 80])
@pytest.mark.parametrize('use_depthwise', [False, True])
def test_shapes(num_classes, use_depthwise):
    head = small_head(num_classes=num_classes, use_depthwise=use_depthwise)
    outputs = head.eval()(features())
    assert len(outputs) == 3
    for levels, channels in zip(outputs, (num_classes, 4, 1), strict=True):
        assert [tuple(x.shape) for x in levels] == [(2, channels, 8 >> i, 16 >> i) for i in range(3)]


@pytest.mark.parametrize('strides', [(8, 16), (8, 16, 32, 64)])
def test_as_many_levels_as_strides(strides):
    head = small_head(featmap_strides=strides).eval()
    assert head.featmap_strides == strides
    assert [len(levels) for levels in head(features(len(strides)))] == [len(strides)] * 3


def test_another_number_of_levels_is_an_error():
    with pytest.raises(UserError, match=r'featmap_strides=\(8, 16, 32\), but the neck gives 2 levels'):
        small_head()(features(2))


@pytest.mark.parametrize('stacked_convs', [0, 1, 3])
def test_tower_depth(stacked_convs):
    head = small_head(stacked_convs=stacked_convs)
    towers = (*head.multi_level_cls_convs, *head.multi_level_reg_convs)
    assert [len(tower) for tower in towers] == [stacked_convs] * 6
    assert head.eval()(features())[0][0].shape == (2, 3, 8, 16)


def test_levels_and_towers_are_separate():
    head = small_head().eval()
    feats = [x.requires_grad_() for x in features()]
    cls_logits, bbox_preds, obj_logits = head(tuple(feats))
    parts = dict(cls=head.multi_level_cls_convs, reg=head.multi_level_reg_convs)
    for kind, levels in (('cls', cls_logits), ('reg', bbox_preds), ('reg', obj_logits)):
        for i, output in enumerate(levels):
            head.zero_grad(set_to_none=True)
            output.sum().backward(retain_graph=True)
            used = {
                (name, j)
                for name, towers in parts.items()
                for j, tower in enumerate(towers)
                if all(parameter.grad is not None for parameter in tower.parameters())
            }
            assert used == {(kind, i)}


def test_biases_start_at_a_probability_of_one_percent():
    head = small_head()
    head.init_weights()
    for conv in (*head.multi_level_conv_cls, *head.multi_level_conv_obj):
        assert torch.allclose(conv.bias.sigmoid(), torch.tensor(0.01))
    assert all(torch.count_nonzero(conv.bias) == 0 for conv in head.multi_level_conv_reg)


def test_weights_start_kaiming_uniform():
    head = small_head(num_classes=80)
    head.init_weights()
    for name, module in head.named_modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert float(module.weight.abs().max()) <= bound, name
            assert float(module.weight.abs().mean()) == pytest.approx(bound / 2, rel=0.35), name


def test_depthwise_towers():
    head = small_head(use_depthwise=True)
    spatial = [m for m in head.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(spatial) == 12
    assert all(conv.groups == conv.in_channels for conv in spatial)


def test_every_parameter_of_the_network_gets_a_gradient():
    network = small_network()
    outputs = network(torch.rand(2, 3, 64, 96))
    sum(x.sum() for levels in outputs for x in levels).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_channels_last_gives_the_same():
    network = small_network().eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        plain = network(images)
        last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    for a, b in zip((x for y in plain for x in y), (x for y in last for x in y), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert last[0][0].is_contiguous(memory_format=torch.channels_last)


def test_compiles_into_one_graph():
    network = small_network().eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        compiled = torch.compile(network, backend='eager', fullgraph=True)(images)
        assert all(torch.equal(a, b) for a, b in zip(compiled[0], network(images)[0], strict=True))


def test_registered_by_name():
    assert isinstance(MODELS.build(dict(type='YOLOXHeadModule', num_classes=1)), YOLOXHeadModule)

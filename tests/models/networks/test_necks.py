"""YOLOXPAFPN and YOLOXFPN."""

import math

import pytest
import torch
from torch import nn

from mmyolox.models.networks.pafpn import YOLOXPAFPN
from mmyolox.models.networks.yolo_fpn import YOLOXFPN
from mmyolox.registry import MODELS


def small_pafpn():
    return YOLOXPAFPN(deepen_factor=0.33, widen_factor=0.125), (32, 64, 128)


def small_fpn():
    return YOLOXFPN(in_channels=(8, 16, 16), out_channels=8), (8, 16, 16)


@pytest.fixture(params=[small_pafpn, small_fpn], ids=['pafpn', 'fpn'])
def neck_and_channels(request):
    torch.manual_seed(0)
    return request.param()


def features(channels, height=8, width=12, batch=2):
    """Random levels, finest first; height and width are those of the first."""
    return tuple(torch.rand(batch, c, height >> i, width >> i) for i, c in enumerate(channels))


@pytest.mark.parametrize('widen', [0.125, 0.25, 0.375, 0.5])
def test_pafpn_channels_follow_the_width(widen):
    channels = [int(c * widen) for c in (256, 512, 1024)]
    outputs = YOLOXPAFPN(deepen_factor=0.33, widen_factor=widen).eval()(features(channels))
    assert [tuple(x.shape) for x in outputs] == [
        (2, channels[0], 8, 12),
        (2, channels[0], 4, 6),
        (2, channels[0], 2, 3),
    ]


@pytest.mark.parametrize('size', [(4, 4), (4, 20), (12, 8)])
def test_sizes_stay(neck_and_channels, size):
    neck, channels = neck_and_channels
    feats = features(channels, *size)
    assert [x.shape[2:] for x in neck.eval()(feats)] == [x.shape[2:] for x in feats]


def test_pafpn_of_four_levels():
    neck = YOLOXPAFPN(in_channels=(8, 16, 32, 64), out_channels=16, num_csp_blocks=1).eval()
    outputs = neck(features((8, 16, 32, 64), 16, 16, 1))
    assert [tuple(x.shape) for x in outputs] == [(1, 16, s, s) for s in (16, 8, 4, 2)]


def test_fpn_of_darknet53_has_256_channels():
    with torch.device('meta'):
        outputs = YOLOXFPN().eval()(features((256, 512, 512)))
    assert [tuple(x.shape) for x in outputs] == [(2, 256, 8, 12), (2, 256, 4, 6), (2, 256, 2, 3)]


@pytest.mark.parametrize(
    ('blocks', 'factor', 'depth'), [(3, 0.33, 1), (3, 1.33, 4), (2, 1.0, 2), (1, 0.1, 1)]
)
def test_pafpn_depth(blocks, factor, depth):
    with torch.device('meta'):
        neck = YOLOXPAFPN(deepen_factor=factor, num_csp_blocks=blocks)
    layers = (neck.top_down_layers[0][0], neck.top_down_layers[1], *neck.bottom_up_layers)
    assert [len(layer.blocks) for layer in layers] == [depth] * 4


def test_pafpn_blocks_have_no_identity():
    neck, _ = small_pafpn()
    flags = [module.add_identity for module in neck.modules() if hasattr(module, 'add_identity')]
    assert flags == [False] * 4


def test_depthwise_pafpn_has_depthwise_convolutions_only():
    neck = YOLOXPAFPN(deepen_factor=0.33, widen_factor=0.125, use_depthwise=True)
    spatial = [m for m in neck.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(spatial) == 6
    assert all(conv.groups == conv.in_channels for conv in spatial)
    assert all(hasattr(layer, 'depthwise_conv') for layer in neck.downsample_layers)


def test_every_level_reaches_every_level_of_pafpn():
    neck, channels = small_pafpn()
    feats = [x.requires_grad_() for x in features(channels)]
    for output in neck.eval()(tuple(feats)):
        gradients = torch.autograd.grad(output.sum(), feats, retain_graph=True)
        assert all(torch.count_nonzero(gradient) for gradient in gradients)


def test_pafpn_without_its_way_up_hands_information_down_only():
    neck, channels = small_pafpn()
    for layer in neck.downsample_layers:
        nn.init.zeros_(layer.bn.weight)
    feats = [x.requires_grad_() for x in features(channels)]
    for i, output in enumerate(neck.eval()(tuple(feats))):
        gradients = torch.autograd.grad(output.sum(), feats, retain_graph=True)
        assert [bool(torch.count_nonzero(gradient)) for gradient in gradients] == [j >= i for j in range(3)]


def test_fpn_hands_information_down_only():
    neck, channels = small_fpn()
    feats = [x.requires_grad_() for x in features(channels)]
    outputs = neck.eval()(tuple(feats))
    for i, output in enumerate(outputs):
        gradients = torch.autograd.grad(output.sum(), feats, retain_graph=True, allow_unused=True)
        assert [gradient is not None for gradient in gradients] == [j >= i for j in range(3)]


def test_a_missing_level_is_an_error(neck_and_channels):
    neck, channels = neck_and_channels
    with pytest.raises((ValueError, RuntimeError)):
        neck(features(channels)[1:])


def test_weights_start_kaiming_uniform(neck_and_channels):
    neck, _ = neck_and_channels
    neck.init_weights()
    for name, module in neck.named_modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert float(module.weight.abs().max()) <= bound, name
            assert float(module.weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.25), name


def test_every_parameter_gets_a_gradient(neck_and_channels):
    neck, channels = neck_and_channels
    sum(x.sum() for x in neck(features(channels))).backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())


def test_registered_by_name():
    with torch.device('meta'):
        assert isinstance(MODELS.build(dict(type='YOLOXPAFPN')), YOLOXPAFPN)
        assert isinstance(MODELS.build(dict(type='YOLOXFPN')), YOLOXFPN)

"""YOLOXCSPDarknet, YOLOXDarknet53 and their blocks."""

import math

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmyolox.errors import UserError
from mmyolox.models.networks.blocks import (
    BN,
    SILU,
    ConvBuilder,
    CSPLayer,
    SPPBottleneck,
    scale_channels,
    scale_depth,
)
from mmyolox.models.networks.csp_darknet import YOLOXCSPDarknet
from mmyolox.models.networks.darknet53 import YOLOXDarknet53
from mmyolox.models.networks.focus import Focus
from mmyolox.registry import MODELS

CONVS = ConvBuilder(BN, SILU)


def small(**kwargs):
    return YOLOXCSPDarknet(deepen_factor=0.33, widen_factor=0.125, **kwargs)


@pytest.fixture(params=[small, YOLOXDarknet53], ids=['csp', 'darknet53'])
def make(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def on_meta():
    """Shapes and flags without the cost of values: all tensors live on PyTorch's meta device."""
    with torch.device('meta'):
        yield


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize(
    ('widen', 'size', 'shapes'),
    [
        (0.125, (32, 32), [(32, 4, 4), (64, 2, 2), (128, 1, 1)]),
        (0.25, (64, 96), [(64, 8, 12), (128, 4, 6), (256, 2, 3)]),
        (0.375, (416, 32), [(96, 52, 4), (192, 26, 2), (384, 13, 1)]),
    ],
)
def test_csp_darknet_shapes(widen, size, shapes):
    outputs = YOLOXCSPDarknet(0.33, widen).eval()(torch.rand(2, 3, *size))
    assert [tuple(x.shape) for x in outputs] == [(2, *shape) for shape in shapes]


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize('size', [(32, 32), (96, 64)])
def test_darknet53_shapes(size):
    height, width = size
    outputs = YOLOXDarknet53().eval()(torch.rand(1, 3, *size))
    expected = [(1, c, height // s, width // s) for c, s in ((256, 8), (512, 16), (512, 32))]
    assert [tuple(x.shape) for x in outputs] == expected


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_any_number_of_image_channels(make, channels):
    outputs = make(input_channels=channels).eval()(torch.rand(1, channels, 32, 64))
    assert [tuple(x.shape[2:]) for x in outputs] == [(4, 8), (2, 4), (1, 2)]


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize('size', [(33, 64), (64, 31), (48, 64), (20, 20)])
def test_other_sizes_than_multiples_of_32_are_named(make, size):
    with pytest.raises(UserError, match=f'{size[1]}x{size[0]} pixels: pad both sides to multiples of 32'):
        make()(torch.rand(1, 3, *size))


@pytest.mark.usefixtures('on_meta')
def test_out_indices_choose_the_parts(make):
    outputs = make(out_indices=(0, 4)).eval()(torch.rand(1, 3, 64, 32))
    assert [tuple(x.shape[2:]) for x in outputs] == [(32, 16), (2, 1)]


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize(
    'kwargs',
    [dict(out_indices=()), dict(out_indices=(2, 5)), dict(frozen_stages=5), dict(frozen_stages=-2)],
)
def test_indices_outside_of_the_network_are_named(make, kwargs):
    (name,) = kwargs
    with pytest.raises(UserError, match=f'{name}=.*choose from'):
        make(**kwargs)


PARTS = ['stem', 'stage1', 'stage2', 'stage3', 'stage4']


@pytest.mark.usefixtures('on_meta')
@pytest.mark.parametrize('frozen_stages', [-1, 0, 2, 4])
def test_frozen_stages_do_not_train(make, frozen_stages):
    backbone = make(frozen_stages=frozen_stages)
    trains = {name: index > frozen_stages for index, name in enumerate(PARTS)}
    for _ in range(2):
        for name, part in backbone.named_children():
            assert all(parameter.requires_grad == trains[name] for parameter in part.parameters())
            assert all(module.training == trains[name] for module in part.modules())
        backbone.eval().train()


@pytest.mark.parametrize('frozen_stages', [-1, 0, 2, 4])
def test_frozen_stages_keep_their_statistics(frozen_stages):
    backbone = small(frozen_stages=frozen_stages)
    before = {key: value.clone() for key, value in backbone.state_dict().items() if 'running' in key}
    backbone(torch.rand(2, 3, 64, 64))
    after = backbone.state_dict()
    frozen = PARTS[: frozen_stages + 1]
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (key.split('.')[0] in frozen), key


def test_depthwise_network_has_depthwise_convolutions_in_all_stages():
    backbone = small(use_depthwise=True)
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and 'stem' not in name:
            assert module.groups == module.in_channels, name
            assert name.endswith('depthwise_conv.conv')


@pytest.mark.usefixtures('on_meta')
def test_only_the_last_csp_stage_has_no_identities():
    backbone = small()
    layers = [backbone.stage1[1], backbone.stage2[1], backbone.stage3[1], backbone.stage4[2]]
    flags = [{block.add_identity for block in layer.blocks} for layer in layers]
    assert flags == [{True}, {True}, {True}, {False}]


@pytest.mark.usefixtures('on_meta')
def test_norm_and_activation_are_those_of_the_recipe(make):
    modules = list(make().modules())
    norms = [module for module in modules if isinstance(module, _BatchNorm)]
    assert norms
    assert all((norm.momentum, norm.eps) == (0.03, 0.001) for norm in norms)
    activation = nn.LeakyReLU if make is YOLOXDarknet53 else nn.SiLU
    activations = [module for module in modules if isinstance(module, activation)]
    assert len(activations) == len(norms)
    assert all(getattr(module, 'negative_slope', 0.1) == 0.1 for module in activations)


def test_weights_start_kaiming_uniform(make):
    backbone = make()
    backbone.init_weights()
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert float(module.weight.abs().max()) <= bound, name
            assert float(module.weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1), name


@pytest.mark.usefixtures('on_meta')
def test_every_parameter_gets_a_gradient(make):
    backbone = make()
    sum(x.sum() for x in backbone(torch.rand(2, 3, 64, 64))).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_registered_by_name():
    with torch.device('meta'):
        assert isinstance(MODELS.build(dict(type='YOLOXCSPDarknet')), YOLOXCSPDarknet)
        assert isinstance(MODELS.build(dict(type='YOLOXDarknet53')), YOLOXDarknet53)


def test_focus_orders_patches_by_column_then_row():
    focus = Focus(2, 8, CONVS)
    focus.conv = nn.Identity()
    image = torch.arange(2 * 4 * 6.0).view(1, 2, 4, 6)
    out = focus(image)
    assert out.shape == (1, 8, 2, 3)
    offsets = [(row, column) for column in range(2) for row in range(2)]
    for i, (row, column) in enumerate(offsets):
        assert torch.equal(out[:, 2 * i : 2 * i + 2], image[:, :, row::2, column::2])


@pytest.mark.parametrize('kernel_sizes', [(5, 9, 13), (3,), (3, 9), ()])
@pytest.mark.parametrize('size', [(1, 1), (4, 7), (20, 13)])
def test_chained_pooling_equals_separate_pools(kernel_sizes, size):
    torch.manual_seed(0)
    spp = SPPBottleneck(8, 8, kernel_sizes, CONVS)
    x = torch.randn(2, 8, *size)
    inner = spp.eval().conv1(x)
    pools = [nn.functional.max_pool2d(inner, k, stride=1, padding=k // 2) for k in kernel_sizes]
    assert torch.equal(spp(x), spp.conv2(torch.cat([inner, *pools], dim=1)))


@pytest.mark.parametrize('size', [(1, 1), (4, 7), (20, 13)])
def test_pooling_may_see_zeros_beyond_the_border(size):
    torch.manual_seed(0)
    spp = SPPBottleneck(8, 8, (5, 9, 13), CONVS, zero_padding=True)
    x = torch.randn(2, 8, *size)
    inner = spp.eval().conv1(x)
    pools = [
        nn.functional.max_pool2d(nn.functional.pad(inner, [k // 2] * 4), k, stride=1) for k in (5, 9, 13)
    ]
    assert torch.equal(spp(x), spp.conv2(torch.cat([inner, *pools], dim=1)))
    assert set(spp.state_dict()) - set(SPPBottleneck(8, 8, (5, 9, 13), CONVS).state_dict()) == {'border'}


@pytest.mark.parametrize('kernel_sizes', [(4,), (9, 5), (5, 5), (1, 3)])
def test_impossible_pooling_windows_are_named(kernel_sizes):
    with pytest.raises(UserError, match='spp_kernel_sizes='):
        small(spp_kernel_sizes=kernel_sizes)


def test_csp_layer_without_identity_forgets_the_input_of_its_blocks():
    layer = CSPLayer(8, 8, 1, add_identity=False, convs=CONVS).eval()
    nn.init.zeros_(layer.blocks[0].conv2.bn.weight)
    assert torch.count_nonzero(layer.blocks(torch.rand(1, 4, 5, 5))) == 0
    layer.blocks[0].add_identity = True
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(layer.blocks(x), x)


@pytest.mark.parametrize(
    ('channels', 'factor', 'expected'), [(64, 0.25, 16), (64, 0.33, 24), (1024, 1.25, 1280), (64, 0.01, 8)]
)
def test_scaled_channels_are_multiples_of_8(channels, factor, expected):
    assert scale_channels(channels, factor) == expected


@pytest.mark.parametrize(
    ('blocks', 'factor', 'expected'), [(3, 0.33, 1), (9, 0.67, 6), (9, 1.33, 12), (3, 0.01, 1)]
)
def test_scaled_depth_is_at_least_one(blocks, factor, expected):
    assert scale_depth(blocks, factor) == expected

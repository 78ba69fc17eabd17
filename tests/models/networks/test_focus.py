"""The weights of a Focus stem and of the convolution that equals it."""

import pytest
import torch
import torch.nn.functional as F

from mmyolox.models.networks.blocks import BN, SILU, ConvBuilder
from mmyolox.models.networks.focus import Focus, focus_weight, pixel_weight


@torch.no_grad()
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_both_are_the_same_function(channels):
    torch.manual_seed(0)
    weight, images = torch.randn(8, channels, 6, 6).double(), torch.rand(2, channels, 10, 14).double()
    focus = Focus(channels, 8, ConvBuilder(BN, SILU))
    focus.conv = torch.nn.Conv2d(4 * channels, 8, 3, padding=1, bias=False).double()
    focus.conv.weight.copy_(focus_weight(weight))
    torch.testing.assert_close(focus(images), F.conv2d(images, weight, stride=2, padding=2))


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_each_map_undoes_the_other(channels):
    weight = torch.rand(8, channels, 6, 6)
    assert torch.equal(pixel_weight(focus_weight(weight)), weight)

"""Building blocks that the YOLOX backbones, necks and heads share.

Every convolution is mmcv's ``ConvModule`` (convolution, norm, activation), so the names inside a state dict
are ``conv`` and ``bn``. Feature maps are (B, C, H, W).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmyolox.errors import UserError

from .norms import YOLOXBatchNorm

Config = dict[str, Any]

BN: Config = dict(type='mmyolox.YOLOXBN', momentum=0.03, eps=0.001)
SILU: Config = dict(type='SiLU', inplace=False)
LEAKY_RELU: Config = dict(type='LeakyReLU', negative_slope=0.1, inplace=True)

KAIMING_UNIFORM: Config = dict(
    type='Kaiming',
    layer='Conv2d',
    a=math.sqrt(5),
    distribution='uniform',
    mode='fan_in',
    nonlinearity='leaky_relu',
)
"""Weights uniform within +-1/sqrt(fan_in), biases 0.

This is PyTorch's own default for convolution weights, which is what Megvii's YOLOX trains from, and mmdet's
``init_cfg``. It has to be asked for, as ``ConvModule`` starts from a Kaiming normal of fan-out. The only
difference from Megvii is the bias of the box predictors: 0 here and in mmdet, PyTorch's uniform there.
"""


def scale_channels(channels: int, widen_factor: float) -> int:
    """The channel count times ``widen_factor``, rounded up to a multiple of 8; at a factor of 1 as given."""
    return channels if widen_factor == 1 else math.ceil(channels * widen_factor / 8) * 8


def scale_depth(num_blocks: int, deepen_factor: float) -> int:
    """The block count times ``deepen_factor``, rounded to the nearest integer, at least 1."""
    return max(round(num_blocks * deepen_factor), 1)


class FrugalConvModule(ConvModule):
    """mmcv's, which can do without the memory for what its norm gives.

    Autograd keeps for the backward pass what goes into the norm, into the activation and into the next
    convolution. Of these three, the second follows from the first.

    Attributes:
        is_frugal: Whether the backward pass computes it anew, equal to the bit, where our own norm trains.
    """

    is_frugal = False

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """As mmcv's: (B, in, H, W) -> (B, out, ...)."""
        own: Any = getattr(self, 'bn', None)
        is_usual = activate and norm and self.order == ('conv', 'norm', 'act')
        is_ours = type(own) is YOLOXBatchNorm and isinstance(getattr(self, 'activate', None), nn.SiLU)
        if not (self.is_frugal and is_usual and is_ours and own.training):
            return super().forward(x, activate, norm)
        features = super().forward(x, activate=False, norm=False)
        normed = own(features)
        with torch.autograd.graph.saved_tensors_hooks(lambda _: None, lambda _: own.again(features)):
            return self.activate(normed)


@dataclass(frozen=True)
class ConvBuilder:
    """Makes the convolutions of one network part: same padding, one norm and one activation throughout.

    Attributes:
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        use_depthwise: Whether ``spatial`` convolutions are depthwise separable, as in YOLOX-Nano.
    """

    norm_cfg: Config
    act_cfg: Config
    use_depthwise: bool = False

    def plain(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Module:
        """A dense convolution, norm and activation: (B, in, H, W) -> (B, out, ceil(H/stride), ...)."""
        return self._make(FrugalConvModule, in_channels, out_channels, kernel_size, stride)

    def spatial(self, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        """A 3x3 convolution: as ``plain``, or depthwise then pointwise where ``use_depthwise`` is set."""
        conv = DepthwiseSeparableConvModule if self.use_depthwise else FrugalConvModule
        return self._make(conv, in_channels, out_channels, 3, stride)

    def _make(self, conv: type[nn.Module], in_channels: int, out_channels: int, k: int, s: int) -> nn.Module:
        return conv(in_channels, out_channels, k, s, k // 2, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)


class DarknetBottleneck(nn.Module):
    """1x1 then 3x3 convolution, with an optional identity shortcut: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, add_identity: bool, convs: ConvBuilder) -> None:
        super().__init__()
        self.conv1 = convs.plain(channels, channels)
        self.conv2 = convs.spatial(channels, channels)
        self.add_identity = add_identity

    def forward(self, x: Tensor) -> Tensor:
        """Returns the residual block's output."""
        out = self.conv2(self.conv1(x))
        return out + x if self.add_identity else out


class CSPLayer(nn.Module):
    """Cross stage partial layer: half the channels pass the bottlenecks, half go round them.

    (B, in, H, W) -> (B, out, H, W). See CSPNet (https://arxiv.org/abs/1911.11929), figure 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, num_blocks: int, add_identity: bool, convs: ConvBuilder
    ) -> None:
        super().__init__()
        mid_channels = out_channels // 2
        self.main_conv = convs.plain(in_channels, mid_channels)
        self.short_conv = convs.plain(in_channels, mid_channels)
        self.final_conv = convs.plain(2 * mid_channels, out_channels)
        self.blocks = nn.Sequential(
            *(DarknetBottleneck(mid_channels, add_identity, convs) for _ in range(num_blocks))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the merged output of both branches."""
        return self.final_conv(torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), dim=1))


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling: (B, in, H, W) -> (B, out, H, W).

    Concatenates the input with its max-pooled versions (stride 1) of each window in ``kernel_sizes``. A
    window is pooled from the one before: maxima of maxima over 5x5 windows are maxima over 9x9, then 13x13,
    so the values are exactly those of separate pools at a third of the comparisons.

    Args:
        in_channels: The channels of the input.
        out_channels: The channels of the output.
        kernel_sizes: The windows, odd and rising.
        convs: What makes the convolutions.
        zero_padding: Whether a window that crosses the border sees zeros there, as in the MindSpore model
            zoo's YOLOX, instead of nothing. The state dict then has a ``border``, which is 0, so that weights
            tell which of the two they were trained with.

    Raises:
        UserError: ``kernel_sizes`` are not odd and increasing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: Sequence[int],
        convs: ConvBuilder,
        zero_padding: bool = False,
    ) -> None:
        super().__init__()
        windows = [1, *kernel_sizes]
        if any(size % 2 == 0 for size in windows) or any(a >= b for a, b in pairwise(windows)):
            raise UserError(f'spp_kernel_sizes={tuple(kernel_sizes)}: give odd sizes over 1 in rising order')
        mid_channels = in_channels // 2
        self.conv1 = convs.plain(in_channels, mid_channels)
        self.conv2 = convs.plain(len(windows) * mid_channels, out_channels)
        reaches = [(b - a) // 2 for a, b in pairwise(windows)]
        self.poolings = nn.ModuleList(nn.MaxPool2d(2 * r + 1, stride=1, padding=r) for r in reaches)
        if zero_padding:
            self.poolings = nn.ModuleList(
                nn.Sequential(nn.ZeroPad2d(r), nn.MaxPool2d(2 * r + 1, stride=1)) for r in reaches
            )
            self.register_buffer('border', torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Returns features that have seen windows of all sizes."""
        pyramid = [self.conv1(x)]
        for pooling in self.poolings:
            pyramid.append(pooling(pyramid[-1]))
        return self.conv2(torch.cat(pyramid, dim=1))

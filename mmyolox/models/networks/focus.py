"""The Focus stem and the one convolution that equals it.

Focus moves each 2x2 block of pixels into channels: left column before right column, in each from top to
bottom. A window of 3x3 blocks is one of 6x6 pixels, so that its 3x3 convolution and a 6x6 convolution of
stride 2 and padding 2 have the same numbers in other places.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from .blocks import ConvBuilder


class Focus(nn.Module):
    """Stem that moves each 2x2 pixel block into channels, then convolves 3x3.

    (B, in, H, W) -> (B, out, H/2, W/2), H and W even. The 4 * in channels are ordered top-left, bottom-left,
    top-right, bottom-right, as the published weights expect (not the order of ``pixel_unshuffle``).
    """

    def __init__(self, in_channels: int, out_channels: int, convs: ConvBuilder) -> None:
        super().__init__()
        self.conv = convs.plain(4 * in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Returns features at half the resolution of the image batch ``x``."""
        even_rows, odd_rows = x[..., ::2, :], x[..., 1::2, :]
        patches = (even_rows[..., ::2], odd_rows[..., ::2], even_rows[..., 1::2], odd_rows[..., 1::2])
        return self.conv(torch.cat(patches, dim=1))


def focus_as_convolution(focus: Focus) -> nn.Module:
    """A convolution that equals a Focus stem, for runtimes without strided slices or slow in them.

    Args:
        focus: The stem, which maps (B, in, H, W) to (B, out, H/2, W/2). It is not changed.

    Returns:
        A module that maps alike, up to the order of float32 additions.
    """
    stem = copy.deepcopy(focus.conv)
    blocks = cast(nn.Conv2d, stem.conv)
    weight = pixel_weight(blocks.weight)
    merged = nn.Conv2d(
        weight.shape[1], weight.shape[0], 6, stride=2, padding=2, bias=blocks.bias is not None
    ).to(weight)
    merged.load_state_dict(blocks.state_dict() | dict(weight=weight))
    stem.conv = merged
    return stem


def pixel_weight(weight: Tensor) -> Tensor:
    """The weight (O, C, 6, 6) for pixels that equals a weight (O, 4C, 3, 3) of Focus' convolution."""
    # (O, column, row, C, 3, 3) -> (O, C, 3, row, 3, column)
    blocks = weight.reshape(weight.shape[0], 2, 2, -1, 3, 3).permute(0, 3, 4, 2, 5, 1)
    return blocks.reshape(weight.shape[0], -1, 6, 6)


def focus_weight(weight: Tensor) -> Tensor:
    """The weight (O, 4C, 3, 3) of Focus' convolution that equals a weight (O, C, 6, 6) for pixels."""
    # (O, C, 3, row, 3, column) -> (O, column, row, C, 3, 3)
    blocks = weight.reshape(weight.shape[0], -1, 3, 2, 3, 2).permute(0, 5, 3, 1, 2, 4)
    return blocks.reshape(weight.shape[0], -1, 3, 3)

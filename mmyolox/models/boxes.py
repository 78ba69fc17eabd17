"""Boxes of the head as pure functions: priors, decoding, its inverse, and overlaps."""

from collections.abc import Sequence

import torch
from torch import Tensor


def grid_priors(shapes_hw: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device) -> Tensor:
    """The priors of all feature maps: one for every cell, row by row, level by level.

    Args:
        shapes_hw: The height and width of every feature map.
        strides: The stride of every feature map, in pixels of the network's input.
        device: The device that they are made on.

    Returns:
        (N, 3) float32: x and y of the cell's top left corner in input pixels, and the stride.
    """
    levels = []
    for (height, width), stride in zip(shapes_hw, strides, strict=True):
        x, y = (
            torch.arange(0, count * stride, stride, device=device, dtype=torch.float32)
            for count in (width, height)
        )
        grid = x.expand(height, width), y[:, None].expand(height, width), x.new_full((height, width), stride)
        levels.append(torch.stack(grid, dim=2).flatten(0, 1))
    return torch.cat(levels)


def decode_bboxes(bbox_preds: Tensor, priors: Tensor) -> Tensor:
    """Turns the regression output into boxes (Ge et al. 2021, section 2.1).

    Args:
        bbox_preds: (..., N, 4), the offset of the box centre from the cell's corner, and the logarithm of
            width and height, all in stride units. Taken to float32: half precision has steps of half a pixel
            above 512.
        priors: (..., N, 3), see :func:`grid_priors`; the leading axes are broadcast.

    Returns:
        (..., N, 4) float32 xyxy in input pixels.
    """
    offsets, log_sides = bbox_preds.float().chunk(2, dim=-1)
    centers = offsets * priors[..., 2:] + priors[..., :2]
    halves = log_sides.exp() * priors[..., 2:] / 2
    return torch.cat([centers - halves, centers + halves], dim=-1)


def decode_centers(bbox_preds: Tensor, priors: Tensor) -> Tensor:
    """Turns the regression output (B, 4, N) into centre x and y, width and height (B, 4, N) in input pixels.

    For exports: as :func:`decode_bboxes`, but in the layout, and with the operations, of Megvii's exports.
    """
    corners, strides = priors[:, :2].T, priors[:, 2]
    return torch.cat([bbox_preds[:, :2] * strides + corners, bbox_preds[:, 2:].exp() * strides], dim=1)


def encode_bboxes(bboxes: Tensor, priors: Tensor) -> Tensor:
    """The inverse of :func:`decode_bboxes`: what the regression should output.

    Args:
        bboxes: (..., 4) xyxy in input pixels.
        priors: (..., 3), one a box.

    Returns:
        (..., 4) float32; the 1e-8 inside the logarithm is Megvii YOLOX 0.3's.
    """
    centers = (bboxes[..., :2] + bboxes[..., 2:]) / 2
    sides = bboxes[..., 2:] - bboxes[..., :2]
    strides = priors[..., 2:]
    return torch.cat([(centers - priors[..., :2]) / strides, torch.log(sides / strides + 1e-8)], dim=-1)


def bbox_ious(a: Tensor, b: Tensor) -> Tensor:
    """The intersection over union of boxes, broadcast over the leading axes.

    Args:
        a: (..., 4) xyxy.
        b: (..., 4) xyxy, broadcastable with ``a``.

    Returns:
        (...) in [0, 1]; the union is at least 1e-6, as in MMDetection's ``bbox_overlaps``.
    """
    (a_low, a_high), (b_low, b_high) = a.chunk(2, dim=-1), b.chunk(2, dim=-1)
    intersection = _products((torch.min(a_high, b_high) - torch.max(a_low, b_low)).clamp(min=0))
    union = _products(a_high - a_low) + _products(b_high - b_low) - intersection
    return intersection / union.clamp(min=1e-6)


def pairwise_ious(a: Tensor, b: Tensor) -> Tensor:
    """:func:`bbox_ious` of every pair, bit for bit, with the second boxes along the last axis.

    Coordinates are taken apart first: planes of contiguous numbers are much faster than broadcasting
    (..., 4) boxes. Works in place, without gradients.

    Args:
        a: (B, M, 4) xyxy.
        b: (B, N, 4) xyxy.

    Returns:
        (B, M, N).
    """
    a_x1, a_y1, a_x2, a_y2 = a[..., None].unbind(2)
    b_x1, b_y1, b_x2, b_y2 = b.transpose(1, 2).contiguous()[:, None].unbind(2)
    intersection = torch.min(a_x2, b_x2).sub_(torch.max(a_x1, b_x1)).clamp_(min=0)
    intersection *= torch.min(a_y2, b_y2).sub_(torch.max(a_y1, b_y1)).clamp_(min=0)
    union = (bbox_areas(b)[:, None] + bbox_areas(a)[..., None]).sub_(intersection).clamp_(min=1e-6)
    return intersection.div_(union)


def bbox_areas(bboxes: Tensor) -> Tensor:
    """Areas (...) of xyxy boxes (..., 4)."""
    low, high = bboxes.chunk(2, dim=-1)
    return _products(high - low)


def _products(sides: Tensor) -> Tensor:
    """Widths times heights (...) of sides (..., 2)."""
    width, height = sides.unbind(-1)
    return width * height


def points_inside(points: Tensor, bboxes: Tensor) -> Tensor:
    """Whether points (..., 2) lie strictly inside xyxy boxes (..., 4), broadcast over the leading axes."""
    return ((points > bboxes[..., :2]) & (points < bboxes[..., 2:])).all(dim=-1)

"""Greedy non-maximum suppression in plain torch: exact, class by class, on any device.

The answer is that of mmcv's and torchvision's compiled loops (walk the boxes by falling score, drop each
one whose IoU with a box kept before it exceeds the threshold), reached without a loop over boxes. Whether a
box stays depends only on better ones, so "stay if no staying better box overlaps me", applied to all boxes
at once, settles from the best box downwards; when a round changes nothing, it is the greedy answer.

- IoU is ``inter / (area_a + area_b - inter)`` and is compared with the threshold in float32, whatever the
  dtype of the boxes. Two boxes without area have IoU 0/0 and never suppress one another.
- Classes are compared among themselves only. The usual trick, one pass over boxes moved apart by a multiple
  of the label, rounds the coordinates (at label 79 of a 1280-pixel image a float32 step is 1/128 pixel).
- Equal scores: the lower index goes first. NaN scores go last.
- A box with a NaN coordinate overlaps nothing: it is kept and suppresses nothing.
- Memory: 1 MB for the matrices of pairs, and less than 200 bytes a box.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Boxes of a class compared all against all at once. Matrices of 180 x 180 pairs stay just below the 32,768
# elements from which torch splits an operation among threads: twice that would be 1.3 times as fast on an
# idle CPU, but waits for its threads, 5 to 10 times as slow, when data loading workers keep the cores busy.
# For the same reason there is no matmul, and elements are picked by ``index_select`` and ``masked_select``:
# ``tensor[index]`` goes to the threads from 3,000 elements on.
_BLOCK = 180


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Drop every box that overlaps a better one, whatever their classes.

    Args:
        bboxes: (N, 4) as x1, y1, x2, y2 in pixels; any real dtype, computed in float32.
        scores: (N,).
        iou_threshold: A box goes when its IoU with a kept box is greater than this.

    Returns:
        (K,) int64: indices of the kept boxes by falling score.
    """
    return batched_nms(bboxes, scores, torch.zeros_like(scores, dtype=torch.int64), iou_threshold)


@torch.no_grad()
def batched_nms(
    bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, max_num: int = -1
) -> Tensor:
    """Drop every box that overlaps a better one of its class.

    Args:
        bboxes: (N, 4) as x1, y1, x2, y2 in pixels; any real dtype, computed in float32.
        scores: (N,).
        labels: (N,) integers; boxes of different labels do not see each other.
        iou_threshold: A box goes when its IoU with a kept box of its class is greater than this.
        max_num: Return only that many of the best kept boxes; -1 for all. The result is the head of the
            full result and costs less, since boxes that score lower are not looked at.

    Returns:
        (K,) int64: indices of the kept boxes by falling score.
    """
    order = scores.masked_fill(scores.isnan(), -torch.inf).argsort(descending=True, stable=True)
    corners = bboxes.float().T.contiguous()
    size = len(order) if max_num < 0 else 4 * max_num
    while True:
        best = order[:size]
        is_kept = _keep_mask(corners.index_select(1, best), labels.index_select(0, best), iou_threshold)
        keep = best.masked_select(is_kept)
        if size >= len(order) or len(keep) >= max_num:
            return keep if max_num < 0 else keep[:max_num]
        size *= 4


def _keep_mask(corners: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """Which of the boxes (4, N), sorted by falling score, are kept: (N,) bool."""
    is_kept = torch.zeros_like(labels, dtype=torch.bool)
    for members, is_member in _classes(labels):
        boxes = corners.index_select(1, members.flatten()).view(4, *members.shape)
        if members.shape[1] > _BLOCK:
            kept = members[0].index_select(0, _greedy_long(boxes[:, 0], iou_threshold))
        else:
            kept = members.masked_select(_greedy(boxes, iou_threshold) & is_member)
        is_kept.index_fill_(0, kept, True)
    return is_kept


def _classes(labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Group the boxes by class, and classes of similar size into one matrix.

    Args:
        labels: (N,) of boxes sorted by falling score.

    Yields:
        members: (G, W) int64, a class a row, its boxes in the given order, then padding. G is 1 or
            G * W * W at most ``_BLOCK ** 2``.
        is_member: (G, W) bool, False for padding. It stands behind the boxes, so it suppresses none.
    """
    by_class = labels.argsort(stable=True)
    counts = torch.unique_consecutive(labels.index_select(0, by_class), return_counts=True)[1]
    sizes, largest_first = counts.sort(descending=True)
    starts = (counts.cumsum(0) - counts)[largest_first]
    widths: list[int] = sizes.tolist()
    row = 0
    while row < len(widths):
        stop = row + max(1, _BLOCK**2 // widths[row] ** 2)
        column = torch.arange(widths[row], device=labels.device)
        slots = (starts[row:stop, None] + column).clamp(max=len(labels) - 1)
        members = by_class.index_select(0, slots.flatten()).view_as(slots)
        yield members, column < sizes[row:stop, None]
        row = stop


def _greedy_long(corners: Tensor, iou_threshold: float) -> Tensor:
    """Indices kept of boxes (4, W) sorted by falling score, a block after the other.

    What a block keeps is taken out of all that follows, so that later blocks hold live boxes only.
    """
    kept = []
    alive = torch.arange(corners.shape[1], device=corners.device)
    while len(alive):
        block, alive = alive[:_BLOCK], alive[_BLOCK:]
        block = block.masked_select(_greedy(corners.index_select(1, block), iou_threshold))
        kept.append(block)
        boxes = corners.index_select(1, block)
        survivors = []
        for piece in torch.split(alive, _BLOCK**2 // len(block)):
            exceeds = _exceeds(boxes, corners.index_select(1, piece), iou_threshold)
            survivors.append(piece.masked_select(~exceeds.any(0)))
        alive = torch.cat(survivors)
    return torch.cat(kept)


def _greedy(corners: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes (4, ..., W), sorted by falling score along W, are kept: (..., W) bool.

    Takes as many rounds as the longest chain of boxes in which each one hangs on the one before, W at most.
    """
    rank = torch.arange(corners.shape[-1], device=corners.device)
    suppresses = (_exceeds(corners, corners, iou_threshold) & (rank.unsqueeze(-1) < rank)).float()
    keep = torch.ones_like(corners[0])
    while True:
        updated = ((suppresses * keep.unsqueeze(-1)).sum(-2) == 0).float()
        if torch.equal(updated, keep):
            return keep.bool()
        keep = updated


def _exceeds(corners_a: Tensor, corners_b: Tensor, iou_threshold: float) -> Tensor:
    """Whether the IoU of boxes (4, ..., P) and (4, ..., Q) exceeds the threshold: (..., P, Q) bool."""
    boxes_a, boxes_b = corners_a.unsqueeze(-1), corners_b.unsqueeze(-2)
    width, height = (
        torch.minimum(boxes_a[2 + axis], boxes_b[2 + axis])
        .sub_(torch.maximum(boxes_a[axis], boxes_b[axis]))
        .clamp_(min=0)
        for axis in (0, 1)
    )
    inter = width.mul_(height)
    union = (_area(boxes_a) + _area(boxes_b)).sub_(inter)
    return inter.div_(union) > iou_threshold


def _area(corners: Tensor) -> Tensor:
    return (corners[2] - corners[0]) * (corners[3] - corners[1])

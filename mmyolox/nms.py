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
- Memory: 1 MB for the matrices of pairs (100 MB on accelerators), and less than 200 bytes a box.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Boxes of a class compared all against all at once. Matrices of 180 x 180 pairs stay just below the 32,768
# elements from which torch splits an operation among threads: twice that would be 1.3 times as fast on an
# idle CPU, but waits for its threads, 5 to 10 times as slow, when data loading workers keep the cores busy.
# For the same reason there is no matmul, and elements are picked by ``index_select`` and ``masked_select``:
# ``tensor[index]`` goes to the threads from 3,000 elements on.
_CPU_BLOCK = 180
# Accelerators take longer to start an operation, and to be waited for, than to compute it. The candidates of
# 32 photographs with scores over 0.001 take 1,300 operations and 110 waits, with small blocks ten times more.
_ACCELERATOR_BLOCK = 2048


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Drops every box that overlaps a better one, whatever their classes.

    Args:
        bboxes: (N, 4) as x1, y1, x2, y2 in pixels; any real dtype, computed in float32.
        scores: (N,).
        iou_threshold: The IoU with a kept box above which a box goes.

    Returns:
        (K,) int64: indices of the kept boxes by falling score.
    """
    return batched_nms(bboxes, scores, torch.zeros_like(scores, dtype=torch.int64), iou_threshold)


def batched_nms(
    bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, max_num: int = -1
) -> Tensor:
    """Drops every box that overlaps a better one of its class.

    Args:
        bboxes: (N, 4) as x1, y1, x2, y2 in pixels; any real dtype, computed in float32.
        scores: (N,).
        labels: (N,) integers; boxes of different labels do not see each other.
        iou_threshold: The IoU with a kept box of its class above which a box goes.
        max_num: How many of the best kept boxes are returned; -1 for all. The result is the head of the full
            result and costs less, since boxes that score lower are not looked at.

    Returns:
        (K,) int64: indices of the kept boxes by falling score.
    """
    return images_nms(bboxes, scores, labels, torch.zeros_like(labels), iou_threshold, max_num)


@torch.no_grad()
def images_nms(
    bboxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    images: Tensor,
    iou_threshold: float,
    max_num: int = -1,
    max_candidates: int = -1,
) -> Tensor:
    """:func:`batched_nms` of all images of a batch at once: small classes share a matrix of pairs.

    Args:
        bboxes: (N, 4), as in :func:`batched_nms`.
        scores: (N,).
        labels: (N,) integers.
        images: (N,) integers: whose box it is. Boxes of different images do not see each other.
        iou_threshold: The IoU above which a box goes, as in :func:`batched_nms`.
        max_num: How many boxes of each image are returned at most; -1 for all.
        max_candidates: How many of the best boxes of each image are looked at; -1 for all.

    Returns:
        (K,) int64: indices of the kept boxes by image, those of an image by falling score.
    """
    order = scores.masked_fill(scores.isnan(), -torch.inf).argsort(descending=True, stable=True)
    order = order.index_select(0, images.index_select(0, order).argsort(stable=True))
    owners = images.index_select(0, order)
    ranks = _ranks(owners)
    if max_candidates >= 0:
        order, owners, ranks = (x.masked_select(ranks < max_candidates) for x in (order, owners, ranks))
    if not len(order):
        return order
    corners = bboxes.float().T.contiguous()
    groups = images * (labels.max() - labels.min() + 1) + labels

    def survivors(candidates: Tensor) -> Tensor:
        boxes, classes = corners.index_select(1, candidates), groups.index_select(0, candidates)
        return candidates.masked_select(_keep_mask(boxes, classes, iou_threshold))

    if max_num < 0:
        return survivors(order)
    kept, size = [], 4 * max(max_num, 1)
    while len(order):
        keep = survivors(order.masked_select(ranks < size))
        keepers = images.index_select(0, keep)
        keeper_ranks = _ranks(keepers)
        # Images with too few kept boxes and candidates that were not looked at go round again.
        with_more = owners.masked_select(ranks == size)
        full = keepers.masked_select(keeper_ranks == max_num - 1)
        open_images = with_more.masked_select(~torch.isin(with_more, full))
        kept.append(keep.masked_select(~torch.isin(keepers, open_images) & (keeper_ranks < max_num)))
        is_open = torch.isin(owners, open_images)
        order, owners, ranks = (x.masked_select(is_open) for x in (order, owners, ranks))
        size *= 4
    keep = torch.cat(kept)
    return keep.index_select(0, images.index_select(0, keep).argsort(stable=True))


def _ranks(images: Tensor) -> Tensor:
    """How many entries of the same image precede each of these sorted ones: (N,) int64."""
    return torch.arange(len(images), device=images.device) - torch.searchsorted(images, images)


def _block(device: torch.device) -> int:
    return _CPU_BLOCK if device.type == 'cpu' else _ACCELERATOR_BLOCK


def _keep_mask(corners: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """Which of the boxes (4, N), sorted by falling score, are kept: (N,) bool."""
    is_kept = torch.zeros_like(labels, dtype=torch.bool)
    for members, is_member in _classes(labels):
        boxes = corners.index_select(1, members.flatten()).view(4, *members.shape)
        if members.shape[1] > _block(labels.device):
            kept = members[0].index_select(0, _greedy_long(boxes[:, 0], iou_threshold))
        else:
            kept = members.masked_select(_greedy(boxes, iou_threshold) & is_member)
        is_kept.index_fill_(0, kept, True)
    return is_kept


def _classes(labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups the boxes by class, and classes of similar size into one matrix.

    Args:
        labels: (N,), the labels of boxes sorted by falling score.

    Yields:
        members: (G, W) int64, a class a row, its boxes in the given order, then padding. G is 1 or
            G * W * W at most the square of a block.
        is_member: (G, W) bool, False for padding. It stands behind the boxes, so it suppresses none.
    """
    by_class = labels.argsort(stable=True)
    counts = torch.unique_consecutive(labels.index_select(0, by_class), return_counts=True)[1]
    sizes, largest_first = counts.sort(descending=True)
    starts = (counts.cumsum(0) - counts)[largest_first]
    widths: list[int] = sizes.tolist()
    row = 0
    while row < len(widths):
        stop = row + max(1, _block(labels.device) ** 2 // widths[row] ** 2)
        column = torch.arange(widths[row], device=labels.device)
        slots = (starts[row:stop, None] + column).clamp(max=len(labels) - 1)
        members = by_class.index_select(0, slots.flatten()).view_as(slots)
        yield members, column < sizes[row:stop, None]
        row = stop


def _greedy_long(corners: Tensor, iou_threshold: float) -> Tensor:
    """The indices kept of boxes (4, W) sorted by falling score, a block after the other.

    What a block keeps is taken out of all that follows, so that later blocks hold live boxes only.
    """
    kept, size = [], _block(corners.device)
    alive = torch.arange(corners.shape[1], device=corners.device)
    while len(alive):
        block, alive = alive[:size], alive[size:]
        block = block.masked_select(_greedy(corners.index_select(1, block), iou_threshold))
        kept.append(block)
        boxes = corners.index_select(1, block)
        survivors = []
        for piece in torch.split(alive, size**2 // len(block)):
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

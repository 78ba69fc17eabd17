"""Greedy non-maximum suppression in NumPy, class by class: the answer of :mod:`mmyolox.ops.nms`.

Boxes are walked by falling score, and one goes when its IoU with a kept box of its class exceeds the threshold.
A block of boxes is compared with itself at once; the walk through the block is then one over bits: a row of the
matrix of pairs is a whole number, and suppressing is an AND. What a block keeps is taken out of all that
follows, so that later blocks hold live boxes only. Boxes beyond a window are not looked at until it is known
that those before do not suffice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

_BLOCK = 128
"""Boxes compared all against all: matrices of 64 kB stay in the cache."""
_PAIRS = 1 << 16
"""Pairs of kept and other boxes compared at once, for the same reason."""
_WINDOW = 4
"""How many times the number wanted are looked at first; then as many times more."""


class _Boxes(NamedTuple):
    """Columns of boxes, so that pairs are compared in contiguous memory."""

    corners: NDArray[np.float32]
    areas: NDArray[np.float32]
    labels: NDArray[np.int32]

    def take(self, index: Indices) -> '_Boxes':
        return _Boxes(self.corners[:, index], self.areas[index], self.labels[index])


def best_first(scores: NDArray[np.float32], count: int = -1) -> Indices:
    """Indices of the best scores by falling score: equal ones by index, NaN last; all, or at most ``count``."""
    ranked = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    if not 0 <= count < len(ranked):
        return np.argsort(-ranked, kind='stable')
    if not count:
        return np.empty(0, np.intp)
    # Most scores are neither sorted nor moved: those below the last that counts are only told apart.
    least = np.partition(ranked, len(ranked) - count)[len(ranked) - count]
    candidates = np.flatnonzero(ranked >= least)
    return candidates[np.argsort(-ranked[candidates], kind='stable')[:count]]


def batched_nms(
    bboxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.integer],
    iou_threshold: float,
    max_num: int = -1,
    max_candidates: int = -1,
) -> Indices:
    """Drops every box that overlaps a better one of its class.

    Args:
        bboxes: (N, 4) xyxy in pixels. One with a NaN overlaps nothing, as do two without area.
        scores: (N,). Of equal ones the lower index goes first; NaN goes last.
        labels: (N,) whole numbers; boxes of different labels do not see each other.
        iou_threshold: A box goes when its IoU with a kept box of its class is greater than this.
        max_num: Return only that many of the best kept boxes; -1 for all.
        max_candidates: Only so many of the best boxes are looked at; -1 for all.

    Returns:
        (K,) indices of the kept boxes by falling score.
    """
    total = len(scores) if max_candidates < 0 else min(max_candidates, len(scores))
    wanted = total if max_num < 0 else min(max_num, total)
    window = min(total, _WINDOW * max(wanted, 1))
    while True:
        order = best_first(scores, window)
        kept = order[_kept(_columns(bboxes[order], labels[order]), iou_threshold, wanted)]
        if len(kept) == wanted or window == total:
            return kept
        window = min(total, _WINDOW * window)


def _columns(bboxes: NDArray[np.float32], labels: NDArray[np.integer]) -> _Boxes:
    corners = np.ascontiguousarray(bboxes.T, np.float32)
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    return _Boxes(corners, areas, labels.astype(np.int32))


def _kept(boxes: _Boxes, iou_threshold: float, wanted: int) -> Indices:
    """Indices of those kept of boxes sorted by falling score, the first ``wanted``."""
    parts = [_kept_of_pack(boxes, pack, iou_threshold, wanted) for pack in _packs(boxes.labels)]
    return np.sort(np.concatenate([np.empty(0, np.intp), *parts]))[:wanted]


def _packs(labels: NDArray[np.int32]) -> Iterator[Indices]:
    """Indices class by class, each in the given order: whole classes up to a block together, or one of any size."""
    by_class = np.argsort(labels, kind='stable')
    ends = np.flatnonzero(np.diff(labels[by_class], append=-1)) + 1
    start = stop = 0
    for end in ends.tolist():
        if end - start > _BLOCK and stop > start:
            yield by_class[start:stop]
            start = stop
        stop = end
    yield by_class[start:stop]


def _kept_of_pack(boxes: _Boxes, pack: Indices, iou_threshold: float, wanted: int) -> Indices:
    """The indices of a pack that are kept; of a pack of one class no more than are wanted matter."""
    parts: list[Indices] = []
    count = 0
    while len(pack):
        block, pack = pack[:_BLOCK], pack[_BLOCK:]
        block = block[_walk(boxes.take(block), iou_threshold)]
        parts.append(block)
        count += len(block)
        if count >= wanted:
            break
        pack = pack[_survivors(boxes.take(block), boxes.take(pack), iou_threshold)]
    return np.concatenate([np.empty(0, np.intp), *parts])


def _walk(boxes: _Boxes, iou_threshold: float) -> list[int]:
    """Which of some boxes, sorted by falling score, are kept."""
    bits = np.packbits(_exceeds(boxes, boxes, iou_threshold), axis=1, bitorder='little')
    rows = [int.from_bytes(row, 'little') for row in bits]
    kept, suppressed = [], 0
    for index, row in enumerate(rows):
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= row
    return kept


def _survivors(keepers: _Boxes, others: _Boxes, iou_threshold: float) -> NDArray[np.bool_]:
    """Which of other boxes no keeper suppresses."""
    survive = np.ones(len(others.areas), bool)
    step = _PAIRS // len(keepers.areas)
    for start in range(0, len(survive), step):
        piece = _Boxes(*(column[..., start : start + step] for column in others))
        survive[start : start + step] = ~_exceeds(keepers, piece, iou_threshold).any(axis=0)
    return survive


def _exceeds(a: _Boxes, b: _Boxes, iou_threshold: float) -> NDArray[np.bool_]:
    """Whether boxes overlap by more than the threshold and are of one class: (P, Q) bool."""
    corners = a.corners[..., None]
    width = np.minimum(corners[2], b.corners[2])
    width -= np.maximum(corners[0], b.corners[0])
    height = np.minimum(corners[3], b.corners[3])
    height -= np.maximum(corners[1], b.corners[1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    width *= height
    union = a.areas[:, None] + b.areas
    union -= width
    with np.errstate(divide='ignore', invalid='ignore'):
        width /= union
    exceeds = width > np.float32(iou_threshold)
    exceeds &= a.labels[:, None] == b.labels
    return exceeds

"""Greedy non-maximum suppression in NumPy, class by class: the answer of :mod:`mmyolox.nms`.

Boxes are walked by falling score, and one goes when its IoU with a kept box of its class exceeds the
threshold. Three ways lead there, each fast where the others are not:

- The best boxes of all classes are kept and take out what they overlap, in one step, as long as that takes
  out much: where many boxes stand for few objects.
- Of what is left a block is compared with itself at once; the walk through it is one over bits: a row of the
  matrix of pairs is a whole number, and suppressing is an OR. A block holds several small classes.
- Boxes beyond a window are not looked at until it is known that those before do not suffice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

_BLOCK = 128
"""Boxes compared all against all: matrices of 64 kB stay in the cache."""
_PAIRS = 1 << 15
"""Pairs of kept and other boxes compared at once, for the same reason."""
_WINDOW = 4
"""How many times the number wanted are looked at first; then as many times more."""
_WORTHWHILE = 1 / 8
"""The share of boxes that a step must take out for another one to follow."""


@dataclass(frozen=True)
class _Boxes:
    """Columns of boxes, so that pairs are compared in contiguous memory; ``ranks`` say which they are."""

    ranks: Indices
    corners: NDArray[np.float32]
    areas: NDArray[np.float32]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ranks)

    def take(self, index: Any) -> _Boxes:
        """Some of them, by whatever indexes the last axis; None makes an axis of 1 behind it."""
        return _Boxes(
            self.ranks[..., index], self.corners[..., index], self.areas[..., index], self.labels[..., index]
        )


def best_first(scores: NDArray[np.float32], count: int = -1) -> Indices:
    """The best scores' indices by falling score, equal ones by index, NaN last; all, or at most ``count``."""
    ranked = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    if not 0 < count < len(ranked):
        return np.argsort(-ranked, kind='stable')[: count if count >= 0 else None]
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
        labels: (N,) integers; boxes of different labels do not see each other.
        iou_threshold: The IoU with a kept box of its class above which a box goes.
        max_num: How many of the best kept boxes are returned; -1 for all.
        max_candidates: How many of the best boxes are looked at; -1 for all.

    Returns:
        (K,) indices of the kept boxes by falling score.
    """
    total = len(scores) if max_candidates < 0 else min(max_candidates, len(scores))
    wanted = total if max_num < 0 else min(max_num, total)
    window = min(total, _WINDOW * max(wanted, 1))
    while True:
        order = best_first(scores, window)
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            kept = order[_kept(bboxes[order], labels[order], np.float32(iou_threshold), wanted)]
        if len(kept) == wanted or window == total:
            return kept
        window = min(total, _WINDOW * window)


def _kept(
    bboxes: NDArray[np.float32], labels: NDArray[np.integer], iou_threshold: np.float32, wanted: int
) -> Indices:
    """The indices of those kept of boxes sorted by falling score, the first ``wanted``."""
    by_class = np.argsort(labels, kind='stable')
    corners = np.ascontiguousarray(bboxes[by_class].T, np.float32)
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    boxes = _Boxes(by_class, corners, areas, labels[by_class].astype(np.int32))
    parts: list[Indices] = [np.empty(0, np.intp)]
    removed = len(boxes)
    while len(boxes) > _BLOCK and removed > _WORTHWHILE * len(boxes):
        before = len(boxes)
        best, boxes = _step(boxes, iou_threshold)
        parts.append(best)
        removed = before - len(boxes)
    parts += [_kept_of_pack(pack, iou_threshold, wanted) for pack in _packs(boxes)]
    return np.sort(np.concatenate(parts))[:wanted]


def _step(boxes: _Boxes, iou_threshold: np.float32) -> tuple[Indices, _Boxes]:
    """The ranks of the best boxes of all classes, and the boxes that none of these overlaps.

    Args:
        boxes: The boxes, class by class, each by falling score.
    """
    is_first = np.append(True, boxes.labels[1:] != boxes.labels[:-1])
    firsts = np.flatnonzero(is_first)
    best = boxes.take(firsts[np.cumsum(is_first) - 1])
    survives = ~_exceeds(best, boxes, iou_threshold)
    survives[firsts] = False
    return boxes.ranks[firsts], boxes.take(np.flatnonzero(survives))


def _packs(boxes: _Boxes) -> Iterator[_Boxes]:
    """Takes boxes apart that lie class by class: whole classes, up to a block of them or one of any size."""
    ends = np.flatnonzero(np.append(boxes.labels[1:] != boxes.labels[:-1], True)) + 1
    start = stop = 0
    for end in ends[: len(boxes)].tolist():
        if end - start > _BLOCK and stop > start:
            yield boxes.take(slice(start, stop))
            start = stop
        stop = end
    yield boxes.take(slice(start, stop))


def _kept_of_pack(pack: _Boxes, iou_threshold: np.float32, wanted: int) -> Indices:
    """The ranks of those of a pack that are kept; of a single class no more than are wanted matter."""
    parts: list[Indices] = [np.empty(0, np.intp)]
    count = 0
    while len(pack) and count < wanted:
        block, pack = pack.take(slice(_BLOCK)), pack.take(slice(_BLOCK, None))
        block = block.take(_walk(block, iou_threshold))
        parts.append(block.ranks)
        count += len(block)
        survives = np.ones(len(pack), bool)
        step = _PAIRS // len(block)
        for start in range(0, len(pack), step):
            piece = slice(start, start + step)
            survives[piece] = ~_exceeds(block.take(None), pack.take(piece), iou_threshold).any(axis=0)
        pack = pack.take(np.flatnonzero(survives))
    return np.concatenate(parts)


def _walk(boxes: _Boxes, iou_threshold: np.float32) -> Indices:
    """The indices of those kept of a block."""
    pairs = _exceeds(boxes.take(None), boxes, iou_threshold)
    overlapped = [int.from_bytes(bits, 'little') for bits in np.packbits(pairs, axis=1, bitorder='little')]
    kept, suppressed = [], 0
    for index, others in enumerate(overlapped):
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= others
    return np.array(kept, np.intp)


def _exceeds(a: _Boxes, b: _Boxes, iou_threshold: np.float32) -> NDArray[np.bool_]:
    """Whether boxes overlap by more than the threshold and are of one class, broadcast over their shapes."""
    width = np.minimum(a.corners[2], b.corners[2])
    width -= np.maximum(a.corners[0], b.corners[0])
    height = np.minimum(a.corners[3], b.corners[3])
    height -= np.maximum(a.corners[1], b.corners[1])
    np.maximum(width, 0, out=width)  # of one side is enough: what is negative exceeds no threshold
    width *= height
    union = a.areas + b.areas
    union -= width
    width /= union
    exceeds = width > iou_threshold
    exceeds &= a.labels == b.labels
    return exceeds

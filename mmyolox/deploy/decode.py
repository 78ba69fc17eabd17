"""From the rows that an exported network returns to detections, as ``YOLOXHead.postprocess`` does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .info import ModelInfo
from .nms import batched_nms

Rows = NDArray[np.float32]
_BOX = 5
"""Where class scores begin in a row: behind the box and the object's score."""


@dataclass(frozen=True)
class Detections:
    """What is found in an image, the best first.

    Attributes:
        bboxes: (n, 4) float32 xyxy in pixels of the image, clipped to it.
        scores: (n,) float32.
        labels: (n,) int64, indices of the model's classes.
        points: (n, P, 3) float32: x and y in pixels of the image, not clipped to it, and score; None for a
            model without points.
    """

    bboxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    points: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: NDArray[np.generic]) -> Detections:
        """Some of the detections, by a mask (n,) or by indices."""
        points = None if self.points is None else self.points[index]
        return Detections(self.bboxes[index], self.scores[index], self.labels[index], points)

    def in_original(self, scale: tuple[float, float], size: tuple[int, int]) -> Detections:
        """The detections in pixels of an image, whose border clips boxes, from those of the network's input.

        Args:
            scale: Input pixels per pixel of the image, of x and of y.
            size: (height, width) of the image.
        """
        scales = np.array(scale, np.float32)
        limits = np.array([size[1], size[0], size[1], size[0]], np.float32)
        bboxes = np.minimum(np.maximum(self.bboxes / np.tile(scales, 2), np.float32(0)), limits)
        points = self.points
        if points is not None:
            points = np.concatenate([points[..., :2] / scales, points[..., 2:]], axis=2)
        return Detections(bboxes, self.scores, self.labels, points)


def detections_of(rows: Rows, info: ModelInfo, input_size: tuple[int, int]) -> Detections:
    """Filters, decodes and suppresses the rows of one image.

    An object's score limits those of its classes, so most priors go before their classes are looked at, and
    only boxes that are left are decoded.

    Args:
        rows: (N, 5 + C + 3P) float32, of the form ``raw`` or ``decoded``, see :class:`.ModelInfo`.
        info: Thresholds, limits and the form.
        input_size: (height, width) of the network's input.

    Returns:
        Detections in input pixels, not clipped. Equal scores by prior and class.
    """
    classes = len(info.classes)
    chosen = np.flatnonzero(rows[:, 4] > np.float32(info.score_thr))
    confident = rows[chosen]
    class_scores = confident[:, _BOX : _BOX + classes] * confident[:, 4:5]
    places, labels = _labelled(class_scores, info)
    scores = class_scores[places, labels]
    cells = _cells(input_size, info.strides)[chosen] if info.form == 'raw' else None
    bboxes = _corners(confident[:, :4], cells)[places]
    keep = batched_nms(bboxes, scores, labels, info.iou_thr, info.max_per_img, info.nms_pre)
    points = None
    if info.points:
        kept = places[keep]
        points = _points(confident[kept, _BOX + classes :], None if cells is None else cells[kept])
    return Detections(bboxes[keep], scores[keep], labels[keep], points)


def _labelled(class_scores: Rows, info: ModelInfo) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The candidates among class scores (R, C), by row, then by class: rows (K,) and labels (K,)."""
    if info.multi_label:
        return np.divmod(
            np.flatnonzero(class_scores > np.float32(info.score_thr)), class_scores.shape[1], dtype=np.intp
        )
    labels = class_scores.argmax(axis=1)
    best = np.take_along_axis(class_scores, labels[:, None], axis=1)[:, 0]
    places = np.flatnonzero(best > np.float32(info.score_thr))
    return places, labels[places]


def _corners(boxes: Rows, cells: Rows | None) -> Rows:
    """(R, 4) xyxy in input pixels of boxes (R, 4), raw at cells (R, 3) or decoded."""
    centres, sides = boxes[:, :2], boxes[:, 2:]
    if cells is not None:
        centres = centres * cells[:, 2:] + cells[:, :2]
        with np.errstate(over='ignore'):  # what the network makes of noise may be infinite
            sides = np.exp(sides) * cells[:, 2:]
    halves = sides / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _points(values: Rows, cells: Rows | None) -> Rows:
    """(n, P, 3) of points (n, 3P), raw at cells (n, 3) or decoded."""
    points = values.reshape(len(values), values.shape[1] // 3, 3)
    if cells is None:
        return points
    places = points[..., :2] * cells[:, None, 2:] + cells[:, None, :2]
    return np.concatenate([places, points[..., 2:]], axis=2)


@lru_cache(maxsize=16)
def _cells(input_size: tuple[int, int], strides: tuple[int, ...]) -> Rows:
    """(N, 3) x and y of every cell's top left corner in input pixels, and its stride; level by level."""
    levels = []
    for stride in strides:
        y, x = np.mgrid[: input_size[0] // stride, : input_size[1] // stride]
        cells = np.stack([x, y, np.ones_like(x)], axis=-1)
        levels.append(cells.reshape(-1, 3) * stride)
    return np.concatenate(levels).astype(np.float32)


def prior_count(input_size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """How many rows a network returns for an input of (height, width) pixels."""
    return sum((input_size[0] // stride) * (input_size[1] // stride) for stride in strides)

"""From the table that an exported network returns to detections, as ``YOLOXHead.postprocess`` does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .info import ModelInfo
from .letterbox import Size
from .nms import batched_nms

Floats = NDArray[np.float32]
_CLASS_COLUMN = 5
"""The column where class scores begin: behind the box and the objectness score."""


@dataclass(frozen=True)
class Detections:
    """The detections of an image, the best first.

    Attributes:
        bboxes: (n, 4) float32 xyxy in pixels of the image, clipped to it.
        scores: (n,) float32.
        labels: (n,) int64, indices of the model's classes.
        points: (n, P, 3) float32: x and y in pixels of the image, not clipped to it, and score; None for a
            model without keypoints.
    """

    bboxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    points: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: NDArray[np.generic]) -> Detections:
        """Some of the detections, by a mask (n,) or by indices."""
        keypoints = None if self.points is None else self.points[index]
        return Detections(self.bboxes[index], self.scores[index], self.labels[index], keypoints)

    def in_original(self, scale: tuple[float, float], size: Size) -> Detections:
        """The detections in pixels of an image, whose border clips boxes, from those of the network's input.

        Args:
            scale: The input pixels per pixel of the image, of x and of y.
            size: The size of the image.
        """
        scales = np.array(scale, np.float32)
        limits = np.array([*size, *size], np.float32)
        bboxes = np.minimum(np.maximum(self.bboxes / np.tile(scales, 2), np.float32(0)), limits)
        keypoints = self.points
        if keypoints is not None:
            keypoints = np.concatenate([keypoints[..., :2] / scales, keypoints[..., 2:]], axis=2)
        return Detections(bboxes, self.scores, self.labels, keypoints)


def detections_of(table: Floats, info: ModelInfo) -> Detections:
    """Filters, decodes and suppresses the predictions for one image.

    The objectness score limits those of the classes, so most priors go before their classes are looked at,
    and only boxes that are left are decoded.

    Args:
        table: (N, 5 + C + 3P) float32, a row a prior, of the form ``raw`` or ``decoded``, see
            :class:`.ModelInfo`.
        info: The info that says thresholds, limits, the form and the size of the input.

    Returns:
        Detections in input pixels, not clipped. Equal scores by prior and class.
    """
    keypoint_column = _CLASS_COLUMN + len(info.classes)
    priors = np.flatnonzero(table[:, 4] > np.float32(info.score_thr))
    confident = table[priors]
    class_scores = confident[:, _CLASS_COLUMN:keypoint_column] * confident[:, 4:5]
    candidates, labels = _candidates(class_scores, info)
    scores = class_scores[candidates, labels]
    cells = _cells(info.size, info.strides)[priors] if info.form == 'raw' else None
    centres, sides = confident[:, :2], confident[:, 2:4]
    if cells is not None:
        centres = centres * cells[:, 2:] + cells[:, :2]
        with np.errstate(over='ignore'):  # what the network makes of noise may be infinite
            sides = np.exp(sides) * cells[:, 2:]
    bboxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)[candidates]
    keep = batched_nms(bboxes, scores, labels, info.iou_thr, info.max_per_img, info.nms_pre)
    keypoints = None
    if info.points:
        kept = candidates[keep]
        keypoints = confident[kept, keypoint_column:].reshape(len(kept), len(info.points), 3)
        if cells is not None:
            keypoints[..., :2] = keypoints[..., :2] * cells[kept, None, 2:] + cells[kept, None, :2]
    return Detections(bboxes[keep], scores[keep], labels[keep], keypoints)


def _candidates(class_scores: Floats, info: ModelInfo) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The candidates among class scores (R, C), by prior, then by class: indices (K,) and labels (K,)."""
    if info.multi_label:
        return np.divmod(
            np.flatnonzero(class_scores > np.float32(info.score_thr)), class_scores.shape[1], dtype=np.intp
        )
    labels = class_scores.argmax(axis=1)
    best = np.take_along_axis(class_scores, labels[:, None], axis=1)[:, 0]
    candidates = np.flatnonzero(best > np.float32(info.score_thr))
    return candidates, labels[candidates]


@lru_cache(maxsize=16)
def _cells(size: Size, strides: tuple[int, ...]) -> Floats:
    """(N, 3) x and y of every cell's top left corner in input pixels, and its stride; level by level."""
    levels = []
    for stride in strides:
        y, x = np.mgrid[: size.height // stride, : size.width // stride]
        cells = np.stack([x, y, np.ones_like(x)], axis=-1)
        levels.append(cells.reshape(-1, 3) * stride)
    return np.concatenate(levels).astype(np.float32)


def prior_count(size: Size, strides: tuple[int, ...]) -> int:
    """How many priors a network has for an input of a size."""
    return sum((size.height // stride) * (size.width // stride) for stride in strides)

"""How far two answers to the same images are apart: tables of priors, and detections."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmyolox.deploy import Detections
from mmyolox.errors import UserError

_CLEAR_SCORE = 0.3


def clear_score_of(detections: Iterable[Detections]) -> float:
    """What an object scores that must be found again; below are those that come and go with rounding.

    Where nothing is found for sure, as by weights that are not trained, it is half of the best score.
    """
    best = max((float(found.scores.max(initial=0)) for found in detections), default=0.0)
    return min(_CLEAR_SCORE, best / 2)


def row_differences(
    rows: NDArray[np.float32], wanted: NDArray[np.float32], classes: int
) -> tuple[float, float]:
    """The largest differences of boxes and points, and of scores, of two tables (B, N, 5 + C + 3P).

    Raises:
        UserError: They have not the same shape.
    """
    if rows.shape != wanted.shape:
        raise UserError(f'the exported network returns {rows.shape}, PyTorch {wanted.shape}')
    apart = np.abs(rows - wanted)
    is_score = np.zeros(rows.shape[2], bool)
    is_score[4 : 5 + classes] = is_score[5 + classes + 2 :: 3] = True
    relative = apart / np.maximum(1, np.abs(wanted))
    # A value that is not a number is as far away as can be.
    boxes, scores = np.nan_to_num([relative[..., ~is_score].max(), apart[..., is_score].max()], nan=np.inf)
    return float(boxes), float(scores)


@dataclass(frozen=True)
class Match:
    """How the detections of an image by two models agree.

    Attributes:
        objects: Clear objects that the first finds.
        clear: Clear objects of both, each counted once for either.
        found: How many of these the other finds too.
        pixels: Largest difference of a side of their boxes, in pixels of the image.
        scores: (n,) differences of their scores.
        points: (m,) distances of their points, in longer sides of their boxes.
    """

    objects: int
    clear: int
    found: int
    pixels: float
    scores: NDArray[np.float32]
    points: NDArray[np.float32]


def match(first: Detections, second: Detections, least_iou: float, clear_score: float) -> Match:
    """Looks for the clear objects of each among all that the other found, of the same class and place."""
    pixels, clear, found = 0.0, 0, 0
    nothing: NDArray[np.float32] = np.empty(0, np.float32)
    scores, points = [nothing], [nothing]
    for one, other in ((first, second), (second, first)):
        chosen = one.select(one.scores > clear_score)
        ious = _ious(chosen.bboxes, other.bboxes) * (chosen.labels[:, None] == other.labels)
        clear += len(chosen)
        if not len(chosen) or not len(other):
            continue
        partner = ious.argmax(axis=1)
        is_found = ious.max(axis=1) >= least_iou
        found += int(is_found.sum())
        mine, theirs = chosen.select(is_found), other.select(partner[is_found])
        pixels = max(pixels, float(np.abs(mine.bboxes - theirs.bboxes).max(initial=0)))
        scores.append(np.abs(mine.scores - theirs.scores))
        points.append(_point_distances(mine, theirs))
    objects = int((first.scores > clear_score).sum())
    return Match(objects, clear, found, pixels, np.concatenate(scores), np.concatenate(points))


def _point_distances(first: Detections, second: Detections) -> NDArray[np.float32]:
    """(nP,) distances of the points of n objects, in longer sides of their boxes; none without points."""
    if first.points is None or second.points is None:
        return np.empty(0, np.float32)
    apart = np.linalg.norm(first.points[..., :2] - second.points[..., :2], axis=2)
    sides = np.maximum(1, (first.bboxes[:, 2:] - first.bboxes[:, :2]).max(axis=1, initial=0))
    # A value that is not a number is as far away as can be.
    distances: NDArray[np.float32] = np.nan_to_num(apart / sides[:, None], nan=np.inf).ravel()
    return distances


def _ious(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, m) overlaps of boxes (n, 4) and (m, 4), a pixel longer each: borders clip some to nothing."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:]) + 1
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1) for boxes in (first, second)]
    ious: NDArray[np.float32] = inter / (areas[0][:, None] + areas[1] - inter)
    return ious

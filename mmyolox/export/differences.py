"""How far two answers to the same images are apart: tables of priors, and detections."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmyolox.deploy import Detections
from mmyolox.utils.errors import UserError

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
    """How the detections of an image by two models agree; see :class:`Report`."""

    objects: int
    clear: int
    found: int
    pixels: float
    scores: NDArray[np.float32]


def match(first: Detections, second: Detections, least_iou: float, clear_score: float) -> Match:
    """Looks for the clear objects of each among all that the other found, of the same class and place."""
    pixels, scores, clear, found = 0.0, [np.empty(0, np.float32)], 0, 0
    for one, other in ((first, second), (second, first)):
        chosen = one.select(one.scores > clear_score)
        ious = _ious(chosen.bboxes, other.bboxes) * (chosen.labels[:, None] == other.labels)
        clear += len(chosen)
        if not len(chosen) or not len(other):
            continue
        partner = ious.argmax(axis=1)
        is_found = ious.max(axis=1) >= least_iou
        found += int(is_found.sum())
        boxes = np.abs(chosen.bboxes - other.bboxes[partner])[is_found]
        pixels = max(pixels, float(boxes.max(initial=0)))
        scores.append(np.abs(chosen.scores - other.scores[partner])[is_found])
    return Match(int((first.scores > clear_score).sum()), clear, found, pixels, np.concatenate(scores))


def _ious(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, m) overlaps of boxes (n, 4) and (m, 4), a pixel longer each: borders clip some to nothing."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:]) + 1
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1) for boxes in (first, second)]
    ious: NDArray[np.float32] = inter / (areas[0][:, None] + areas[1] - inter)
    return ious

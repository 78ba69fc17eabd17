"""How far two answers to the same images are apart: predictions of all priors, and detections."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmyolox.deploy import Detections
from mmyolox.errors import UserError

_CLEAR_SCORE = 0.3


def clear_score_of(detections: Iterable[Detections]) -> float:
    """What an object scores that must be detected again; those below come and go with rounding.

    Where nothing is detected for sure, as by weights that are not trained, it is half of the best score.
    """
    best = max((float(one.scores.max(initial=0)) for one in detections), default=0.0)
    return min(_CLEAR_SCORE, best / 2)


def prediction_differences(
    predictions: NDArray[np.float32], wanted: NDArray[np.float32], classes: int
) -> tuple[float, float]:
    """The largest differences of boxes and keypoints, and of scores, of predictions (B, N, 5 + C + 3P).

    Raises:
        UserError: They have not the same shape.
    """
    if predictions.shape != wanted.shape:
        raise UserError(f'the exported network returns {predictions.shape}, PyTorch {wanted.shape}')
    apart = np.abs(predictions - wanted)
    is_score = np.zeros(predictions.shape[2], bool)
    is_score[4 : 5 + classes] = is_score[5 + classes + 2 :: 3] = True
    relative = apart / np.maximum(1, np.abs(wanted))
    # A value that is not a number is as far away as can be.
    boxes, scores = np.nan_to_num([relative[..., ~is_score].max(), apart[..., is_score].max()], nan=np.inf)
    return float(boxes), float(scores)


@dataclass(frozen=True)
class Match:
    """How the detections of an image by two models agree.

    Attributes:
        objects: The number of clear detections of the first model.
        clear: The number of clear detections of both models together.
        matched: The number of these that a detection of the other model matches.
        pixels: The largest difference of a side of matched boxes, in pixels of the image.
        scores: (n,) differences of matched scores.
        keypoints: (m,) distances of matched keypoints, in longer sides of their boxes.
    """

    objects: int
    clear: int
    matched: int
    pixels: float
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]


def match(first: Detections, second: Detections, least_iou: float, clear_score: float) -> Match:
    """Matches the clear detections of each model with all of the other's, by class and overlap.

    Args:
        first: The detections of one model.
        second: The detections of the other model in the same image.
        least_iou: The least overlap of a match.
        clear_score: What clear detections score more than.
    """
    pixels, clear, matched = 0.0, 0, 0
    nothing: NDArray[np.float32] = np.empty(0, np.float32)
    scores, keypoints = [nothing], [nothing]
    for one, other in ((first, second), (second, first)):
        chosen = one.select(one.scores > clear_score)
        ious = _ious(chosen.bboxes, other.bboxes) * (chosen.labels[:, None] == other.labels)
        clear += len(chosen)
        if not len(chosen) or not len(other):
            continue
        partner = ious.argmax(axis=1)
        is_matched = ious.max(axis=1) >= least_iou
        matched += int(is_matched.sum())
        mine, theirs = chosen.select(is_matched), other.select(partner[is_matched])
        pixels = max(pixels, float(np.abs(mine.bboxes - theirs.bboxes).max(initial=0)))
        scores.append(np.abs(mine.scores - theirs.scores))
        keypoints.append(_keypoint_distances(mine, theirs))
    objects = int((first.scores > clear_score).sum())
    return Match(objects, clear, matched, pixels, np.concatenate(scores), np.concatenate(keypoints))


def _keypoint_distances(first: Detections, second: Detections) -> NDArray[np.float32]:
    """(nP,) distances of the keypoints of n objects, in longer sides of their boxes; none of a detector."""
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

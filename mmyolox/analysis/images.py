"""How good each image is, and which are the worst."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Case
from .error_types import MISSED, TYPES, ErrorTypes
from .matching import Matching


@dataclass(frozen=True)
class ImageErrors:
    """The errors of each of I images, of detections that have at least the analysis' threshold.

    Attributes:
        threshold: The least score.
        correct: (I,) int64, correct detections.
        false_positives: (I,) int64, wrong ones.
        false_negatives: (I,) int64, objects without a detection.
        f1: (I,) float64; NaN for an image with neither objects nor detections.
        type_counts: (I, 6) int64, errors by type, see :data:`.error_types.TYPES`. A missed object counts
            if no detection of any score is of it; ``false_negatives`` has more.
        costs: (I,) float64 from 0 to 1, what makes an image bad: see :func:`image_errors`.
        worst: (n,) int64, the images that have a cost, the worst first.
    """

    threshold: float
    correct: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]
    f1: NDArray[np.float64]
    type_counts: NDArray[np.int64]
    costs: NDArray[np.float64]
    worst: NDArray[np.int64]


def image_errors(case: Case, matching: Matching, errors: ErrorTypes, threshold: float) -> ImageErrors:
    """Counts the errors of each image, and adds up what each would add to AP50 if it alone were mended.

    Args:
        case: The case.
        matching: Which detection is of which object.
        errors: The errors by type.
        threshold: The least score of the detections that are counted; the costs are of all.
    """
    images = len(case.truth.image_ids)
    found = case.detections
    is_kept = matching.is_counted & (found.scores >= threshold)
    correct, wrong = (
        np.bincount(found.images[is_kept & mask], minlength=images)
        for mask in (matching.is_correct, ~matching.is_correct)
    )
    objects = np.bincount(case.truth.images[case.truth.is_object], minlength=images)
    whole = 2 * correct + wrong + objects - correct
    f1 = np.divide(2 * correct, whole, out=np.full(images, np.nan), where=whole > 0)
    counts = np.zeros((images, len(TYPES)), np.int64)
    shown = np.flatnonzero(is_kept & (errors.of_detections >= 0))
    np.add.at(counts, (found.images[shown], errors.of_detections[shown]), 1)
    np.add.at(counts[:, MISSED], case.truth.images[errors.of_objects == MISSED], 1)
    costs = _costs(case, matching)
    worst = np.argsort(-costs, kind='stable')
    return ImageErrors(
        threshold, correct, wrong, objects - correct, f1, counts, costs, worst[costs[worst] > 0]
    )


def _costs(case: Case, matching: Matching) -> NDArray[np.float64]:
    """(I,) What the errors of each image cost, in the mean over classes of the AP50 without COCO's steps.

    That AP is the sum of the precision at each correct detection, over the number of objects P. Without a
    wrong detection of rank r, the precision j / k at each correct one of a higher rank k becomes j / (k - 1),
    which adds j / (k (k - 1)) / P. An object that is not found costs 1 / P, as if it were found first.
    """
    truth, found = case.truth, case.detections
    objects = truth.object_counts
    share = np.divide(1.0, objects, out=np.zeros(len(objects)), where=objects > 0)
    share /= max(int((objects > 0).sum()), 1)
    counted = np.flatnonzero(matching.is_counted)
    order = counted[np.lexsort((-found.scores[counted], found.labels[counted]))]
    labels, is_correct = found.labels[order], matching.is_correct[order]
    starts = np.searchsorted(labels, np.arange(len(objects)))
    rank = np.arange(len(order)) - starts[labels] + 1
    before = np.append(0, np.cumsum(is_correct))
    nth = before[1:] - before[starts[labels]]
    gains = np.where(is_correct & (rank > 1), nth / np.maximum(rank * (rank - 1), 1), 0)
    sums = np.append(0, np.cumsum(gains))
    ends = np.searchsorted(labels, np.arange(len(objects)), side='right')
    later = sums[ends[labels]] - sums[1:]
    wrong_costs = np.where(is_correct, 0, later * share[labels])
    costs = np.bincount(found.images[order], wrong_costs, minlength=len(truth.image_ids))
    is_open = truth.is_object & (matching.detections < 0)
    missed = np.bincount(truth.images[is_open], share[truth.labels[is_open]], minlength=len(costs))
    return np.asarray(costs + missed, np.float64)

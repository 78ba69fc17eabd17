"""Whether scores are what they seem: of detections with a score of 0.7, seven in ten should be correct."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Case
from .matching import Matching


@dataclass(frozen=True)
class Calibration:
    """The scores of counted detections in B bins beside the shares of correct ones, at an IoU of 0.5.

    Attributes:
        edges: (B + 1,) float64, the bins' limits from 0 to 1; a bin has its lower one, the last one both.
        counts: (B,) int64, the detections.
        mean_scores: (B,) float64, NaN for an empty bin.
        precisions: (B,) float64, the share that is correct, NaN for an empty bin.
        error: The expected calibration error: the mean distance of both, weighed by the counts; NaN without
            detections.
        largest_error: The largest distance of both.
        error_by_class: (C,) float64, the expected calibration error of each class, NaN without detections.
    """

    edges: NDArray[np.floating]
    counts: NDArray[np.int64]
    mean_scores: NDArray[np.float64]
    precisions: NDArray[np.float64]
    error: float
    largest_error: float
    error_by_class: NDArray[np.float64]


def calibration(case: Case, matching: Matching, bins: int = 10) -> Calibration:
    """Compares the scores of a case with what they promise (Guo et al., ICML 2017).

    Args:
        case: The case.
        matching: Which detection is of which object.
        bins: The number of bins, all of the same width.
    """
    counted = matching.is_counted
    scores, labels = case.detections.scores[counted], case.detections.labels[counted]
    is_correct = matching.is_correct[counted]
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    # A row for every class.
    shape = (len(case.truth.classes), bins)
    cells = labels * bins + places
    counts, score_sums, correct = (
        np.bincount(cells, weights, minlength=shape[0] * bins).reshape(shape)
        for weights in (None, scores, is_correct)
    )
    gaps = np.abs(score_sums - correct).sum(1)
    totals = counts.sum(1)
    total = counts.sum(0)
    with np.errstate(invalid='ignore'):
        mean_scores, precisions = score_sums.sum(0) / total, correct.sum(0) / total
        error_by_class = gaps / totals
    distances = np.abs(mean_scores - precisions)[total > 0]
    weights = total[total > 0] / max(total.sum(), 1)
    return Calibration(
        np.linspace(0, 1, bins + 1),
        total,
        mean_scores,
        precisions,
        float(distances @ weights) if distances.size else np.nan,
        float(distances.max()) if distances.size else np.nan,
        error_by_class,
    )

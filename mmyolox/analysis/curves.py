"""Precision over recall, and what a score threshold gives: its precision, recall and F1."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class OperatingPoint(NamedTuple):
    """What is kept at a score threshold, and how good it is; NaN where there is nothing to say.

    Attributes:
        threshold: The least score of what is kept.
        precision: The share of what is kept that is correct.
        recall: The share of the objects that is found.
        f1: The harmonic mean of both.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Curves:
    """Curves at an IoU of 0.5, all from 0 to 1.

    Attributes:
        recalls: (101,) float64, COCO's recalls.
        precisions: (C, 101) float64, the precision of each class at these recalls, as COCO takes it: the best
            at this recall or a higher one. NaN for a class without objects.
        ious: (10,) float64, COCO's IoU thresholds.
        mean_precisions: (10, 101) float64, the mean of all classes at each IoU.
        thresholds: (101,) float64, scores.
        precision_at: (C + 1, 101) float64, the precision of what has at least these scores; NaN where nothing
            has. The last one is of all classes together, every object counts the same.
        recall_at: (C + 1, 101) float64, the recall; NaN without objects.
        f1_at: (C + 1, 101) float64.
        best: The C thresholds of the best F1; the exact ones, not among ``thresholds``.
        best_overall: The one for all classes together: the value to set.
    """

    recalls: NDArray[np.float64]
    precisions: NDArray[np.float64]
    ious: NDArray[np.float64]
    mean_precisions: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    precision_at: NDArray[np.float64]
    recall_at: NDArray[np.float64]
    f1_at: NDArray[np.float64]
    best: tuple[OperatingPoint, ...]
    best_overall: OperatingPoint

"""Whether scores are what they seem: of detections with a score of 0.7, seven in ten should be correct."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """The scores of counted detections in B bins beside the shares of correct ones, at an IoU of 0.5.

    Attributes:
        edges: (B + 1,) float64, the bins' limits from 0 to 1; a bin has its lower one.
        counts: (B,) int64, the detections.
        mean_scores: (B,) float64, NaN for an empty bin.
        precisions: (B,) float64, the share that is correct, NaN for an empty bin.
        error: The expected calibration error: the mean distance of both, weighed by the counts; NaN without
            detections.
        largest_error: The largest distance of both.
        error_by_class: (C,) float64, the expected calibration error of each class, NaN without detections.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    mean_scores: NDArray[np.float64]
    precisions: NDArray[np.float64]
    error: float
    largest_error: float
    error_by_class: NDArray[np.float64]

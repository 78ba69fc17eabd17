"""How good each image is, and which are the worst."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        costs: (I,) float64, what makes an image bad: see :func:`image_errors`.
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

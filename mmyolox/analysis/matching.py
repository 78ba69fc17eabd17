"""COCO's matching of detections with objects at one IoU."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Matching:
    """Which detection is of which object, class by class as in COCO's evaluation.

    Attributes:
        objects: (N,) int64, the index of the object, or of the crowd, that each detection is of; -1 for none.
        ious: (N,) float64, the IoU with it; 0 for none.
        is_correct: (N,) bool, of an object.
        is_counted: (N,) bool, neither in a crowd nor beyond the first 100 of its class in its image: what is
            right or wrong. A detection that is counted and not correct is a false positive.
        detections: (T,) int64, the index of the detection of each object; -1 for an object that is not found,
            and for crowds.
    """

    objects: NDArray[np.int64]
    ious: NDArray[np.float64]
    is_correct: NDArray[np.bool_]
    is_counted: NDArray[np.bool_]
    detections: NDArray[np.int64]

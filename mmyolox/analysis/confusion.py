"""Which class is taken for which, with background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of what has at least a score, at an IoU of 0.5.

    Attributes:
        matrix: (C + 1, C + 1) int64: of the class of the object (row), how many were detected as the class
            of the column. The last row are detections of no object, the last column objects that were not
            found.
        threshold: The score.
    """

    matrix: NDArray[np.int64]
    threshold: float

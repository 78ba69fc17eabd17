"""What is wrong with keypoints, joint by joint (Ronchi & Perona, ICCV 2017)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEYPOINT_TYPES = ('good', 'jitter', 'miss', 'inversion', 'swap')


@dataclass(frozen=True)
class KeypointErrors:
    """The errors of the keypoints of matched objects.

    Attributes:
        names: The K keypoints.
        counts: (K, 5) int64, by the types of ``KEYPOINT_TYPES``.
        costs: (5,) float64, what mending each type adds to the AP of keypoints.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    costs: NDArray[np.float64]

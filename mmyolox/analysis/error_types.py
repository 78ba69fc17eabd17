"""Of what type each error is, after TIDE (Bolya et al., ECCV 2020: A General Toolbox for Identifying ...)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TYPES = ('class', 'place', 'both', 'duplicate', 'background', 'missed')
"""The types of errors. An index of these stands for a type in arrays.

- ``class``: of an object (IoU of 0.5 or more), with another class.
- ``place``: of the right class, but not well placed (IoU from 0.1 to 0.5 with an object of the class).
- ``both``: of another class and not well placed.
- ``duplicate``: of an object that a detection of a higher score is of already.
- ``background``: of no object (IoU below 0.1 with all).
- ``missed``: an object that no detection is of, nor is nearly of (``class``, ``place``).
"""


@dataclass(frozen=True)
class ErrorTypes:
    """The errors of a case at an IoU of 0.5.

    Attributes:
        of_detections: (N,) int8, the index in ``TYPES`` of what is wrong with each detection; -1 for nothing
            wrong, and for those that are not counted.
        of_objects: (T,) int8, the index of ``missed`` for each object that is missed; -1 for others and
            crowds.
        related: (N,) int64, the index of the object that the error of a detection is about; -1 for none.
        counts: (6,) int64, how many errors of each type there are.
        counts_by_class: (C, 6) int64, by the class of the detection, of a missed one by that of the object.
        costs: (6,) float64 from 0 to 1: by how much the AP50 would rise if all errors of a type were mended,
            and nothing else. They do not add up.
        false_positives: The same if all detections that are wrong were gone.
        false_negatives: The same if all objects that are not found were none.
        ap50: The AP50 that they are compared with.
    """

    of_detections: NDArray[np.int8]
    of_objects: NDArray[np.int8]
    related: NDArray[np.int64]
    counts: NDArray[np.int64]
    counts_by_class: NDArray[np.int64]
    costs: NDArray[np.float64]
    false_positives: float
    false_negatives: float
    ap50: float

    @property
    def cost_of(self) -> Mapping[str, float]:
        """The costs by type."""
        return dict(zip(TYPES, self.costs.tolist(), strict=True))

"""COCO's average precisions and recalls of a case, by hotcoco."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CocoFigures:
    """COCO's figures, from 0 to 1; NaN where there is nothing to find.

    Attributes:
        overall: The figures by COCO's short names: ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``,
            ``AR1``, ``AR10``, ``AR100``, ``ARs``, ``ARm``, ``ARl``.
        ap: (C,) float64, the AP of each class.
        ap50: (C,) float64, at an IoU of 0.5.
        ap75: (C,) float64, at an IoU of 0.75.
        recall: (C,) float64, the AR100 of each class.
    """

    overall: Mapping[str, float]
    ap: NDArray[np.float64]
    ap50: NDArray[np.float64]
    ap75: NDArray[np.float64]
    recall: NDArray[np.float64]

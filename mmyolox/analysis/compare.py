"""What got better and worse from one model to another, over the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Change(NamedTuple):
    """A figure of both models and how sure the difference is.

    Attributes:
        before: That of the first.
        after: That of the second.
        lower: The lower end of the difference's interval of 95% over bootstrap samples of the images; NaN
            where it was not computed.
        upper: The upper end.
    """

    before: float
    after: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Comparison:
    """Two analyses of the same images, side by side; all differences are the second less the first.

    Attributes:
        names: What the two are called.
        figures: COCO's figures by name.
        ap: (2, C) float64, the AP of each class.
        ap50: (2, C) float64, the AP50 of each class.
        counts: (2, 6) int64, errors by type, see :data:`.error_types.TYPES`.
        costs: (2, 6) float64, what they cost.
        f1: (2, I) float64, the F1 of each image at the model's own threshold.
        better: (n,) int64, the images whose F1 rose, the most first.
        worse: (m,) int64, the images whose F1 fell, the most first.
        gained: (T,) bool, the objects that only the second finds.
        lost: (T,) bool, the objects that only the first finds.
    """

    names: tuple[str, str]
    figures: Mapping[str, Change]
    ap: NDArray[np.float64]
    ap50: NDArray[np.float64]
    counts: NDArray[np.int64]
    costs: NDArray[np.float64]
    f1: NDArray[np.float64]
    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    gained: NDArray[np.bool_]
    lost: NDArray[np.bool_]

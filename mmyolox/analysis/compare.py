"""What got better and worse from one model to another, over the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError

from .analysis import Analysis
from .case import GroundTruth
from .coco_figures import evaluated

SAMPLES = 200
"""How many bootstrap samples the intervals are of."""


class Change(NamedTuple):
    """A figure of both models and how sure the difference is; NaN where there is nothing to find.

    Attributes:
        before: That of the first.
        after: That of the second.
        lower: The lower end of the difference's interval of 95% over bootstrap samples of the images.
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
        gained: (T,) bool, the objects that only the second finds, each at its own threshold.
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


def compare(before: Analysis, after: Analysis, samples: int = SAMPLES) -> Comparison:
    """Compares two models.

    Args:
        before: The analysis of the first.
        after: That of the second.
        samples: How many bootstrap samples of the images the intervals are of.

    Raises:
        UserError: They are not of the same images, objects and classes.
    """
    _check_same(before.case.truth, after.case.truth)
    both = before, after
    f1 = np.stack([one.images.f1 for one in both])
    change = np.nan_to_num(f1[1] - f1[0])
    found = [_found(one) for one in both]
    return Comparison(
        (before.case.name, after.case.name),
        _figures(before, after, samples),
        np.stack([one.figures.ap for one in both]),
        np.stack([one.figures.ap50 for one in both]),
        np.stack([one.errors.counts for one in both]),
        np.stack([one.errors.costs for one in both]),
        f1,
        _largest(change),
        _largest(-change),
        found[1] & ~found[0],
        found[0] & ~found[1],
    )


def _check_same(one: GroundTruth, other: GroundTruth) -> None:
    for what, values in (
        ('classes', (one.classes, other.classes)),
        ('images', ([*one.image_ids], [*other.image_ids])),
        ('boxes', (one.bboxes.tolist(), other.bboxes.tolist())),
        ('labels', (one.labels.tolist(), other.labels.tolist())),
        ('crowds', (one.is_crowd.tolist(), other.is_crowd.tolist())),
        ('areas', (one.areas.tolist(), other.areas.tolist())),
    ):
        if values[0] != values[1]:
            raise UserError(
                f'{one.path} and {other.path} differ in their {what} ({len(values[0])} and {len(values[1])}'
                '): two models are compared over the same data'
            )


def _figures(before: Analysis, after: Analysis, samples: int) -> dict[str, Change]:
    import hotcoco

    overall = before.figures.overall, after.figures.overall
    intervals: Mapping[str, Mapping[str, float]] = {}
    if samples and before.case.truth.is_object.any():
        evaluations = [evaluated(one.case) for one in (before, after)]
        intervals = hotcoco.compare(evaluations[0], evaluations[1], n_bootstrap=samples)['ci']
    changes = {}
    for name in overall[0]:
        values = [one[name] for one in overall]
        interval = {} if np.isnan(values).any() else intervals.get(name, {})
        ends = (float(interval.get(end, np.nan)) for end in ('lower', 'upper'))
        changes[name] = Change(*values, *ends)
    return changes


def _largest(change: NDArray[np.float64]) -> NDArray[np.int64]:
    """The indices of what is above 0, the largest first."""
    order = np.argsort(-change, kind='stable')
    return order[change[order] > 0]


def _found(analysis: Analysis) -> NDArray[np.bool_]:
    """(T,) bool, the objects that are found at the threshold."""
    detections = analysis.matching.detections
    scores = analysis.case.detections.scores
    found = detections >= 0
    found[found] = scores[detections[found]] >= analysis.threshold
    return found

"""What got better and worse from one model to another, over the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError

from .analysis import Analysis
from .case import GroundTruth
from .resampling import draw_images, resampled_figures

SAMPLES = 200
"""How many bootstrap samples the intervals are of."""
ENDS = 0.025, 0.975
"""The quantiles of the samples at which an interval of 95% ends."""


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


def compare(analyses: Sequence[Analysis], samples: int = SAMPLES) -> list[Comparison]:
    """Compares models: each with the first one.

    Args:
        analyses: The analyses of two or more.
        samples: How many bootstrap samples of the images the intervals are of, the same for all models.

    Returns:
        The comparison of each but the first.

    Raises:
        UserError: They are not of the same images, objects and classes.
    """
    first = analyses[0]
    for other in analyses[1:]:
        _check_same(first.case.truth, other.case.truth)
    draws = draw_images(len(first.case.truth.image_ids), samples)
    resampled = [resampled_figures(one.matcher, draws) for one in analyses]
    found = [_found(one) for one in analyses]
    comparisons = []
    for place, other in enumerate(analyses[1:], start=1):
        both = first, other
        f1 = np.stack([one.images.f1 for one in both])
        change = np.nan_to_num(f1[1] - f1[0])
        figures = {}
        for name, before in first.figures.overall.items():
            differences = resampled[place][name] - resampled[0][name]
            known = differences[~np.isnan(differences)]
            ends = np.quantile(known, ENDS).tolist() if len(known) else [np.nan, np.nan]
            figures[name] = Change(before, other.figures.overall[name], *ends)
        comparison = Comparison(
            (first.case.name, other.case.name),
            figures,
            np.stack([one.figures.ap for one in both]),
            np.stack([one.figures.ap50 for one in both]),
            np.stack([one.errors.counts for one in both]),
            np.stack([one.errors.costs for one in both]),
            f1,
            _largest(change),
            _largest(-change),
            found[place] & ~found[0],
            found[0] & ~found[place],
        )
        comparisons.append(comparison)
    return comparisons


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

"""Precision over recall, and what a score threshold gives: its precision, recall and F1."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .average_precision import RECALLS
from .case import Case
from .coco_figures import CocoFigures
from .matching import Matching

THRESHOLDS: NDArray[np.floating] = np.linspace(0, 1, 101)
IOUS: NDArray[np.floating] = np.linspace(0.5, 0.95, 10)


class OperatingPoint(NamedTuple):
    """What is kept at a score threshold, and how good it is; NaN where there is nothing to say.

    Attributes:
        threshold: The least score of what is kept; NaN where no threshold keeps anything right.
        precision: The share of what is kept that is correct.
        recall: The share of the objects that is found.
        f1: The harmonic mean of both.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Curves:
    """Curves at an IoU of 0.5, all from 0 to 1.

    Attributes:
        recalls: (101,) float64, COCO's recalls.
        precisions: (C, 101) float64, the precision of each class at these recalls, as COCO takes it: the best
            at this recall or a higher one. NaN for a class without objects.
        ious: (10,) float64, COCO's IoU thresholds.
        mean_precisions: (10, 101) float64, the mean of all classes with objects at each IoU; NaN without any.
        thresholds: (101,) float64, scores.
        precision_at: (C + 1, 101) float64, the precision of what has at least these scores; NaN where nothing
            has. The last one is of all classes together, every object counts the same.
        recall_at: (C + 1, 101) float64, the recall; NaN without objects.
        f1_at: (C + 1, 101) float64; NaN with neither objects nor detections.
        best: The C thresholds of the best F1, of several the highest; scores of detections, not among
            ``thresholds``.
        best_overall: The one for all classes together: the value to set.
    """

    recalls: NDArray[np.floating]
    precisions: NDArray[np.float64]
    ious: NDArray[np.floating]
    mean_precisions: NDArray[np.float64]
    thresholds: NDArray[np.floating]
    precision_at: NDArray[np.float64]
    recall_at: NDArray[np.float64]
    f1_at: NDArray[np.float64]
    best: tuple[OperatingPoint, ...]
    best_overall: OperatingPoint


def curves(case: Case, matching: Matching, figures: CocoFigures) -> Curves:
    """Computes the curves of a case.

    Args:
        case: The case.
        matching: Which detection is of which object.
        figures: COCO's figures, whose precisions are taken.
    """
    counted = np.flatnonzero(matching.is_counted)
    labels, objects = case.detections.labels[counted], case.truth.object_counts
    order = np.argsort(labels, kind='stable')
    ends = np.searchsorted(labels, np.arange(len(objects) + 1), sorter=order)
    parts = [counted[order[ends[label] : ends[label + 1]]] for label in range(len(objects))]
    parts.append(counted)
    scores = [case.detections.scores[part] for part in parts]
    correct = [matching.is_correct[part] for part in parts]
    totals = [*objects.tolist(), int(objects.sum())]
    at = [_at(*one, THRESHOLDS) for one in zip(scores, correct, totals, strict=True)]
    precision_at, recall_at, f1_at = (np.stack(columns) for columns in zip(*at, strict=True))
    best = [best_point(*one) for one in zip(scores, correct, totals, strict=True)]
    precisions = figures.precisions[:, :, objects > 0]
    shape = (len(IOUS), len(RECALLS))
    return Curves(
        RECALLS,
        figures.precisions[0].T,
        IOUS,
        precisions.mean(2) if precisions.size else np.full(shape, np.nan),
        THRESHOLDS,
        precision_at,
        recall_at,
        f1_at,
        tuple(best[:-1]),
        best[-1],
    )


def best_point(scores: NDArray[np.float64], is_correct: NDArray[np.bool_], objects: int) -> OperatingPoint:
    """The threshold of the best F1, of several the highest.

    Args:
        scores: (n,) the scores of the detections that count.
        is_correct: (n,) bool.
        objects: How many objects there are.
    """
    if not is_correct.any():
        worst = 0.0 if objects else np.nan
        return OperatingPoint(np.nan, np.nan, worst, worst)
    candidates = np.unique(scores)[::-1]
    precision, recall, f1 = _at(scores, is_correct, objects, candidates)
    best = int(np.argmax(f1))
    return OperatingPoint(*(float(values[best]) for values in (candidates, precision, recall, f1)))


def _at(
    scores: NDArray[np.float64], is_correct: NDArray[np.bool_], objects: int, thresholds: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 of what has at least each of some scores."""
    order = np.argsort(-scores, kind='stable')
    kept = np.searchsorted(-scores[order], -thresholds, side='right')
    correct = np.append(0, np.cumsum(is_correct[order]))[kept]
    return (
        _share(correct, kept),
        _share(correct, np.full(len(kept), objects)),
        _share(2 * correct, kept + objects),
    )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares; NaN of nothing."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)

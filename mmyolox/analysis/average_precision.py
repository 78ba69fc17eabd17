"""COCO's average precision at one IoU, of detections known to be right or wrong, and what it would be if."""

import numpy as np
from numpy.typing import NDArray

from .case import Case
from .matching import Matching

RECALLS: NDArray[np.floating] = np.linspace(0, 1, 101)
"""The recalls at which COCO takes the precision."""


def precision_curve(is_correct: NDArray[np.bool_], objects: int) -> NDArray[np.float64]:
    """(101,) The best precision at each of :data:`RECALLS` or a higher one; 0 at those that are not reached.

    Args:
        is_correct: (n,) bool, the detections of a class by falling score.
        objects: How many objects of the class there are, at least one.
    """
    correct = np.cumsum(is_correct)
    precisions = correct / np.arange(1, len(correct) + 1)
    best = np.maximum.accumulate(precisions[::-1])[::-1]
    reached = np.searchsorted(correct / objects, RECALLS, side='left')
    return np.append(best, 0.0)[np.minimum(reached, len(best))]


class Ranking:
    """Detections class by class and by falling score; of the same score, the first counts first.

    Args:
        labels: (N,) int64, their classes.
        scores: (N,) float64.
    """

    def __init__(self, labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        self._order = np.lexsort((-scores, labels))
        self._labels = labels[self._order]

    def average_precisions(
        self, is_counted: NDArray[np.bool_], is_correct: NDArray[np.bool_], objects: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(C,) The average precision of each class; NaN for a class without objects.

        Args:
            is_counted: (N,) bool, the detections that count.
            is_correct: (N,) bool.
            objects: (C,) how many objects of each class there are.
        """
        is_kept = is_counted[self._order]
        correct = is_correct[self._order[is_kept]]
        ends = np.searchsorted(self._labels[is_kept], np.arange(len(objects) + 1)).tolist()
        values = np.full(len(objects), np.nan)
        for label in np.flatnonzero(objects > 0).tolist():
            own = correct[ends[label] : ends[label + 1]]
            values[label] = precision_curve(own, int(objects[label])).mean()
        return values


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean without what is NaN; NaN where all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')


class WhatIf:
    """The average precisions of a case in which some errors were none."""

    def __init__(self, case: Case, matching: Matching) -> None:
        self._case = case
        self._matching = matching
        self._ranking = Ranking(case.detections.labels, case.detections.scores)

    def precisions(
        self,
        is_gone: NDArray[np.bool_] | None = None,
        moved: NDArray[np.int64] | None = None,
        objects: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """(C,) The AP50 of each class.

        Args:
            is_gone: (N,) bool, detections that are left out.
            moved: (N,) int64, the object that some of them are of instead; -1 for none.
            objects: (C,) the objects of each class.
        """
        case, keep, ranking = self._case, self._matching.is_counted, self._ranking
        is_correct = self._matching.is_correct
        if is_gone is not None:
            keep = keep & ~is_gone
        if moved is not None and (is_moved := moved >= 0).any():
            keep, is_correct = keep | is_moved, is_correct | is_moved
            labels = case.detections.labels.copy()
            labels[is_moved] = case.truth.labels[moved[is_moved]]
            ranking = Ranking(labels, case.detections.scores)
        counts = case.truth.object_counts if objects is None else objects
        return ranking.average_precisions(keep, is_correct, counts)


def rise(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """By how much the mean rises; 0 where there is none. A class that loses all objects has 0, as in TIDE."""
    is_known = ~np.isnan(before)
    rises = np.nan_to_num(after[is_known]) - before[is_known]
    return float(rises.mean()) if rises.size else 0.0

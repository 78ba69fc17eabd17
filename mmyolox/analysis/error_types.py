"""Of what type each error is, after TIDE (Bolya et al., ECCV 2020: A General Toolbox for Identifying ...).

The types and what they cost are those of its program, tidecv 1.0.1, with COCO's rules where tidecv has its
own: the mean is over the classes that have objects (tidecv adds 0 for a class of detections alone), 100
detections of a class in an image count (tidecv: of all classes), and a detection in a crowd is no error
(tidecv classifies it, and lets it stand for the object that it is near).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .average_precision import WhatIf, mean_of_known, rise
from .case import Case
from .matching import Matching
from .overlaps import LEAST_IOU, MATCH_IOU, Overlaps

TYPES = ('class', 'place', 'both', 'duplicate', 'background', 'missed')
"""The types of errors. An index of these stands for a type in arrays.

- ``class``: of an object (IoU of 0.5 or more), with another class.
- ``place``: of the right class, but not well placed (IoU from 0.1 to 0.5 with an object of the class).
- ``both``: of another class and not well placed.
- ``duplicate``: of an object that a detection of a higher score is of already.
- ``background``: of no object (IoU of at most 0.1 with all).
- ``missed``: an object that no detection is of, nor is nearly of (``class``, ``place``).
"""
CLASS, PLACE, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)


@dataclass(frozen=True)
class ErrorTypes:
    """The errors of a case at an IoU of 0.5.

    Attributes:
        of_detections: (N,) int8, the index in ``TYPES`` of what is wrong with each detection; -1 for nothing
            wrong, and for those that are not counted.
        of_objects: (T,) int8, the index of ``missed`` for each object that is missed; -1 for others and
            crowds.
        related: (N,) int64, the index of the object that the error of a detection is about; -1 for none, as
            for ``background``.
        counts: (6,) int64, how many errors of each type there are.
        counts_by_class: (C, 6) int64, by the class of the detection, of a missed one by that of the object.
        costs: (6,) float64 from 0 to 1: by how much the AP50 would rise if all errors of a type were mended,
            and nothing else. They do not add up.
        costs_by_class: (C, 6) float64, the same of the AP50 of each class, below 0 where it would fall; NaN
            for a class without objects.
        false_positives: What ``costs`` has, if all detections that are wrong were gone.
        false_negatives: The same if all objects that are not found were none.
        ap50: The AP50 that they are compared with.
    """

    of_detections: NDArray[np.int8]
    of_objects: NDArray[np.int8]
    related: NDArray[np.int64]
    counts: NDArray[np.int64]
    counts_by_class: NDArray[np.int64]
    costs: NDArray[np.float64]
    costs_by_class: NDArray[np.float64]
    false_positives: float
    false_negatives: float
    ap50: float

    @property
    def cost_of(self) -> Mapping[str, float]:
        """The costs by type."""
        return dict(zip(TYPES, self.costs.tolist(), strict=True))


class ShownErrors(NamedTuple):
    """The errors of the detections from a score on, which a user of the model sees.

    Attributes:
        counts: (5,) int64, how many there are of each type but ``missed``.
        costs: (5,) float64, what :attr:`ErrorTypes.costs` has, if these alone were mended.
    """

    counts: NDArray[np.int64]
    costs: NDArray[np.float64]


def error_types(case: Case, overlaps: Overlaps, matching: Matching) -> ErrorTypes:
    """Finds the type of each error of a case, and what each type costs.

    Args:
        case: The case.
        overlaps: Its pairs.
        matching: Which detection is of which object.
    """
    of_detections, related = _types_of(case, overlaps, matching)
    is_open = case.truth.is_object & (matching.detections < 0)
    mends = _mends(case, of_detections, related, is_open)
    is_missed = is_open.copy()
    is_missed[related[mends]] = False
    counts_by_class = np.zeros((len(case.truth.classes), len(TYPES)), np.int64)
    is_error = of_detections >= 0
    np.add.at(counts_by_class, (case.detections.labels[is_error], of_detections[is_error]), 1)
    np.add.at(counts_by_class[:, MISSED], case.truth.labels[is_missed], 1)
    what_if = WhatIf(case, matching)
    before = what_if.precisions()
    objects = case.truth.object_counts
    after = []
    for number in range(len(TYPES)):
        is_type = of_detections == number
        missed = counts_by_class[:, MISSED] if number == MISSED else 0
        after.append(_mended(what_if, is_type, mends, related, objects - missed))
    open_counts = np.bincount(case.truth.labels[is_open], minlength=len(objects))
    ap50, costs = mean_of_known(before), [rise(before, one) for one in after]
    return ErrorTypes(
        of_detections,
        np.where(is_missed, MISSED, -1).astype(np.int8),
        related,
        counts_by_class.sum(0),
        counts_by_class,
        np.maximum(costs, 0),  # of a few hundredths of a point, from COCO's steps of recall
        np.stack([np.where(np.isnan(before), np.nan, np.nan_to_num(one) - before) for one in after], 1),
        rise(before, what_if.precisions(matching.is_wrong)),
        rise(before, what_if.precisions(objects=objects - open_counts)),
        ap50,
    )


def shown_errors(case: Case, matching: Matching, errors: ErrorTypes, threshold: float) -> ShownErrors:
    """Counts the errors of the detections from a score on, and finds what they cost.

    Args:
        case: The case.
        matching: Which detection is of which object.
        errors: The errors of all detections.
        threshold: The least score.
    """
    types = np.where(case.detections.scores >= threshold, errors.of_detections, -1)
    is_open = case.truth.is_object & (matching.detections < 0)
    mends = _mends(case, types, errors.related, is_open)
    what_if = WhatIf(case, matching)
    before = what_if.precisions()
    of_types = [types == number for number in range(MISSED)]
    objects = case.truth.object_counts
    after = [_mended(what_if, is_type, mends, errors.related, objects) for is_type in of_types]
    counts, costs = np.sum(of_types, axis=1), [rise(before, one) for one in after]
    return ShownErrors(counts, np.maximum(costs, 0))


def _mended(
    what_if: WhatIf,
    is_type: NDArray[np.bool_],
    mends: NDArray[np.bool_],
    related: NDArray[np.int64],
    objects: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(C,) The average precisions without the errors of a type: right where they can be mended, else gone."""
    return what_if.precisions(is_type, np.where(mends & is_type, related, -1), objects)


def _types_of(
    case: Case, overlaps: Overlaps, matching: Matching
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """(N,) The type of each detection, and (N,) the object that it is about."""
    truth, found = case.truth, case.detections
    count = len(found)
    pairs = overlaps.where(truth.is_object[overlaps.objects])
    is_same = truth.labels[pairs.objects] == found.labels[pairs.detections]
    own, own_iou = pairs.where(is_same).best(count)
    other, other_iou = pairs.where(~is_same).best(count)
    is_taken = matching.detections[pairs.objects] >= 0
    taken, taken_iou = pairs.where(is_same & is_taken).best(count)
    nearest, iou = pairs.best(count)
    rules = (
        (PLACE, (own_iou >= LEAST_IOU) & (own_iou <= MATCH_IOU), own),
        (CLASS, other_iou >= MATCH_IOU, other),
        (DUPLICATE, taken_iou >= MATCH_IOU, taken),
        (BACKGROUND, iou <= LEAST_IOU, np.full(count, -1)),
    )
    conditions = [condition for _, condition, _ in rules]
    types = np.select(conditions, [number for number, _, _ in rules], BOTH)
    related = np.select(conditions, [objects for _, _, objects in rules], nearest)
    is_wrong = matching.is_wrong
    return np.where(is_wrong, types, -1).astype(np.int8), np.where(is_wrong, related, -1)


def _mends(
    case: Case, types: NDArray[np.signedinteger], related: NDArray[np.int64], is_open: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(N,) Which errors of class or place would be right if mended: the best of each object not found."""
    candidates = np.flatnonzero(np.isin(types, (CLASS, PLACE)))
    candidates = candidates[is_open[related[candidates]]]
    order = candidates[np.argsort(-case.detections.scores[candidates], kind='stable')]
    _, firsts = np.unique(related[order], return_index=True)
    mends = np.zeros(len(types), np.bool_)
    mends[order[firsts]] = True
    return mends

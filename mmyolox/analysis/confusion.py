"""Which class is taken for which, with background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Case
from .matching import Matching
from .overlaps import MATCH_IOU, Overlaps


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

    def swaps(self) -> list[tuple[int, int, int]]:
        """The pairs of classes that are taken for one another: both labels and how often, the most first."""
        classes = self.matrix[:-1, :-1]
        both = np.triu(classes + classes.T, 1)
        pairs = np.argwhere(both)
        order = np.argsort(-both[tuple(pairs.T)], kind='stable')
        return [(one, other, int(both[one, other])) for one, other in pairs[order].tolist()]


def confusion(case: Case, overlaps: Overlaps, matching: Matching, threshold: float) -> Confusion:
    """Counts which class is taken for which.

    An object that a detection of its class is of, as COCO matches them, is that. The detections and objects
    that are left are matched whatever their class: in falling order of their scores, each detection with the
    object that it overlaps most (IoU of 0.5 or more) and no other has taken. The diagonal thus has the
    correct detections. Detections in crowds of their class are left out.

    Args:
        case: The case.
        overlaps: Its pairs.
        matching: Which detection is of which object.
        threshold: The least score of the detections that count.
    """
    truth, found = case.truth, case.detections
    is_kept = matching.is_counted & (found.scores >= threshold)
    is_right = is_kept & matching.is_correct
    is_open = truth.is_object.copy()
    is_open[matching.objects[is_right]] = False
    is_free = is_kept & ~is_right
    is_candidate = is_free[overlaps.detections] & is_open[overlaps.objects] & (overlaps.ious >= MATCH_IOU)
    pairs = overlaps.where(is_candidate)
    taken: dict[int, int] = {}
    last = -1
    for detection, index in zip(pairs.detections.tolist(), pairs.objects.tolist(), strict=True):
        if detection != last and index not in taken:
            taken[index] = last = detection
    objects, detections = np.array([*taken], np.int64), np.array([*taken.values()], np.int64)
    is_open[objects] = is_free[detections] = False
    background = len(truth.classes)
    matrix = np.zeros((background + 1, background + 1), np.int64)
    matched = np.concatenate([matching.objects[is_right], objects])
    as_detected = np.concatenate([found.labels[is_right], found.labels[detections]])
    np.add.at(matrix, (truth.labels[matched], as_detected), 1)
    np.add.at(matrix[background], found.labels[is_free], 1)
    np.add.at(matrix[:, background], truth.labels[is_open], 1)
    return Confusion(matrix, threshold)

"""COCO's matching of detections with objects at an IoU of 0.5, in all its rules."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Case, Detections
from .overlaps import MATCH_IOU, Overlaps

MOST = 100
"""How many detections of a class in an image count."""


@dataclass(frozen=True)
class Matching:
    """Which detection is of which object, class by class as in COCO's evaluation.

    Attributes:
        objects: (N,) int64, the index of the object, or of the crowd, that each detection is of; -1 for none.
        ious: (N,) float64, the IoU with it; 0 for none.
        is_correct: (N,) bool, of an object.
        is_counted: (N,) bool, neither in a crowd nor beyond the first 100 of its class in its image: what is
            right or wrong. A detection that is counted and not correct is a false positive.
        detections: (T,) int64, the index of the detection of each object; -1 for an object that is not found,
            and for crowds.
    """

    objects: NDArray[np.int64]
    ious: NDArray[np.float64]
    is_correct: NDArray[np.bool_]
    is_counted: NDArray[np.bool_]
    detections: NDArray[np.int64]

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        """(N,) bool, the false positives."""
        return self.is_counted & ~self.is_correct


def match(case: Case, overlaps: Overlaps, is_left_out: NDArray[np.bool_] | None = None) -> Matching:
    """Matches the detections of a case with its objects.

    In falling order of their scores, each detection takes the object of its class that it overlaps most and
    no other has taken. Only where there is none is it of a crowd, or of an object that is left out; then it
    does not count. The result for detections above any score is the part of the whole.

    Args:
        case: The case.
        overlaps: Its pairs.
        is_left_out: (T,) bool, objects that neither count nor make the detections on them wrong, as those of
            another size in COCO's figures of a size.
    """
    truth, found = case.truth, case.detections
    is_ignored = truth.is_crowd if is_left_out is None else truth.is_crowd | is_left_out
    is_top = ranks_in_image(found) < MOST
    same_class = truth.labels[overlaps.objects] == found.labels[overlaps.detections]
    pairs = overlaps.where(same_class & (overlaps.ious >= MATCH_IOU) & is_top[overlaps.detections])
    # Pairs with objects that count first, else as they are.
    order = np.lexsort((is_ignored[pairs.objects], pairs.detections))
    matched, ious = np.full(len(found), -1), np.zeros(len(found))
    taken = np.zeros(len(truth.labels), np.bool_)
    last = -1
    columns = (pairs.detections, pairs.objects, pairs.ious, truth.is_crowd[pairs.objects])
    for detection, index, iou, is_crowd in zip(*(c[order].tolist() for c in columns), strict=True):
        if detection != last and (is_crowd or not taken[index]):
            matched[detection], ious[detection] = index, iou
            taken[index] = True
            last = detection
    is_of_object = matched >= 0
    is_correct = ~np.append(is_ignored, True)[matched]  # -1 is the last
    detections = np.full(len(truth.labels), -1)
    detections[matched[is_correct]] = np.flatnonzero(is_correct)
    return Matching(matched, ious, is_correct, is_top & (is_correct | ~is_of_object), detections)


def ranks_in_image(detections: Detections) -> NDArray[np.int64]:
    """(N,) How many detections of the same class in the same image come before each."""
    order = np.lexsort((detections.labels, detections.images))
    images, labels = detections.images[order], detections.labels[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (np.diff(images) != 0) | (np.diff(labels) != 0)
    places = np.arange(len(order))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return ranks

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


class Matcher:
    """Matches the detections of a case with its objects, at any IoU and with any of the objects left out.

    Args:
        case: The case.
        overlaps: Its pairs.

    Attributes:
        case: The case.
        ranks: (N,) int64, how many detections of the same class in the same image come before each.
    """

    def __init__(self, case: Case, overlaps: Overlaps) -> None:
        truth, found = case.truth, case.detections
        self.case = case
        self.ranks = ranks_in_image(found)
        near = overlaps.where(overlaps.ious >= MATCH_IOU)
        is_same = truth.labels[near.objects] == found.labels[near.detections]
        self._pairs = near.where(is_same & (self.ranks[near.detections] < MOST))

    def match(self, is_left_out: NDArray[np.bool_] | None = None, least_iou: float = MATCH_IOU) -> Matching:
        """Matches.

        In falling order of their scores, each detection takes the object of its class that it overlaps most
        and no other has taken. Only where there is none is it of a crowd, or of an object that is left out;
        then it does not count. The result for detections above any score is the part of the whole.

        Args:
            is_left_out: (T,) bool, objects that neither count nor make the detections on them wrong, as those
                of another size in COCO's figures of a size.
            least_iou: From here on a detection is of an object; at least ``MATCH_IOU``.
        """
        truth, found = self.case.truth, self.case.detections
        is_ignored = truth.is_crowd if is_left_out is None else truth.is_crowd | is_left_out
        pairs = self._pairs.where(self._pairs.ious >= least_iou)
        # Pairs with objects that count first, else as they are.
        order = np.argsort(2 * pairs.detections + is_ignored[pairs.objects], kind='stable')
        chosen = order[_chosen(pairs.detections[order], pairs.objects[order], truth.is_crowd)]
        matched, ious = np.full(len(found), -1), np.zeros(len(found))
        matched[pairs.detections[chosen]] = pairs.objects[chosen]
        ious[pairs.detections[chosen]] = pairs.ious[chosen]
        is_of_object = matched >= 0
        is_correct = ~np.append(is_ignored, True)[matched]  # -1 is the last
        detections = np.full(len(truth.labels), -1)
        detections[matched[is_correct]] = np.flatnonzero(is_correct)
        is_counted = (self.ranks < MOST) & (is_correct | ~is_of_object)
        return Matching(matched, ious, is_correct, is_counted, detections)


def _chosen(
    detections: NDArray[np.int64], objects: NDArray[np.int64], is_crowd: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(n,) The pairs that come about where each detection in turn takes its first object that is left.

    That is the one stable matching where every object prefers the earlier detection. So all detections may
    ask at once: an object keeps the earliest that asks, and those that it turns away ask their next one. That
    takes as many rounds as the longest list of refusals, not as many as there are detections.

    Args:
        detections: (P,) the detection of each pair, rising.
        objects: (P,) the object of each pair, those of a detection in the order in which it asks them.
        is_crowd: (T,) bool, the objects that any number of detections may have.
    """
    count = len(detections)
    kept = np.full(len(is_crowd), count)  # the pair that each object keeps
    of_crowds = []
    asking = np.flatnonzero(np.diff(detections, prepend=-1))
    while len(asking):
        asked = objects[asking]
        at_crowd = is_crowd[asked]
        of_crowds.append(asking[at_crowd])
        asking, asked = asking[~at_crowd], asked[~at_crowd]
        before = kept[asked]
        np.minimum.at(kept, asked, asking)
        now = kept[asked]
        refused = np.concatenate(
            [asking[now != asking], np.unique(before[(before != now) & (before < count)])]
        )
        following = refused + 1
        is_more = np.append(detections, -1)[following] == detections[refused]
        asking = np.sort(following[is_more])
    return np.concatenate([kept[kept < count], *of_crowds])


def match(case: Case, overlaps: Overlaps) -> Matching:
    """Matches the detections of a case with all its objects at an IoU of 0.5, see :class:`Matcher`.

    Args:
        case: The case.
        overlaps: Its pairs.
    """
    return Matcher(case, overlaps).match()


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

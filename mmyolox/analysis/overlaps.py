"""Which detections overlap which objects, as pairs: of all that an image could have, few do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .case import GroundTruth

LEAST_IOU = 0.1
"""Less is no overlap: TIDE's threshold for background."""
MATCH_IOU = 0.5
"""From here on a detection is of an object."""
_BLOCK = 2**19
"""How many pairs are compared at a time."""


@dataclass(frozen=True)
class Overlaps:
    """P pairs of a detection and an object of an image, of any classes, with an IoU from ``LEAST_IOU`` on.

    The best of each detection come first, in the order of the detections; of the same IoU, later objects.

    Attributes:
        detections: (P,) int64, the index of the detection.
        objects: (P,) int64, the index of the object, or of the crowd.
        ious: (P,) float64. With a crowd, the share of the detection's area that is in it, as COCO has it.
    """

    detections: NDArray[np.int64]
    objects: NDArray[np.int64]
    ious: NDArray[np.float64]

    @classmethod
    def of(cls, images: NDArray[np.int64], bboxes: NDArray[np.float64], truth: GroundTruth) -> 'Overlaps':
        """Finds the pairs.

        Args:
            images: (N,) int64, the image of each detection.
            bboxes: (N, 4) float64 xyxy, the boxes of the detections.
            truth: The objects.
        """
        none: NDArray[np.int64] = np.empty(0, np.int64)
        parts: list[tuple[NDArray[Any], ...]] = [(none, none, np.empty(0))]
        for detections, objects in _pairs(images, truth):
            ious = box_ious(bboxes[detections], truth.bboxes[objects], truth.is_crowd[objects])
            near = ious >= LEAST_IOU
            parts.append((detections[near], objects[near], ious[near]))
        detections, objects, ious = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((-objects, -ious, detections))
        return cls(detections[order], objects[order], ious[order])

    def where(self, mask: NDArray[np.bool_]) -> 'Overlaps':
        """Some of the pairs, by (P,) bool."""
        return Overlaps(self.detections[mask], self.objects[mask], self.ious[mask])

    def best(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The best object of each of N detections, and the IoU with it; -1 and 0 for none.

        Of objects of the same IoU it is the first.

        Args:
            count: The number of detections N.
        """
        objects, ious = np.full(count, -1), np.zeros(count)
        order = np.lexsort((-self.objects, self.ious))  # the last that is assigned stays
        objects[self.detections[order]] = self.objects[order]
        ious[self.detections[order]] = self.ious[order]
        return objects, ious


def _pairs(
    images: NDArray[np.int64], truth: GroundTruth
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of a detection and an object of the same image, some at a time."""
    object_counts = np.bincount(truth.images, minlength=len(truth.image_ids))
    first_objects = np.cumsum(object_counts) - object_counts
    counts = object_counts[images]
    ends = np.cumsum(counts)
    start, total = 0, len(counts)
    while start < total:
        done = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side='right')))
        part = counts[start:end]
        within = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        firsts = first_objects[images[start:end]]
        yield np.repeat(np.arange(start, end), part), np.repeat(firsts, part) + within
        start = end


def box_ious(
    bboxes: NDArray[np.float64], others: NDArray[np.float64], is_crowd: NDArray[np.bool_] | bool = False
) -> NDArray[np.float64]:
    """(P,) The IoU of P pairs of boxes (P, 4) xyxy; with a crowd, the share of the first that is in it."""
    low = np.maximum(bboxes[:, :2], others[:, :2])
    high = np.minimum(bboxes[:, 2:], others[:, 2:])
    common = (high - low).clip(0).prod(1)
    area, other = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (bboxes, others))
    union = np.where(is_crowd, area, area + other - common)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)

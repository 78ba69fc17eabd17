"""Checks of boxes beside others of their image: the same object twice, and more than the grid can serve."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found

SAME = 0.9
"""The IoU from which two boxes are taken to be of one object."""
COMPARED = 500
"""With how many others a box is compared at most, those whose left sides come next to its own."""
STRIDE = 8
"""The side of a cell of the finest grid, in pixels of the network's input."""
CROWDED = 3
"""How many objects in a cell are too many.

With the boxes that a network predicts at its start, SimOTA leaves a quarter of the objects of a cell of two
without a prior, over a third of three, and over half of five; of those in neighbouring cells hardly any.
"""


class Partners(NamedTuple):
    """The earlier object of its image that each of T boxes nearly coincides with, that of the highest IoU.

    Attributes:
        firsts: (T,) its index; -1 where there is none.
        ious: (T,) their IoU; 0 where there is none.
    """

    firsts: NDArray[np.int64]
    ious: NDArray[np.float64]

    @classmethod
    def none(cls, count: int) -> 'Partners':
        """Those of boxes that have none."""
        return cls(np.full(count, -1), np.zeros(count))

    def offer(self, firsts: NDArray[np.int64], seconds: NDArray[np.int64], ious: NDArray[np.float64]) -> None:
        """Takes those of P pairs with a higher IoU than that of the partner so far; no second comes twice."""
        is_better = ious > self.ious[seconds]
        seconds = seconds[is_better]
        self.firsts[seconds], self.ious[seconds] = firsts[is_better], ious[is_better]


class Near(NamedTuple):
    """The partners of T boxes.

    Attributes:
        equal: Those with the same corners and class: the first one for all others.
        same_class: Those of the same class and other corners.
        other_class: Those of another class.
        is_cut: (I,) whether an image has so many boxes at one place that not all pairs were compared.
    """

    equal: Partners
    same_class: Partners
    other_class: Partners
    is_cut: NDArray[np.bool_]


def near_partners(data: Examined) -> Near:
    """Finds the objects of an image with an IoU of at least ``SAME``; the first of equal ones stands for all.

    Boxes are sorted by their left side, and each is compared with the next ones as long as these begin so
    early that the IoU can be reached: the left sides differ by at most 1 / ``SAME`` - 1 of the width. Of
    thousands of boxes at one place each is compared with the ``COMPARED`` next ones, and only the best
    partner of each is kept: all pairs would take minutes, and fill the memory.
    """
    count, labels = len(data.raw.boxes), data.raw.boxes.labels
    is_cut = np.zeros(len(data.raw.images), np.bool_)
    near = Near(_equal_partners(data), Partners.none(count), Partners.none(count), is_cut)
    chosen = np.flatnonzero(data.is_object & (near.equal.firsts < 0))
    chosen = chosen[np.lexsort((data.bboxes[chosen, 0], data.raw.boxes.images[chosen]))]
    bboxes, images = data.bboxes[chosen], data.raw.boxes.images[chosen]
    reach = bboxes[:, 0] + (1 / SAME - 1) * (bboxes[:, 2] - bboxes[:, 0])
    current: NDArray[np.int64] = np.arange(len(chosen))
    for step in range(1, len(chosen)):
        current = current[current + step < len(chosen)]
        other = current + step
        is_near = (images[current] == images[other]) & (bboxes[other, 0] <= reach[current])
        current, other = current[is_near], other[is_near]
        if not len(current):
            break
        if step > COMPARED:
            is_cut[images[current]] = True
            break
        ious = pair_ious(bboxes[current], bboxes[other])
        is_same = ious >= SAME
        one, two, ious = chosen[current[is_same]], chosen[other[is_same]], ious[is_same]
        for firsts, seconds in ((one, two), (two, one)):
            is_before, is_class = firsts < seconds, labels[firsts] == labels[seconds]
            for partners, mask in (
                (near.same_class, is_before & is_class),
                (near.other_class, is_before & ~is_class),
            ):
                partners.offer(firsts[mask], seconds[mask], ious[mask])
    return near


def _equal_partners(data: Examined) -> Partners:
    """The first one of the objects of an image with the same corners and class, for all others of them."""
    chosen = np.flatnonzero(data.is_object)
    boxes = data.raw.boxes
    columns = np.column_stack([boxes.images[chosen], boxes.labels[chosen], data.bboxes[chosen]])
    order = np.lexsort(columns.T)
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (columns[order][1:] != columns[order][:-1]).any(axis=1)
    firsts = chosen[order][np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
    equal = Partners.none(len(boxes))
    copies = chosen[order][~is_first]
    equal.firsts[copies], equal.ious[copies] = firsts[~is_first], 1
    return equal


def pair_ious(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) the IoU of each of P pairs of boxes (P, 4) xyxy with an area."""
    width = np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0])
    height = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1])
    shared = width.clip(0) * height.clip(0)  # NumPy's products over an axis of two are ten times as slow
    areas = [(bboxes[:, 2] - bboxes[:, 0]) * (bboxes[:, 3] - bboxes[:, 1]) for bboxes in (one, other)]
    return shared / (areas[0] + areas[1] - shared)


@check(
    Severity.WARNING,
    'Leave one of each: the network finds an object once, and evaluation takes the second one for missed.',
)
def box_repeated(data: Examined) -> Found:
    """Objects that are annotated twice, with the same box and class."""
    return _found(data, data.derived(near_partners).equal)


@check(
    Severity.WARNING,
    'Look which one is right, and leave that; two people, or a tool and a person, may have drawn them.',
)
def box_nearly_repeated(data: Examined) -> Found:
    """Objects whose box nearly coincides with another of the same class (IoU of 0.9 or more)."""
    return _found(data, data.derived(near_partners).same_class)


@check(
    Severity.WARNING,
    'Decide for one class; a prior learns a single one, so that the network is punished for either.',
)
def box_of_two_classes(data: Examined) -> Found:
    """Objects whose box nearly coincides with one of another class (IoU of 0.9 or more)."""
    return _found(data, data.derived(near_partners).other_class)


@check(
    Severity.NOTE,
    f'Each of these boxes was compared with the {COMPARED} next ones to the right, so that more may coincide '
    'than the other checks tell. Look whether a tool wrote its candidates, and not its results.',
)
def boxes_not_compared(data: Examined) -> Found:
    """Images with so many boxes that begin at one place that not all pairs were compared."""
    return data.found_images(data.derived(near_partners).is_cut)


@check(
    Severity.WARNING,
    'Train with a larger img_scale, or cut the images into tiles: of three objects in a cell a third gets no '
    'prior of its own in the first epochs, as SimOTA gives each prior to one object alone.',
)
def cell_crowded(data: Examined) -> Found:
    """Objects that share a cell of the grid (8 pixels of the network's input) with two others or more."""
    centres = (data.bboxes[:, :2] + data.bboxes[:, 2:]) / 2 * data.box_scales[:, None]
    chosen = np.flatnonzero(data.is_object)
    x, y = (centres[chosen] // STRIDE).astype(np.int64).T
    order = np.lexsort((x, y, data.raw.boxes.images[chosen]))
    keys = np.stack([data.raw.boxes.images[chosen], y, x], axis=1)[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    cells = np.cumsum(is_new) - 1
    counts = np.zeros(len(data.raw.boxes), np.int64)
    counts[chosen[order]] = np.bincount(cells, minlength=1)[cells] if len(cells) else 0
    return data.found_boxes(
        counts >= CROWDED,
        counts.astype(np.float64),
        lambda box: f'{counts[box]} centres in the cell of {data.box_text(box)}',
        among=data.is_object,
    )


def _found(data: Examined, partners: Partners) -> Found:
    """What is found of boxes with partners: the later box of each two, once."""

    def detail(box: int) -> str:
        first = int(partners.firsts[box])
        names = (data.raw.classes[data.raw.boxes.labels[one]] for one in (first, box))
        return f'{" and ".join(map(repr, names))}, IoU {partners.ious[box]:.3f} with {data.raw.place(first)}'

    found = data.found_boxes(partners.firsts >= 0, partners.ious, detail, among=data.is_object)
    examples = (
        replace(one, boxes=(*one.boxes, int(partners.firsts[one.boxes[0]]))) for one in found.examples
    )
    return replace(found, examples=tuple(examples))

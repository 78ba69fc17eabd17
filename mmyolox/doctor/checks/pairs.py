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
STRIDE = 8
"""The side of a cell of the finest grid, in pixels of the network's input."""
CROWDED = 3
"""How many objects in a cell are too many.

With the boxes that a network predicts at its start, SimOTA leaves a quarter of the objects of a cell of two
without a prior, over a third of three, and over half of five; of those in neighbouring cells hardly any.
"""


class Pairs(NamedTuple):
    """P pairs of objects of one image that nearly coincide.

    Attributes:
        firsts: (P,) the index of one box.
        seconds: (P,) the index of the other, which comes later.
        ious: (P,) their IoU.
    """

    firsts: NDArray[np.int64]
    seconds: NDArray[np.int64]
    ious: NDArray[np.float64]

    def among(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> 'Pairs':
        """Some of them, by a mask or by indices."""
        return Pairs(self.firsts[chosen], self.seconds[chosen], self.ious[chosen])


def near_pairs(data: Examined) -> Pairs:
    """The pairs of objects of one image with an IoU of at least ``SAME``.

    Boxes are sorted by their left side, and each is compared with the next ones as long as these begin so
    early that the IoU can be reached: the left sides differ by at most 1 / ``SAME`` - 1 of the width.
    """
    chosen = np.flatnonzero(data.is_object)
    bboxes, images = data.bboxes[chosen], data.raw.boxes.images[chosen]
    order = np.lexsort((bboxes[:, 0], images))
    bboxes, images, chosen = bboxes[order], images[order], chosen[order]
    reach = bboxes[:, 0] + (1 / SAME - 1) * (bboxes[:, 2] - bboxes[:, 0])
    found: list[Pairs] = []
    current: NDArray[np.int64] = np.arange(len(order))
    for step in range(1, len(order)):
        current = current[current + step < len(order)]
        other = current + step
        is_near = (images[current] == images[other]) & (bboxes[other, 0] <= reach[current])
        current, other = current[is_near], other[is_near]
        if not len(current):
            break
        ious = pair_ious(bboxes[current], bboxes[other])
        one, two = chosen[current], chosen[other]
        near = Pairs(np.minimum(one, two), np.maximum(one, two), ious)
        found.append(near.among(ious >= SAME))
    none: NDArray[np.int64] = np.empty(0, np.int64)
    firsts = np.concatenate([none, *(one.firsts for one in found)])
    seconds = np.concatenate([none, *(one.seconds for one in found)])
    ious = np.concatenate([np.empty(0), *(one.ious for one in found)])
    order = np.lexsort((firsts, seconds))
    return Pairs(firsts, seconds, ious).among(order)


def pair_ious(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) the IoU of each of P pairs of boxes (P, 4) xyxy with an area."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = [(bboxes[:, 2:] - bboxes[:, :2]).prod(axis=1) for bboxes in (one, other)]
    return shared / (areas[0] + areas[1] - shared)


@check(
    Severity.WARNING,
    'Leave one of each: the network finds an object once, and evaluation takes the second one for missed.',
)
def box_repeated(data: Examined) -> Found:
    """Objects that are annotated twice, with the same box and class."""
    pairs, same_class = _split_by_class(data)
    is_equal = (data.bboxes[pairs.firsts] == data.bboxes[pairs.seconds]).all(axis=1)
    return _found_pairs(data, pairs.among(same_class & is_equal))


@check(
    Severity.WARNING,
    'Look which one is right, and leave that; two people, or a tool and a person, may have drawn them.',
)
def box_nearly_repeated(data: Examined) -> Found:
    """Objects whose box nearly coincides with another of the same class (IoU of 0.9 or more)."""
    pairs, same_class = _split_by_class(data)
    is_equal = (data.bboxes[pairs.firsts] == data.bboxes[pairs.seconds]).all(axis=1)
    return _found_pairs(data, pairs.among(same_class & ~is_equal))


@check(
    Severity.WARNING,
    'Decide for one class; a prior learns a single one, so that the network is punished for either.',
)
def box_of_two_classes(data: Examined) -> Found:
    """Objects whose box nearly coincides with one of another class (IoU of 0.9 or more)."""
    pairs, same_class = _split_by_class(data)
    return _found_pairs(data, pairs.among(~same_class))


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


def _split_by_class(data: Examined) -> tuple[Pairs, NDArray[np.bool_]]:
    """The pairs that nearly coincide, and (P,) whether both are of one class."""
    pairs, labels = data.derived(near_pairs), data.raw.boxes.labels
    return pairs, labels[pairs.firsts] == labels[pairs.seconds]


def _found_pairs(data: Examined, pairs: Pairs) -> Found:
    """What is found of pairs: the later box of each, once."""
    firsts, ious = np.full(len(data.raw.boxes), -1), np.zeros(len(data.raw.boxes))
    firsts[pairs.seconds], ious[pairs.seconds] = pairs.firsts, pairs.ious

    def detail(box: int) -> str:
        first = int(firsts[box])
        names = (data.raw.classes[data.raw.boxes.labels[one]] for one in (first, box))
        return f'{" and ".join(map(repr, names))}, IoU {ious[box]:.3f} with {data.raw.place(first)}'

    found = data.found_boxes(firsts >= 0, ious, detail, among=data.is_object)
    examples = (replace(one, boxes=(*one.boxes, int(firsts[one.boxes[0]]))) for one in found.examples)
    return replace(found, examples=tuple(examples))

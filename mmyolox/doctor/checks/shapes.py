"""Checks of all boxes together: whether they are in the form that is read, and whether people drew them."""

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found, nothing

FEW = 20
"""Of fewer objects nothing can be said about all."""
BEYOND = 1.5
"""A fraction of the image that no slip explains; nearly every object in pixels ends farther out."""
COPIES = 10
"""In how many images the same box is suspicious."""


@check(
    Severity.ERROR,
    'Multiply them by width and height of their image; COCO and Pascal VOC write pixels.',
)
def boxes_in_fractions(data: Examined) -> Found:
    """Boxes in fractions of their image where pixels are read, all of a split."""
    is_wrong = np.zeros(len(data.raw.boxes), np.bool_)
    for number, split in enumerate(data.raw.splits):
        own = split.boxes.bboxes[np.isfinite(split.boxes.bboxes).all(axis=1)]
        if split.format != 'yolo' and len(own) and own.max() <= 1 and own.min() >= -1:
            is_wrong |= data.box_splits == number
    return data.found_boxes(is_wrong)


@check(
    Severity.ERROR,
    'Divide x and width by the width of the image, y and height by its height; YOLO writes fractions.',
)
def boxes_in_pixels(data: Examined) -> Found:
    """Boxes of YOLO in pixels where fractions are read, nine tenths of a split or more."""
    is_beyond: NDArray[np.bool_] = data.raw.boxes.bboxes[:, 2:].max(axis=1) > BEYOND
    is_wrong = np.zeros(len(data.raw.boxes), np.bool_)
    for number, split in enumerate(data.raw.splits):
        own = data.box_splits == number
        if split.format == 'yolo' and own.any() and is_beyond[own].mean() >= 0.9:
            is_wrong |= own & is_beyond
    return data.found_boxes(is_wrong)


@check(
    Severity.ERROR,
    'Write x, y, width and height. If these are corners, every box is too large, and many reach over the '
    'border.',
)
def boxes_as_corners(data: Examined) -> Found:
    """Boxes of COCO that look like corners (x1, y1, x2, y2), all of a split."""
    is_wrong = np.zeros(len(data.raw.boxes), np.bool_)
    overhang = (data.bboxes[:, 2:] - data.box_sizes).max(axis=1)
    for number, split in enumerate(data.raw.splits):
        own = data.box_splits == number
        if split.format != 'coco' or own.sum() < FEW:
            continue
        corners = np.concatenate([data.bboxes[own, :2], data.sides[own]], axis=1)
        fits = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        fits &= (corners[:, 2:] <= data.box_sizes[own] + 1).all(axis=1)
        # Of boxes anywhere in an image, x + (x + width) is beyond the border for every second one.
        if fits.all() and (overhang[own] > 1).mean() > 0.2:
            is_wrong |= own
    return data.found_boxes(is_wrong, overhang)


@check(
    Severity.WARNING,
    'Look whether a tool wrote a size of its own instead of that of the objects, as for points.',
)
def boxes_of_one_size(data: Examined) -> Found:
    """Boxes of exactly the same size, nine tenths of all or more."""
    chosen = np.flatnonzero(data.is_object)
    if len(chosen) < FEW:
        return nothing('box', len(chosen))
    numbers, counts = _grouped(np.round(data.sides[chosen], 2))
    largest = counts.argmax()
    mask = np.zeros(len(data.raw.boxes), np.bool_)
    mask[chosen[numbers == largest]] = counts[largest] >= 0.9 * len(chosen)
    return data.found_boxes(mask, among=data.is_object)


@check(
    Severity.WARNING,
    'Look whether the images were cropped, or resized without their boxes; cut objects are harder to learn.',
)
def boxes_at_border(data: Examined) -> Found:
    """Objects that touch the border of their image, three quarters of all or more."""
    gaps = np.concatenate([data.bboxes[:, :2], data.box_sizes - data.bboxes[:, 2:]], axis=1).min(axis=1)
    touches = data.is_object & (gaps <= 1)
    total = int(data.is_object.sum())
    if total < FEW or touches.sum() < 0.75 * total:
        return nothing('box', total)
    return data.found_boxes(touches, among=data.is_object)


@check(
    Severity.WARNING,
    'Look whether a tool carried the box over from image to image, and whether the object is really there.',
)
def box_copied(data: Examined) -> Found:
    """Boxes with exactly the same corners and class in ten images or more."""
    chosen = np.flatnonzero(data.is_object)
    columns = np.concatenate([data.bboxes[chosen], data.raw.boxes.labels[chosen, None]], axis=1)
    numbers, counts = _grouped(columns)
    copies = np.zeros(len(data.raw.boxes))
    copies[chosen] = counts[numbers] if len(chosen) else 0
    return data.found_boxes(
        copies >= COPIES,
        copies,
        lambda box: f'{data.box_text(box)}, {copies[box]:.0f} times',
        among=data.is_object,
    )


@check(
    Severity.ERROR,
    'Set iscrowd, ignore or difficult to 0 for the objects that are meant: others are neither learned nor '
    'counted when they are found, so that nothing is trained, or measured.',
)
def crowds_only(data: Examined) -> Found:
    """Boxes of a split that are crowds, ignored or difficult, all of them."""
    mask = np.zeros(len(data.raw.boxes), np.bool_)
    for name in {split.name for split in data.raw.splits}:
        own = np.isin(data.box_splits, data.split_indices(name))
        if not (own & data.is_object).any():
            mask |= own & data.raw.boxes.is_crowd
    return data.found_boxes(mask)


@check(
    Severity.WARNING,
    'Look whether they are meant: crowds, ignored and difficult boxes are neither learned nor evaluated.',
)
def crowds_many(data: Examined) -> Found:
    """Boxes that are crowds, ignored or difficult, a fifth of all or more, but not all."""
    is_crowd = data.raw.boxes.is_crowd
    share = is_crowd.mean() if len(is_crowd) else 0
    return data.found_boxes(is_crowd & bool(0.2 <= share < 1))


def _grouped(columns: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of the group of equal rows that each of N rows (N, n) is in, and the size of each group."""
    order = np.lexsort(columns.T)
    is_new = np.ones(len(columns), np.bool_)
    is_new[1:] = (columns[order][1:] != columns[order][:-1]).any(axis=1)
    numbers = np.empty(len(columns), np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return numbers, np.bincount(numbers, minlength=1)

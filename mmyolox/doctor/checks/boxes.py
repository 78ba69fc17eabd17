"""Checks of boxes one by one: whether they are boxes, where they lie, and how large they are."""

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.annotations import MIN_SIDE
from mmyolox.doctor.check import Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found

OVERHANG = 1.0
"""Pixels over the border that are rounding."""
TINY = 4.0
"""The shorter side, in pixels of the network's input, below which half a cell of the finest grid has it."""
HUGE = 0.98
"""The part of both sides of an image from which a box is the whole image."""
EXTREME_ASPECT = 20.0
"""How many times longer than short a box is of which one may doubt whether it is one."""


@check(Severity.ERROR, 'Write numbers. Training leaves the boxes out, so that the objects become background.')
def box_not_finite(data: Examined) -> Found:
    """Boxes with a coordinate that is NaN or infinite."""
    return data.found_boxes(~finite_boxes(data.raw.boxes.bboxes))


@check(
    Severity.ERROR,
    'Swap the corners. Training leaves the boxes out, so that the objects become background.',
)
def box_inverted(data: Examined) -> Found:
    """Boxes whose right or lower side comes before the left or upper one."""
    shorter = data.sides.min(axis=1)
    return data.found_boxes(shorter < 0, -shorter)


@check(
    Severity.WARNING,
    'Remove them, or draw them again; often a click without a drag made them. Training leaves them out.',
)
def box_without_area(data: Examined) -> Found:
    """Boxes with a side of no length."""
    shorter = data.sides.min(axis=1)
    return data.found_boxes((shorter >= 0) & (shorter < MIN_SIDE))


@check(
    Severity.ERROR,
    'Look whether the boxes belong to another image, or to another size of it. Training leaves them out.',
)
def box_outside(data: Examined) -> Found:
    """Boxes that lie wholly outside of their image."""
    distance = _distance(data)
    return data.found_boxes(distance >= 0, distance, among=data.is_placed)


@check(
    Severity.WARNING,
    'Cut them to the image; training does so. Many of them are a sign of another size of the images, or of '
    'boxes in another form.',
)
def box_over_border(data: Examined) -> Found:
    """Boxes that reach over the border of their image by more than a pixel."""
    overhang = np.maximum(-data.bboxes, data.bboxes - np.tile(data.box_sizes, 2)).max(axis=1)
    is_over = (overhang > OVERHANG) & (_distance(data) < 0) & np.isfinite(overhang)

    def detail(box: int) -> str:
        return f'{data.box_text(box)}: by {overhang[box]:.1f} pixels'

    return data.found_boxes(is_over, overhang, detail, among=data.is_placed)


@check(
    Severity.WARNING,
    'Train with a larger img_scale, cut the images into tiles, or leave such objects out: they are smaller '
    'than half a cell of the finest grid, and hardly anything of them is left to see.',
)
def box_tiny(data: Examined) -> Found:
    """Objects whose shorter side has fewer than 4 pixels at the size that the network sees."""
    shorter = data.input_sides.min(axis=1)
    is_tiny = data.is_object & (shorter < TINY)

    def detail(box: int) -> str:
        (width, height), (wide, high) = data.sides[box].tolist(), data.input_sides[box].tolist()
        return f'{width:.4g} x {height:.4g} pixels, {wide:.2g} x {high:.2g} for the network'

    return data.found_boxes(is_tiny, -shorter, detail, among=data.is_object)


@check(
    Severity.NOTE,
    'Look whether they are objects that fill the image, or stand for the image as a whole.',
)
def box_huge(data: Examined) -> Found:
    """Objects whose box is the whole image."""
    shares = (data.sides / data.box_sizes).min(axis=1)
    return data.found_boxes(data.is_object & (shares >= HUGE), among=data.is_object)


@check(
    Severity.WARNING,
    'Look whether they are slips of the hand; a box of a cable or a mast is hard to learn, and a tenth of a '
    'pixel decides about its IoU.',
)
def box_extreme_aspect(data: Examined) -> Found:
    """Objects that are more than 20 times as long as wide."""
    aspects = data.sides.max(axis=1) / data.sides.min(axis=1)
    is_extreme = data.is_object & (aspects > EXTREME_ASPECT)

    def detail(box: int) -> str:
        width, height = data.sides[box].tolist()
        return f'{width:.4g} x {height:.4g} pixels, {aspects[box]:.0f} to 1'

    return data.found_boxes(is_extreme, aspects, detail, among=data.is_object)


@check(
    Severity.WARNING,
    'Write the area of the outline, or width times height: evaluation takes an object for small, medium or '
    'large by it.',
)
def area_unlike_box(data: Examined) -> Found:
    """Areas of COCO that are zero, or larger than their box."""
    areas, own = data.raw.boxes.areas, data.sides.prod(axis=1)
    is_wrong = data.is_usable & ((areas <= 0) | (areas > 1.01 * own + 1))

    def detail(box: int) -> str:
        return f'area {areas[box]:.6g}, and the box has {own[box]:.6g} square pixels'

    return data.found_boxes(is_wrong, detail=detail, among=data.is_usable & ~np.isnan(areas))


@check(
    Severity.NOTE,
    'Set one_based=False in the data set of the config if the files count pixels from 0: else every box is a '
    'pixel too far to the upper left.',
)
def box_from_zero(data: Examined) -> Found:
    """Boxes of Pascal VOC, which counts pixels from 1, that begin at 0."""
    is_voc = np.array([split.format == 'voc' for split in data.raw.splits], np.bool_)[data.box_splits]
    return data.found_boxes(is_voc & (data.bboxes[:, :2] == -1).any(axis=1), among=is_voc)


def finite_boxes(bboxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T,) whether all numbers of T boxes (T, 4) are finite."""
    is_finite: NDArray[np.bool_] = np.isfinite(bboxes)
    return np.logical_and.reduce(is_finite, axis=1)


def _distance(data: Examined) -> np.ndarray:
    """(T,) how far a box is from its image, in pixels; negative where they overlap, by how much."""
    low = np.minimum(data.bboxes[:, :2], data.bboxes[:, 2:])
    high = np.maximum(data.bboxes[:, :2], data.bboxes[:, 2:])
    distance: np.ndarray = np.maximum(low - data.box_sizes, -high).max(axis=1)
    return np.where(finite_boxes(data.bboxes), distance, np.nan)

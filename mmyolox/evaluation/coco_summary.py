"""The figures that COCO reports, from its curves, and how they are written."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .coco_boxes import AREAS, BoxCurves

PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""The names of the average precisions; the metric's default."""


class Figure(NamedTuple):
    """One of COCO's figures.

    Attributes:
        is_recall: An average recall, else an average precision.
        iou: The one IoU threshold; None for the mean over all.
        area: One of ``AREAS``.
        max_dets: How many detections of a class in an image count.
    """

    is_recall: bool
    iou: float | None
    area: str
    max_dets: int


def coco_figures(max_dets: Sequence[int]) -> dict[str, Figure]:
    """COCO's figures by name and in its order: 6 precisions, a recall for each limit, 3 recalls by area.

    Precisions and recalls by area are those at the highest limit. ``mAP`` is, as in pycocotools, that at 100
    detections whatever the highest limit, if 100 is among the limits.

    Args:
        max_dets: The limits.
    """
    last = max(max_dets)
    sizes = [(area, area[0]) for area in AREAS[1:]]
    figures = dict(
        mAP=Figure(False, None, 'all', 100 if 100 in max_dets else last),
        mAP_50=Figure(False, 0.5, 'all', last),
        mAP_75=Figure(False, 0.75, 'all', last),
    )
    figures |= {f'mAP_{letter}': Figure(False, None, area, last) for area, letter in sizes}
    figures |= {f'AR@{limit}': Figure(True, None, 'all', limit) for limit in sorted(max_dets)}
    return figures | {f'AR_{letter}@{last}': Figure(True, None, area, last) for area, letter in sizes}


def value_of(figure: Figure, curves: BoxCurves, label: int | None = None) -> float:
    """A figure's value, over all classes or for one; -1 where there is nothing to find."""
    values = curves.recall if figure.is_recall else curves.precision
    values = values[..., AREAS.index(figure.area), curves.max_dets.index(figure.max_dets)]
    if figure.iou is not None:
        values = values[np.isclose(curves.iou_thrs, figure.iou)]
    if label is not None:
        values = values[..., label]
    known: NDArray[np.floating] = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def summary_lines(curves: BoxCurves) -> Iterator[str]:
    """All figures, a line each, in the form that pycocotools prints."""
    first, last = curves.iou_thrs[[0, -1]]
    for figure in coco_figures(curves.max_dets).values():
        name = 'Average Recall     (AR)' if figure.is_recall else 'Average Precision  (AP)'
        iou = f'{first:.2f}:{last:.2f}' if figure.iou is None else f'{figure.iou:.2f}'
        where = f'IoU={iou:<9} | area={figure.area:>6} | maxDets={figure.max_dets:>3}'
        yield f' {name} @[ {where} ] = {value_of(figure, curves):0.3f}'


def class_table(curves: BoxCurves, classes: Sequence[str]) -> Iterator[str]:
    """The precisions of each class as the rows of a table; ``-`` where there is nothing to find."""
    figures = coco_figures(curves.max_dets)
    width = max(map(len, ('category', *classes)))
    yield f'| {"category":{width}} | {" | ".join(f"{name:>6}" for name in PRECISIONS)} |'
    yield f'|:{"-" * width}-|{"-------:|" * len(PRECISIONS)}'
    for label, name in enumerate(classes):
        values = [value_of(figures[column], curves, label) for column in PRECISIONS]
        cells = [f'{value:6.3f}' if value > -1 else f'{"-":>6}' for value in values]
        yield f'| {name:{width}} | {" | ".join(cells)} |'

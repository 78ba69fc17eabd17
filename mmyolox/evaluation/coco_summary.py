"""The figures that COCO reports, from its curves, and how they are written."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .coco_curves import Comparison, Curves

PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""The names of the average precisions; the metric's default."""


class Figure(NamedTuple):
    """A figure of COCO's.

    Attributes:
        is_recall: Whether it is an average recall, else an average precision.
        iou: The one IoU threshold; None for the mean over all.
        area: One of :data:`~mmyolox.evaluation.coco_curves.AREAS`.
        max_dets: How many detections of a class in an image count.
    """

    is_recall: bool
    iou: float | None
    area: str
    max_dets: int


def figures_of(comparison: Comparison) -> dict[str, Figure]:
    """COCO's figures by name and in its order: precisions, then a recall for each limit, then other recalls.

    All but the recalls for a limit are those at the highest limit. ``mAP`` is, as in pycocotools, that at 100
    detections whatever the highest limit, if 100 is among the limits.
    """
    max_dets, recall_ious = comparison.max_dets, comparison.recall_ious
    last = max(max_dets)
    sizes = [(area, area[0]) for area in comparison.areas if area != 'all']
    figures = dict(
        mAP=Figure(False, None, 'all', 100 if 100 in max_dets else last),
        mAP_50=Figure(False, 0.5, 'all', last),
        mAP_75=Figure(False, 0.75, 'all', last),
    )
    figures |= {f'mAP_{letter}': Figure(False, None, area, last) for area, letter in sizes}
    figures |= {f'AR@{limit}': Figure(True, None, 'all', limit) for limit in sorted(max_dets)}
    figures |= {f'AR_{100 * iou:.0f}@{last}': Figure(True, iou, 'all', last) for iou in recall_ious}
    return figures | {f'AR_{letter}@{last}': Figure(True, None, area, last) for area, letter in sizes}


def is_evaluated(figure: Figure, comparison: Comparison) -> bool:
    """Whether a comparison has the IoU threshold that a figure is at."""
    return figure.iou is None or bool(np.isclose(comparison.iou_thrs, figure.iou).any())


def value_of(figure: Figure, curves: Curves, label: int | None = None) -> float:
    """A figure's value, over all classes or for one; -1 where there is nothing to find."""
    comparison = curves.comparison
    values = curves.recall if figure.is_recall else curves.precision
    values = values[..., comparison.areas.index(figure.area), comparison.max_dets.index(figure.max_dets)]
    if figure.iou is not None:
        values = values[np.isclose(comparison.iou_thrs, figure.iou)]
    if label is not None:
        values = values[..., label]
    known: NDArray[np.floating] = values[values > -1]
    return float(known.mean()) if known.size else -1.0


class ClassFigures(NamedTuple):
    """What was measured of a class.

    Attributes:
        name: The class.
        objects: The number of objects to find, crowds not counted.
        precisions: The average precisions by what a person calls them (``AP``, ``AP50``; of several
            comparisons ``bbox AP``); -1 where there is nothing to find.
    """

    name: str
    objects: int
    precisions: dict[str, float]


def class_figures(
    all_curves: Sequence[Curves], classes: Sequence[str], objects: Sequence[int]
) -> list[ClassFigures]:
    """The precisions of each class, overall and at an IoU of 0.5.

    Args:
        all_curves: The curves of each comparison.
        classes: The names of the C classes.
        objects: (C,) How many objects there are to find.
    """
    rows = [ClassFigures(name, count, {}) for name, count in zip(classes, objects, strict=True)]
    for curves in all_curves:
        figures = figures_of(curves.comparison)
        prefix = '' if len(all_curves) == 1 else f'{curves.comparison.iou_type} '
        for label, row in enumerate(rows):
            for name, title in (('mAP', 'AP'), ('mAP_50', 'AP50')):
                row.precisions[prefix + title] = value_of(figures[name], curves, label)
    return rows


def summary_lines(curves: Curves) -> Iterator[str]:
    """All figures, a line each, in the form that pycocotools prints."""
    first, last = curves.comparison.iou_thrs[[0, -1]]
    for figure in figures_of(curves.comparison).values():
        name = 'Average Recall     (AR)' if figure.is_recall else 'Average Precision  (AP)'
        iou = f'{first:.2f}:{last:.2f}' if figure.iou is None else f'{figure.iou:.2f}'
        where = f'IoU={iou:<9} | area={figure.area:>6} | maxDets={figure.max_dets:>3}'
        yield f' {name} @[ {where} ] = {value_of(figure, curves):0.3f}'


def class_table(curves: Curves, classes: Sequence[str]) -> Iterator[str]:
    """The precisions of each class as the rows of a table; ``-`` where there is nothing to find."""
    figures = {name: figure for name, figure in figures_of(curves.comparison).items() if name in PRECISIONS}
    width = max(map(len, ('category', *classes)))
    yield f'| {"category":{width}} | {" | ".join(f"{name:>6}" for name in figures)} |'
    yield f'|:{"-" * width}-|{"-------:|" * len(figures)}'
    for label, name in enumerate(classes):
        values = [value_of(figure, curves, label) for figure in figures.values()]
        cells = [f'{value:6.3f}' if value > -1 else f'{"-":>6}' for value in values]
        yield f'| {name:{width}} | {" | ".join(cells)} |'

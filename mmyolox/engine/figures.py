"""Figures of an evaluation in the words of a person: ``AP50`` for ``coco/bbox_mAP_50``."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from mmyolox.errors import one_line

_PRECISION = re.compile(r'(?:.*/)?(?:(?P<of>[^/]+)_)?m?AP(?:[_ ]?(?P<point>\.)?(?P<iou>\d+))?')
"""An average precision, overall or at one IoU: of COCO's, MMPose's and Pascal VOC's metrics."""

_WIDEST = 40
"""The characters of a class name that a table has room for."""


def short_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a line has room for: AP and AP50 of all that is compared, else the first three.

    The loss of the validation images is among them where a training computes it.

    Args:
        metrics: What the evaluation gives.

    Returns:
        The values by what a person calls them.
    """
    found = {}
    losses = {'val loss': float(metrics['val/loss'])} if 'val/loss' in metrics else {}
    for name, value in metrics.items():
        match = _PRECISION.fullmatch(name)
        if match and (iou := _percent(match)) in ('', '50'):
            found[match['of'] or '', f'AP{iou}'] = float(value)
    if not found:
        numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
        others = [name for name in numbers if not name.startswith('val/loss')]
        return {name.rpartition('/')[2]: float(numbers[name]) for name in others[:3]} | losses
    is_alone = len({of for of, _ in found}) == 1
    precisions = {title if is_alone else f'{of} {title}'.strip(): found[of, title] for of, title in found}
    return precisions | losses


def _percent(match: re.Match[str]) -> str:
    """The IoU of a precision in per cent, which MMPose writes as ``AP .5``; empty for all of them."""
    digits = match['iou'] or ''
    return digits.ljust(2, '0') if match['point'] else digits


def format_figures(figures: Mapping[str, float]) -> str:
    """Figures in one line, such as ``AP 0.412  AP50 0.731``.

    Args:
        figures: The values by their names.
    """
    return '  '.join(f'{name} {format_value(value)}' for name, value in figures.items())


def format_value(value: float) -> str:
    """A figure with three decimals, ``-`` where nothing was to be found.

    Args:
        value: The figure.
    """
    return '-' if math.isnan(value) or value == -1 else f'{value:.3f}'


def class_table(rows: Sequence[Any], limit: int | None = None) -> list[str]:
    """A table of what was measured of each class.

    Args:
        rows: For each class its ``name``, ``objects`` and ``precisions``, as a metric's ``by_class``.
        limit: Of how many classes; of more, those that are found worst. None for all.

    Returns:
        The lines, none without classes.
    """
    if not rows:
        return []
    titles = list(rows[0].precisions)
    shown = list(rows)
    if limit is not None and len(rows) > limit:
        known = [row for row in rows if row.objects]
        shown = sorted(known, key=lambda row: row.precisions[titles[0]])[:limit]
    width = max(map(cell_len, ['class', *(one_line(row.name) for row in shown)]))
    width = min(width, _WIDEST)
    lines = [_row('class', 'objects', titles, titles, width)]
    lines += [
        _row(row.name, row.objects, map(format_value, row.precisions.values()), titles, width)
        for row in shown
    ]
    if len(shown) < len(rows):
        lines.append(f'the worst {len(shown)} of {len(rows)} classes; a test shows all')
    return lines


def _row(name: str, objects: object, values: Iterable[str], titles: Sequence[str], width: int) -> str:
    cells = (f'{value:>{max(6, len(title))}}' for value, title in zip(values, titles, strict=True))
    name = one_line(name)
    if cell_len(name) > width:
        name = f'{set_cell_size(name, width - 3)}...'
    return f'{set_cell_size(name, width)}  {objects:>7}  {"  ".join(cells)}'

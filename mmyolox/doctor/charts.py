"""Charts of what a data set is like: its classes, the sizes of its objects, and how many an image has."""

import numpy as np

from mmyolox.pages import Chart
from mmyolox.pages.charts import Axis, Mark, grouped_bars, histogram

from .examined import Examined

_SIDES = np.geomspace(2, 2048, 31)
"""The edges between sizes of objects, in pixels of the network's input."""

_BARS = 30
"""How many bars a histogram of counts has at most."""


def charts_of(data: Examined) -> list[Chart]:
    """The charts of a data set; none where it has no object."""
    if not data.is_object.any():
        return []
    return [_class_chart(data), _size_chart(data), _crowding_chart(data)]


def _class_chart(data: Examined) -> Chart:
    """The objects of each class in each split, the most frequent class first."""
    names = dict.fromkeys(split.name for split in data.raw.splits)
    counts = {
        name: np.bincount(
            data.raw.boxes.labels[data.is_object & np.isin(data.box_splits, data.split_indices(name))],
            minlength=len(data.raw.classes),
        )
        for name in names
    }
    order = np.argsort(-np.sum([*counts.values()], axis=0), kind='stable')
    classes = [data.raw.classes[label] for label in order.tolist()]
    most, least = (int(sum(one[label] for one in counts.values())) for label in (order[0], order[-1]))
    return grouped_bars(
        'Objects of each class',
        f'{classes[0]} has {most:,} objects, {classes[-1]} {least:,}.',
        classes,
        {name: one[order] for name, one in counts.items()},
        Axis('Objects'),
    )


def _size_chart(data: Examined) -> Chart:
    """How large objects are for the network: the square root of their area."""
    sides = np.sqrt(data.input_sides[data.is_object]).prod(axis=1).clip(_SIDES[0], _SIDES[-1])
    counts, edges = np.histogram(sides, _SIDES)
    used = np.flatnonzero(counts)
    part = slice(int(used[0]), int(used[-1]) + 1)
    low, middle, high = np.quantile(sides, (0.05, 0.5, 0.95)).tolist()
    return histogram(
        "Sizes of objects in the network's input",
        f'The square root of the area: half of the objects are below {middle:.0f} pixels, a twentieth below '
        f'{low:.0f}, and a twentieth above {high:.0f}. A cell of the finest grid has 8.',
        edges[part.start : part.stop + 1],
        counts[part],
        Axis('Pixels', is_logarithmic=True),
        Axis('Objects'),
        [Mark(8, 'a cell')] if edges[part.start] <= 8 <= edges[part.stop] else [],
    )


def _crowding_chart(data: Examined) -> Chart:
    """How many objects an image has."""
    counts = np.bincount(data.raw.boxes.images[data.is_object], minlength=len(data.raw.images))
    most = int(counts.max())
    step = most // _BARS + 1
    edges = np.arange(0, most + step + 1, step)
    numbers, _ = np.histogram(counts, edges)
    empty = int((counts == 0).sum())
    return histogram(
        'Objects in an image',
        f'An image has {counts.mean():.1f} objects on average and {most} at most; {empty} have none.',
        edges,
        numbers,
        Axis('Objects'),
        Axis('Images'),
    )

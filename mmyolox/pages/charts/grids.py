"""Charts of shaded cells: a value for each pair of names, and which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ..blocks import Chart, Column, Table
from ..theme import SERIES
from .base import Axis, Floats, altair, finish, floats, look, plot, shown_of, texts

_BACKGROUND = 'background'
_MOST_PAIRS = 300
_MOST_TEXTS = 16
"""Rows or columns up to which the cells have their numbers in them."""
_MOST_LETTERS = 26
"""Letters of the names of all columns up to which they are written horizontally."""


def heat_map(
    title: str,
    description: str,
    values: ArrayLike,
    row_names: Sequence[str],
    column_names: Sequence[str],
    x: Axis,
    y: Axis,
    digits: int = 0,
) -> Chart:
    """Values as shades, the negative ones of another colour, with the numbers in the cells if they are few.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        values: (rows, columns) values; NaN leaves its cell empty.
        row_names: The names of the rows, from above, all different.
        column_names: The names of the columns, all different.
        x: The axis of the columns.
        y: The axis of the rows.
        digits: The decimals of the numbers.
    """
    grid = np.asarray(values, np.float64)
    largest = float(np.nanmax(np.abs(grid), initial=0)) or 1
    chart = _cells(
        texts(row_names),
        texts(column_names),
        {
            'value': grid.ravel(),
            'shade': floats(np.abs(grid)) / largest,
            'is_other': (grid < 0).ravel().astype(np.float64),
        },
        (y.title, x.title),
        f',.{digits}f',
    )
    heads = [Column(y.title), *(Column(name, digits) for name in column_names)]
    rows = [(name, *line.tolist()) for name, line in zip(row_names, grid, strict=True)]
    size = _width(len(column_names)), _height(len(row_names))
    return finish(chart, title, description, Table(title, heads, rows), size)


def confusion(
    title: str, description: str, counts: ArrayLike, classes: Sequence[str], shown: int = 20
) -> Chart:
    """Which class is taken for which: right and wrong cells differ in colour, shades are shares of a row.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        counts: (C + 1, C + 1) counts: the annotated class by row, the detected one by column, the background
            last: its row has the detections without a box, its column the boxes without a detection.
        classes: The names of the C classes.
        shown: How many classes are drawn; of more, those that are confused most.
    """
    grid = np.asarray(counts, np.int64)
    names = [*_unlike(classes), _BACKGROUND]
    totals = grid.sum(axis=1, keepdims=True)
    shares = grid / np.maximum(totals, 1)
    is_wrong = ~np.eye(len(grid), dtype=bool)
    chosen = _most_confused(np.where(is_wrong, grid, 0), shown)
    part = np.ix_(chosen, chosen)
    labels = [names[index] for index in chosen]
    chart = _cells(
        labels,
        labels,
        {
            'value': np.where(grid[part] == 0, np.nan, grid[part]).ravel(),
            'shade': np.sqrt(shares[part]).ravel(),  # A share of a hundredth is still seen.
            'is_other': is_wrong[part].ravel().astype(np.float64),
            'share': shares[part].ravel(),
        },
        ('Annotated', 'Detected'),
        ',',
    )
    note = shown_of(len(chosen) - 1, len(classes), 'classes')
    if note:
        note = f'The {len(chosen) - 1} classes of {len(classes)} that are confused most.'
    size = _width(len(labels)), _height(len(labels))
    return finish(chart, title, description, _pairs(title, grid, names), size, note)


def confused_with(title: str, description: str, counts: ArrayLike, classes: Sequence[str]) -> Chart:
    """What became of the boxes of one class, which a menu names: the ten commonest answers as bars.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        counts: (C + 1, C + 1) counts, as those of :func:`confusion`.
        classes: The names of the C classes.
    """
    alt = altair()
    grid = np.asarray(counts, np.int64)
    names = [*_unlike(classes), _BACKGROUND]
    rows, columns = np.nonzero(grid)
    share = grid[rows, columns] / np.maximum(grid.sum(axis=1), 1)[rows]
    base = plot(
        annotated=[names[row] for row in rows],
        detected=[names[column] for column in columns],
        share=100 * share,
        n=floats(grid[rows, columns]),
    )
    wrong = grid.sum(axis=1) - grid.diagonal()
    wrong[-1] = -1 if classes else 0
    first = names[int(wrong.argmax())]
    menu = alt.binding_select(options=names, name='Annotated class')
    chosen = alt.param(name='chosen', value=first, bind=menu)
    base = (
        base.transform_filter('datum.annotated === chosen')
        .transform_window(place='row_number()', sort=[alt.SortField('n', order='descending')])
        .transform_filter('datum.place <= 10')
        .encode(
            x=alt.X('share:Q', **look(Axis('Share of the boxes, in %', (0, 100)))),
            y=alt.Y('detected:N', title='Detected', sort=alt.EncodingSortField('place', op='min')),
            tooltip=[
                alt.Tooltip('detected:N', title='Detected'),
                alt.Tooltip('n:Q', title='Boxes', format=','),
                alt.Tooltip('share:Q', title='Share in %', format='.1f'),
            ],
        )
    )
    colour = alt.condition('datum.detected === chosen', alt.value(SERIES[0]), alt.value(SERIES[1]))
    ends = base.mark_text(align='left', dx=4, color='var(--muted)').encode(text=alt.Text('n:Q', format=','))
    chart = alt.layer(base.mark_bar().encode(color=colour), ends).add_params(chosen)
    return finish(chart, title, description, _pairs(title, grid, names), (0, 260))


def _cells(
    rows: Sequence[str],
    columns: Sequence[str],
    numbers: dict[str, Floats],
    titles: tuple[str, str],
    number_format: str,
) -> Any:
    """Shaded cells, row by row: none where the value is NaN, the second colour where it ``is_other``."""
    alt = altair()
    tooltips = [
        alt.Tooltip('row:N', title=titles[0]),
        alt.Tooltip('column:N', title=titles[1]),
        alt.Tooltip('value:Q', title='Value', format=number_format),
        *([alt.Tooltip('share:Q', title='Share of the row', format='.1%')] if 'share' in numbers else []),
    ]
    upright = alt.Axis(labelAngle=0 if sum(map(len, columns)) <= _MOST_LETTERS else -40, labelLimit=110)
    across = alt.X('column:N', title=titles[1], scale=alt.Scale(domain=list(columns)), axis=upright)
    base = (
        plot(
            row=[row for row in rows for _ in columns],
            column=[column for _ in rows for column in columns],
            **numbers,
        )
        .transform_filter('isValid(datum.value)')
        .encode(
            x=across,
            y=alt.Y('row:N', title=titles[0], scale=alt.Scale(domain=list(rows))),
            tooltip=tooltips,
        )
    )
    colour = alt.condition('datum.is_other > 0', alt.value(SERIES[1]), alt.value(SERIES[0]))
    shade = alt.FillOpacity('shade:Q', scale=alt.Scale(domain=[0, 1], range=[0.06, 1]), legend=None)
    layers = [base.mark_rect().encode(color=colour, fillOpacity=shade)]
    if max(len(rows), len(columns)) <= _MOST_TEXTS:
        # Where black and white are read equally well on the shaded colour, in both themes.
        ink = (
            alt.when('datum.is_other > 0 && datum.shade > 0.7')
            .then(alt.value('var(--on-c2)'))
            .when('!(datum.is_other > 0) && datum.shade > 0.78')
            .then(alt.value('var(--on-c1)'))
            .otherwise(alt.value('var(--ink)'))
        )
        layers.append(base.mark_text().encode(text=alt.Text('value:Q', format=number_format), color=ink))
    return alt.layer(*layers)


def _width(columns: int) -> int:
    """The least width at which the names of the columns do not cover one another."""
    return 170 + 17 * columns


def _height(rows: int) -> int:
    return max(120, rows * (28 if rows <= _MOST_TEXTS else 18))


def _unlike(classes: Sequence[str]) -> list[str]:
    """The names of classes, a class that is called like the background marked as one."""
    return [f'{name} (class)' if name == _BACKGROUND else name for name in texts(classes)]


def _most_confused(wrong: npt.NDArray[np.int64], shown: int) -> list[int]:
    """The classes to draw, and the background, in their order: wrong counts (C + 1, C + 1) decide."""
    by_class = (wrong.sum(axis=0) + wrong.sum(axis=1))[:-1]
    return [*sorted(np.argsort(-by_class, kind='stable')[:shown].tolist()), len(by_class)]


def _pairs(title: str, grid: npt.NDArray[np.int64], names: Sequence[str]) -> Table:
    """The pairs of an annotated and a detected class that occur, the commonest first."""
    rows, columns = np.nonzero(grid)
    order = np.argsort(-grid[rows, columns], kind='stable')[:_MOST_PAIRS]
    totals = grid.sum(axis=1)
    cells = [
        (names[row], names[column], int(grid[row, column]), 100 * grid[row, column] / totals[row])
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
    ]
    left_out = f' ({_MOST_PAIRS} of {len(rows)} pairs)' if len(rows) > _MOST_PAIRS else ''
    heads = [Column('Annotated'), Column('Detected'), Column('Boxes', 0), Column('Share', 1, '%')]
    return Table(title + left_out, heads, cells)

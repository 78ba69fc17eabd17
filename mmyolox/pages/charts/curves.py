"""Charts of lines and points: curves of a training, of classes, of calibration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..blocks import Chart, Column, Table
from ..theme import DASHES, SERIES
from .base import Axis, Floats, altair, finish, floats, look, plot, plot_groups, shown_of, texts

if TYPE_CHECKING:
    import altair as alt

_HEIGHT = 300
_FEW = 7
"""Curves of as many classes have a colour each; of more, one is chosen."""
_MOST_ROWS = 50
_MOST_POINTS = 1000


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: Its name.
        x: (P,) positions, rising.
        y: (P,) values; the line has a gap where one is NaN.
    """

    name: str
    x: ArrayLike
    y: ArrayLike


@dataclass(frozen=True)
class Mark:
    """A vertical line across a chart.

    Attributes:
        x: Where it is.
        text: What is there.
    """

    x: float
    text: str


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
) -> Chart:
    """Lines in colours and dashes of their own: losses, or a few curves.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        series: The lines, at most eight; those of more are not told apart by colour.
        x: The axis of the positions.
        y: The axis of the values.
        marks: Vertical lines.
    """
    alt = altair()
    series = _with_texts(series)
    names = [one.name for one in series]
    # Without a type the signs of lines with points are circles of that size.
    legend = alt.Legend(title=None, symbolSize=400, symbolType='stroke') if len(series) > 1 else None
    looks: Any = {'sort': None, 'legend': legend}
    colours = alt.Scale(domain=names, range=list(SERIES))
    dashes = alt.Scale(domain=names, range=[list(dash) for dash in DASHES])
    chart = (
        _plot(series)
        .mark_line(point=_are_single(series))
        .encode(
            x=alt.X('x:Q', **look(x)),
            y=alt.Y('y:Q', **look(y)),
            color=alt.Color('name:N', scale=colours, **looks),
            strokeDash=alt.StrokeDash('name:N', scale=dashes, **looks),
            tooltip=[
                alt.Tooltip('name:N', title='Line'),
                alt.Tooltip('x:Q', title=x.title),
                alt.Tooltip('y:Q', title=y.title, format='.4~g'),
            ],
        )
    )
    return finish(
        alt.layer(chart, *rules(marks)), title, description, _by_position(title, series, x), (0, _HEIGHT)
    )


def class_curves(
    title: str,
    description: str,
    overall: Series | None,
    classes: Sequence[Series],
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
) -> Chart:
    """A curve for every class, of any number: precision over recall, or F1 over the score.

    Of more than seven classes all are drawn faintly, and a menu names the one to highlight.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        overall: The curve of all classes together, which is bold; ``None`` if there is none.
        classes: The curve of each class.
        x: The axis of the positions.
        y: The axis of the values.
        marks: Vertical lines.
    """
    alt = altair()
    whole, classes = _with_texts([overall] if overall else []), _with_texts(classes)
    every = [*whole, *classes]
    numbers = _by_name(title, every, x)
    if len(classes) <= _FEW:
        return replace(lines(title, description, every, x, y, marks), numbers=numbers)
    names = [one.name for one in classes]
    chosen = alt.param(name='chosen', value=names[0], bind=alt.binding_select(options=names, name='Class'))
    kinds = ['each class', 'chosen class', *(one.name for one in whole)]
    scale = alt.Scale(domain=kinds, range=['var(--faint)', SERIES[1], SERIES[0]])
    label = f'datum.value === {json.dumps(kinds[1])} ? chosen : datum.label'
    legend = alt.Legend(title=None, symbolSize=400, labelExpr=label)

    def layer(curves: Sequence[Series], kind: str, width: float, opacity: float) -> Any:
        return (
            _plot(curves)
            .transform_calculate(kind=json.dumps(kind))
            .mark_line(strokeWidth=width, opacity=opacity)
            .encode(
                x=alt.X('x:Q', **look(x)),
                y=alt.Y('y:Q', **look(y)),
                detail='name:N',
                color=alt.Color('kind:N', scale=scale, legend=legend),
                tooltip=[
                    alt.Tooltip('name:N', title='Class'),
                    alt.Tooltip('x:Q', title=x.title, format='.3~f'),
                    alt.Tooltip('y:Q', title=y.title, format='.3~f'),
                ],
            )
        )

    layers = [
        layer(classes, kinds[0], 1, 0.45),
        layer(classes, kinds[1], 3, 1).transform_filter('datum.name === chosen').add_params(chosen),
        *(layer([one], one.name, 3, 1) for one in whole),
    ]
    return finish(alt.layer(*layers, *rules(marks)), title, description, numbers, (0, _HEIGHT))


def reliability(
    title: str, description: str, scores: ArrayLike, shares: ArrayLike, counts: ArrayLike
) -> Chart:
    """How often detections of a score are right; a calibrated model's points are on the diagonal.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        scores: (P,) mean scores of the bins, in [0, 1]; NaN for an empty bin.
        shares: (P,) shares of hits among the detections of each bin, in [0, 1].
        counts: (P,) numbers of detections of each bin.
    """
    alt = altair()
    x, y = Axis('Mean score', (0, 1)), Axis('Share of hits', (0, 1))
    columns = {'x': floats(scores), 'y': floats(shares), 'n': floats(counts)}
    diagonal = (
        plot(x=np.array([0.0, 1.0]))
        .mark_line(color='var(--muted)', strokeDash=[4, 4], strokeWidth=1.5)
        .encode(x='x:Q', y='x:Q')
    )
    base = (
        plot(**columns)
        .transform_filter('isValid(datum.x) && isValid(datum.y)')
        .encode(x=alt.X('x:Q', **look(x)), y=alt.Y('y:Q', **look(y)))
    )
    gaps = base.mark_rule(color=SERIES[1], strokeWidth=2, opacity=0.6).encode(y2='x')
    points = base.mark_circle(opacity=1).encode(
        size=alt.Size('n:Q', title='Detections', scale=alt.Scale(range=[30, 300])),
        tooltip=[
            alt.Tooltip('x:Q', title=x.title, format='.3f'),
            alt.Tooltip('y:Q', title=y.title, format='.3f'),
            alt.Tooltip('n:Q', title='Detections', format=','),
        ],
    )
    layers = alt.layer(diagonal, base.mark_line(), gaps, points)
    heads = [Column('Mean score', 3), Column('Share of hits', 3), Column('Detections', 0)]
    rows = [row for row in zip(*(one.tolist() for one in columns.values()), strict=True) if row[2] > 0]
    return finish(layers, title, description, Table(title, heads, rows), (0, _HEIGHT))


def scatter(
    title: str,
    description: str,
    xs: ArrayLike,
    ys: ArrayLike,
    names: Sequence[str],
    x: Axis,
    y: Axis,
) -> Chart:
    """Points, whose names are shown when they are pointed at; of more than 1,000 evenly chosen ones.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        xs: (N,) positions along the first axis.
        ys: (N,) positions along the second.
        names: (N,) names.
        x: The first axis.
        y: The second axis.
    """
    alt = altair()
    horizontal, vertical = floats(xs), floats(ys)
    chosen = _evenly(len(names), _MOST_POINTS)
    chart = (
        plot(x=horizontal[chosen], y=vertical[chosen], name=texts(names[index] for index in chosen))
        .mark_circle(size=36, opacity=0.5)
        .encode(
            x=alt.X('x:Q', **look(x)),
            y=alt.Y('y:Q', **look(y)),
            tooltip=[
                alt.Tooltip('name:N', title='Name'),
                alt.Tooltip('x:Q', title=x.title, format='.4~g'),
                alt.Tooltip('y:Q', title=y.title, format='.4~g'),
            ],
        )
    )
    rows = [(names[index], horizontal[index], vertical[index]) for index in _evenly(len(names), _MOST_ROWS)]
    heads = [Column('Name'), Column(x.title, 3), Column(y.title, 3)]
    note = shown_of(len(chosen), len(names), 'points').replace('all', 'some')
    return finish(chart, title, description, Table(title, heads, rows), (0, _HEIGHT), note)


def rules(marks: Sequence[Mark]) -> list[Any]:
    """The layers of vertical lines and their texts."""
    if not marks:
        return []
    alt = altair()
    base = plot(x=floats([mark.x for mark in marks]), text=texts(mark.text for mark in marks)).encode(x='x:Q')
    labels = base.encode(text='text:N', y=alt.value(0))
    place: Any = {'align': 'left', 'dx': 6, 'dy': 8, 'baseline': 'top', 'fontWeight': 500}
    return [
        base.mark_rule(strokeDash=[4, 3], strokeWidth=1.5, color='var(--ink)'),
        labels.mark_text(**place, stroke='var(--ground)', strokeWidth=5, strokeJoin='round'),
        labels.mark_text(**place),
    ]


def _with_texts(series: Sequence[Series]) -> list[Series]:
    return [
        replace(one, name=name) for one, name in zip(series, texts(one.name for one in series), strict=True)
    ]


def _plot(series: Sequence[Series]) -> alt.Chart:
    """The beginning of a chart of the points of all lines."""
    return plot_groups(
        [{'name': one.name, 'x': floats(one.x), 'y': floats(one.y)} for one in series or [Series('', [], [])]]
    )


def _are_single(series: Sequence[Series]) -> bool:
    """Whether there are lines of one point, which would not be seen."""
    return any(len(floats(one.x)) < 2 for one in series)


def _evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the first ``count`` indices, evenly, with the first and the last."""
    return (
        sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())) if count else []
    )


def _by_position(title: str, series: Sequence[Series], x: Axis) -> Table:
    """The values of the lines by position: of many positions some, evenly chosen."""
    values = [dict(zip(floats(one.x).tolist(), floats(one.y).tolist(), strict=True)) for one in series]
    positions = sorted({position for one in values for position in one})
    rows = [
        (positions[index], *(one.get(positions[index]) for one in values))
        for index in _evenly(len(positions), _MOST_ROWS)
    ]
    whole = all(float(position).is_integer() for position in positions)
    heads = [Column(x.title, 0 if whole else 3), *(Column(one.name, 4) for one in series)]
    left_out = f' ({len(rows)} of {len(positions)} positions)' if len(rows) < len(positions) else ''
    return Table(title + left_out, heads, rows)


def _by_name(title: str, series: Sequence[Series], x: Axis) -> Table:
    """The values of the lines at eleven positions, a row for each line."""
    every = np.concatenate([floats(one.x) for one in series] or [floats([])])
    known = every[~np.isnan(every)]
    start, end = x.domain or (known.min(initial=0), known.max(initial=1))
    positions = np.linspace(start, end, 11)
    heads = [Column('Class'), *(Column(f'at {position:.3g}', 3) for position in positions)]
    rows = [(one.name, *_at(one, positions).tolist()) for one in series]
    return Table(f'{title}, by {x.title.lower()}', heads, rows)


def _at(series: Series, positions: Floats) -> Floats:
    """The values of a line at positions, between its points by their line; NaN outside of it."""
    x, y = floats(series.x), floats(series.y)
    is_known = ~(np.isnan(x) | np.isnan(y))
    if not is_known.any():
        return np.full(len(positions), np.nan)
    return np.interp(positions, x[is_known], y[is_known], left=np.nan, right=np.nan)

"""Charts of bars: values by name, and counts between edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..blocks import Chart, Column, Table
from ..theme import SERIES
from .base import Axis, Group, altair, finish, floats, look, plot, plot_groups, shown_of, texts
from .curves import Mark, rules

_BAR = 22
"""Height of a bar with the space around it, in pixels of the page."""


def bars(
    title: str, description: str, names: Sequence[str], values: ArrayLike, x: Axis, shown: int = 30
) -> Chart:
    """A bar for each value, in the order given, with the value at its end.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        names: (N,) names, all different.
        values: (N,) values; NaN has no bar.
        x: The axis of the values.
        shown: How many of the first are drawn; the table has all.
    """
    alt = altair()
    numbers = floats(values)
    drawn = texts(names[:shown])
    base = plot(name=drawn, value=numbers[:shown]).encode(
        x=alt.X('value:Q', **look(x)),
        y=alt.Y('name:N', title=None, sort=None),
        tooltip=[alt.Tooltip('name:N', title='Name'), alt.Tooltip('value:Q', title=x.title, format=',.4~g')],
    )
    digits = _digits(numbers)
    ends = base.mark_text(align='left', dx=4, color='var(--muted)').encode(
        text=alt.Text('value:Q', format=f',.{digits}f')
    )
    heads = [Column('Name'), Column(x.title, digits, is_barred=True)]
    rows = list(zip(names, numbers.tolist(), strict=True))
    note = shown_of(len(drawn), len(names), 'bars')
    height = max(1, len(drawn)) * _BAR
    return finish(
        alt.layer(base.mark_bar(), ends), title, description, Table(title, heads, rows), (0, height), note
    )


def grouped_bars(
    title: str,
    description: str,
    names: Sequence[str],
    values: Mapping[str, ArrayLike],
    x: Axis,
    shown: int = 20,
) -> Chart:
    """A group of bars for each name, such as the AP of each class in two runs.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        names: (N,) names, all different.
        values: (N,) values of each bar of the groups, by its name.
        x: The axis of the values.
        shown: How many of the first names are drawn; the table has all.
    """
    alt = altair()
    chart = _by_part(names[:shown], values, x).encode(
        yOffset=alt.YOffset('part:N', sort=texts(values)),
        x=alt.X('value:Q', **look(x), stack=None),
    )
    height = max(1, len(names[:shown])) * (8 + 14 * len(values))
    note = shown_of(len(names[:shown]), len(names), 'groups')
    return finish(chart, title, description, _part_table(title, names, values), (0, height), note)


def stacked_bars(
    title: str,
    description: str,
    names: Sequence[str],
    values: Mapping[str, ArrayLike],
    x: Axis,
    shown: int = 30,
) -> Chart:
    """A bar for each name, of several pieces, such as the hits, false and missed ones of a class.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        names: (N,) names, all different.
        values: (N,) values of each piece of the bars, by its name; none is negative.
        x: The axis of the values.
        shown: How many of the first names are drawn; the table has all.
    """
    alt = altair()
    # The order of the pieces is that of their names, which the data has.
    chart = _by_part(names[:shown], values, x).encode(
        x=alt.X('value:Q', **look(x), stack='zero'), order='rank:Q'
    )
    height = max(1, len(names[:shown])) * _BAR
    note = shown_of(len(names[:shown]), len(names), 'bars')
    return finish(chart, title, description, _part_table(title, names, values), (0, height), note)


def histogram(
    title: str,
    description: str,
    edges: ArrayLike,
    counts: ArrayLike,
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
) -> Chart:
    """Counts between edges.

    Args:
        title: What the chart shows.
        description: The same in a sentence or two, for those who do not see it.
        edges: (P + 1,) edges, rising.
        counts: (P,) counts.
        x: The axis of the edges.
        y: The axis of the counts.
        marks: Vertical lines.
    """
    alt = altair()
    ends, numbers = floats(edges), floats(counts)
    chart = (
        plot(start=ends[:-1], end=ends[1:], n=numbers)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X('start:Q', **look(x), bin='binned'),
            x2='end:Q',
            y=alt.Y('n:Q', **look(y), stack=None),
            tooltip=[
                alt.Tooltip('start:Q', title='From', format='.4~g'),
                alt.Tooltip('end:Q', title='To', format='.4~g'),
                alt.Tooltip('n:Q', title=y.title, format=',.4~g'),
            ],
        )
    )
    heads = [Column('From', _digits(ends)), Column('To', _digits(ends)), Column(y.title, _digits(numbers))]
    rows = list(zip(ends[:-1].tolist(), ends[1:].tolist(), numbers.tolist(), strict=True))
    return finish(alt.layer(chart, *rules(marks)), title, description, Table(title, heads, rows), (0, 240))


def _by_part(names: Sequence[str], values: Mapping[str, ArrayLike], x: Axis) -> Any:
    """Bars with a colour for each part of ``values``, without their positions along ``x``."""
    alt = altair()
    parts = texts(values)
    groups: list[Group] = [
        {
            'part': part,
            'name': texts(names),
            'rank': np.full(len(names), float(rank)),
            'value': floats(column)[: len(names)],
        }
        for rank, (part, column) in enumerate(zip(parts, values.values(), strict=True))
    ]
    colours = alt.Scale(domain=parts, range=list(SERIES))
    return (
        plot_groups(groups)
        .mark_bar()
        .encode(
            y=alt.Y('name:N', title=None, sort=None),
            color=alt.Color('part:N', sort=None, scale=colours, legend=alt.Legend(title=None)),
            tooltip=[
                alt.Tooltip('name:N', title='Name'),
                alt.Tooltip('part:N', title='Part'),
                alt.Tooltip('value:Q', title=x.title, format=',.4~g'),
            ],
        )
    )


def _part_table(title: str, names: Sequence[str], values: Mapping[str, ArrayLike]) -> Table:
    columns = {part: floats(column) for part, column in values.items()}
    heads = [Column('Name'), *(Column(part, _digits(column)) for part, column in columns.items())]
    rows = zip(names, *(column.tolist() for column in columns.values()), strict=True)
    return Table(title, heads, list(rows))


def _digits(values: ArrayLike) -> int:
    """The decimals with which values are shown: none of whole numbers, else as many as tell them apart."""
    known = floats(values)
    known = known[~np.isnan(known)]
    if not len(known) or bool((known == known.round()).all()):
        return 0
    return int(np.clip(3 - np.floor(np.log10(np.abs(known).max())), 1, 4))

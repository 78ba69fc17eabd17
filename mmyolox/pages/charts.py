"""Charts for pages: each function makes one of arrays, with its numbers as a table.

They are described in Vega-Lite by Altair, and hold no colours: the theme of the page gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from .blocks import Chart


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
class Axis:
    """An axis of a chart.

    Attributes:
        title: What it shows, with its unit.
        domain: Its ends; ``None`` for those of the data.
        is_logarithmic: Whether equal steps on it are equal ratios.
    """

    title: str
    domain: tuple[float, float] | None = None
    is_logarithmic: bool = False


def lines(title: str, description: str, series: Sequence[Series], x: Axis, y: Axis) -> Chart:
    """Lines in colours and dashes of their own: losses, or a few curves. At most eight."""
    raise NotImplementedError


def class_curves(
    title: str, description: str, overall: Series | None, classes: Sequence[Series], x: Axis, y: Axis
) -> Chart:
    """A curve for every class, of any number: the overall one is bold, and a menu names one to highlight.

    It serves for precision over recall and for F1 over the score.
    """
    raise NotImplementedError


def bars(
    title: str, description: str, names: Sequence[str], values: ArrayLike, x: Axis, shown: int = 30
) -> Chart:
    """A bar for each of (N,) values, the first ``shown`` of them in the order given; the table has all."""
    raise NotImplementedError


def grouped_bars(
    title: str,
    description: str,
    names: Sequence[str],
    values: Mapping[str, ArrayLike],
    x: Axis,
    shown: int = 20,
) -> Chart:
    """A group of bars for each name, one bar for each key of ``values`` (N,), such as two runs."""
    raise NotImplementedError


def stacked_bars(
    title: str,
    description: str,
    names: Sequence[str],
    values: Mapping[str, ArrayLike],
    x: Axis,
    shown: int = 30,
) -> Chart:
    """A bar for each name, of a piece for each key of ``values`` (N,), such as hits, false and missed ones."""
    raise NotImplementedError


def histogram(title: str, description: str, edges: ArrayLike, counts: ArrayLike, x: Axis, y: Axis) -> Chart:
    """Counts (P,) between edges (P + 1,)."""
    raise NotImplementedError


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
    """Values (rows, columns) as shades, NaN as nothing; up to 12 x 12 with their numbers in the cells."""
    raise NotImplementedError


def confusion(
    title: str, description: str, counts: ArrayLike, classes: Sequence[str], shown: int = 20
) -> Chart:
    """Counts (C + 1, C + 1), annotated class by row, detected one by column, background last.

    Shades are shares of the row. Of more classes than ``shown``, those that are confused most are drawn.
    """
    raise NotImplementedError


def reliability(
    title: str, description: str, scores: ArrayLike, shares: ArrayLike, counts: ArrayLike
) -> Chart:
    """How often detections of a score are right: mean scores (P,), shares of hits (P,), counts (P,)."""
    raise NotImplementedError


def scatter(
    title: str,
    description: str,
    xs: ArrayLike,
    ys: ArrayLike,
    names: Sequence[str],
    x: Axis,
    y: Axis,
) -> Chart:
    """Points (N,), whose names are shown when they are pointed at; 1,000 of more, evenly chosen."""
    raise NotImplementedError


def chart_png(chart: Chart, width: int = 640, scale: float = 1.5) -> bytes:
    """A chart as a PNG in light colours, made without a browser."""
    raise NotImplementedError

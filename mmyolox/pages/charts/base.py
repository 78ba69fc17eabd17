"""What all charts are made of: axes, data within the chart, and the block around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from mmyolox.errors import UserError, one_line

from ..blocks import Chart, Table

if TYPE_CHECKING:
    import altair as alt

Floats = npt.NDArray[np.float64]
Group = Mapping[str, str | Sequence[str] | Floats]
"""Columns of equal length by name, and texts that all their rows share."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    Attributes:
        title: What it shows, with its unit.
        domain: Its ends; ``None`` for those of the data.
        is_logarithmic: Whether equal steps on it are equal ratios; then all values are above 0.
    """

    title: str
    domain: tuple[float, float] | None = None
    is_logarithmic: bool = False


def altair() -> Any:
    """The module Altair.

    Raises:
        UserError: It is not installed.
    """
    try:
        import altair
    except ImportError as error:
        raise UserError(f'charts need Altair: pip install "mmyolox[report]" ({error})') from None
    return altair


def floats(values: ArrayLike) -> Floats:
    """Numbers as (N,) float64; what is infinite becomes NaN, which charts leave out."""
    array = np.asarray(values, np.float64).reshape(-1)
    return np.where(np.isfinite(array), array, np.nan)


def texts(names: Iterable[str]) -> list[str]:
    """Names as lines that Vega takes, so that those of the data, of menus and of scales are the same."""
    return [one_line(name) for name in names]


def plot(**columns: Sequence[str] | Floats) -> alt.Chart:
    """The beginning of a chart of columns of equal length, whose rows are its marks.

    Args:
        **columns: Arrays as numbers, NaN as nothing, the others as :func:`texts`. Columns take a third of the
            bytes that rows do.
    """
    return plot_groups([columns])


def plot_groups(groups: Sequence[Group]) -> alt.Chart:
    """The same of several groups, at least one, such as lines with their names; all have the same columns."""
    alt = altair()
    rows = [{name: _plain(value) for name, value in group.items()} for group in groups]
    columns = [name for name, value in rows[0].items() if isinstance(value, list)]
    return alt.Chart(alt.InlineData(values=rows)).transform_flatten(columns)


def _plain(value: str | Sequence[str] | Floats) -> str | list[str] | list[float | None]:
    """A text or a column as JSON has it, numbers with five digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        return [None if np.isnan(one) else float(f'{one:.5g}') for one in value.tolist()]
    return list(value)


def look(axis: Axis) -> dict[str, Any]:
    """How an axis looks: the ``title``, ``scale`` and ``axis`` of a channel of Altair.

    Its ends are rounded where they are those of the data. A logarithmic one has lines at powers of ten alone.
    """
    alt = altair()
    kind: dict[str, Any] = {'type': 'log'} if axis.is_logarithmic else {}
    ends = {} if axis.domain is None else {'domain': list(axis.domain), 'nice': False}
    power = 'abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6'
    lines = (
        {'gridOpacity': {'condition': {'test': power, 'value': 1}, 'value': 0}} if axis.is_logarithmic else {}
    )
    return {'title': axis.title, 'scale': alt.Scale(**kind, **ends), 'axis': alt.Axis(**lines)}


def finish(
    chart: alt.TopLevelMixin,
    title: str,
    description: str,
    numbers: Table,
    size: tuple[int, int],
    note: str = '',
) -> Chart:
    """A chart of Altair, as wide as there is room, as a block.

    Args:
        chart: The chart, of one view or of layers.
        title: What it shows.
        description: The same for those who do not see it.
        numbers: What it shows, as a table.
        size: The least width, and the height of the axes, in pixels of the page.
        note: What to know of what is drawn.
    """
    sized: Any = chart
    spec = sized.properties(width='container', height=size[1]).to_dict(validate=False)
    for key in ('$schema', 'config'):
        spec.pop(key, None)
    return Chart(title, description, spec, numbers, note, size[0])


def shown_of(shown: int, count: int, noun: str) -> str:
    """A note on a chart that draws but some of what its table has; ``''`` if it draws all."""
    return f'{shown} of {count} {noun} are drawn; the table has all.' if shown < count else ''

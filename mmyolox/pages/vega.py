"""How charts look, and what draws them: Vega-Lite, in a page and without a browser, from vl-convert."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from mmyolox.errors import UserError

from .blocks import Chart
from .theme import SERIES, in_light_colours

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"

CHART_CONFIG: dict[str, Any] = {
    'font': _FONT,
    'background': 'transparent',
    'aria': False,  # The figure around a chart says what it shows, and has its numbers.
    'padding': 4,
    'autosize': {'type': 'fit-x', 'contains': 'padding'},
    'view': {'stroke': None},
    'axis': {
        'labelColor': 'var(--muted)',
        'titleColor': 'var(--ink)',
        'gridColor': 'var(--line)',
        'domainColor': 'var(--strong-line)',
        'tickColor': 'var(--strong-line)',
        'labelFontSize': 12,
        'titleFontSize': 12,
        'titleFontWeight': 500,
        'titlePadding': 8,
        'labelPadding': 4,
        'labelLimit': 160,
        'tickSize': 4,
        'tickCount': 6,
    },
    'axisBand': {'grid': False, 'domain': False, 'ticks': False, 'labelOverlap': False},
    'legend': {
        'labelColor': 'var(--ink)',
        'titleColor': 'var(--muted)',
        'labelFontSize': 12,
        'titleFontSize': 12,
        'titleFontWeight': 500,
        'orient': 'top',
        'direction': 'horizontal',
        'columns': 4,
        'symbolOpacity': 1,
        'labelLimit': 160,
        'symbolStrokeWidth': 2.5,
        'symbolSize': 120,
        'padding': 0,
        'offset': 10,
    },
    'text': {'color': 'var(--ink)', 'fontSize': 11},
    'bar': {'color': 'var(--c1)', 'cornerRadiusEnd': 2, 'discreteBandSize': {'band': 0.72}},
    'rect': {'color': 'var(--c1)'},
    'line': {'color': 'var(--c1)', 'strokeWidth': 2},
    'circle': {'color': 'var(--c1)', 'opacity': 0.7},
    'rule': {'color': 'var(--muted)'},
    'range': {'category': list(SERIES)},
}
"""The ``config`` of Vega-Lite that every chart gets."""


@cache
def script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, of 0.9 MB.

    Raises:
        UserError: vl-convert is not installed.
    """
    return _vl_convert().javascript_bundle('window.vegaEmbed = vegaEmbed;').replace('</script', '<\\/script')


def chart_png(chart: Chart, width: int = 640, scale: float = 1.5) -> bytes:
    """A chart in light colours as a PNG, with its title above it, for what shows pictures alone.

    Args:
        chart: The chart; of one with a menu, the first choice is drawn.
        width: The width in pixels, before ``scale``.
        scale: How many pixels of the picture one of those is.

    Returns:
        The file.

    Raises:
        UserError: vl-convert is not installed.
    """
    config = CHART_CONFIG | {'background': 'var(--ground)', 'padding': 12, 'font': 'sans-serif'}
    title = {'text': chart.title, 'anchor': 'start', 'fontSize': 15, 'offset': 12}
    spec = dict(chart.spec) | {'width': width, 'title': title, 'config': config}
    return _vl_convert().vegalite_to_png(in_light_colours(json.dumps(spec)), scale=scale)


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise UserError(f'charts need vl-convert: pip install "mmyolox[report]" ({error})') from None
    return vl_convert

"""A chart as a picture, made without a browser, for what shows pictures alone."""

from __future__ import annotations

import json

from mmyolox.errors import UserError

from ..blocks import Chart
from ..theme import CHART_CONFIG, in_light_colours


def chart_png(chart: Chart, width: int = 640, scale: float = 1.5) -> bytes:
    """A chart in light colours as a PNG, with its title above it.

    Args:
        chart: The chart; of one with a menu, the first choice is drawn.
        width: The width of the axes in pixels, before ``scale``.
        scale: How many pixels of the picture one of those is.

    Returns:
        The file.

    Raises:
        UserError: vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise UserError(
            f'pictures of charts need vl-convert: pip install "mmyolox[report]" ({error})'
        ) from None
    config = CHART_CONFIG | {'background': 'var(--ground)', 'padding': 12, 'font': 'sans-serif'}
    title = {'text': chart.title, 'anchor': 'start', 'fontSize': 15, 'offset': 12}
    spec = dict(chart.spec) | {'width': width, 'title': title, 'config': config}
    return vl_convert.vegalite_to_png(in_light_colours(json.dumps(spec)), scale=scale)

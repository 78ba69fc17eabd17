"""Charts for pages: each function makes one of arrays, with its numbers as a table.

Altair describes them in Vega-Lite. They name colours that the theme of the page gives.
"""

from ..vega import chart_png
from .base import Axis
from .counts import bars, grouped_bars, histogram, stacked_bars
from .curves import Mark, Series, class_curves, lines, reliability, scatter
from .grids import confused_with, confusion, heat_map

__all__ = [
    'Axis',
    'Mark',
    'Series',
    'bars',
    'chart_png',
    'class_curves',
    'confused_with',
    'confusion',
    'grouped_bars',
    'heat_map',
    'histogram',
    'lines',
    'reliability',
    'scatter',
    'stacked_bars',
]

"""The colours of pages, light and dark.

Charts name colours as ``var(--c1)``, so that a page's theme changes them too; a picture of a chart has the
light ones. Texts have a contrast of 4.5 or more, lines and areas one of 3 or more, and the colours of series
differ for people with protanopia, deuteranopia and tritanopia.
"""

from __future__ import annotations

import re

LIGHT = {
    'ground': '#ffffff',
    'raised': '#f6f7f9',
    'line': '#dde1e7',
    'strong-line': '#8b94a1',
    'ink': '#15181d',
    'muted': '#565f6b',
    'accent': '#1a56c0',
    'on-accent': '#ffffff',
    'error': '#b3261e',
    'error-ground': '#fdf1f0',
    'warning': '#835500',
    'warning-ground': '#fdf6e7',
    'note': '#1a56c0',
    'note-ground': '#eff4fc',
    'good': '#11683f',
    'good-ground': '#edf7f1',
    'c1': '#1a56c0',
    'c2': '#d4700a',
    'c3': '#2f9683',
    'c4': '#a62f9b',
    'c5': '#8c7a4c',
    'c6': '#857ff2',
    'c7': '#4a2050',
    'c8': '#7d0f24',
    'on-c1': '#ffffff',
    'on-c2': '#15181d',
    'faint': '#8b94a1',
}
"""The colours of the light theme by name; ``c1`` to ``c8`` are for series, ``on-c1`` for texts on ``c1``."""

DARK = {
    'ground': '#0f1216',
    'raised': '#171b21',
    'line': '#2a313a',
    'strong-line': '#6b7684',
    'ink': '#e8ebef',
    'muted': '#a2acb8',
    'accent': '#7db1ff',
    'on-accent': '#0f1216',
    'error': '#ff9489',
    'error-ground': '#2a1615',
    'warning': '#f0bd58',
    'warning-ground': '#272010',
    'note': '#7db1ff',
    'note-ground': '#121f33',
    'good': '#6bd3a4',
    'good-ground': '#0f241a',
    'c1': '#4c90ff',
    'c2': '#e08a1e',
    'c3': '#56e3b4',
    'c4': '#eeb2fb',
    'c5': '#f0e664',
    'c6': '#c9effa',
    'c7': '#857f9e',
    'c8': '#e2555f',
    'on-c1': '#0f1216',
    'on-c2': '#0f1216',
    'faint': '#6b7684',
}
"""The same of the dark theme."""

SERIES = tuple(f'var(--c{index})' for index in range(1, 9))
"""The colours of series, in the order in which they are given out."""
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (4, 4), (12, 3), (1, 3), (9, 3, 2, 3, 2, 3))
"""The dashes that go with them, in pixels drawn and left out."""

_VARIABLE = re.compile(r'var\(--([\w-]+)\)')


def theme_css(colours: dict[str, str]) -> str:
    """The colours of a theme as the custom properties of a CSS rule."""
    return ''.join(f'--{name}:{colour};' for name, colour in colours.items())


def in_light_colours(text: str) -> str:
    """A text whose ``var(--name)`` are replaced by the colours of the light theme."""
    return _VARIABLE.sub(lambda found: LIGHT[found[1]], text)

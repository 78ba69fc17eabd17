"""Turns blocks into HTML by their templates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import TURNS, UserError, printable

from . import images, tables
from .blocks import Block, Tone

if TYPE_CHECKING:
    from markupsafe import Markup

FOLDER = Path(__file__).parent / 'templates'

_CODE = re.compile(r'`([^`]+)`')
_CONTROLS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)}
_CONTROLS |= {127: 0x2421} | {ord(one): f'\\u{ord(one):04x}' for one in TURNS}
"""What no HTML has, and what turns the text behind it, and what is shown instead."""
SIGNS: dict[Tone, str] = {'error': '✕', 'warning': '!', 'note': 'i', 'good': '✓'}
"""The sign of each tone."""
TONES: dict[Tone, str] = {'error': 'Error', 'warning': 'Warning', 'note': 'Note', 'good': 'Good'}
"""What a screen reader says instead."""


class Rendering:
    """One page in the making: it gives out the ids, and knows whether there are charts.

    Attributes:
        has_charts: Whether a chart was shown.
    """

    def __init__(self) -> None:
        try:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined
        except ImportError as error:
            raise UserError(f'pages need Jinja2: pip install "mmyolox[report]" ({error})') from None
        self.has_charts = False
        self._numbers = count(1)
        self._slugs: set[str] = set()
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_plain,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {'prose': prose, 'json_text': json_text}
        self._environment.globals |= {
            'render': self,
            'KINDS': images.KINDS,
            'SIGNS': SIGNS,
            'TONES': TONES,
            'shown': tables.shown,
            'largest_of': tables.largest_of,
            'letters_of': tables.letters_of,
            'box_table': tables.box_table,
            'panels_of': images.panels_of,
            'kinds_on': images.kinds_on,
        }

    def section(self, heading: str, blocks: Sequence[Block]) -> dict[str, str]:
        """A section: its ``id``, its ``heading``, and its ``body`` as HTML."""
        body = self.fill('blocks.html', blocks=blocks, level=3)
        return {'id': self.slug(heading), 'heading': heading, 'body': body}

    def show(self, block: Block, level: int) -> Markup:
        """A block as HTML.

        Args:
            block: The block.
            level: The level of a heading in it, from 1 to 6.
        """
        return self.fill(block.template, block=block, level=level)

    def fill(self, template: str, **values: Any) -> Markup:
        """A template as HTML, with these values."""
        from markupsafe import Markup

        return Markup(self._environment.get_template(template).render(values))

    def number(self) -> int:
        """A number that no other element has in its id."""
        return next(self._numbers)

    def slug(self, heading: str) -> str:
        """The id of a heading: its letters and digits, and a number where another one has the same."""
        stem = re.sub('[^a-z0-9]+', '-', heading.lower()).strip('-') or 'section'
        names = (stem if index == 1 else f'{stem}-{index}' for index in count(1))
        name = next(name for name in names if name not in self._slugs)
        self._slugs.add(name)
        return name

    def note_chart(self) -> str:
        """The id of a chart; that there is one is noted."""
        self.has_charts = True
        return f'chart-{self.number()}'


def prose(text: str) -> Markup:
    """A text as HTML, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    pieces = _CODE.split(_plain(text))
    marked = [
        Markup('<code>{}</code>').format(piece) if at % 2 else escape(piece)
        for at, piece in enumerate(pieces)
    ]
    return Markup('').join(marked)


def json_text(value: Any) -> Markup:
    """A value as JSON that can stand in a ``script`` element, which no text in it can end."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(',', ':'), allow_nan=False)
    return Markup(text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026'))


def _plain(value: Any) -> Any:
    """A value for a template, with what no file can hold made visible if it is a text of a user."""
    is_text = type(value) is str
    return printable(value).translate(_CONTROLS) if is_text else value

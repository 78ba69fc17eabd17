"""What the cells of tables show, and what the tables are sorted by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .blocks import Cell, Column, Picture, Table, Tone

_MOST_LETTERS = 24
"""Room that a column of texts has for sure; longer ones go on in the next line."""


@dataclass(frozen=True)
class Shown:
    """A cell as it is shown.

    Attributes:
        text: Its text.
        order: What the table is sorted by, ``None`` if the cell is last in every order.
        tone: How grave it is.
    """

    text: str
    order: float | str | None
    tone: Tone = ''

    @property
    def key(self) -> str:
        """Its order as the page has it, ``''`` for last."""
        return f'{self.order:.7g}' if isinstance(self.order, float) else self.order or ''

    def share(self, largest: float) -> float:
        """The length of its bar, from 0 to 1, where the largest number's is 1."""
        is_number = isinstance(self.order, float) and largest > 0
        return round(max(float(self.order or 0), 0) / largest, 4) if is_number else 0


def shown(value: str | float | Cell | None, column: Column) -> Shown:
    """How a value of a row is shown in a column."""
    if isinstance(value, Cell):
        return Shown(value.text, value.text if value.order is None else float(value.order), value.tone)
    if isinstance(value, str):
        return Shown(value, value)
    if value is None or not math.isfinite(value):
        return Shown('—', None)
    text = f'{value:,.{column.digits or 0}f}'
    is_zero = not text.strip('-0.')
    return Shown((text.lstrip('-') if is_zero else text) + column.unit, float(value))


def letters_of(table: Table) -> list[int]:
    """How many letters of its texts each column has room for; 0 for numbers, which are never broken."""
    texts = [[shown(row[at], column).text for row in table.rows] for at, column in enumerate(table.columns)]
    return [
        0 if column.digits is not None else min(max(map(len, column_texts), default=0), _MOST_LETTERS)
        for column, column_texts in zip(table.columns, texts, strict=True)
    ]


def largest_of(table: Table) -> list[float]:
    """The largest number of each column, at least 0."""
    orders = [[shown(row[at], column).order for row in table.rows] for at, column in enumerate(table.columns)]
    return [max((one for one in column if isinstance(one, float)), default=0.0) for column in orders]


def box_table(picture: Picture) -> Table:
    """All boxes of a picture, those that are not drawn too."""
    rows = [
        (box.label, what, box.kind, ', '.join(f'{value:.1f}' for value in box.xyxy))
        for what, boxes in picture.panels
        for box in boxes
    ]
    heads = [Column('Box'), Column('Of'), Column('Kind'), Column('x1, y1, x2, y2')]
    return Table('Boxes in pixels of the original image', heads, rows, is_sortable=False)

"""What a page is made of: small values, each shown by the template of its name in ``templates``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from .images import Photo

Tone = Literal['', 'error', 'warning', 'note', 'good']
"""How grave something is; it is shown by a sign and a colour."""
BoxKind = Literal['truth', 'hit', 'false', 'missed', 'ignored']
"""What a box is: an annotation, a right detection, a wrong one, an annotation that nothing found, a crowd."""


class Block:
    """A part of a page. All texts are escaped; what stands between backticks in prose is shown as code.

    A new kind of block is a dataclass that names its template.

    Attributes:
        template: The file in ``templates`` that shows it, which knows it as ``block``.
    """

    template: ClassVar[str]


@dataclass(frozen=True)
class Text(Block):
    """A paragraph.

    Attributes:
        text: The prose.
    """

    template = 'text.html'
    text: str


@dataclass(frozen=True)
class Bullets(Block):
    """A list.

    Attributes:
        items: The prose of each point.
    """

    template = 'bullets.html'
    items: Sequence[str]


@dataclass(frozen=True)
class Code(Block):
    """Lines to copy, with a button that does so.

    Attributes:
        text: The lines.
        label: What they are, for people who do not see them.
    """

    template = 'code.html'
    text: str
    label: str = 'Code'


@dataclass(frozen=True)
class Figure:
    """A key figure.

    Attributes:
        label: What it is.
        value: The figure as it is shown, with its unit.
        note: A few words below it.
        tone: How grave it is.
    """

    label: str
    value: str
    note: str = ''
    tone: Tone = ''


@dataclass(frozen=True)
class Figures(Block):
    """Key figures side by side.

    Attributes:
        figures: Two to eight of them, the most important first.
    """

    template = 'figures.html'
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Facts(Block):
    """Names with their values, such as the environment of a run.

    Attributes:
        facts: The value of each name.
    """

    template = 'facts.html'
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Callout(Block):
    """Something to heed, such as advice or a fault, with blocks below it.

    Attributes:
        title: What it is, in one line.
        tone: How grave it is.
        blocks: What is known about it.
    """

    template = 'callout.html'
    title: str
    tone: Tone = 'note'
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Part(Block):
    """Blocks below a heading of their own, one level under that of the section.

    Attributes:
        heading: The heading.
        blocks: What stands below it.
    """

    template = 'part.html'
    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Grid(Block):
    """Blocks side by side, as many as there is room for.

    Attributes:
        blocks: The blocks.
        least_width: The width, in pixels of the page, below which a block goes to the next line.
    """

    template = 'grid.html'
    blocks: Sequence[Block]
    least_width: int = 420


@dataclass(frozen=True)
class Fold(Block):
    """Blocks that are shown when their summary is clicked.

    Attributes:
        summary: What is in it.
        blocks: The blocks.
    """

    template = 'fold.html'
    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        digits: The decimals of its numbers; ``None`` for a column of texts. Numbers are aligned to the right.
        unit: What stands behind each number, such as ``%``.
        is_barred: Whether a bar behind each number shows its share of the largest one.
        note: What it means, below the heading's name in a few words.
    """

    name: str
    digits: int | None = None
    unit: str = ''
    is_barred: bool = False
    note: str = ''


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than its text.

    Attributes:
        text: What is shown.
        tone: How grave it is.
        order: What the table is sorted by; the text, if it is ``None``.
    """

    text: str
    tone: Tone = ''
    order: float | None = None


@dataclass(frozen=True)
class Table(Block):
    """A table, which a click on a heading sorts.

    Attributes:
        caption: What it holds.
        columns: The columns; the first one names the rows.
        rows: A value for every column: texts, numbers, or cells. ``None`` and NaN are shown as a dash, and
            are last in every order.
        is_sortable: Whether its rows can be sorted.
    """

    template = 'table.html'
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | float | Cell | None]]
    is_sortable: bool = True


@dataclass(frozen=True)
class Chart(Block):
    """A chart with its numbers below it; the functions of ``mmyolox.pages.charts`` make them.

    Attributes:
        title: What it shows.
        description: The same in a sentence or two, with what is to be seen, for those who do not see it.
        spec: The chart in Vega-Lite, without colours: they come from the theme.
        numbers: What it shows, as a table.
        note: What to know of what is drawn, below it.
        least_width: The width, in pixels of the page, below which it is scrolled.
    """

    template = 'chart.html'
    title: str
    description: str
    spec: Mapping[str, Any]
    numbers: Table
    note: str = ''
    least_width: int = 0


@dataclass(frozen=True)
class Box:
    """A box on a picture.

    Attributes:
        xyxy: Its corners in pixels of the original image.
        label: Its class, and its score if it is a detection: ``dog 0.87``.
        kind: What it is, which decides its colour, its dashes and its sign.
        keypoints: (x, y) of each keypoint in pixels of the original image; ``None`` for one not there.
    """

    xyxy: tuple[float, float, float, float]
    label: str
    kind: BoxKind
    keypoints: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True)
class Picture(Block):
    """A photo with boxes: once, or several times side by side, each with boxes of its own.

    Attributes:
        photo: The photo, which the page holds once.
        title: What it is called, such as the path of its file.
        note: What is to be seen on it, in a sentence.
        panels: What each panel shows, such as ``Annotations``, and its boxes.
        limbs: Pairs of keypoints that lines join.
    """

    template = 'picture.html'
    photo: Photo
    title: str
    note: str = ''
    panels: Sequence[tuple[str, Sequence[Box]]] = ()
    limbs: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Gallery(Block):
    """Pictures one below the other or side by side, with a legend of the kinds of boxes that are on them.

    Attributes:
        pictures: The pictures.
    """

    template = 'gallery.html'
    pictures: Sequence[Picture]

"""A page: one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmyolox.files import atomic_write

from .blocks import Block


@dataclass(frozen=True)
class Section:
    """Blocks below a heading, which the table of contents has.

    Attributes:
        heading: The heading, unlike all others of the page.
        blocks: What stands below it.
    """

    heading: str
    blocks: tuple[Block, ...]


@dataclass
class Page:
    """A page, filled section by section.

    Attributes:
        title: What it is about.
        lead: A sentence or two below the title.
        footer: What stands at the end, such as the version that made it.
        sections: What was added.
    """

    title: str
    lead: str = ''
    footer: str = ''
    sections: list[Section] = field(default_factory=list)

    def section(self, heading: str, *blocks: Block) -> None:
        """Adds a section.

        Args:
            heading: Its heading, unlike all others of the page.
            *blocks: What stands below it.
        """
        self.sections.append(Section(heading, blocks))

    def html(self) -> str:
        """The whole page.

        Raises:
            UserError: Jinja2, or what charts need, is not installed.
        """
        raise NotImplementedError

    def write(self, path: str | Path) -> None:
        """Writes the page.

        Args:
            path: The file, as ``report.html``; it is replaced if it is there.

        Raises:
            UserError: It cannot be written, or what pages need is not installed.
        """
        text = self.html()
        with atomic_write(path) as part:
            part.write_text(text, encoding='utf-8')

"""A page: one HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.files import atomic_write

from . import vega
from .blocks import Block
from .rendering import FOLDER, Rendering
from .theme import DARK, LIGHT, theme_css

_PACKAGES = dict(altair='altair', jinja2='jinja2', vl_convert='vl-convert-python')
"""The modules that make pages, and what they are installed by."""


def require_packages(*others: str) -> None:
    """Checks that what a page needs is installed, before the work that it is to show.

    Args:
        *others: What that work needs besides: modules that are called as their packages.

    Raises:
        UserError: It is not.
    """
    needed = dict.fromkeys(others) | _PACKAGES
    missing = [package or module for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise UserError(
            f'a page needs {", ".join(missing)}, not installed here: pip install "mmyolox[report]"'
        )


@dataclass(frozen=True)
class Section:
    """Blocks below a heading, which the table of contents has.

    Attributes:
        heading: The heading.
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
            heading: Its heading.
            *blocks: What stands below it.
        """
        self.sections.append(Section(heading, blocks))

    def html(self) -> str:
        """The whole page.

        It asks for no other file, as its Content-Security-Policy demands, which names the scripts that run by
        their hashes.

        Raises:
            UserError: Jinja2, or what charts need, is not installed.
        """
        rendering = Rendering()
        sections = [rendering.section(one.heading, one.blocks) for one in self.sections]
        scripts = [_script('theme.js'), _script('page.js')]
        if rendering.has_charts:
            scripts += [vega.script(), _script('charts.js')]
        return rendering.fill(
            'page.html',
            page=self,
            sections=sections,
            light=theme_css(LIGHT),
            dark=theme_css(DARK),
            css=(FOLDER / 'page.css').read_text(encoding='utf-8'),
            scripts=scripts,
            policies=[f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts],
            config=vega.CHART_CONFIG if rendering.has_charts else None,
        )

    def write(self, path: str | Path) -> None:
        """Writes the page.

        Args:
            path: The file, as ``report.html``; it is replaced if it is there.

        Raises:
            UserError: It cannot be written, or what pages need is not installed.
        """
        text = self.html()
        with atomic_write(path) as part:
            part.write_bytes(text.encode())


def _script(name: str) -> str:
    return (FOLDER / name).read_text(encoding='utf-8')

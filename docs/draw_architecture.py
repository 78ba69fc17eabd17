"""Draws docs/plots/rooms.svg and docs/plots/walk.svg from the code as it is.

    python docs/draw_architecture.py

Rooms are the packages and modules of ``mmyolox``, each on a floor above all that it imports. The walk is the
table ``WALK``: a file for each step of a batch.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'mmyolox'
PLOTS = ROOT / 'docs/plots'

WALK = (
    ('data set', 'datasets/base.py', 'draws a sample'),
    ('load', 'datasets/transforms/loading.py', 'file, annotations'),
    ('augment', 'datasets/transforms/augmentations.py', 'mosaic, affine, mixup'),
    ('move', 'datasets/canvas/geometry.py', 'boxes and pictures'),
    ('render', 'datasets/canvas/scene.py', 'pixels, once'),
    ('pack', 'datasets/transforms/packing.py', 'one padded batch'),
    ('preprocess', 'models/preprocessor.py', 'device, size'),
    ('detector', 'models/detector.py', 'backbone, neck, head'),
    ('head', 'models/head.py', 'raw outputs'),
    ('match', 'models/assigner.py', 'SimOTA'),
    ('losses', 'models/losses.py', 'of matched slots'),
    ('predict', 'models/postprocess.py', 'scores, NMS, pixels'),
)
"""The steps of a batch: name, file, what it does. The last one is prediction's way from the head."""

MARGIN, GAP, LINE, TITLE = 20, 26, 15, 24
WIDTH = 1100
Place = tuple[float, float, float, float]
"""Left, top, width and height."""
STYLE = """
  text { font-family: ui-sans-serif, system-ui, sans-serif; font-size: 12px; fill: #24292f; }
  .name { font-size: 14px; font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  rect { fill: #f6f8fa; stroke: #57606a; rx: 6; }
  path { fill: none; stroke: #0969da; stroke-opacity: 0.55; stroke-width: 1.3; marker-end: url(#head); }
  .sheet { fill: #ffffff; stroke: none; }
"""


def rooms() -> dict[str, list[Path]]:
    """The modules of each room, by the room's name; faces alone are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(PACKAGE).parts
        if path.name != '__init__.py':
            found.setdefault(parts[0].removesuffix('.py'), []).append(path)
    return found


def imported_rooms(path: Path, known: Iterable[str]) -> set[str]:
    """The other rooms that a module imports, also inside its functions."""
    package = ['mmyolox', *path.relative_to(PACKAGE).parts[:-1]]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            stem = [*start, *(node.module.split('.') if node.module else [])]
            names |= {(*stem, alias.name)[1] for alias in node.names if stem[0] == 'mmyolox'}
        elif isinstance(node, ast.Import):
            parts = (alias.name.split('.') for alias in node.names)
            names |= {part[1] for part in parts if part[0] == 'mmyolox' and len(part) > 1}
    return names.intersection(known) - {package[1] if len(package) > 1 else path.stem}


def below(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """All that each room stands on, at first or second hand."""

    def reached(room: str) -> set[str]:
        return imports[room].union(*(reached(other) for other in imports[room]))

    return {room: reached(room) for room in imports}


def floors(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The rooms by floor, the top one first: each as low as what it imports allows."""
    height: dict[str, int] = {}
    for room in sorted(imports, key=lambda room: len(below(imports)[room])):
        height[room] = 1 + max((height[other] for other in imports[room]), default=-1)
    return [
        sorted(room for room in height if height[room] == floor)
        for floor in range(max(height.values()), -1, -1)
    ]


def draw_rooms() -> str:
    """The rooms on their floors; arrows go to what a room imports, unless another arrow implies it."""
    modules = rooms()
    imports = {
        room: set().union(*(imported_rooms(path, modules) for path in paths))
        for room, paths in modules.items()
    }
    parts: list[str] = []
    places: dict[str, Place] = {}
    y = float(MARGIN)
    for floor in floors(imports):
        width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) / len(floor)
        texts = {room: list(wrapped(module_names(room, modules[room]), int(width / 6.8))) for room in floor}
        height = TITLE + LINE * max(len(lines) for lines in texts.values()) + 12
        for index, room in enumerate(floor):
            x = MARGIN + index * (width + GAP)
            places[room] = (x, y, width, height)
            parts += box(x, y, width, height, room, texts[room])
        y += height + GAP
    reach = below(imports)
    arrows = [
        arrow(places[room], places[other])
        for room, others in sorted(imports.items())
        for other in sorted(others)
        if not any(other in reach[third] for third in others)
    ]
    return sheet(WIDTH, y - GAP + MARGIN, [*arrows, *parts])  # so that no arrow crosses a text


def module_names(room: str, paths: list[Path]) -> list[str]:
    """What stands in a room: its modules, with the folder they are in."""
    if paths == [PACKAGE / f'{room}.py']:
        return [f'{room}.py']
    return [path.relative_to(PACKAGE / room).with_suffix('').as_posix() for path in paths]


def wrapped(names: Iterable[str], length: int) -> Iterator[str]:
    """The names in lines of about a length."""
    line = ''
    for name in names:
        if line and len(line) + len(name) > length:
            yield line
            line = ''
        line += (' · ' if line else '') + name
    yield line


def draw_walk() -> str:
    """The steps of a batch, one file each."""
    per_line, width, height = 4, 245, 66
    parts: list[str] = []
    places = []
    for index, (name, file, what) in enumerate(WALK):
        if not (PACKAGE / file).is_file():
            raise FileNotFoundError(f'mmyolox/{file}')
        x = MARGIN + index % per_line * (width + GAP)
        y = MARGIN + index // per_line * (height + 2 * GAP)
        places.append((x, y, width, height))
        parts += box(x, y, width, height, f'{index + 1} {name}', [file, what])
    for first, second in pairwise(places):
        parts.append(step(first, second))
    lines = -(-len(WALK) // per_line)
    return sheet(
        2 * MARGIN + per_line * (width + GAP) - GAP, 2 * MARGIN + lines * (height + 2 * GAP) - 2 * GAP, parts
    )


def box(x: float, y: float, width: float, height: float, name: str, lines: Iterable[str]) -> Iterator[str]:
    """A room with its name and what is written in it."""
    left, top = round(x), round(y)
    yield f'<rect x="{left}" y="{top}" width="{round(width)}" height="{round(height)}"/>'
    yield f'<text class="name" x="{left + 10}" y="{top + 18}">{escape(name)}</text>'
    for index, line in enumerate(lines, start=1):
        below = top + TITLE - 3 + index * LINE
        yield f'<text class="small" x="{left + 10}" y="{below}">{escape(line)}</text>'


def arrow(start: Place, end: Place) -> str:
    """A curve from the lower edge of a room to the upper edge of another."""
    x1, y1 = round(start[0] + start[2] / 2), round(start[1] + start[3])
    x2, y2 = round(end[0] + end[2] / 2), round(end[1]) - 4
    bend = max(14, (y2 - y1) // 2)
    return f'<path d="M{x1} {y1} C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"/>'


def step(start: Place, end: Place) -> str:
    """An arrow from a step to the next, beside it or at the begin of the next line."""
    middle = round(start[1] + start[3] / 2)
    if start[1] == end[1]:
        return f'<path d="M{round(start[0] + start[2])} {middle} L{round(end[0]) - 4} {middle}"/>'
    x1, y1 = round(start[0] + start[2] / 2), round(start[1] + start[3])
    x2, y2 = round(end[0] + end[2] / 2), round(end[1]) - 4
    between = (y1 + y2) // 2
    return f'<path d="M{x1} {y1} L{x1} {between} L{x2} {between} L{x2} {y2}"/>'


def sheet(width: float, height: float, parts: Iterable[str]) -> str:
    """The whole picture."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 L8 4 L0 8 z" style="fill:#0969da;stroke:none"/></marker></defs>'
    )
    size = f'width="{round(width)}" height="{round(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {round(width)} {round(height)}" {size}>',
        f'<style>{STYLE}</style>',
        head,
        f'<rect class="sheet" {size}/>',
        *parts,
        '</svg>',
    ]
    return '\n'.join(lines) + '\n'


PICTURES = {'rooms.svg': draw_rooms, 'walk.svg': draw_walk}


def main() -> None:
    """Writes the pictures."""
    for name, draw in PICTURES.items():
        (PLOTS / name).write_text(draw(), encoding='utf-8')


if __name__ == '__main__':
    main()

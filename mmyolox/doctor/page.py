"""A diagnosis as a page: what was found, with the pictures of the worst cases, and what the data are like."""

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.canvas.images import UndecodableImageError, read_image
from mmyolox.errors import UserError, counted, one_line
from mmyolox.pages import (
    Block,
    Box,
    Bullets,
    Callout,
    Cell,
    Column,
    Facts,
    Figure,
    Figures,
    Fold,
    Gallery,
    Grid,
    Page,
    Part,
    Photo,
    Picture,
    Table,
    Text,
    embed,
)

from .charts import charts_of
from .check import Severity
from .checks.boxes import finite_boxes
from .diagnosis import Diagnosis, Finding
from .examined import Examined
from .found import Example
from .text import summary

_PICTURES = 48
"""How many pictures a page has at most: of about 40 KB each."""
_OF_A_FINDING = 3
_BOXES = 60
"""How many boxes a picture has at most."""
_ROOM, _ZOOM = 4.0, 4.0
"""A picture is as wide as 4 times the boxes that are meant, and a quarter of its image at least."""
_HEADINGS = {Severity.ERROR: 'Errors', Severity.WARNING: 'Warnings', Severity.NOTE: 'Notes'}


def page_of(diagnosis: Diagnosis, footer: str = '') -> Page:
    """Makes the page of a diagnosis.

    Args:
        diagnosis: The diagnosis.
        footer: What stands below the page.
    """
    raw = diagnosis.data.raw
    page = Page(f'Doctor: {one_line(raw.source)}', lead=summary(diagnosis), footer=footer)
    page.section('Summary', *_summary_blocks(diagnosis))
    pictures = _pictures(diagnosis)
    for severity, heading in _HEADINGS.items():
        parts = [_part(finding, pictures.get(finding.check.name, [])) for finding in diagnosis.of(severity)]
        if parts:
            page.section(heading, *parts)
    if charts := charts_of(diagnosis.data):
        page.section('What the data are like', Grid(charts))
    page.section('What was looked for', *_check_blocks(diagnosis))
    return page


def _summary_blocks(diagnosis: Diagnosis) -> list[Block]:
    """The key numbers, the splits, and a table of what was found."""
    raw = diagnosis.data.raw
    counts = {severity: len(diagnosis.of(severity)) for severity in Severity}
    figures = [
        Figure(_HEADINGS[severity], str(count), tone=severity.value if count else '')
        for severity, count in counts.items()
    ]
    figures += [
        Figure('Images', f'{len(raw.images):,}'),
        Figure('Boxes', f'{len(raw.boxes):,}'),
        Figure('Classes', str(len(raw.classes))),
    ]
    splits = [
        (split.name, float(len(split.images)), float(len(split.boxes)), split.format, one_line(split.source))
        for split in raw.splits
    ]
    columns = [
        Column('Split'),
        Column('Images', 0),
        Column('Boxes', 0),
        Column('Format'),
        Column('Read from'),
    ]
    width, height = diagnosis.data.plan.img_scale
    blocks: list[Block] = [
        Figures(figures),
        Table('Splits', columns, splits, is_sortable=False),
        Facts({'Network input': f'{width} x {height}'}),
    ]
    blocks += [Callout(one_line(note), 'note') for note in raw.notes]
    if not diagnosis.findings:
        return [*blocks, Callout('Nothing was found', 'good')]
    return [*blocks, _finding_table(diagnosis)]


def _finding_table(diagnosis: Diagnosis) -> Table:
    columns = [
        *(Column('Check'), Column('Severity'), Column('Count', 0)),
        *(Column('Share', 1, '%', note='of those that could be'), Column('What it is')),
    ]
    order = {severity: float(number) for number, severity in enumerate(Severity)}
    rows = [
        (
            finding.check.name,
            Cell(finding.check.severity.value, finding.check.severity.value, order[finding.check.severity]),
            float(finding.found.count),
            100 * finding.found.share,
            finding.check.what,
        )
        for finding in diagnosis.findings
    ]
    return Table('What was found', columns, rows)


def _part(finding: Finding, pictures: list[Picture]) -> Part:
    """A finding: the advice, the worst cases and their pictures."""
    check, found = finding.check, finding.found
    splits = ', '.join(f'{name} {count}' for name, count in found.splits.items())
    blocks: list[Block] = [
        Text(f'{check.what}: {found.describe()}{splits and f" ({splits})"}.'),
        Callout('What to do', check.severity.value, [Text(found.advice or check.advice)]),
    ]
    if pictures:
        blocks.append(Gallery(pictures))
    rows = [(one.place, one.detail) for one in found.examples]
    table = Table(f'The worst of {check.name}', [Column('Where'), Column('What')], rows)
    blocks.append(Fold(f'{counted(len(rows), "case")} of {found.count}', [table]) if pictures else table)
    return Part(check.name, blocks)


def _pictures(diagnosis: Diagnosis) -> dict[str, list[Picture]]:
    """The pictures of each finding by the name of its check, those of errors first; all are not too many."""
    room = _PICTURES
    pictures: dict[str, list[Picture]] = {}
    for finding in diagnosis.findings:
        shown = [example for example in finding.found.examples if example.image >= 0]
        pictures[finding.check.name] = [
            _picture(diagnosis.data, example) for example in shown[: min(_OF_A_FINDING, room)]
        ]
        room -= len(pictures[finding.check.name])
    return pictures


def _picture(data: Examined, example: Example) -> Picture:
    """The image of a case with the boxes that are meant, or with all of it where no box is.

    Of small ones a part of the image around them is shown.
    """
    size = np.nan_to_num(data.sizes[example.image], nan=1)
    own = np.flatnonzero(data.raw.boxes.images == example.image)
    boxes = np.array(example.boxes or own[:_BOXES], np.int64)
    boxes = boxes[finite_boxes(data.bboxes[boxes])]
    window = _window(data.bboxes[boxes], size) if example.boxes and len(boxes) else np.array([0, 0, *size])
    truth = [_box(data, box, window[:2]) for box in boxes.tolist()]
    limbs = data.raw.skeleton.edges if data.raw.skeleton is not None else ()
    photo = _photo(data.raw.images.paths[example.image], window, size)
    return Picture(photo, example.place, example.detail, [('Annotations', truth)], limbs)


def _window(bboxes: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of an image, xyxy in whole pixels, in which some boxes are well seen."""
    corners = bboxes.reshape(-1, 2).clip(0, size)
    low, high = corners.min(axis=0), corners.max(axis=0)
    sides = np.minimum(np.maximum(_ROOM * (high - low).max(), size.max() / _ZOOM), size).round()
    start = ((low + high - sides) / 2).clip(0, size - sides).round()
    return np.concatenate([start, start + sides])


def _photo(path: str, window: NDArray[np.float64], size: NDArray[np.float64]) -> Photo:
    """A part of an image in small.

    Args:
        path: The file.
        window: The part, xyxy in pixels of the annotated size.
        size: The annotated width and height.
    """
    width, height = np.maximum(window[2:] - window[:2], 1).astype(int).tolist()
    try:
        pixels = read_image(path)
    except (UndecodableImageError, UserError):
        return Photo('', (width, height))
    x1, y1, x2, y2 = (window * np.tile(np.array(pixels.shape[1::-1]) / size, 2)).astype(int).tolist()
    part = pixels[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    colours = part[..., :3] if part.shape[2] >= 3 else np.repeat(part[..., :1], 3, axis=2)
    return Photo(embed(np.ascontiguousarray(colours)).jpeg, (width, height))


def _box(data: Examined, box: int, start: NDArray[np.float64]) -> Box:
    """A box with its class and keypoints, in pixels of the part of the image that begins at ``start``."""
    corners = data.bboxes[box].reshape(2, 2) - start
    (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    points = []
    if data.keypoints is not None:
        keypoints = data.keypoints[box].astype(np.float64) - [*start, 0]
        points = [
            (x, y) if seen > 0 and np.isfinite([x, y]).all() else None for x, y, seen in keypoints.tolist()
        ]
    label = one_line(data.raw.classes[int(data.raw.boxes.labels[box])])
    return Box((x1, y1, x2, y2), label, 'ignored' if data.raw.boxes.is_crowd[box] else 'truth', points)


def _check_blocks(diagnosis: Diagnosis) -> list[Block]:
    """The names of the checks that were made, and why others were not."""
    blocks: list[Block] = [
        Text(f'{counted(len(diagnosis.checked), "check")} made: {", ".join(diagnosis.checked)}.')
    ]
    if diagnosis.left_out:
        by_lack: dict[str, list[str]] = {}
        for name, lacking in diagnosis.left_out.items():
            by_lack.setdefault(lacking, []).append(name)
        lines = [f'For want of {lacking}: {", ".join(names)}.' for lacking, names in by_lack.items()]
        blocks += [Text(f'{counted(len(diagnosis.left_out), "check")} not made.'), Bullets(lines)]
    if diagnosis.failed:
        names = ', '.join(diagnosis.failed)
        blocks.append(Callout(f'These checks failed, by a fault of the doctor: {names}', 'error'))
    return blocks

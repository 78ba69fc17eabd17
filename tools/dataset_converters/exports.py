"""Reading what annotation tools export: CVAT for images, Label Studio, LabelMe, and Open Images.

All shapes become upright boxes: of what is turned, of polygons, ellipses and masks the box around them. The
formats, as their publishers describe them: "CVAT for images 1.1", Label Studio's JSON and JSON-MIN, LabelMe's
JSON, which X-AnyLabeling writes too, and the CSV files of Open Images.
"""

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from coco_json import Box

from mmyolox.errors import ReadingReport, UserError

SHARES = (1.0, 1.0)
"""The frame of boxes that are shares of their image."""

_HEAD = 65536
_UNBOXED = 'shapes that are no areas, left out'
_FAULTS = (AttributeError, KeyError, TypeError, ValueError, IndexError)
"""What reading a shape raises that lacks something or holds something else."""


class Object(NamedTuple):
    """An object: its box is xyxy in the frame of its image; a group counts as a crowd."""

    name: str
    box: Box
    is_group: bool = False


class Annotated(NamedTuple):
    """An image with its objects.

    Attributes:
        names: What its file may be called, the likeliest first: paths, perhaps of another computer, or names
            without a suffix.
        frame: The width and height of what the boxes are measured in: of the image in pixels, or ``SHARES``
            where they are shares of it. None for the pixels of the file, whatever size it has.
        objects: The objects; none for a background image.
        split: The name of its split, empty if the export has none.
    """

    names: Sequence[str]
    frame: tuple[float, float] | None
    objects: list[Object]
    split: str = ''


class Export(NamedTuple):
    """A format of exports.

    Attributes:
        title: What people call it.
        suffix: Of its files.
        recognises: Whether a file is of this format, by the start of its content.
        read: Reads a file, image by image; the report gets what cannot be used. It raises a ``UserError`` for
            a file that is broken as a whole.
    """

    title: str
    suffix: str
    recognises: Callable[[str], bool]
    read: Callable[[Path, ReadingReport], Iterator[Annotated]]


def read_frame(width: Any, height: Any) -> tuple[float, float]:
    """The frame of an image of a width and height. Faults: ``_FAULTS``."""
    frame = float(width), float(height)
    if not all(0 < side < math.inf for side in frame):
        raise ValueError(f'{width} x {height} is no size of an image')
    return frame


def known_frame(width: Any, height: Any) -> tuple[float, float] | None:
    """The same; None for what is no size."""
    try:
        return read_frame(width, height)
    except _FAULTS:
        return None


def around(points: Iterable[Sequence[float]]) -> Box:
    """The box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def around_ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float) -> Box:
    """The box around an ellipse that is turned about its centre."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width, half_height = (
        math.hypot(radius_x * cos, radius_y * sin),
        math.hypot(radius_x * sin, radius_y * cos),
    )
    return x - half_width, y - half_height, x + half_width, y + half_height


def read_cvat(path: Path, report: ReadingReport) -> Iterator[Annotated]:
    """Reads an XML file of CVAT; all images of a task are in it, background too."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:  # the latter: an odd encoding
        raise UserError(f'{path}: cannot be read as XML ({error})') from None
    if root.find('track') is not None:
        raise UserError(f'{path}: tracks of a video, which name no images: export as "CVAT for images 1.1"')
    for image in root.iter('image'):
        name = image.get('name', '')
        objects = []
        for shape in image:
            try:
                box = cvat_box(shape)
                label = shape.attrib['label']
            except _FAULTS as error:
                report.skip(f'{path}: {name}', f'a {shape.tag} that cannot be read ({error!r})')
                continue
            if box is None:
                report.note(_UNBOXED, [f'{shape.tag} in {name}'])
            else:
                objects.append(Object(label, box))
        frame = known_frame(image.get('width'), image.get('height'))
        subset = image.get('subset', '')
        # The export of a project has a folder of images a subset, and the same names in several.
        names = [f'{subset}/{name}', name] if subset else [name]
        yield Annotated(names, frame, objects, subset)


def cvat_box(shape: ElementTree.Element) -> Box | None:
    """The box around a shape of CVAT; None for what is no area. Faults: ``_FAULTS``."""
    from mmyolox.datasets.annotations import box_around, read_rotation

    def numbers(*names: str) -> list[float]:
        return [float(shape.attrib[name]) for name in names]

    degrees = read_rotation(shape.get('rotation', '0'))
    match shape.tag:
        case 'box':
            return box_around(numbers('xtl', 'ytl', 'xbr', 'ybr'), degrees)
        case 'polygon':
            return around(
                [float(number) for number in point.split(',')] for point in shape.attrib['points'].split(';')
            )
        case 'ellipse':
            return around_ellipse(*numbers('cx', 'cy', 'rx', 'ry'), degrees)
        case 'mask':
            left, top, width, height = numbers('left', 'top', 'width', 'height')
            return left, top, left + width, top + height
    return None


def read_label_studio(path: Path, report: ReadingReport) -> Iterator[Annotated]:
    """Reads a JSON or JSON-MIN file of Label Studio.

    Of several annotations of an image the ground truth is taken, or else the newest. Images that nobody
    annotated are left out; those annotated as empty are background.
    """
    for task in _read_json(path, list):
        try:
            names = image_names(task.get('data', task))
            regions = task_regions(task, names[0], report)
            if regions is None:
                report.note('images that nobody annotated, left out', names[:1])
                continue
            objects, frame = [], SHARES
            for region in regions:
                frame = read_frame(region['original_width'], region['original_height'])
                labels = [label for key, value in region.items() if key.endswith('labels') for label in value]
                box = region_box(region, frame)
                if region.get('image_rotation'):
                    report.note('images turned in the editor, whose boxes may lie wrong', names[:1])
                if box is None or not labels:
                    what = 'without a label' if box else region.get('type', 'region')
                    report.note(
                        _UNBOXED if labels else 'shapes without a label, left out', [f'{what} in {names[0]}']
                    )
                else:
                    objects += [Object(str(label), box) for label in labels]
        except _FAULTS as error:
            shown = task.get('id') if isinstance(task, dict) else task
            report.skip(f'{path}: task {shown}', f'it cannot be read ({error!r})')
            continue
        yield Annotated(names, frame, objects)


def image_names(data: Mapping[str, Any]) -> list[str]:
    """What the image of a task may be called: the texts of its data, of web addresses the path."""
    texts = [value for value in data.values() if isinstance(value, str)]
    names = []
    for text in texts:
        parts = urlsplit(text)
        local = parse_qs(parts.query).get('d')
        name = local[0] if local else unquote(parts.path if parts.scheme or parts.query else text)
        # An upload is called 0a1b2c3d-photo.jpg, where the file was photo.jpg.
        names += [name, re.sub(r'(^|/)[0-9a-f]{8}-(?=[^/]*$)', r'\1', name)]
    return list(dict.fromkeys(names))


def task_regions(task: Mapping[str, Any], name: str, report: ReadingReport) -> list[dict[str, Any]] | None:
    """The regions of a task, each with what stands under ``value``; None if nobody annotated it."""
    if 'data' not in task:  # JSON-MIN: lists of regions under the names of their controls
        lists = [value for value in task.values() if isinstance(value, list)]
        return [region for value in lists for region in value if 'original_width' in region]
    done = [
        one for one in task.get('annotations', task.get('completions', [])) if not one.get('was_cancelled')
    ]
    if not done:
        return None
    if len(done) > 1:
        report.note('images with several annotations, the ground truth or the newest taken', [name])
    one = max(done, key=lambda one: (bool(one.get('ground_truth')), str(one.get('updated_at', ''))))
    return [dict(region, **region['value']) for region in one['result'] if 'original_width' in region]


def region_box(region: Mapping[str, Any], frame: tuple[float, float]) -> Box | None:
    """The box around a region of Label Studio, in pixels; None for what is no area. Faults: ``_FAULTS``."""
    from mmyolox.datasets.annotations import box_around

    width, height = frame[0] / 100, frame[1] / 100
    degrees = float(region.get('rotation') or 0)
    if 'points' in region:
        return around((x * width, y * height) for x, y in region['points'])
    if 'radiusX' in region:
        radii = region['radiusX'] * width, region['radiusY'] * height
        return around_ellipse(region['x'] * width, region['y'] * height, *radii, degrees)
    if 'width' not in region or 'height' not in region:
        return None
    x, y = region['x'] * width, region['y'] * height
    half = region['width'] * width / 2, region['height'] * height / 2
    # It is turned about its upper left corner.
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = x + half[0] * cos - half[1] * sin, y + half[0] * sin + half[1] * cos
    return box_around((x - half[0], y - half[1], x + half[0], y + half[1]), degrees)


def read_labelme(path: Path, report: ReadingReport) -> Iterator[Annotated]:
    """Reads a JSON file of LabelMe or X-AnyLabeling, which is of one image."""
    content = _read_json(path, dict)
    shapes = content.get('shapes') or []
    if not isinstance(shapes, list):
        raise UserError(f'{path}: its "shapes" are a {type(shapes).__name__}, a list is needed')
    objects = []
    for shape in shapes:
        try:
            kind, points, name = shape.get('shape_type') or 'polygon', shape['points'], str(shape['label'])
            if kind == 'circle':
                (x, y), edge = points
                box = around_ellipse(x, y, *2 * [math.dist((x, y), edge)], 0)
            else:
                box = around(points)
        except _FAULTS as error:
            report.skip(path, f'a shape that cannot be read ({error!r})')
            continue
        if kind in ('point', 'points', 'line', 'linestrip'):
            report.note(_UNBOXED, [f'{kind} in {path.name}'])
        else:
            objects.append(Object(name, box))
    frame = known_frame(content.get('imageWidth'), content.get('imageHeight'))
    names = [str(content.get('imagePath') or ''), path.with_suffix('').name]
    yield Annotated(names, frame, objects)


def read_open_images(path: Path, report: ReadingReport) -> Iterator[Annotated]:
    """Reads a CSV file of boxes of Open Images; the CSV file of classes beside it names these."""
    titles = class_titles(path.parent)
    with _csv_file(path) as file:
        reader = csv.DictReader(file, restval='')
        if 'ImageID' not in (reader.fieldnames or ()):
            raise UserError(f'{path}: its first line names no column "ImageID"')
        for image, rows in groupby(reader, itemgetter('ImageID')):
            objects = []
            for row in rows:
                try:
                    box = float(row['XMin']), float(row['YMin']), float(row['XMax']), float(row['YMax'])
                    name = titles.get(row['LabelName'], row['LabelName'])
                    objects.append(Object(name, box, row.get('IsGroupOf') == '1'))
                except _FAULTS as error:
                    report.skip(f'{path}: {image}', f'a row that cannot be read ({error!r})')
            yield Annotated([image], SHARES, objects)
    if not titles:
        report.note('files whose classes are codes, since no CSV file beside them names these', [path.name])


def class_titles(folder: Path) -> dict[str, str]:
    """The names of classes by their codes (``/m/01g317``), from the CSV files of a folder that hold them."""
    titles: dict[str, str] = {}
    for path in sorted(folder.glob('*class*.csv')):
        with _csv_file(path) as file:
            titles |= {row[0]: row[1] for row in csv.reader(file) if len(row) == 2 and row[0].startswith('/')}
    return titles


@contextmanager
def _csv_file(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            yield file
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f'{path}: cannot be read as CSV ({error})') from None


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path}: cannot be read as JSON ({error})') from None
    if not isinstance(content, kind):
        raise UserError(f'{path}: holds a JSON {type(content).__name__}, a {kind.__name__} is needed')
    return content


EXPORTS = {
    'cvat': Export(
        'CVAT for images 1.1', '.xml', re.compile(r'\s*(<[?!][^>]*>\s*)*<annotations>').match, read_cvat
    ),
    'label-studio': Export(
        'Label Studio JSON',
        '.json',
        re.compile(r'\s*\[\s*{.*"(annotations|completions|original_width)"', re.DOTALL).match,
        read_label_studio,
    ),
    'labelme': Export(
        'LabelMe JSON', '.json', re.compile(r'\s*{.*"(shapes|imagePath)"', re.DOTALL).match, read_labelme
    ),
    'open-images': Export(
        'Open Images CSV', '.csv', re.compile(r'ImageID,.*\bXMin\b').match, read_open_images
    ),
}
"""The formats by the names that ``--format`` takes."""


def _read_as_it_is(source: Path) -> str:
    """What to do with a data set that needs no conversion; empty for anything else."""
    from mmyolox.datasets.layouts import recognise

    try:
        layout = recognise(source)
    except UserError:
        return ''
    return f'{source}: {layout.name} needs no conversion: mmyolox train ... --cfg-options data_root={source}'


def find_exports(source: Path, name: str | None) -> tuple[Export, list[Path]]:
    """Finds the files of a data set, and their format.

    Args:
        source: A file, or a folder that is searched with all folders in it.
        name: The name of the format; None to recognise it.

    Returns:
        The format, and its files.

    Raises:
        UserError: There is none, or files of several formats.
    """
    from mmyolox.files import list_images

    if not os.path.exists(source):  # Path's own raises an error for a name that is too long
        raise UserError(f'{source}: there is no such file or folder')
    suffixes = {export.suffix for export in EXPORTS.values()}
    listed = [source] if source.is_file() else list_images(source, suffixes)
    paths = [path for path in listed if path.is_file()]
    found: dict[str, list[Path]] = {}
    for path in paths:
        try:
            with path.open(encoding='utf-8-sig', errors='replace') as file:
                head = file.read(_HEAD)
        except OSError as error:
            raise UserError(f'{path}: cannot be read ({error.strerror})') from None
        for key, export in EXPORTS.items():
            if path.suffix.lower() == export.suffix and export.recognises(head):
                found.setdefault(key, []).append(path)
    if name:
        found = {name: found.get(name, [source] if source.is_file() else [])}
    if not any(found.values()):
        known = ', '.join(export.title for export in EXPORTS.values())
        raise UserError(_read_as_it_is(source) or f'{source}: no export that is known ({known})')
    if len(found) > 1:
        seen = '; '.join(f'{key}: {files[0]}' for key, files in found.items())
        raise UserError(f'{source}: holds several formats, choose one by --format ({seen})')
    [(key, files)] = found.items()
    return EXPORTS[key], files

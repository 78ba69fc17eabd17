"""The labels that are likely wrong, for review in an annotation tool: as COCO JSON and as CVAT's XML.

Each has its box, the class that the model sees there, and as attributes its kind, how suspicious it is and
why.
"""

import json
import os.path as osp
import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mmyolox.errors import printable
from mmyolox.files import atomic_write

from .analysis import Analysis
from .suspects import KINDS, Suspect


def write_coco(path: str | Path, analysis: Analysis) -> None:
    """Writes the suspects as a COCO annotation file, whose images are those with a suspect.

    Args:
        path: The JSON file. Its file names are relative to :func:`image_folder`.
        analysis: The analysis, with a suspect at least: a file without images is none of COCO's.

    Raises:
        UserError: The file cannot be written.
    """
    truth = analysis.case.truth
    folder = image_folder(analysis)
    annotations = []
    for number, one in enumerate(analysis.suspects, start=1):
        x1, y1, x2, y2 = _cut(one, analysis)
        annotations.append(
            dict(
                id=number,
                image_id=truth.image_ids[one.image],
                category_id=truth.category_ids[one.label],
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=0,
                score=one.score,
                attributes=_attributes(one, analysis),
            )
        )
    categories = [
        dict(id=number, name=name) for number, name in zip(truth.category_ids, truth.classes, strict=True)
    ]
    images = [
        dict(
            id=truth.image_ids[image],
            file_name=_name(image, analysis, folder),
            width=int(truth.sizes[image, 0]),
            height=int(truth.sizes[image, 1]),
        )
        for image in sorted({one.image for one in analysis.suspects})
    ]
    content = dict(images=images, annotations=annotations, categories=categories)
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding='ascii')


def write_cvat(path: str | Path, analysis: Analysis) -> None:
    """Writes the suspects as an XML file of the format "CVAT for images 1.1".

    Args:
        path: The XML file. Its image names are relative to :func:`image_folder`.
        analysis: As for :func:`write_coco`.

    Raises:
        UserError: The file cannot be written.
    """
    truth = analysis.case.truth
    folder = image_folder(analysis)
    root = ElementTree.Element('annotations')
    _add(root, 'version', '1.1')
    labels = ElementTree.SubElement(
        ElementTree.SubElement(ElementTree.SubElement(root, 'meta'), 'task'), 'labels'
    )
    for name in truth.classes:
        label = ElementTree.SubElement(labels, 'label')
        _add(label, 'name', name)
        attributes = ElementTree.SubElement(label, 'attributes')
        for key, kind, values in (
            ('kind', 'select', KINDS),
            ('suspicion', 'text', ()),
            ('reason', 'text', ()),
        ):
            attribute = ElementTree.SubElement(attributes, 'attribute')
            for tag, text in (
                ('name', key),
                ('mutable', 'False'),
                ('input_type', kind),
                ('default_value', ''),
                ('values', '\n'.join(values)),
            ):
                _add(attribute, tag, text)
    by_image: defaultdict[int, list[Suspect]] = defaultdict(list)
    for one in analysis.suspects:
        by_image[one.image].append(one)
    for number, image in enumerate(sorted(by_image)):
        width, height = map(str, truth.sizes[image].tolist())
        own = dict(id=str(number), name=_text(_name(image, analysis, folder)), width=width, height=height)
        element = ElementTree.SubElement(root, 'image', own)
        for one in by_image[image]:
            places = dict(
                zip(('xtl', 'ytl', 'xbr', 'ybr'), map('{:.2f}'.format, _cut(one, analysis)), strict=True)
            )
            own_label = dict(label=_text(truth.classes[one.label]), source='file', occluded='0')
            box = ElementTree.SubElement(element, 'box', own_label | places | dict(z_order='0'))
            for key, value in _attributes(one, analysis).items():
                _add(box, 'attribute', str(value)).set('name', key)
    ElementTree.indent(root)
    with atomic_write(path) as part:
        ElementTree.ElementTree(root).write(part, encoding='utf-8', xml_declaration=True)


def image_folder(analysis: Analysis) -> str:
    """The folder that has all images of a case, to which exported names are relative; '' for none."""
    paths = analysis.case.truth.paths
    try:
        return osp.commonpath([osp.dirname(path) for path in paths])
    except ValueError:  # relative and absolute ones, or of several drives
        return ''


def _name(image: int, analysis: Analysis, folder: str) -> str:
    path = analysis.case.truth.paths[image]
    return Path(osp.relpath(path, folder) if folder else path).as_posix()


def _cut(one: Suspect, analysis: Analysis) -> tuple[float, float, float, float]:
    """The box inside its image; as it is where nothing of it is."""
    size = analysis.case.truth.sizes[one.image]
    x1, y1, x2, y2 = np.clip(one.bbox, 0, np.tile(size, 2)).tolist()
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else one.bbox


def _attributes(one: Suspect, analysis: Analysis) -> dict[str, str | float]:
    values: dict[str, str | float] = dict(kind=one.kind, suspicion=round(one.score, 4), reason=one.reason)
    if one.truth >= 0:
        values['annotation'] = str(analysis.case.truth.ids[one.truth])
    return values


def _add(parent: ElementTree.Element, tag: str, text: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = _text(text)
    return element


def _text(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NO_XML.sub('?', printable(text))


_NO_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')

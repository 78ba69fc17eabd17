"""Pascal VOC's XML files as they are written: objects at fault are noted, and the others read."""

import os.path as osp
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmyolox.datasets.table import IdColumn
from mmyolox.datasets.voc import VocImage, read_voc_xml
from mmyolox.datasets.voc_files import annotation_files, image_files, listed_image
from mmyolox.doctor.raw import Category, Faults, RawImages, RawSplit
from mmyolox.doctor.workers import Progress, silent
from mmyolox.errors import ReadingReport, UserError
from mmyolox.files import read_lines

from .gathering import Gathered


class _Pair(NamedTuple):
    """An image and its annotation; either may not be there.

    Attributes:
        name: What lists call it.
        image: The image file.
        xml: The XML file.
    """

    name: str
    image: str
    xml: Path


def read_split(
    name: str, root: Path, args: Mapping[str, Any], faults: Faults, progress: Progress = silent
) -> RawSplit:
    """Reads a split.

    Args:
        name: What it is for.
        root: The folder of the data set.
        args: The arguments of :class:`mmyolox.datasets.YOLOXVOCDataset`.
        faults: What gets the faults.
        progress: Shows how far it is.

    Raises:
        UserError: A list of images cannot be read.
    """
    inner = root / args.get('data_prefix', {}).get('sub_data_root', '')
    folders = inner / args.get('img_subdir', 'JPEGImages'), inner / args.get('ann_subdir', 'Annotations')
    pairs = _pairs(root, *folders, args, faults)
    contents = [
        _content(pair, args.get('one_based', True), faults)
        for pair in progress(pairs, len(pairs), 'label files')
    ]
    classes = sorted({one for content in contents if content for one in content.names})
    numbers = {one: number for number, one in enumerate(classes)}
    gathered = Gathered()
    for content in contents:
        if content is None:
            gathered.add([], [], [], [])
        else:
            labels = [numbers[one] for one in content.names]
            gathered.add(labels, content.bboxes, content.difficult, content.numbers)
    return RawSplit(
        name=name,
        format='voc',
        source=str(folders[1]),
        folder=str(folders[0]),
        categories=tuple(Category(number, one) for number, one in enumerate(classes)),
        images=RawImages(
            paths=[pair.image for pair in pairs],
            names=[osp.relpath(pair.image, folders[0]) for pair in pairs],
            sizes=np.array(
                [(content.width, content.height) if content else (0, 0) for content in contents], np.int64
            ).reshape(-1, 2),
            label_files=[str(pair.xml) for pair in pairs],
            ids=IdColumn(np.arange(len(pairs))),
        ),
        boxes=gathered.boxes(),
    )


def _pairs(
    root: Path, img_folder: Path, ann_folder: Path, args: Mapping[str, Any], faults: Faults
) -> list[_Pair]:
    """The images of a split with their annotations, as training takes them."""
    images = {name: str(img_folder / file) for name, file in image_files(img_folder, ReadingReport()).items()}
    xml_files = annotation_files(ann_folder)
    if args.get('ann_file'):
        names = _listed(root / args['ann_file'], {*images, *xml_files}, faults)
    else:
        names = [name for name in xml_files if name in images]
        for name in xml_files.keys() - images.keys():
            faults.note('label-lost', str(xml_files[name]), 'there is no image of this name')
        for name in images.keys() - xml_files.keys():
            faults.note('label-missing', images[name], 'there is no XML file of this name')
    others: set[str] = set()
    for source in (root / name for name in args.get('excluded', ())):
        others |= _names_in(source, ann_folder, {*images, *xml_files})
    return [
        _Pair(
            name,
            images.get(name, str(img_folder / f'{name}.jpg')),
            xml_files.get(name, ann_folder / f'{name}.xml'),
        )
        for name in names
        if name not in others
    ]


def _listed(path: Path, known: set[str], faults: Faults) -> list[str]:
    """The images that a list names, each once."""
    lines = read_lines(path)
    names = [listed_image(line, known.__contains__) for line in lines]
    for line, name in zip(lines, names, strict=True):
        if name != line and name != line.split()[0]:
            faults.note('path-guessed', f'{path}: {line}', f'taken for {name}')
    for name, count in Counter(names).items():
        if count > 1:
            faults.note('image-listed-twice', f'{path}: {name}', f'{count} times')
    return [*dict.fromkeys(names)]


def _names_in(source: Path, ann_folder: Path, known: set[str]) -> set[str]:
    """The images of another split, by its list or by the folder of its XML files."""
    if source.is_dir():
        inner = source.relative_to(ann_folder).as_posix()
        return {f'{inner}/{name}' for name in annotation_files(source)}
    return {listed_image(line, known.__contains__) for line in read_lines(source)}


def _content(pair: _Pair, is_one_based: bool, faults: Faults) -> VocImage | None:
    """What the XML file of an image says; None, and a fault, where it cannot be read."""
    wrong: list[str] = []
    if not osp.lexists(pair.xml):
        faults.note('annotation-missing', pair.image, f'there is no {pair.xml}')
        return None
    try:
        content = read_voc_xml(pair.xml, one_based=is_one_based, faults=wrong)
    except UserError as error:
        faults.note('file-unreadable', str(pair.xml), str(error).removeprefix(f'{pair.xml}: '))
        return None
    for line in wrong:
        faults.note('object-unreadable', str(pair.xml), line.removeprefix(f'{pair.xml}: '))
    return content

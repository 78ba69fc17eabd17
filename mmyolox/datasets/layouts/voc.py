"""Pascal VOC's format in folders: its own, with lists of images, and XML files beside images."""

import re
from collections.abc import Mapping
from typing import Any

from mmyolox.datasets.voc import annotated_classes
from mmyolox.datasets.voc_files import USUAL_SPLITS, VocFiles, annotation_files, find_files, usual_split
from mmyolox.errors import ReadingReport, UserError, first_few

from .layout import Contents, Format, Layout

_START = re.compile(rb'<annotation[\s>/]')
_START_BYTES = 1024
_TRIED = 5
"""How many XML files are looked at."""


def find(contents: Contents, ann_files: Mapping[str, str]) -> list[Layout]:
    """Finds data sets in Pascal VOC's format; see :class:`.Format`.

    Raises:
        UserError: There are Pascal VOC's XML files, but where the images are is open.
    """
    if any(not file.lower().endswith('.txt') for file in ann_files.values()):
        return []
    if not any(_is_voc(contents, file) for file in contents.with_suffix('.xml')[:_TRIED]):
        return []
    report = ReadingReport()
    files = find_files(contents.root, report)
    splits: dict[str, dict[str, Any]] = {}
    for name in USUAL_SPLITS:
        if name in ann_files:
            splits[name] = _arguments(files) | dict(ann_file=ann_files[name])
        elif split := usual_split(name, files.splits):
            splits[name] = _split_arguments(files, split)
    if 'train' not in splits:
        there = first_few(sorted(files.splits), 8) or 'none'
        raise UserError(
            f'data_root={contents.root}: Pascal VOC without a list or folder of training images (lists and '
            f'folders: {there}); name a list by train_ann_file'
        )
    is_export = any('roboflow' in name.lower() for name in contents.files[''])
    kind = ' (Roboflow export)' * is_export or ' (XML beside images)' * (files.images == files.annotations)
    notes = tuple(report.note_lines())
    return [Layout(f'Pascal VOC{kind}', 'voc', contents.root, splits, 'data_format=voc', notes)]


def read_classes(layout: Layout) -> tuple[str, ...]:
    """The names in all XML files of the splits, sorted; see :class:`.Format`.

    Raises:
        UserError: A file is no XML, or none names a class.
    """
    folders = dict.fromkeys(layout.root / args['ann_subdir'] for args in layout.splits.values())
    classes = annotated_classes(path for folder in folders for path in annotation_files(folder).values())
    if not classes:
        raise UserError(f'data_root={layout.root}: the XML files have no objects')
    return classes


def _arguments(files: VocFiles, folder: str = '') -> dict[str, Any]:
    """The folders of the images and of the XML files, or those of one name in them."""
    paths = dict(img_subdir=files.images / folder, ann_subdir=files.annotations / folder)
    return {key: path.relative_to(files.root).as_posix() for key, path in paths.items()}


def _split_arguments(files: VocFiles, split: str) -> dict[str, Any]:
    if split in files.lists:
        return _arguments(files) | dict(ann_file=files.lists[split].relative_to(files.root).as_posix())
    # Where there are no such folders, all images are for training.
    return _arguments(files, split if (files.annotations / split).is_dir() else '')


def _is_voc(contents: Contents, file: str) -> bool:
    try:
        with (contents.root / file).open('rb') as opened:
            return _START.search(opened.read(_START_BYTES)) is not None
    except OSError:
        return False


FORMAT = Format(
    find,
    read_classes,
    'Pascal VOC: Annotations, JPEGImages and ImageSets/Main, or XML files beside images',
)

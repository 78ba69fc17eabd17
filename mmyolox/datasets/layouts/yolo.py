"""YOLO's format in folders: with a YAML file or Darknet's description, or with a list of classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmyolox.datasets.splits import SPLITS
from mmyolox.datasets.yolo_files import (
    DARKNET,
    class_names,
    darknet_files,
    describes,
    label_paths,
    read_description,
    read_yaml,
    split_sources,
)
from mmyolox.errors import ReadingReport, UserError
from mmyolox.files import PICTURE_SUFFIXES

from .layout import Contents, Format, Layout

_SUFFIXES = ('.yaml', '.yml')
_USUAL = 'data.yaml'
_SPLIT_KEYS = {alias for aliases in SPLITS.values() for alias in aliases}


def find(contents: Contents, ann_files: Mapping[str, str]) -> list[Layout]:
    """Finds data sets in YOLO's format; see :class:`.Format`.

    ``data.yaml``, or any YAML file that names classes and images, is one, and without it Darknet's file of
    the suffix ``.data``. Else images must have labels.

    Raises:
        UserError: ``data.yaml``, or a file that the user names, cannot be read.
    """
    if any(not file.lower().endswith((*_SUFFIXES, DARKNET)) for file in ann_files.values()):
        return []
    files = [ann_files['train']] if 'train' in ann_files else _yaml_files(contents)
    files = files or [path.relative_to(contents.root).as_posix() for path in darknet_files(contents.root)]
    if files:
        return [_layout(contents.root, file, ann_files) for file in files]
    return [_layout(contents.root, None, ann_files)] if _is_labelled(contents) else []


def read_classes(layout: Layout) -> tuple[str, ...]:
    """The names of the classes, see :class:`.Format`; several indices with one name are one class.

    Raises:
        UserError: The YAML file is at fault, or there are no names.
    """
    file = layout.splits['train'].get('ann_file')
    path = layout.root / file if file else None
    names = class_names(layout.root, path, read_description(path) if path else {})
    if names is None:
        raise UserError(
            f'{path or layout.root}: no class names in a data.yaml, obj.names or classes.txt; write them '
            'there, or name them in the order of their indices: classes=cat,dog'
        )
    return tuple(dict.fromkeys(names))


def _layout(root: Path, file: str | None, ann_files: Mapping[str, str]) -> Layout:
    data = read_description(root / file) if file else {}
    report = ReadingReport()
    sources = {split: split_sources(root, data, split, report) for split in SPLITS}
    splits: dict[str, dict[str, Any]] = {
        split: dict(ann_file=ann_files.get(split, file), split=split) if file else dict(split=split)
        for split, found in sources.items()
        if found or split == 'train'
    }
    name = 'YOLO (Roboflow export)' if 'roboflow' in data else 'YOLO'
    choice = f'train_ann_file={file}' if file else 'data_format=yolo'
    return Layout(name, 'yolo', root, splits, choice, tuple(report.note_lines()))


def _yaml_files(contents: Contents) -> list[str]:
    """``data.yaml``; without it all YAML files that name classes and a split."""
    names = [name for name in contents.files.get('', []) if name.lower().endswith(_SUFFIXES)]
    if _USUAL in names:
        keys = read_yaml(contents.root / _USUAL).keys()
        return [] if keys.isdisjoint({'names', 'nc', *_SPLIT_KEYS}) else [_USUAL]
    return [name for name in names if describes(contents.root / name)]


def _is_labelled(contents: Contents) -> bool:
    """Whether an image has a label file."""
    texts = {Path(path).with_suffix('.txt') for path in contents.with_suffix('.txt')}
    text_folders = {path.parent for path in texts}
    for folder, names in contents.files.items():
        if text_folders.isdisjoint(path.parent for path in label_paths(Path(folder, 'any.jpg'))):
            continue
        images = (Path(folder, name) for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES)
        if any(not texts.isdisjoint(label_paths(image)) for image in images):
            return True
    return False


FORMAT = Format(
    find,
    read_classes,
    'YOLO: data.yaml with train/images and train/labels, or images/train and labels/train; obj.data; '
    'classes.txt',
)

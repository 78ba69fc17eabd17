"""Finding out which data set a folder holds."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmyolox.datasets.splits import Fold, split_named
from mmyolox.errors import UserError, did_you_mean, first_few
from mmyolox.files import from_here, is_archive

from . import coco, voc, yolo
from .layout import Contents, Format, Layout

FORMATS: dict[str, Format] = dict(coco=coco.FORMAT, yolo=yolo.FORMAT, voc=voc.FORMAT)
"""The formats by the names that ``data_format`` takes."""


class NoDataSetError(UserError):
    """There is no folder, or no data set in it."""


def recognise(
    data_root: str | Path,
    formats: Collection[str] = tuple(FORMATS),
    ann_files: Mapping[str, str] | None = None,
    fold: Mapping[str, int] | None = None,
) -> Layout:
    """Finds out which data set a folder holds, by the names of files and little of their content.

    Args:
        data_root: The folder.
        formats: The formats that can be read.
        ann_files: By split, the annotation files that the user names, relative to the folder.
        fold: How a validation split is cut where there is none: ``count`` parts of which that of ``index``
            is held out, dealt by ``seed``; by default one image of five.

    Returns:
        The layout, which has a train and a val split.

    Raises:
        NoDataSetError: The folder is absent, or holds nothing that is known.
        UserError: It is a file, cannot be read, or could be in several ways; ``fold`` is none.
    """
    root = Path(data_root)
    _check_folder(root)
    for name in formats:
        if name not in FORMATS:
            raise UserError(f'data_format={name}: there is no such format{did_you_mean(name, FORMATS)}')
    layouts = _layouts(root, formats, ann_files or {})
    if not layouts:
        raise NoDataSetError(f'data_root={root}: no data set was recognised; {_what_is_there(root, formats)}')
    if len(layouts) > 1:
        ways = '; '.join(f'{layout.name} by {layout.choice}' for layout in layouts)
        raise UserError(f'data_root={root} could be read in several ways; choose one: {ways}')
    return layouts[0] if 'val' in layouts[0].splits else _with_validation(layouts[0], fold or {})


def passed_over(contents: Contents, format: str) -> list[Layout]:
    """The data sets of other formats in a folder, beside the one that is read.

    Args:
        contents: What the folder holds.
        format: The format of the one that is read.
    """
    layouts: list[Layout] = []
    for name in FORMATS.keys() - {format}:
        with suppress(UserError):  # what is at fault in it is no matter of the one that is read
            layouts += FORMATS[name].find(contents, {})
    return sorted(layouts, key=lambda layout: layout.name)


def _layouts(root: Path, formats: Collection[str], ann_files: Mapping[str, str]) -> list[Layout]:
    contents = Contents.of(root)
    layouts = [layout for name in formats for layout in FORMATS[name].find(contents, ann_files)]
    if any(layout.splits['train'].get('ann_file') == coco.USUAL for layout in layouts):
        # Beside the images, to which a converter links, may lie the annotations that it has read.
        return [layout for layout in layouts if layout.format == 'coco']
    return layouts


def _check_folder(root: Path) -> None:
    if os.path.isfile(root):  # Path's own raise errors for names that are too long
        advice = 'unpack it, and name the folder' if is_archive(root) else f'name its folder, {root.parent}'
        raise UserError(f'data_root={root} is a file: {advice}')
    if not os.path.isdir(root):
        raise NoDataSetError(
            f'data_root={from_here(root)}: there is no such folder; say where the data lie: '
            '--cfg-options data_root=FOLDER'
        )
    try:
        for name in os.listdir(root)[:1]:
            os.lstat(root / name)
    except PermissionError as error:
        raise UserError(f'data_root={root} cannot be read ({error.strerror}): change its rights') from None


def _with_validation(layout: Layout, fold: Mapping[str, int]) -> Layout:
    """The layout with a seeded split by image."""
    fold = dict(count=5, index=0, seed=0) | dict(fold)
    Fold.of(dict(fold, held_out=True))
    train = layout.splits['train']
    parts: dict[str, dict[str, Any]] = {
        split: dict(train, fold=dict(fold, held_out=split == 'val')) for split in ('train', 'val')
    }
    note = f'no validation split, so that 1 image of {fold["count"]} is held out (seed {fold["seed"]})'
    return replace(layout, splits=dict(layout.splits, **parts), notes=(*layout.notes, note))


def _what_is_there(root: Path, formats: Collection[str]) -> str:
    """What a folder holds and what it should hold, in words."""
    # What is in a folder of one split lacks the others.
    inside = [
        path for path in sorted(root.iterdir()) if os.path.isdir(path) and split_named(path.name) is None
    ]
    for folder in inside if len(inside) <= 20 else []:
        if _layouts(folder, formats, {}):
            return f'there is one in {folder}: name that folder'
    if others := _layouts(root, [name for name in FORMATS if name not in formats], {}):
        return f'it is {others[0].name}, and this config reads {", ".join(formats)}'
    names = first_few((entry.name + os.sep * os.path.isdir(entry) for entry in sorted(root.iterdir())), 6)
    known = '; '.join(FORMATS[name].example for name in formats)
    return (
        f'it holds {names or "nothing"}; known are {known}; exports of CVAT, '
        'Label Studio, LabelMe and Open Images are converted by mmyolox import'
    )

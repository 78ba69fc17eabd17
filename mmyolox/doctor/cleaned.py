"""Writing a cleaned copy of a data set, in COCO's layout, with a list of what was changed."""

import json
import os.path as osp
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from mmyolox.errors import UserError, counted, one_line, printable
from mmyolox.files import atomic_write, check_folder, writing

from .mending import Mended
from .workers import Progress, silent


def check_new_folder(folder: Path, data: Path) -> None:
    """Checks that a copy can be written to a folder.

    Args:
        folder: The folder, absent or empty.
        data: Where the data lie: the copy is not written among them.

    Raises:
        UserError: Something is in it, it lies in the data, or the system does not take it.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f'--fix {folder}: this folder is in use; name one that is empty or not there')
    if data.is_dir() and folder.resolve().is_relative_to(data.resolve()):
        raise UserError(f'--fix {folder}: it lies in the data themselves; name a folder elsewhere')
    check_folder(folder)


def write_cleaned(mended: Mended, folder: Path, copies: bool, progress: Progress = silent) -> dict[str, Path]:
    """Writes ``annotations/SPLIT.json``, ``images/SPLIT/`` and the list of changes.

    Args:
        mended: The data set.
        folder: The folder to write to.
        copies: Whether images are copied; else they are linked, where the system can.
        progress: Shows how far it is.

    Returns:
        The annotation file of each split that has an image.

    Raises:
        UserError: The system does not take a file.
    """
    names = image_names(mended)
    with writing(folder):
        for image in progress([*names], len(names), 'images'):
            _place(mended.data.raw.images.paths[image], folder / 'images' / names[image], copies)
    raw = mended.data.raw
    used = dict.fromkeys(raw.splits[int(raw.image_splits[image])].name for image in names)
    files = {split: folder / 'annotations' / f'{split}.json' for split in used}
    for split, path in files.items():
        with atomic_write(path) as part, part.open('w', encoding='utf-8', errors='backslashreplace') as file:
            file.writelines(_coco_text(mended, split, names))
    write_changes(mended, folder)
    return files


def image_names(mended: Mended) -> dict[int, str]:
    """The file of each image that stays, relative to ``images``: below its split, as in the split's folder.

    Of what lies elsewhere, or was written on Windows, the last part is kept; a number tells those apart that
    would be one.
    """
    raw = mended.data.raw
    names: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for image in np.flatnonzero(mended.is_image_kept).tolist():
        split = raw.splits[int(raw.image_splits[image])]
        inner = PureWindowsPath(osp.relpath(raw.images.paths[image], split.folder))
        is_inside = not inner.anchor and '..' not in inner.parts
        name = f'{split.name}/{inner.as_posix() if is_inside else inner.name}'
        taken[name] += 1
        stem, suffix = osp.splitext(name)
        names[image] = name if taken[name] == 1 else f'{stem}_{taken[name]}{suffix}'
    return names


def write_changes(mended: Mended, folder: Path) -> None:
    """Writes what was changed, as ``changes.json`` and, to be read, ``changes.txt``."""
    entries = [change._asdict() for change in mended.changes]
    with atomic_write(folder / 'changes.json') as part:
        part.write_text(printable(json.dumps(entries, indent=1, ensure_ascii=False)), encoding='utf-8')
    lines = [f'{counted(len(mended.changes), "change")} of {one_line(mended.data.raw.source)}', '']
    lines += [
        one_line(f'{change.check}: {change.action}: {change.place}: {change.detail}')
        for change in mended.changes
    ]
    with atomic_write(folder / 'changes.txt') as part:
        part.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _place(source: str, target: Path, copies: bool) -> None:
    """Links or copies an image."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not copies:
        with suppress(OSError):  # as on Windows without the right to
            target.symlink_to(osp.realpath(source))
            return
    shutil.copyfile(source, target)


def _coco_text(mended: Mended, split: str, names: dict[int, str]) -> Iterator[str]:
    """The parts of a COCO file; ids count from 1."""
    data = mended.data
    chosen = np.isin(data.raw.image_splits, data.split_indices(split)) & mended.is_image_kept
    images = np.flatnonzero(chosen).tolist()
    ids = {image: number for number, image in enumerate(images, start=1)}
    info = dict(description=f'Cleaned by mmyolox doctor: {printable(data.raw.source)}')
    yield f'{{"info": {json.dumps(info, ensure_ascii=False)},\n"licenses": [],\n"categories": '
    yield from _json_list(_categories(mended))
    yield ',\n"images": '
    sizes = data.sizes[images].astype(np.int64).tolist()
    yield from _json_list(
        dict(id=ids[image], file_name=names[image], width=width, height=height)
        for image, (width, height) in zip(images, sizes, strict=True)
    )
    yield ',\n"annotations": '
    boxes = np.flatnonzero(mended.is_box_kept & np.isin(mended.images, images)).tolist()
    yield from _json_list(_annotation(mended, box, number, ids) for number, box in enumerate(boxes, start=1))
    yield '}\n'


def _categories(mended: Mended) -> list[dict[str, Any]]:
    """The classes, whose ids are their labels counted from 1."""
    skeleton = mended.data.raw.skeleton
    fields: dict[str, Any] = {}
    if skeleton is not None and mended.keypoints is not None:
        fields = dict(keypoints=[*skeleton.names], skeleton=[[a + 1, b + 1] for a, b in skeleton.edges])
    if skeleton is not None and fields and skeleton.flip_pairs is not None:
        pairs = [[skeleton.names[a], skeleton.names[b]] for a, b in skeleton.flip_pairs]
        fields |= dict(flip_pairs=pairs)
    return [dict(id=label, name=name, **fields) for label, name in enumerate(mended.classes, start=1) if name]


def _annotation(mended: Mended, box: int, number: int, ids: dict[int, int]) -> dict[str, Any]:
    """A box as COCO writes it, to a thousandth of a pixel."""
    x1, y1, x2, y2 = mended.bboxes[box].tolist()
    entry: dict[str, Any] = dict(
        id=number,
        image_id=ids[int(mended.images[box])],
        category_id=int(mended.data.raw.boxes.labels[box]) + 1,
        bbox=[round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
        area=round(float(mended.areas[box]), 3),
        iscrowd=int(mended.data.raw.boxes.is_crowd[box]),
    )
    if mended.keypoints is not None:
        points = np.nan_to_num(mended.keypoints[box].astype(np.float64), posinf=0, neginf=0).round(3)
        points[:, 2] = points[:, 2].clip(0, 2).round()
        entry |= dict(keypoints=points.ravel().tolist(), num_keypoints=int((points[:, 2] > 0).sum()))
    return entry


def _json_list(entries: Iterable[Any]) -> Iterator[str]:
    """The parts of a list of JSON, a line an entry."""
    yield '['
    for number, entry in enumerate(entries):
        yield f'{"," * bool(number)}\n{json.dumps(entry, ensure_ascii=False, allow_nan=False)}'
    yield ']'

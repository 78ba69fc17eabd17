"""COCO's format in folders: our layout, COCO's own, Roboflow's exports, and single files of other tools.

Files are told apart by their names, and from other JSON files by the keys in them, which are searched for
without reading the whole.
"""

import json
import mmap
import os.path as osp
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import Any

from mmengine.utils import is_abs

from mmyolox.datasets.coco_file import read_class_lists
from mmyolox.datasets.shards import split_shard
from mmyolox.datasets.splits import split_named, without_split
from mmyolox.errors import UserError, first_few
from mmyolox.files import path_endings

from .layout import Contents, Format, Layout

USUAL = 'annotations/train.json'
"""The training annotations that our converters write, relative to the root."""

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_OURS = re.compile(r'^annotations/(train|val)\.json$|(^|/)_annotations\.coco\.json$')
"""Files that nothing else is called like."""
_TRIED = 20
"""How many images of a file are looked for in a folder."""


def find(contents: Contents, ann_files: Mapping[str, str]) -> list[Layout]:
    """Finds data sets in COCO's format; see :class:`.Format`."""
    if any(not file.lower().endswith('.json') for file in ann_files.values()):
        return []
    found = [file for file in contents.with_suffix('.json') if _is_coco(contents, file)]
    splits = {file: _split_of(file) for file in found}
    train = [file for file in found if splits[file] == 'train']
    # Beside them COCO has keypoints and captions of the same images.
    train = [file for file in train if 'instances' in file] or train
    # A file that names no split is cut.
    train = train or [file for file in found if splits[file] is None]
    if 'train' in ann_files:
        train = [ann_files['train']]
    layouts = []
    for file in train:
        files = dict(train=file)
        for split in ('val', 'test'):
            others = [other for other in found if splits[other] == split and other != file]
            near = [other for other in others if without_split(other) == without_split(file)] or others
            if split in ann_files:
                files[split] = ann_files[split]
            elif len(near) == 1:
                files[split] = near[0]
            elif near:
                raise UserError(
                    f'data_root={contents.root}: {first_few(near)} could be annotations of {split}; choose '
                    f'one by {split}_ann_file={near[0]}'
                )
        layouts.append(_layout(contents, files))
    return layouts


def usual_layout(root: Path, ann_files: Mapping[str, str]) -> Layout:
    """The layout that our converters write, whether or not anything of it is there.

    Args:
        root: The folder.
        ann_files: By split, the annotation files with other names.
    """
    files = dict(train=USUAL, val='annotations/val.json') | dict(ann_files)
    return _layout(Contents(root, {}), files)


def read_classes(layout: Layout) -> tuple[str, ...]:
    """The classes of the training annotations, which the other files must have; see :class:`.Format`.

    Raises:
        UserError: A file cannot be read, lacks one of the classes, or has boxes of others.
    """
    names = dict.fromkeys(args['ann_file'] for args in layout.splits.values())
    train, *files = (name if is_abs(name) else osp.join(layout.root, name) for name in names)
    classes, categories = read_class_lists(train)
    lists = {file: read_class_lists(file) for file in files}
    shared = [name for name in classes if all(name in names for _, names in lists.values())]
    for file, (others, all_others) in lists.items():
        missing = [name for name in classes if name not in all_others]
        unknown = [name for name in others if name not in categories]
        if missing or unknown:
            differences = [
                f'{what} {first_few(names)}'
                for what, names in (('lacks the class', missing), ('has the class', unknown))
                if names
            ]
            choice = f', or train those that all have: classes={",".join(shared)}' if shared else ''
            raise UserError(
                f'{file} {" and ".join(differences)}, unlike {train}: the splits must have the same '
                f'categories; mend them{choice}'
            )
    return classes


def image_folder(contents: Contents, ann_file: str) -> str:
    """The folder in which the images of an annotation file are, relative to the root, with a ``/`` behind it.

    The folder that has most of the first images is taken; among equals the one beside the file, or else one
    of the same split.

    Args:
        contents: The root and what is in it.
        ann_file: The annotation file, relative to the root.

    Returns:
        The folder; where none has any of them, ``images/`` for a file in a folder of annotations, or if there
        is such a folder, and else the one beside the file.
    """
    names = [
        # The folders of another computer are not here: what is told then is told of where the image is.
        path_endings(name)[-1] if PureWindowsPath(name).anchor else name.replace('\\', '/')
        for name in _first_images(contents.root / ann_file)
    ]
    split = _split_of(ann_file)
    near = [folder for folder in contents.files if split_named(osp.basename(folder)) == split]
    folders = [osp.dirname(ann_file), *near, 'images', *contents.files]
    # Path's own raises an error for a name that is too long.
    paths = [[osp.join(contents.root, folder, name) for name in names] for folder in folders]
    counts = [sum(osp.isfile((split_shard(path) or [path])[0]) for path in inside) for inside in paths]
    is_apart = (contents.root / 'images').is_dir() or osp.basename(folders[0]) == 'annotations'
    usual = 'images' if is_apart else folders[0]
    best = folders[counts.index(max(counts))] if any(counts) else usual
    return f'{best}/' if best else ''


def _layout(contents: Contents, files: Mapping[str, str]) -> Layout:
    splits: dict[str, dict[str, Any]] = {
        split: dict(ann_file=file, data_prefix=dict(img=image_folder(contents, file)))
        for split, file in files.items()
    }
    name = 'COCO (Roboflow export)' if '_annotations.coco' in files['train'] else 'COCO'
    return Layout(name, 'coco', contents.root, splits, f'train_ann_file={files["train"]}')


def _split_of(ann_file: str) -> str | None:
    return split_named(Path(ann_file).stem) or split_named(osp.dirname(ann_file))


def _is_coco(contents: Contents, file: str) -> bool:
    if _OURS.search(file):  # a mistake in it is named when it is read
        return True
    with _content(contents.root / file) as content:
        return all(content.find(key) >= 0 for key in _KEYS)


def _first_images(path: Path) -> list[str]:
    """The names of some images in an annotation file."""
    with _content(path) as content:
        texts = [found[1] for found in islice(_FILE_NAME.finditer(content), _TRIED)]
    names = []
    for text in texts:
        try:
            names.append(str(json.loads(text)))
        except ValueError:  # no Unicode, or a faulty escape: told when the whole is read
            continue
    return names


@contextmanager
def _content(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The content of a file, mapped to memory; nothing where there is none to be read."""
    try:
        with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
    except (OSError, ValueError):  # the latter: an empty file
        yield b''


FORMAT = Format(
    find,
    read_classes,
    'COCO: annotations/train.json and images/, or train/_annotations.coco.json of Roboflow',
)

"""How a data set lies in a folder: its splits, each as the arguments of the data set that reads it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmyolox.errors import one_line

_DEPTH = 2
_MOST_FOLDERS = 500


@dataclass(frozen=True)
class Layout:
    """A data set that was recognised in a folder.

    Attributes:
        name: What people call it, such as ``'COCO (Roboflow export)'``.
        format: The name of its format, a key of :data:`.FORMATS`.
        root: The folder.
        splits: By ``'train'``, ``'val'`` and ``'test'``, as far as they are there, the arguments of the data
            set (``ann_file``, ``data_prefix``, ...) beside its type; paths are relative to ``root``.
        choice: The options that choose this layout where the folder could be read as several.
        notes: What was decided, a sentence each, such as how a validation split was made.
    """

    name: str
    format: str
    root: Path
    splits: Mapping[str, Mapping[str, Any]]
    choice: str
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """The layout in one line."""
        root = str(self.root).replace(':/', '://')  # an address, which a path of Python's has shortened
        return one_line('; '.join([f'{self.name} in {root}', *self.notes]))


@dataclass(frozen=True)
class Contents:
    """What a folder holds, two folders deep.

    Attributes:
        root: The folder.
        files: The sorted names of the files by folder, relative to ``root`` and divided by ``/``; ``''`` is
            ``root`` itself. Hidden files and folders are left out.
    """

    root: Path
    files: Mapping[str, list[str]]

    @classmethod
    def of(cls, root: Path) -> 'Contents':
        """Lists a folder, of very many folders in it the first ones; links to a folder above are left out."""
        files: dict[str, list[str]] = {}
        for parent, folders, names in os.walk(root, followlinks=True):
            inner = Path(parent).relative_to(root)
            files['' if inner == Path() else inner.as_posix()] = sorted(
                name for name in names if not name.startswith('.')
            )
            is_deep = len(inner.parts) == _DEPTH or len(files) > _MOST_FOLDERS
            place = os.path.join(os.path.realpath(parent), '')
            inside = (name for name in folders if not name.startswith('.'))
            # A converter makes such a link where it writes beside the images.
            folders[:] = sorted(
                name for name in inside if not is_deep and not _leads_above(os.path.join(parent, name), place)
            )
        return cls(root, files)

    def with_suffix(self, *suffixes: str) -> list[str]:
        """The files of given suffixes (``'.json'``), relative to ``root``, those of upper folders first."""
        found = [
            f'{folder}/{name}'.lstrip('/')
            for folder, names in self.files.items()
            for name in names
            if name.lower().endswith(suffixes)
        ]
        return sorted(found, key=lambda path: (path.count('/'), path))


def _leads_above(path: str, place: str) -> bool:
    return os.path.islink(path) and place.startswith(os.path.join(os.path.realpath(path), ''))


@dataclass(frozen=True)
class Format:
    """What is known of a format.

    Attributes:
        find: Finds the layouts of this format in a folder. Of two arguments: what the folder holds, and by
            split the annotation files that the user names, relative to it. It finds none where the folder
            holds nothing of the format, or where a named file is none of the format, and several where it is
            open which files are to be trained on. A layout always has a train split; one without a val split
            gets one that is cut from the train split.
        read_classes: Reads the names of the classes of a layout, in the order of their labels. It raises a
            ``UserError`` where the splits contradict each other.
        example: The files by which the format is recognised, for messages.
    """

    find: Callable[['Contents', Mapping[str, str]], list[Layout]]
    read_classes: Callable[[Layout], tuple[str, ...]]
    example: str

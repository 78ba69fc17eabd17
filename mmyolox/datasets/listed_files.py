"""Whether the files that annotations name are there, told by listing their folders."""

import math
import os
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError, first_few
from mmyolox.files import from_here

from . import annotation_cache
from .shards import member_names, split_shard

_OPTIONS = 'img_prefix (of a data set, data_prefix)'
_BLOCK = 2**14
_MOST_FOLDERS = 2**17
"""Of more folders than this no dates are kept."""


def check_files_exist(
    ann_file: str, what: str, folder: str, paths: Sequence[str], name: str | None = None
) -> None:
    """Checks that files are there, with one directory listing a folder instead of one stat a file.

    Args:
        ann_file: The file that lists them, for the message.
        what: What the files are, for the message: ``'images'``.
        folder: The folder that they are in, checked too.
        paths: The files, ``folder`` included; subfolders are allowed. They are walked through, so that a
            column of texts takes no memory for them.
        name: The name of an entry of the annotation cache that stands for these paths. Dates of their folders
            are kept there, and folders of the same dates are not listed again; None to list them each time.

    Raises:
        UserError: ``folder`` is no folder, or files are absent.
    """
    if not os.path.isdir(folder or '.'):
        raise UserError(
            f'{from_here(folder)}, the folder of the {what}, not found; check data_root and {_OPTIONS}'
        )
    kept = annotation_cache.find(name)
    if kept is not None and all(_stamp(parent) == stamp for parent, stamp in kept.info.items()):
        return
    parents = {path[: path.rfind(os.sep) + 1] for path in paths}
    before = time.time_ns() - annotation_cache.TICK
    stamps = {parent: _stamp(parent, before) for parent in parents}
    numbers = np.sort(np.concatenate([np.empty(0, np.int64), *map(_hashes, _blocks(paths))]))
    is_listed = _are_listed(numbers, parents)
    if is_listed.all():
        if name is not None and all(stamps.values()) and len(stamps) <= _MOST_FOLDERS:
            annotation_cache.keep(name, {}, stamps)
        return
    absent = []
    for block in _blocks(paths):
        is_found = is_listed[np.searchsorted(numbers, _hashes(block))]
        # `isfile` has the last word: of links, and where a file system ignores case or normalises names.
        absent += [block[i] for i in np.flatnonzero(~is_found) if not os.path.isfile(block[i])]
    if absent:
        inside = first_few(_inside(path, folder) for path in absent)
        hint = _hint(absent[0], folder, are_all=len(absent) == len(paths))
        raise UserError(
            f'{ann_file}: {len(absent)} of {len(paths)} {what} are not in {folder}: {inside}{hint}'
        )


def _hint(path: str, folder: str, are_all: bool) -> str:
    """The end of a message about an absent file, where another one may be meant, or all files are absent."""
    inside, last = _inside(path, folder), os.path.basename(path)
    above = os.path.dirname(os.path.abspath(folder))
    if are_all and os.path.isfile(os.path.join(above, inside)):
        return f'; they are in {above}: correct {_OPTIONS}'
    if last != inside and os.path.isfile(os.path.join(folder, last)):
        return f'; {last} is in {folder} itself: leave the folders out of the names'
    names = {entry.name for entry in _entries(os.path.dirname(path))} - {last}
    alike = sorted(name for name in names if _folded(name) == _folded(last))
    if alike:
        return f'; there is {alike[0]!a}, of other upper and lower case or Unicode: rename one of the two'
    return ''


def _folded(name: str) -> str:
    """A name without what file systems may ignore: upper and lower case, and the form of its Unicode."""
    return unicodedata.normalize('NFC', name).casefold()


def _inside(path: str, folder: str) -> str:
    """A path relative to a folder; one elsewhere, as of another computer, as it is."""
    inside = os.path.relpath(path, folder or '.')
    return path if inside.startswith(os.pardir) and os.path.isabs(path) else inside


def list_folder(folder: str) -> set[str]:
    """The names in a folder of what is there and no folder; none if it cannot be listed."""
    return {entry.name for entry in _entries(folder) if _is_there(entry)}


def _are_listed(numbers: NDArray[np.int64], folders: Iterable[str]) -> NDArray[np.bool_]:
    """(N,) bool, which files are in one of some folders, and no links.

    Args:
        numbers: (N,) the hashes of their paths, rising. Of millions of files the names would fill the memory.
        folders: The folders, each with a separator at the end.
    """
    is_listed = np.zeros(len(numbers), np.bool_)
    for folder in folders:
        names = _files_in(folder)
        while len(listed := _hashes([folder + name for name in islice(names, _BLOCK)])):
            listed.sort()  # the search is several times as fast
            positions = np.minimum(np.searchsorted(numbers, listed), len(numbers) - 1)
            is_listed[positions[numbers[positions] == listed]] = True
    # Of a path that comes twice the first is found.
    is_listed[1:] |= numbers[1:] == numbers[:-1]
    return is_listed


def _files_in(folder: str) -> Iterator[str]:
    """The names of the files in a folder, and no links; of those of a shard, where it is one or is in one."""
    if place := split_shard(f'{folder}*'):
        shard, anything = place
        inner = anything[:-1]
        yield from (name[len(inner) :] for name in member_names(shard) if name.startswith(inner))
    else:
        yield from (entry.name for entry in _entries(folder) if entry.is_file(follow_symlinks=False))


def _blocks(paths: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(paths)
    while block := [*islice(rest, _BLOCK)]:
        yield block


def _hashes(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def _stamp(folder: str, before: float = math.inf) -> list[int] | None:
    """The stamp of a folder; None where there is none, or where it was changed after ``before``, nanoseconds.

    What was changed within the same tick as it was listed may have changed since.
    """
    place = split_shard(f'{folder}*')
    try:
        status = os.stat(place[0] if place else folder or '.')
    except (OSError, ValueError):  # the latter: a null byte in the name
        return None
    is_settled = annotation_cache.latest_date(status) < before
    return [*annotation_cache.stamp(status)] if is_settled else None


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing if it cannot be listed."""
    try:
        with os.scandir(folder or '.') as entries:
            yield from entries
    except (OSError, ValueError):  # the latter: a null byte in the name
        return


def _is_there(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():  # perhaps to nothing, or to itself, of which `is_dir` raises an error
        return os.path.exists(entry.path) and not os.path.isdir(entry.path)
    return not entry.is_dir()

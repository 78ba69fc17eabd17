"""Parsed annotations that later starts map instead of reading the annotations again.

They are files of :class:`.columns.Columns` in the folder ``annotations`` of the cache folder
(:func:`mmyolox.files.cache_folder`), named by a digest of what they were made from: the content of one
annotation file, wherever it lies, or the paths and stamps of many small ones, the options, the version and
the source files of this package: a working copy changes without its version. Nothing there is ever needed:
what is damaged, absent or of another version is made anew.

The environment variable ``MMYOLOX_ANNOTATION_CACHE`` says how many GB the folder may have (10): what was not
used for longest goes first. 0 keeps nothing. To clear it, delete the folder.
"""

import functools
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmyolox.errors import UserError
from mmyolox.files import atomic_write, cache_folder
from mmyolox.version import __version__

from .columns import Array, Columns, DamagedError, write_columns

LIMIT_VARIABLE = 'MMYOLOX_ANNOTATION_CACHE'
SMALLEST = 2**20
"""Annotations of fewer bytes than this are read anew each time: it takes no longer than a look here."""
_SUFFIX = '.columns'
_BLOCK = 2**22
TICK = 2 * 10**9
"""Nanoseconds within which a file system may give two contents the same date."""


def limit() -> int:
    """How many bytes may be kept; 0 for nothing.

    Raises:
        UserError: The variable is no number.
    """
    text = os.environ.get(LIMIT_VARIABLE, '10')
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 10**9:
        raise UserError(f'{LIMIT_VARIABLE}={text!r}: a number of GB is needed, 0 for no cache')
    return int(size * 10**9)


def content_digest(path: str) -> str | None:
    """A digest of a local file's content; None where nothing is to be kept of it.

    It is computed once and remembered by the file's path and stamp.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not os.path.isfile(path) or status.st_size < SMALLEST or not _is_on():
        return None
    stamped = [os.path.realpath(path), *stamp(status)]
    note = _folder() / f'{_digest(stamped[:1])}.json'
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(note.read_text())
        # What was written within the same tick as it was read may have changed since.
        if noted['stamp'] == stamped and noted['read'] > latest_date(status) + TICK:
            os.utime(note)
            return str(noted['digest'])
    hasher, read = hashlib.sha256(), time.time_ns()
    with suppress(OSError), open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
        text = json.dumps(dict(stamp=stamped, read=read, digest=hasher.hexdigest()))
        if _can_write():
            with suppress(OSError, UserError), atomic_write(note) as part:
                part.write_text(text)
        return hasher.hexdigest()
    return None


def listing_digest(paths: Iterable[str]) -> str | None:
    """A digest of the paths and stamps of files, for annotations of many small files.

    None where nothing is to be kept: they are few or have just been written, or one is absent.
    """
    hasher, size, newest = hashlib.sha256(), 0, 0
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        size += status.st_size
        newest = max(newest, latest_date(status))
        hasher.update('\0'.join(map(str, [path, *stamp(status), ''])).encode(errors='surrogatepass'))
    is_kept = size >= SMALLEST and _is_on() and newest + TICK < time.time_ns()
    return hasher.hexdigest() if is_kept else None


def stamp(status: os.stat_result) -> tuple[int, ...]:
    """What is another number after a file was written or replaced, or after a folder got or lost a file.

    Archives and copies keep sizes and dates of content (``rsync -t``), but nobody sets the date of the inode.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def latest_date(status: os.stat_result) -> int:
    """When a file was last written or replaced, or a folder got or lost a file, in nanoseconds."""
    return max(status.st_mtime_ns, status.st_ctime_ns)


def entry_name(kind: str, key: Mapping[str, Any]) -> str:
    """The name of what is made of ``key``, which JSON can hold; ``kind`` says what that is."""
    return f'{kind}-{_digest([__version__, _sources(), sys.byteorder, key])}'


@functools.cache
def _sources() -> str:
    """A digest of the source files of all that reads annotations."""
    hasher = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob('*.py')):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def find(name: str | None) -> Columns | None:
    """What was kept under a name; None where there is none, or where it is damaged, which is then removed."""
    if name is None:
        return None
    path = _folder() / f'{name}{_SUFFIX}'
    try:
        columns = Columns.opened(path)
        if columns.name != name:
            raise DamagedError('it is another file, copied over this one')
    except DamagedError as error:
        print_log(f'{path}: {error}; what it held is read anew', 'current', logging.WARNING)
        with suppress(OSError):
            path.unlink()
        return None
    except OSError:
        return None
    with suppress(OSError):
        os.utime(path)  # used now
    return columns


def keep(name: str | None, arrays: Mapping[str, Array], info: Any) -> Columns:
    """Writes a file for later starts, whole or not at all, and maps it; without a name, memory holds it."""
    if name is not None and _can_write():
        path = _folder() / f'{name}{_SUFFIX}'
        try:
            with atomic_write(path) as part:
                write_columns(part, arrays, info, name)
            _make_room(path)
            return Columns.opened(path)
        except (OSError, UserError, DamagedError) as error:
            _tell(str(error))
    return Columns.of(arrays, info)


def _is_on() -> bool:
    if not limit():
        return False
    try:
        _folder()
    except UserError as error:
        _tell(str(error))
        return False
    return True


def _folder() -> Path:
    return cache_folder() / 'annotations'


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """An array of NumPy as JSON has it."""
    return value.tolist()


def _can_write() -> bool:
    """Whether the folder takes files; one line in the log if not."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _tell(f'{folder} cannot be made ({error.strerror})')
        return False
    if not os.access(folder, os.W_OK):
        _tell(f'{folder} cannot be written to')
        return False
    return True


@functools.cache
def _tell(reason: str) -> None:
    print_log(f'parsed annotations are not kept for the next start: {reason}', 'current', logging.WARNING)


def _make_room(newest: Path) -> None:
    """Removes what was not used for longest until the rest is small enough."""
    files = []
    for path in newest.parent.glob('[!.]*'):  # not what others are writing
        with suppress(OSError):  # another process may have removed it
            status = path.stat()
            files.append((path != newest, -status.st_mtime, status.st_size, path))
    total = 0
    for _, _, size, path in sorted(files):
        total += size
        if total > limit() and path != newest:
            with suppress(OSError):
                path.unlink()

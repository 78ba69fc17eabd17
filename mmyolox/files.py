"""Files: which are images, where ours are; reading texts; writing whole; what is said when it fails."""

import errno
import json
import os
import shutil
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import IO
from uuid import uuid4

from mmyolox.errors import UserError

PICTURE_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'})
ARCHIVE_SUFFIXES = frozenset({'.zip', '.tar', '.gz', '.tgz', '.7z', '.rar', '.bz2', '.xz'})
IMAGE_SUFFIXES = PICTURE_SUFFIXES | {'.npy'}  # arrays of any number of channels

_REASONS = {
    errno.ENOSPC: 'make room',
    errno.EDQUOT: 'make room',
    errno.EFBIG: 'raise the limit on the size of files (ulimit -f)',
    errno.EROFS: 'name another folder',
    errno.EACCES: 'name another folder, or change its rights',
    errno.EPERM: 'name another folder, or change its rights',
    errno.EIO: 'look at the disk',
    errno.ENOTDIR: 'name another folder',
    errno.ENOENT: 'name another folder',
    errno.ELOOP: 'name another folder',
    errno.EEXIST: 'name another folder',
    errno.EISDIR: 'name a file',
    errno.ENAMETOOLONG: 'choose a shorter name',
}
"""What the system can say of a file that cannot be written, and what to do."""
_OF_OPEN_FILES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a write itself, which name no file. Others without a name are not of files: a socket, a queue."""


def assets_folder() -> Path:
    """The folder that has our ``configs`` and ``tools``: ``.mim`` of an installation, else the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / '.mim'
    return installed if (installed / 'configs').is_dir() else package.parent


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns the error of a write in the block into a line that names the file and the reason.

    Args:
        path: The file, or the folder, that the block writes.

    Raises:
        UserError: The system does not take the file. Errors of files elsewhere pass.
    """
    try:
        yield
    except OSError as error:
        target = Path(path).absolute()
        is_unnamed = error.filename is None
        named = target if is_unnamed else Path(os.fsdecode(error.filename)).absolute()
        is_part = named.parent == target.parent and named.name.startswith(f'.{target.stem}-')
        # Itself, a file in it, or a folder above it that cannot be made.
        is_ours = is_part or named in target.parents or target in (named, *named.parents)
        if error.errno not in (_OF_OPEN_FILES if is_unnamed else _REASONS) or not is_ours:
            raise
        raise UserError(f'{path} cannot be written: {error.strerror}{advice_on(error)}') from error


def advice_on(error: OSError) -> str:
    """The end of a message about a failed write, ``; make room``; ``''`` where nothing is known to help."""
    return f'; {_REASONS[error.errno]}' if error.errno in _REASONS else ''


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which replaces ``path`` when the block ends well.

    The temporary file lies in the same folder (made if absent), so that the replacement is one step of the
    file system; its content is on the disk before. If the block raises, it is removed and ``path`` stays as
    it was. What a killed process of this machine left of an earlier write of ``path`` is removed.

    Args:
        path: The file to write.

    Yields:
        The file to write instead; it has the same suffix, and exists already.

    Raises:
        UserError: The system does not take the file, or it is no regular one.
    """
    path = Path(path)
    with writing(path):
        _check_is_file(path)
        part = _new_part(path)
        try:
            part.touch()
            yield part
            with open_unshared(part, 'rb+') as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_unshared: set[int] = set()
"""The descriptors of :func:`open_unshared`."""


@contextmanager
def open_unshared(path: Path, mode: str) -> Iterator[IO[bytes]]:
    """Opens a file that no fork of this process gets, such as the data workers, which other threads start.

    A file that is removed takes its room on the disk as long as a process has it open.

    Args:
        path: The file.
        mode: How it is opened, in binary.
    """
    with path.open(mode) as file:
        descriptor = file.fileno()
        _unshared.add(descriptor)
        try:
            yield file
        finally:
            _unshared.discard(descriptor)


def _close_unshared() -> None:
    """Closes what a fork of the process has got; the objects belong to threads that it has not."""
    while _unshared:
        with suppress(OSError):
            os.close(_unshared.pop())


if hasattr(os, 'register_at_fork'):  # not on Windows
    os.register_at_fork(after_in_child=_close_unshared)


@contextmanager
def folder_beside(path: str | Path) -> Iterator[Path]:
    """Gives a temporary folder to write to, from which what is to be called ``path`` can be renamed.

    It lies in the same folder (made if absent), and is removed at the end; what a killed process of this
    machine left of an earlier one is removed before.

    Args:
        path: The file or folder to write.

    Yields:
        The temporary folder, empty.

    Raises:
        UserError: The system does not take it.
    """
    path = Path(path)
    with writing(path):
        part = _new_part(path)
        try:
            part.mkdir()
            yield part
        finally:
            remove(part)


def cache_folder() -> Path:
    """The folder for what can be had again at the cost of time, such as downloads; it may be absent.

    It is ``$MMYOLOX_HOME``, else ``mmyolox`` in ``$XDG_CACHE_HOME``, which is ``~/.cache`` by default.

    Raises:
        UserError: The user has no home folder, and the environment names none.
    """
    home = os.environ.get('MMYOLOX_HOME')
    folder = Path(home) if home else Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'mmyolox')
    try:
        return folder.expanduser().absolute()
    except RuntimeError as error:
        raise UserError(
            f'the cache folder {folder} cannot be told: {error}; name one by MMYOLOX_HOME'
        ) from error


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_folder(folder: str | Path) -> None:
    """Checks that files can be written to a folder, before the work that they are to hold.

    Args:
        folder: The folder. If it is absent it could be made, but is not.

    Raises:
        UserError: The system does not take files there.
    """
    with writing(folder):
        _try_part(Path(folder, 'any'))


def check_target(path: str | Path) -> None:
    """Checks that a file can be written, as :func:`check_folder` does; what it holds stays.

    Raises:
        UserError: It is no regular file, or the system does not take files in its folder.
    """
    path = Path(path)
    with writing(path):
        _check_is_file(path)
        _try_part(path)


def _check_is_file(path: Path) -> None:
    """Raises a ``UserError`` for a folder, a pipe or a device, which no file may replace."""
    if path.exists() and not path.is_file():
        raise UserError(f'{path} cannot be written: it is a folder, a pipe or a device; name a file')


def _try_part(path: Path) -> None:
    """Makes the folder of a file and a part file, and removes what was made; raises OSError if that fails."""
    # Rights and mounts alone do not tell: /proc takes no folder of anyone.
    made = [one for one in path.parents if not one.exists()]
    part = _part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.unlink()
    finally:
        for one in made:
            with suppress(OSError):
                one.rmdir()


def _part_prefix(path: Path) -> str:
    return f'.{path.stem}-{socket.gethostname()}-'


def _part_of(path: Path) -> Path:
    """The name of what a write of ``path`` by this process fills first."""
    return path.with_name(f'{_part_prefix(path)}{os.getpid()}-{uuid4().hex[:8]}.part{path.suffix}')


def _new_part(path: Path) -> Path:
    """The same, in a folder that is there, without what processes that ended have left of earlier writes."""
    prefix = _part_prefix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(path.parent):
        writer, _, end = name.removeprefix(prefix).partition('-')
        is_part = name.startswith(prefix) and writer.isdigit() and end.endswith(f'.part{path.suffix}')
        if is_part and not Path(f'/proc/{writer}').exists() and Path('/proc/self').exists():
            remove(path.with_name(name))
    return _part_of(path)


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, with or without a byte order mark, UTF-16 or UTF-32: what editors write.

    Bytes that are no UTF-8 become lone surrogates, as in the names of files, so that a list finds its files.

    Raises:
        UserError: It cannot be read, or is a pipe or a device, which would never end.
    """
    try:
        if is_special(path):  # a pipe would wait for ever
            raise UserError(f'{path}: not a regular file')
        content = Path(path).read_bytes()
        return content.decode(json.detect_encoding(content), errors='surrogateescape')
    except (OSError, ValueError) as error:  # the latter: a null byte in the name, half a character of UTF-16
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'{path}: cannot be read ({reason})') from None


def from_here(path: str | Path) -> str:
    """A path as a message names it; of a relative one it says what it is relative to."""
    text = str(path)
    return text if '://' in text or os.path.isabs(text) else f'{text} (relative to {os.getcwd()})'


def is_special(path: str | Path) -> bool:
    """Whether there is something at a path that is no regular file: a folder, pipe, device or broken link."""
    return os.path.lexists(path) and not os.path.isfile(path)


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file without surrounding space, empty ones left out."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def path_endings(path: str) -> list[str]:
    """A path, perhaps of another computer or of Windows, and what is left of it without its first folders.

    Args:
        path: The path; folders are divided by ``/`` or by a backslash.

    Returns:
        The path with ``/`` alone, then without its first folder, and so on to its last part.
    """
    parts = PureWindowsPath(path).parts
    return ['/'.join(parts[start:]) for start in range(len(parts))]


def copy_pair(source: Path, target: Path, suffix: str) -> None:
    """Copies a file together with the one of another suffix beside it: both, or neither.

    Args:
        source: The file.
        target: Its copy, which is the last to be there.
        suffix: The suffix of the other file and its copy.

    Raises:
        UserError: The system does not take the copies.
    """
    with atomic_write(target) as part, atomic_write(target.with_suffix(suffix)) as other:
        shutil.copyfile(source, part)
        shutil.copyfile(source.with_suffix(suffix), other)


def is_archive(path: Path) -> bool:
    """Whether a file is called like an archive, which has to be unpacked first."""
    return path.suffix.lower() in ARCHIVE_SUFFIXES


def list_images(folder: str | Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """All image files under a folder, subfolders and links to folders included, sorted by path."""
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        # A link to a folder above would lead here again, without end.
        if (place := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(place)
        # A folder called photo.jpg is among them, so that it is named as no image.
        paths = (Path(parent, name) for name in (*names, *folders))
        found += [path for path in paths if path.suffix.lower() in suffixes]
    return sorted(found)


def some_images(folder: Path, count: int) -> list[Path]:
    """At most ``count`` of the images in a folder, spread evenly over the sorted ones.

    Raises:
        UserError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f'images {folder}: there is no such folder')
    if not (paths := list_images(folder)):
        raise UserError(f'images {folder}: there is no image in this folder')
    count = min(count, len(paths))
    return [paths[index * len(paths) // count] for index in range(count)]

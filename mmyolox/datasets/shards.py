"""Shards: tar files as folders of images, of which any member is read by itself, or with its neighbours.

A tar file stores its members as they are, so that a member is a stretch of bytes. Where each begins is told
by an index beside the shard, ``train-000000.idx`` of ``train-000000.tar``, in the format of NVIDIA DALI's
``wds2idx``; without one a local shard is scanned when it is opened. Paths name a member behind its shard:
``images/train-000000.tar/a.jpg``.
"""

import functools
import json
import os
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mmengine.fileio import LocalBackend, get_file_backend

from mmyolox.errors import UserError
from mmyolox.files import IMAGE_SUFFIXES

SUFFIX, INDEX_SUFFIX = '.tar', '.idx'
INSIDE = f'{SUFFIX}/'
"""What a path to a member has in it, and hardly any other."""
UNIT = 64
"""How many images in a row are read in one go, where several of them are wanted."""

MAX_FILE_BYTES = 2**30
"""An image file is smaller."""
_VERSION = 'v1.2'
_BLOCK = 512
_OPEN_SHARDS = 64
_RECENT_UNITS = 64
_LONGEST_UNIT, _MOST_BYTES = 2**26, 2**28
"""What a unit may have to be read in one go; what all that were read from elsewhere take in a process."""


class Member(NamedTuple):
    """Where a member of a shard is, in bytes."""

    offset: int
    """Where its content begins; its header of 512 bytes is in front of it."""
    size: int


def split_shard(path: str) -> tuple[str, str] | None:
    """The shard and the member that a path names; None for any other path.

    Args:
        path: The path, such as ``images/train-000000.tar/a.jpg``. Folders above may be called like a shard.
    """
    place = path.find(INSIDE)
    while place >= 0:
        end = place + len(SUFFIX)
        if not os.path.isdir(path[:end]):
            return path[:end], path[end + 1 :]
        place = path.find(INSIDE, end)
    return None


def index_path(shard: str) -> str:
    """The index of a shard, beside it."""
    return shard.removesuffix(SUFFIX) + INDEX_SUFFIX


def sample_key(name: str) -> str:
    """What the members of a sample of WebDataset share: the name up to the first dot of its last part."""
    folder, slash, last = name.rpartition('/')
    return folder + slash + last.partition('.')[0]


def format_index(members: Mapping[str, Member]) -> str:
    """The text of an index: a line for each sample, with suffix, offset, size and name of its members.

    Raises:
        ValueError: A name has a blank in it, by which an index is divided.
    """
    lines: list[list[str]] = []
    last = None
    for name, (offset, size) in members.items():
        if name.split() != [name]:
            raise ValueError(f'the name {name!r} has a blank in it')
        key = sample_key(name)
        if key != last:
            lines.append([])
        last = key
        lines[-1] += [name[len(key) + 1 :], str(offset), str(size), name]
    return '\n'.join([f'{_VERSION} {len(lines)}', *map(' '.join, lines), ''])


def parse_index(text: str) -> dict[str, Member]:
    """Reads the text of an index.

    Raises:
        ValueError: It is none, of another version, or cut off.
    """
    first, *lines = text.splitlines()
    if first.split() != [_VERSION, str(len(lines))]:
        raise ValueError(f'it begins with {first[:20]!r}, not with {_VERSION} and its {len(lines)} samples')
    members = {}
    for line in lines:
        words = line.split(' ')
        for _, offset, size, name in zip(*[iter(words)] * 4, strict=True):
            members[name] = Member(int(offset), int(size))
    return members


def scan_shard(path: str) -> tuple[dict[str, Member], list[str]]:
    """Finds the members of a local shard by their headers.

    Args:
        path: The tar file, which is not compressed.

    Returns:
        The files in it, in their order; and what is damaged or a link, a few words each. Behind a damaged
        header the next good one is looked for.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no tar file.
    """
    members: dict[str, Member] = {}
    faults = []
    try:
        with tarfile.open(path, 'r:', ignore_zeros=True) as tar:
            end, info = 0, tar.next()
            while info is not None:
                if info.offset != end:
                    faults.append(f'a header is damaged at byte {end}')
                if info.isreg():
                    members[info.name] = Member(info.offset_data, info.size)
                elif info.islnk() or info.issym():
                    faults.append(f'{info.name} is a link, which is not followed')
                end = info.offset_data + -(-info.size // _BLOCK) * _BLOCK * info.isreg()
                try:
                    info = tar.next()
                except tarfile.TarError as error:
                    faults.append(f'{error} before byte {end}')
                    break
    except tarfile.TarError as error:
        raise ValueError(f'no tar file ({error})') from error
    if not members:
        raise ValueError('no tar file, or an empty or compressed one')
    return members, faults


def member_names(shard: str, backend_args: dict | None = None) -> Iterable[str]:
    """The names of the members of a shard; none if it cannot be read."""
    try:
        return open_shard(shard, backend_args).members
    except (OSError, ValueError):
        return ()


class Shard:
    """The members of a shard, and how to read them.

    Args:
        members: The members by name, in the order of the file.
        read: Reads bytes of the file, given where and how many.
        read_ahead: The same, of what will be wanted next: returns the bytes, or None where the system keeps
            them.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        read: Callable[[int, int], bytes],
        read_ahead: Callable[[int, int], bytes | None],
    ) -> None:
        self.members = members
        self._read = read
        self._read_ahead = read_ahead
        images = [member for name, member in members.items() if is_image(name)]
        units = [images[first : first + UNIT] for first in range(0, len(images), UNIT)]
        self._spans = [(unit[0].offset - _BLOCK, sum(unit[-1])) for unit in units]
        self._units = {member.offset: number for number, unit in enumerate(units) for member in unit}

    def read(self, name: str) -> bytes:
        """The content of a member.

        A unit of neighbours is read in one go when the second of them is wanted: beside a random image there
        is none.

        Raises:
            OSError: The shard cannot be read.
            ValueError: There is no such member, or it is damaged.
        """
        if name not in self.members:
            raise ValueError('the shard has no such member')
        offset, size = self.members[name]
        if not (_BLOCK <= offset < 2**62 and 0 <= size < MAX_FILE_BYTES):
            raise ValueError(f'it has {size} bytes at byte {offset}; an image has fewer than 2**30')
        first, length = offset - _BLOCK, size + _BLOCK
        unit = self._units.get(offset)
        kept = None if unit is None else _UNITS.get((self, unit), functools.partial(self._ahead, unit))
        start = 0 if unit is None else self._spans[unit][0]
        content = self._read(first, length) if kept is None else kept[first - start : first - start + length]
        if len(content) < length:
            raise ValueError('the shard breaks off')
        _check_header(content[:_BLOCK], name, size)
        return content[_BLOCK:]

    def _ahead(self, unit: int) -> bytes | None:
        start, end = self._spans[unit]
        return self._read_ahead(start, end - start) if end - start <= _LONGEST_UNIT else None


class _Units:
    """The units that were wanted last, and the bytes of those that no system keeps for us."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[Shard, int], bytes | None] = OrderedDict()

    def get(self, key: tuple[Shard, int], read: Callable[[], bytes | None]) -> bytes | None:
        """The bytes of a unit, from the second time on; None if they are to be read one by one."""
        if key not in self._recent:
            self._recent[key] = None
        elif self._recent[key] is None:
            self._recent[key] = read()
        self._recent.move_to_end(key)
        while len(self._recent) > _RECENT_UNITS or self._num_bytes() > _MOST_BYTES:
            self._recent.popitem(last=False)
        return self._recent.get(key)

    def _num_bytes(self) -> int:
        return sum(len(content) for content in self._recent.values() if content is not None)


_UNITS = _Units()


def is_image(name: str) -> bool:
    """Whether a member is called like an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def open_shard(path: str, backend_args: dict | None = None) -> Shard:
    """Opens a shard; those that were opened last stay open.

    Args:
        path: The tar file, local or one that ``backend_args`` can read, if its backend reads ranges
            (``get_range``).
        backend_args: The arguments of :func:`mmengine.fileio.get_file_backend`.

    Raises:
        OSError: It, or the index of one elsewhere, cannot be read.
        ValueError: It is no tar file, or its index none.
        UserError: The backend reads no ranges.
    """
    return _opened(path, json.dumps(backend_args))


@functools.lru_cache(_OPEN_SHARDS)
def _opened(path: str, backend_args: str) -> Shard:
    backend = get_file_backend(path, backend_args=json.loads(backend_args), enable_singleton=True)
    index = index_path(path)
    if not isinstance(backend, LocalBackend):
        if not hasattr(backend, 'get_range'):
            raise UserError(f'{path}: {type(backend).__name__} reads no parts of files, as shards need')
        read = functools.partial(backend.get_range, path)
        return Shard(_parsed(index, backend.get(index)), read, read)
    # Without a buffer, and with its own position in each read: forked workers share it.
    file = open(path, 'rb', buffering=0)  # noqa: SIM115
    if os.path.isfile(index):
        with open(index, 'rb') as opened:
            members = _parsed(index, opened.read())
    else:
        members = scan_shard(path)[0]

    def read_here(offset: int, size: int) -> bytes:
        if hasattr(os, 'pread'):
            return os.pread(file.fileno(), size, offset)
        file.seek(offset)  # on Windows, where no worker is forked
        return file.read(size)

    def advise(offset: int, size: int) -> None:
        if hasattr(os, 'posix_fadvise'):
            os.posix_fadvise(file.fileno(), offset, size, os.POSIX_FADV_WILLNEED)

    return Shard(members, read_here, advise)


def _parsed(path: str, content: bytes) -> dict[str, Member]:
    try:
        return parse_index(content.decode('utf-8', 'surrogateescape'))
    except ValueError as error:
        raise ValueError(f'the index {path} is damaged: {error}') from None


def _check_header(header: bytes, name: str, size: int) -> None:
    """Checks that a header is that of a member: an index of an earlier file would give bytes of others."""
    try:
        info: Any = tarfile.TarInfo.frombuf(header, 'utf-8', 'surrogateescape')
    except tarfile.HeaderError as error:
        raise ValueError(f'its header in the shard is damaged: {error}') from None
    is_whole_name = len(name) < 100 and name.isascii()  # others stand in a header of their own
    if info.size != size or (is_whole_name and info.name != name):
        raise ValueError('the index is of another file than the shard: remove it, or write it anew')

"""Named arrays in one mapped block of bytes, in memory or in a file, that processes share without copies.

A file is: the magic bytes, length and CRC-32 of the header, the header (JSON), and the arrays, each at
a multiple of 64 bytes. The header has a CRC-32 of every block of some megabytes. A file holds numbers and
texts alone, and nothing that could run.
"""

import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError
from mmyolox.files import advice_on

from .shared_bytes import SharedBytes

_MAGIC = b'MMYXCOL1'
_ALIGNMENT = 64
_START = len(_MAGIC) + 8 + 4
_BLOCK = 2**22
"""How many bytes have a checksum of their own."""
_CHECKED = 2**27
"""How many bytes are compared with their checksums whenever a file is opened: in a tenth of a second."""

Array = NDArray[Any]


class DamagedError(ValueError):
    """A file is none of :class:`Columns`, or not as it was written."""


class Columns(Mapping[str, Array]):
    """Read-only arrays by name, and a value of JSON that describes them.

    A forked worker sees the same memory, and a spawned one maps it; a copy of an object that has it shares
    it too.

    Args:
        shared: The bytes, of :meth:`of` or of a file.

    Attributes:
        info: The value that describes them.
        name: What they were called when they were written.

    Raises:
        DamagedError: The header is not as it was written, or the file has another length.
    """

    def __init__(self, shared: SharedBytes) -> None:
        self._shared = shared
        content = shared.array
        start = content[:_START].tobytes()
        length = int.from_bytes(start[len(_MAGIC) : -4], 'little')
        header = content[_START : _START + length].tobytes()
        is_ours = start[: len(_MAGIC)] == _MAGIC and len(header) == length > 0
        if not is_ours or zlib.crc32(header) != int.from_bytes(start[-4:], 'little'):
            raise DamagedError('the header is damaged')
        described = json.loads(header)
        self.info = described['info']
        self.name: str = described['name']
        self._blocks: list[tuple[int, int]] = described['blocks']
        size = sum(block_size for block_size, _ in self._blocks)
        self._first = _START + length
        if len(content) != self._first + size:
            raise DamagedError(f'{len(content)} bytes instead of {self._first + size}')
        self._arrays = {
            name: self._view(dtype, shape, offset)
            for name, (dtype, shape, offset) in described['arrays'].items()
        }

    def _view(self, dtype: str, shape: Sequence[int], offset: int) -> Array:
        start = self._first + offset
        kind = np.dtype(dtype)
        end = start + kind.itemsize * int(np.prod(shape, dtype=np.int64))
        return self._shared.array[start:end].view(kind).reshape(shape)

    @classmethod
    def of(cls, arrays: Mapping[str, Array], info: Any) -> 'Columns':
        """Copies arrays to memory that processes share.

        Raises:
            UserError: The system does not give as much.
        """
        header, size = _header(arrays, info)
        try:
            shared = SharedBytes(size)
            for offset, piece in _pieces(header, arrays):
                shared.write(offset, piece)
        except OSError as error:
            raise UserError(
                f'{size / 1e6:.0f} MB of annotations do not go into memory that data workers share: '
                f'{error.strerror}{advice_on(error)}'
            ) from error
        return cls(shared)

    @classmethod
    def opened(cls, path: str | Path) -> 'Columns':
        """Maps a file.

        Raises:
            OSError: There is none, or it cannot be read.
            DamagedError: It is not as it was written. Of a file beyond 128 MiB so much of its content is
                compared, other parts each time.
        """
        columns = cls(SharedBytes.opened(path))
        sizes = [size for size, _ in columns._blocks]
        starts = [*accumulate(sizes, initial=columns._first)]
        first, compared = time.time_ns() % max(len(sizes), 1), 0
        with open(path, 'rb') as file:  # reads, where going through the map would count as memory
            for number in (*range(first, len(sizes)), *range(first)):
                if compared >= _CHECKED:
                    break
                compared += sizes[number]
                file.seek(starts[number])
                if zlib.crc32(file.read(sizes[number])) != columns._blocks[number][1]:
                    raise DamagedError('the content is damaged')
        return columns

    def release(self) -> None:
        """Takes the arrays out of the process's memory until they are read again."""
        self._shared.release()

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __reduce__(self) -> Any:
        return Columns, (self._shared,)

    def __deepcopy__(self, memo: dict[int, Any]) -> 'Columns':
        return self


def write_columns(path: str | Path, arrays: Mapping[str, Array], info: Any, name: str = '') -> None:
    """Writes a file for :meth:`Columns.opened`.

    Args:
        path: The file.
        arrays: The arrays by name.
        info: What JSON can hold.
        name: What the columns are called.

    Raises:
        OSError: The system does not take it.
    """
    header, size = _header(arrays, info, name)
    with open(path, 'wb') as file:
        for offset, piece in _pieces(header, arrays):
            file.seek(offset)
            file.write(piece.reshape(-1).view(np.uint8).data)
        file.truncate(size)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _header(arrays: Mapping[str, Array], info: Any, name: str = '') -> tuple[bytes, int]:
    """The start of a file, and the size of the whole."""
    described, offset, blocks = {}, 0, []
    for key, array in arrays.items():
        described[key] = (array.dtype.str, array.shape, offset)
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for first in range(0, len(content), _BLOCK):
            block = content[first : first + _BLOCK]
            padding = bytes(_aligned(len(block)) - len(block))
            blocks.append((len(block) + len(padding), zlib.crc32(padding, zlib.crc32(block.data))))
        offset += _aligned(len(content))
    header = json.dumps(dict(name=name, info=info, arrays=described, blocks=blocks)).encode()
    header += b' ' * (_aligned(_START + len(header)) - _START - len(header))
    start = _MAGIC + len(header).to_bytes(8, 'little') + zlib.crc32(header).to_bytes(4, 'little') + header
    return start, len(start) + offset


def _pieces(header: bytes, arrays: Mapping[str, Array]) -> Iterator[tuple[int, Array]]:
    """The parts of a file and where each begins."""
    yield 0, np.frombuffer(header, np.uint8)
    offset = len(header)
    for array in arrays.values():
        if array.size:
            yield offset, np.ascontiguousarray(array)
        offset += _aligned(array.nbytes)

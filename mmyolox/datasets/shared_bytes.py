"""Bytes that a process and its workers see alike, whether the workers are forked or spawned."""

import mmap
import os
import tempfile
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SharedBytes:
    """A mapped file without a name, of zeros at first.

    Having no name, it is gone when the last process that has it open has ended, however that ended. Reading
    is through ``array``; writing is a call of the system, which reports a full disk as an error where
    a write through the map would kill the process. A spawned worker maps the same file; a copy has its own.

    Args:
        size: The size in bytes. Memory or disk space is taken as bytes are written.
        folder: The folder of the file. Without one it lies in memory, on systems that have ``memfd_create``
            (Linux; the size of ``/dev/shm`` does not matter), else in the folder for temporary files.

    Attributes:
        array: (size,) uint8, read-only.
    """

    array: NDArray[np.uint8]

    def __init__(self, size: int, folder: str | None = None) -> None:
        if folder is None and hasattr(os, 'memfd_create'):
            descriptor = os.memfd_create('mmyolox')
        else:
            with tempfile.TemporaryFile(dir=folder) as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
        self._map(descriptor)

    @classmethod
    def opened(cls, path: str | Path) -> 'SharedBytes':
        """The bytes of a file, for reading; it may be replaced or removed in the meantime.

        Raises:
            OSError: It cannot be read.
        """
        return _reopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def of(cls, data: NDArray[Any]) -> 'SharedBytes':
        """The bytes of a contiguous array, in memory."""
        shared = cls(data.nbytes)
        shared.write(0, data)
        return shared

    def _map(self, descriptor: int) -> None:
        # For closing alone: the writes go to the descriptor.
        self._file = open(descriptor, 'rb', buffering=0)  # noqa: SIM115
        size = os.fstat(descriptor).st_size
        # A map cannot be empty.
        self._content = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else None
        self.array = np.frombuffer(self._content or b'', np.uint8)

    def release(self) -> None:
        """Takes what was read out of the process's memory; the system reads it again when it is needed."""
        if self._content is not None and hasattr(mmap, 'MADV_DONTNEED'):
            self._content.madvise(mmap.MADV_DONTNEED)

    def write(self, offset: int, data: NDArray[Any]) -> None:
        """Writes a contiguous array.

        Raises:
            OSError: The disk is full.
        """
        rest = data.reshape(-1).view(np.uint8).data
        while rest:
            written = os.pwrite(self._file.fileno(), rest, offset)
            rest, offset = rest[written:], offset + written

    @property
    def unwritten(self) -> int:
        """Bytes for which no memory or disk space has been taken yet."""
        status = os.fstat(self._file.fileno())
        return max(0, status.st_size - 512 * status.st_blocks)

    def __reduce__(self) -> Any:
        if get_spawning_popen() is None:
            return SharedBytes.of, (self.array,)
        return _detach, (DupFd(self._file.fileno()),)


def _detach(duplicate: Any) -> SharedBytes:
    return _reopen(duplicate.detach())


def _reopen(descriptor: int) -> SharedBytes:
    shared = SharedBytes.__new__(SharedBytes)
    shared._map(descriptor)
    return shared

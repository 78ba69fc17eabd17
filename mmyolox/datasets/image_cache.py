"""Decoded images of a small data set, kept over epochs and shared by all workers."""

import copy
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.utils.memory import available_memory, processes_on_machine

from .shared_bytes import SharedBytes

MAX_SHARE = 0.8
"""What all caches together may take of the memory or disk space that is free before training."""

_EMPTY, _READY, _UNFIT = range(3)


class ImageCache:
    """Pixels of images by their index in the data set, for one process and its workers.

    Whichever process decodes an image first writes it; all others and all later epochs read it. Every image
    has its slot from the beginning, given by the annotated sizes, so that nothing is locked or moved. An
    image that is not of its annotated size, or has another number of channels, is decoded each time.

    In distributed training each process has a cache of its own, all of which count in what has to fit.

    Args:
        sizes: The sizes of the N images, as annotated.
        medium: The medium: ``'ram'``, or ``'disk'`` for a file that is gone when the last process has ended.
        folder: The folder of the file, for ``'disk'``; by default the system's for temporary files (see
            ``TMPDIR``), which on some systems lies in memory.
        channels: How many channels the images have.

    Raises:
        UserError: The images do not fit in what is free, or ``medium`` or ``folder`` cannot be used.
    """

    def __init__(
        self, sizes: Sequence[Size], medium: str, folder: str | None = None, channels: int = 3
    ) -> None:
        if medium not in ('ram', 'disk'):
            raise UserError(f"image_cache={medium!r} must be 'ram', 'disk' or None")
        if medium == 'ram' and not hasattr(os, 'memfd_create'):
            raise UserError("image_cache='ram' needs Linux; set image_cache='disk'")
        folder = (tempfile.gettempdir() if folder is None else folder) if medium == 'disk' else None
        if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
            raise UserError(f'image_cache_dir={folder!r} must be an existing folder that can be written to')
        self._channels = channels
        widths, heights = np.array(sizes, np.int64).reshape(-1, 2).T
        lengths = heights * widths * channels
        # One byte an image says what its slot holds; the slots follow.
        count, total = len(lengths), len(lengths) + int(lengths.sum())
        offsets = count + lengths.cumsum() - lengths
        self._slots = np.stack([np.arange(count), offsets, heights, widths], axis=1)
        _check_room(count, total, folder)
        self._bytes = SharedBytes(total, folder)
        self._bytes.write(0, np.full(count, _EMPTY, np.uint8))
        _LIVE[self._bytes] = _device(folder)

    def get(self, sample_idx: int) -> NDArray[np.uint8] | None:
        """The pixels (h, w, channels) of an image, a read-only view; None if they are not there."""
        state, offset, height, width = self._slots[sample_idx].tolist()
        if self._bytes.array[state] != _READY:
            return None
        length = height * width * self._channels
        return self._bytes.array[offset : offset + length].reshape(height, width, self._channels)

    def put(self, sample_idx: int, pixels: NDArray[np.uint8]) -> None:
        """Keeps the pixels (h, w, channels) uint8 of an image, for all processes."""
        state, offset, *shape_hw = self._slots[sample_idx].tolist()
        if self._bytes.array[state] != _EMPTY:
            return
        annotated = (*shape_hw, self._channels)
        if pixels.shape != annotated or pixels.dtype != np.uint8:
            decoded_as, annotated_as = ('x'.join(map(str, shape)) for shape in (pixels.shape, annotated))
            self._reject(state, f'it decodes to {decoded_as}, and is annotated as {annotated_as}')
            return
        try:
            self._bytes.write(offset, np.ascontiguousarray(pixels))
        except OSError as error:
            self._reject(state, error.strerror)
        else:
            self._mark(state, _READY)

    @property
    def unfit(self) -> int:
        """How many images could not be kept so far, in all processes."""
        return int(np.count_nonzero(self._bytes.array[self._slots[:, 0]] == _UNFIT))

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> 'ImageCache':
        """The cache of a data set that has images ``indices`` of this one; both share the pixels."""
        other = copy.copy(self)
        other._slots = self._slots[np.array(indices, np.int64)]
        return other

    def __deepcopy__(self, memo: dict) -> 'ImageCache':
        return self

    def _reject(self, state: int, reason: str | None) -> None:
        if not self.unfit:
            print_log(
                f'image_cache: image {state} is not kept, because {reason}; others like it are not named',
                'current',
                logging.WARNING,
            )
        self._mark(state, _UNFIT)

    def _mark(self, state: int, value: int) -> None:
        self._bytes.write(state, np.array([value], np.uint8))


_LIVE: weakref.WeakKeyDictionary[SharedBytes, int | None] = weakref.WeakKeyDictionary()
"""The caches of this process and the device of each, because they fill only once training has begun."""


def _device(folder: str | None) -> int | None:
    return None if folder is None else os.stat(folder).st_dev


def _check_room(count: int, size: int, folder: str | None) -> None:
    free = available_memory() if folder is None else shutil.disk_usage(folder).free
    promised = sum(other.unwritten for other, device in _LIVE.items() if device == _device(folder))
    processes = processes_on_machine()
    needed = processes * (size + promised)
    if needed <= MAX_SHARE * free:
        return
    medium, where, advice = (
        ('ram', 'of memory', "set image_cache='disk' or None")
        if folder is None
        else ('disk', f'in {folder}', 'set image_cache_dir to a folder with more space, or image_cache=None')
    )
    several = f' in each of {processes} processes' if processes > 1 else ''
    others = f', {promised / 1e9:.1f} GB for other caches' if promised else ''
    raise UserError(
        f'image_cache={medium!r} needs {needed / 1e9:.1f} GB for {count} images{several}{others}, but may '
        f'take {MAX_SHARE:.0%} of the {free / 1e9:.1f} GB free {where}; {advice}'
    )

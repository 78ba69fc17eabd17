"""What the files of the images say: size, orientation, and whether they can be read at all."""

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from mmyolox.datasets.canvas.images import UndecodableImageError, check_pixels, open_image, read_header
from mmyolox.deploy.letterbox import Size

from .copies import first_of_content
from .file_types import SIGNATURE_BYTES, PixelForm, file_type, read_pixel_form
from .workers import Distinct, Progress, in_threads, silent


class FileState(enum.IntEnum):
    """What can be said of a file by its header.

    Attributes:
        READABLE: It tells the size of an image.
        ABSENT: There is none.
        EMPTY: It has no bytes.
        TOO_LARGE: It has more pixels than are read: see :func:`.canvas.images.check_pixels`.
        UNREADABLE: It cannot be read, or is no image.
    """

    READABLE = 0
    ABSENT = 1
    EMPTY = 2
    TOO_LARGE = 3
    UNREADABLE = 4


class FileFacts(NamedTuple):
    """What one file says; see :class:`ImageFiles`."""

    state: FileState
    fault: str = ''
    num_bytes: int = 0
    type_name: str = ''
    stored: Size = Size(0, 0)
    upright: Size = Size(0, 0)
    orientation: int = 1
    form: PixelForm = PixelForm(0, 0)


@dataclass(frozen=True)
class ImageFiles:
    """The files of I images.

    Attributes:
        stored: (I, 2) int64, width and height as stored, pixels; 0 where the header cannot be read.
        upright: (I, 2) int64, the same after the image is turned by its EXIF orientation.
        orientations: (I,) int64, EXIF's orientation, 1 (upright) to 8.
        faults: Why the file cannot be read, ``''`` where it can.
        states: (I,) int64, the :class:`FileState` of each.
        num_bytes: (I,) int64, how many bytes it has.
        types: What it is by its content (:func:`.file_types.file_type`), ``''`` where that is not known.
        channels: (I,) int64, the channels as stored (:class:`.file_types.PixelForm`), 0 where not known.
        bits: (I,) int64, the bits of a channel, 0 where not known.
        first_copies: (I,) int64, the first image that has the same content, byte by byte; the image itself
            where it is the first, or cannot be read.
    """

    stored: NDArray[np.int64]
    upright: NDArray[np.int64]
    orientations: NDArray[np.int64]
    faults: Sequence[str]
    states: NDArray[np.int64]
    num_bytes: NDArray[np.int64]
    types: Sequence[str]
    channels: NDArray[np.int64]
    bits: NDArray[np.int64]
    first_copies: NDArray[np.int64]

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        """(I,) whether the header tells the size of an image."""
        return self.states == FileState.READABLE


def read_headers(paths: Sequence[str], progress: Progress = silent) -> ImageFiles:
    """Reads the headers of image files, and of those of equal length as much as tells whether they are equal.

    Args:
        paths: The I files; one that comes several times is read once.
        progress: Shows how far it is.
    """
    distinct = Distinct.of(paths)
    facts = in_threads(read_facts, distinct.paths, progress, 'headers')
    lengths = [one.num_bytes if one.state is FileState.READABLE else 0 for one in facts]
    same = first_of_content(distinct.paths, lengths, progress)
    own = distinct.numbers

    def column(values: Sequence[object], shape: tuple[int, ...] = ()) -> NDArray[np.int64]:
        return np.array(values, np.int64).reshape(-1, *shape)[own]

    copies = distinct.firsts[same][own]
    is_readable = column([one.state is FileState.READABLE for one in facts]) > 0
    return ImageFiles(
        stored=column([one.stored for one in facts], (2,)),
        upright=column([one.upright for one in facts], (2,)),
        orientations=column([one.orientation for one in facts]),
        faults=[facts[number].fault for number in own.tolist()],
        states=column([one.state for one in facts]),
        num_bytes=column([one.num_bytes for one in facts]),
        types=[facts[number].type_name for number in own.tolist()],
        channels=column([one.form.channels for one in facts]),
        bits=column([one.form.bits for one in facts]),
        first_copies=np.where(is_readable, copies, np.arange(len(paths))),
    )


def read_facts(path: str) -> FileFacts:
    """Reads the header of one file."""
    try:
        with open_image(path) as file:
            num_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            if num_bytes == 0:
                return FileFacts(FileState.EMPTY, '0 bytes')
            return _read_opened(path, file, num_bytes)
    except (FileNotFoundError, NotADirectoryError):
        return FileFacts(FileState.ABSENT, 'no such file')
    except UndecodableImageError as error:
        return FileFacts(FileState.UNREADABLE, error.reason)
    except (OSError, ValueError) as error:  # the latter: a null byte in the name
        return FileFacts(FileState.UNREADABLE, getattr(error, 'strerror', None) or str(error))


def _read_opened(path: str, file: BinaryIO, num_bytes: int) -> FileFacts:
    type_name = file_type(file.read(SIGNATURE_BYTES))
    file.seek(0)
    try:
        header = read_header(file)
        check_pixels(path, header.size)
    except UndecodableImageError as error:
        return FileFacts(FileState.TOO_LARGE, error.reason, num_bytes, type_name)
    except ValueError as error:
        is_bomb = isinstance(error.__cause__, PIL.Image.DecompressionBombError)
        state = FileState.TOO_LARGE if is_bomb else FileState.UNREADABLE
        return FileFacts(state, str(error), num_bytes, type_name)
    if min(header.size) < 1:
        return FileFacts(FileState.UNREADABLE, 'its header tells of no pixel', num_bytes, type_name)
    return FileFacts(
        FileState.READABLE,
        num_bytes=num_bytes,
        type_name=type_name,
        stored=header.size,
        upright=header.upright_size,
        orientation=header.orientation,
        form=read_pixel_form(file, type_name),
    )

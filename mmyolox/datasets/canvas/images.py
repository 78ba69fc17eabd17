"""Reading of image files: at once, or when a scene that shows them is drawn."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import mmengine
import numpy as np

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError

READ_FLAGS = {'color': cv2.IMREAD_COLOR, 'grayscale': cv2.IMREAD_GRAYSCALE, 'unchanged': cv2.IMREAD_UNCHANGED}
"""OpenCV's flags by colour type."""

_JPEG_FLAGS = {
    1: {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR},
    2: {1: cv2.IMREAD_REDUCED_GRAYSCALE_2, 3: cv2.IMREAD_REDUCED_COLOR_2},
    4: {1: cv2.IMREAD_REDUCED_GRAYSCALE_4, 3: cv2.IMREAD_REDUCED_COLOR_4},
    8: {1: cv2.IMREAD_REDUCED_GRAYSCALE_8, 3: cv2.IMREAD_REDUCED_COLOR_8},
}
"""OpenCV's flags by shrink factor and channels."""

_START_OF_JPEG = b'\xff\xd8'
_START_OF_NPY = b'\x93NUMPY'
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive: what every decoder takes
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_ORIENTATION_TAG = 0x0112


class UndecodableImageError(Exception):
    """An image file that is missing, empty or not an image.

    Attributes:
        path: The file.
        sample_idx: Its index in the data set, -1 outside of one.
        reason: What is wrong with it, if that is known.
    """

    def __init__(self, path: str, sample_idx: int = -1, reason: str = '') -> None:
        super().__init__(f'cannot decode the image {path}{reason and f" ({reason})"}')
        self.path = path
        self.sample_idx = sample_idx
        self.reason = reason


def read_image(
    path: str, color_type: str = 'color', backend_args: dict | None = None, channels: int | None = None
) -> np.ndarray:
    """Reads an image file.

    What OpenCV decodes is read, which has at most four channels, and NumPy's ``.npy`` files with an array
    (h, w) or (h, w, channels) uint8, which may have more.

    Args:
        path: A local path, or one that ``backend_args`` can read.
        color_type: The form of the pixels: ``color`` (BGR, EXIF orientation applied), ``grayscale`` or
            ``unchanged``. ``.npy`` files are always unchanged.
        backend_args: The arguments of :func:`mmengine.fileio.get`.
        channels: How many channels the image must have; None takes any number.

    Returns:
        (h, w, channels) uint8, contiguous.

    Raises:
        UndecodableImageError: The file cannot be read or is not an image.
        UserError: The image has another number of channels.
    """
    return decode_image(path, read_file(path, backend_args), READ_FLAGS[color_type], channels)


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """The content of an image file; raises :class:`UndecodableImageError` where there is none."""
    try:
        return mmengine.fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise UndecodableImageError(path) from error


def decode_image(path: str, content: bytes, flags: int, channels: int | None = None) -> np.ndarray:
    """Decodes a file's content by OpenCV's ``flags``; see :func:`read_image`."""
    try:
        if content.startswith(_START_OF_NPY):
            pixels: np.ndarray | None = np.load(io.BytesIO(content), allow_pickle=False)
        else:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (cv2.error, ValueError, EOFError, MemoryError) as error:
        raise UndecodableImageError(path) from error
    if pixels is None:
        raise UndecodableImageError(path)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
        raise UndecodableImageError(
            path, reason=f'shape {pixels.shape}, {pixels.dtype}; needed is (h, w) or (h, w, channels), uint8'
        )
    pixels = np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], -1)
    if channels not in (None, pixels.shape[2]):
        raise UserError(f'the image {path} has {pixels.shape[2]} channel(s), {channels} are needed')
    return pixels


class ImageSource(Protocol):
    """An image of known size, whose pixels are there when asked for.

    Attributes:
        size: The size of the image.
        channels: How many channels its pixels have.
        num_bytes: How many bytes all its pixels take.
    """

    size: Size
    channels: int

    @property
    def num_bytes(self) -> int: ...

    def read(self, shrink: int = 1) -> tuple[np.ndarray, int]:
        """The pixels, perhaps smaller than the image.

        Args:
            shrink: How many times smaller they may be: 1, 2, 4 or 8.

        Returns:
            (ceil(h / n), ceil(w / n), channels) uint8, and n, which is at most ``shrink``. Each pixel stands
            for n x n of the image; at the right and bottom border for what there is of them.
        """


class Pixels:
    """An image in memory, (h, w, channels) uint8."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.size = Size.of_shape(pixels.shape)
        self.channels = pixels.shape[2]
        self._pixels = pixels

    @property
    def num_bytes(self) -> int:
        """What the array takes."""
        return self._pixels.nbytes

    def read(self, shrink: int = 1) -> tuple[np.ndarray, int]:
        """The array itself, see :class:`ImageSource`."""
        return self._pixels, 1


@dataclass(frozen=True)
class JpegHeader:
    """A plain JPEG file: 8 bits a channel, grey or YCbCr, Huffman-coded.

    Attributes:
        size: The size in pixels, as stored.
        channels: The number of channels, 1 or 3. Four (CMYK) are not plain.
        orientation: The orientation of EXIF, 1 (upright) to 8; 1 where the file does not say.
    """

    size: Size
    channels: int
    orientation: int


def read_jpeg_header(content: bytes) -> JpegHeader | None:
    """What the header of a JPEG file says, without decoding it (ITU-T T.81, annex B; EXIF 2.3).

    Returns:
        None for anything but a plain JPEG file.
    """
    if not content.startswith(_START_OF_JPEG):
        return None
    orientation, position = 1, 2
    while position + 4 <= len(content):
        fill, marker, length = struct.unpack_from('>BBH', content, position)
        body = content[position + 4 : position + 2 + length]
        if fill != 0xFF or marker == _START_OF_SCAN or marker in _OTHER_FRAMES:
            return None
        if marker == 0xFF:  # fill byte before a marker
            position += 1
            continue
        if marker == _APP1 and body.startswith(b'Exif\0\0'):
            orientation = _exif_orientation(body[6:])
        if marker in _HUFFMAN_FRAMES:
            precision, height, width, channels = (
                struct.unpack_from('>BHHB', body) if len(body) >= 6 else (0,) * 4
            )
            is_plain = precision == 8 and channels in (1, 3) and height and width
            return JpegHeader(Size(width, height), channels, orientation) if is_plain else None
        position += 2 + length
    return None


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in a TIFF structure; 1 where it is absent or broken."""
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (start,) = struct.unpack_from(f'{order}I', tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f'{order}H', tiff, start)
    entries = range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12)
    for position in entries:
        tag, _, _, value = struct.unpack_from(f'{order}HHIH', tiff, position)
        if tag == _ORIENTATION_TAG:
            return value if 1 <= value <= 8 else 1
    return 1


class EncodedJpeg:
    """A JPEG file's content, decoded when a part of it is drawn, and at most once.

    Of the four tiles of a mosaic one or two are often cropped away by the affine map that follows: they are
    never decoded. The pixels are read-only, because samples may share them.

    Args:
        path: The path of the file, for messages.
        content: The bytes of the file.
        header: The header of the file, see :func:`read_jpeg_header`.
        channels: How many channels the pixels have: 3 for BGR, 1 for grey.
        max_shrink: How many times smaller it may be decoded, where a scene needs it smaller anyway. The
            decoder then leaves out the high frequencies, which is faster, and averages where full decoding
            with bilinear interpolation would skip pixels: values differ.
        sample_idx: Its index in the data set, for messages.
        remember: What is given the pixels of the full image.
    """

    def __init__(
        self,
        path: str,
        content: bytes,
        header: JpegHeader,
        channels: int,
        max_shrink: int = 1,
        sample_idx: int = -1,
        remember: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        self.size = header.size
        self.channels = channels
        self._path = path
        self._content = content
        self._max_shrink = max_shrink
        self._sample_idx = sample_idx
        self._remember = remember
        self._decoded: tuple[np.ndarray, int] | None = None

    @property
    def num_bytes(self) -> int:
        """What the pixels take once they are decoded in full."""
        return self.size.width * self.size.height * self.channels

    def read(self, shrink: int = 1) -> tuple[np.ndarray, int]:
        """Decodes what was not decoded before, see :class:`ImageSource`.

        Raises:
            UndecodableImageError: The file breaks off or holds something else than its header says.
        """
        shrink = min(shrink, self._max_shrink)
        if self._decoded is None or self._decoded[1] > shrink:
            shape_hw = (-(-self.size.height // shrink), -(-self.size.width // shrink))
            flag = _JPEG_FLAGS[shrink][self.channels]
            pixels = cv2.imdecode(np.frombuffer(self._content, np.uint8), flag)
            if pixels is None or pixels.shape[:2] != shape_hw:
                raise UndecodableImageError(self._path, self._sample_idx)
            pixels.setflags(write=False)
            self._decoded = (pixels.reshape(*shape_hw, self.channels), shrink)
            if self._remember and shrink == 1:
                self._remember(self._decoded[0])
        return self._decoded

"""Reading of image files: at once, or when a scene that shows them is drawn."""

import io
import math
import os
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, Protocol

import cv2
import numpy as np
import PIL.Image
from mmengine.fileio import LocalBackend, get_file_backend

from mmyolox.datasets.shards import INSIDE, MAX_FILE_BYTES, open_shard, split_shard
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, one_line

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
_START_OF_PNG = b'\x89PNG\r\n\x1a\n'
_STARTS_OF_TIFF = {b'II*\0': '<', b'MM\0*': '>'}
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive: what every decoder takes
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_WIDTH_TAG, _HEIGHT_TAG, _ORIENTATION_TAG = 0x0100, 0x0101, 0x0112
_TRANSPOSED = (5, 6, 7, 8)

_START_OF_NPY = b'\x93NUMPY'
_WHOLE_NUMBERS = {3: 'H', 4: 'I'}  # TIFF's SHORT and LONG

PIXELS_VARIABLE = 'MMYOLOX_MAX_IMAGE_PIXELS'
_USUAL_MAX_PIXELS = 178_956_970  # where Pillow refuses an image as a decompression bomb

# Most headers lie in the first part of a file; those of JPEG files come behind a thumbnail and a profile.
_FIRST_BYTES, _MORE_BYTES = 4096, 2**19


class UndecodableImageError(Exception):
    """An image file that is missing, empty or not an image.

    Attributes:
        path: The file.
        sample_idx: Its index in the data set, -1 outside of one.
        reason: What is wrong with it, if that is known.
    """

    def __init__(self, path: str, sample_idx: int = -1, reason: str = '') -> None:
        super().__init__(one_line(f'cannot decode the image {path}{reason and f" ({reason})"}'))
        self.path = path
        self.sample_idx = sample_idx
        self.reason = reason


class ImageHeader(NamedTuple):
    """What an image file says of itself.

    Attributes:
        size: The size in pixels as stored, of the first frame or page.
        orientation: The orientation of EXIF, 1 (upright) to 8; 1 where the file does not say.
        is_plain_jpeg: Whether it is a JPEG file that :func:`read_jpeg_header` takes, which every version of
            OpenCV turns upright.
    """

    size: Size
    orientation: int
    is_plain_jpeg: bool = False

    @property
    def is_transposed(self) -> bool:
        """Whether width and height change places when the image is turned upright."""
        return self.orientation in _TRANSPOSED

    @property
    def upright_size(self) -> Size:
        """In pixels, after the image is turned upright."""
        return Size(*reversed(self.size)) if self.is_transposed else self.size


def read_header(file: BinaryIO) -> ImageHeader:
    """Reads the header of an image file, NumPy's or of any format that Pillow knows; nothing is decoded.

    Args:
        file: Stands at its start, and can seek.

    Raises:
        ValueError: There is none that tells a size; the message says so in a few words.
    """
    start = file.read(_FIRST_BYTES)
    if start.startswith(_START_OF_NPY):
        return ImageHeader(Size.of_shape(read_npy_header(file)[0]), 1)
    if start.startswith(_START_OF_PNG):
        return read_png_header(file, start)
    if start[:4] in _STARTS_OF_TIFF and (tags := _tiff_tags(file)) and {_WIDTH_TAG, _HEIGHT_TAG} <= set(tags):
        return ImageHeader(Size(tags[_WIDTH_TAG], tags[_HEIGHT_TAG]), _orientation(tags))
    jpeg = read_jpeg_header(start)
    if jpeg is None and start.startswith(_START_OF_JPEG):
        jpeg = read_jpeg_header(start + file.read(_MORE_BYTES))
    if jpeg is not None:
        return ImageHeader(jpeg.size, jpeg.orientation, is_plain_jpeg=True)
    file.seek(0)
    try:
        image = PIL.Image.open(file)
        return ImageHeader(Size(*image.size), _orientation(image.getexif()))
    except PIL.Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # whatever a plugin of Pillow makes of a broken file
        raise ValueError('no size found in its header') from error


def read_npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of the array in a ``.npy`` file; raises ValueError where it does not tell."""
    file.seek(0)
    npy: Any = np.lib.format  # without types
    try:
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # it is Python's text, in which Python's tokenizer can fail too
        raise ValueError('no shape found in its header') from error
    if len(shape) not in (2, 3):
        raise ValueError(f'shape {shape}; needed is (h, w) or (h, w, channels), uint8')
    return shape, dtype


def read_png_header(file: BinaryIO, start: bytes) -> ImageHeader:
    """Reads IHDR, and eXIf where it stands before the pixels."""
    if start[12:16] != b'IHDR' or len(start) < 24:
        raise ValueError('no size found in its header')
    size = Size(*struct.unpack_from('>II', start, 16))
    orientation, position = 1, len(_START_OF_PNG)
    while True:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8 or chunk[4:] in (b'IDAT', b'IEND'):
            return ImageHeader(size, orientation)
        (length,) = struct.unpack_from('>I', chunk)
        if chunk[4:] == b'eXIf':
            orientation = _orientation(_tiff_tags(io.BytesIO(file.read(min(length, _MORE_BYTES)))))
        position += 12 + length


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
            orientation = _orientation(_tiff_tags(io.BytesIO(body[6:])))
        if marker in _HUFFMAN_FRAMES:
            precision, height, width, channels = (
                struct.unpack_from('>BHHB', body) if len(body) >= 6 else (0,) * 4
            )
            is_plain = precision == 8 and channels in (1, 3) and height and width
            return JpegHeader(Size(width, height), channels, orientation) if is_plain else None
        position += 2 + length
    return None


def _tiff_tags(file: BinaryIO) -> dict[int, int]:
    """The numbers in the first directory of a TIFF structure, by tag; none where it is broken."""
    file.seek(0)
    start = file.read(8)
    order = _STARTS_OF_TIFF.get(start[:4])
    if order is None or len(start) < 8:
        return {}
    file.seek(*struct.unpack_from(f'{order}I', start, 4))
    count = file.read(2)
    entries = file.read(12 * struct.unpack(f'{order}H', count)[0]) if len(count) == 2 else b''
    tags = {}
    for position in range(0, len(entries) - 11, 12):
        tag, kind = struct.unpack_from(f'{order}HH', entries, position)
        if kind in _WHOLE_NUMBERS:
            (tags[tag],) = struct.unpack_from(f'{order}{_WHOLE_NUMBERS[kind]}', entries, position + 8)
    return tags


def _orientation(tags: Mapping[int, Any]) -> int:
    value = tags.get(_ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def read_image(
    path: str, color_type: str = 'color', backend_args: dict | None = None, channels: int | None = None
) -> np.ndarray:
    """Reads an image file.

    What OpenCV decodes and whose header tells its size is read, which has at most four channels, and NumPy's
    ``.npy`` files with an array (h, w) or (h, w, channels) uint8, which may have more. Of an animation or of
    several pages the first is read.

    Args:
        path: A local path, or one that ``backend_args`` can read.
        color_type: The form of the pixels: ``color`` (BGR, EXIF orientation applied), ``grayscale`` or
            ``unchanged``. ``.npy`` files are always unchanged.
        backend_args: The arguments of :func:`mmengine.fileio.get`.
        channels: How many channels the image must have; None takes any number.

    Returns:
        (h, w, channels) uint8, contiguous.

    Raises:
        UndecodableImageError: The file cannot be read, is not an image, or is too large for
            :func:`check_file` or :func:`check_pixels`.
        UserError: The image has another number of channels.
    """
    return decode_image(path, read_file(path, backend_args), READ_FLAGS[color_type], channels)


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """The content of an image file, or of a member of a shard (:mod:`mmyolox.datasets.shards`).

    Raises:
        UndecodableImageError: There is no file of this name, or it is a folder, a pipe or a device, or has
            ``MAX_FILE_BYTES`` or more; or the shard is damaged there.
    """
    try:
        if INSIDE in path and (place := split_shard(path)):
            shard, member = place
            return open_shard(shard, backend_args).read(member)
        backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
        if isinstance(backend, LocalBackend):
            check_file(path)
        return backend.get(path)
    except (OSError, ValueError) as error:  # the latter: a null byte in the name
        raise UndecodableImageError(path, reason=getattr(error, 'strerror', None) or str(error)) from error


def check_file(path: str) -> None:
    """Checks that a local file may be read, before it is opened: a pipe would wait for ever.

    Raises:
        UndecodableImageError: It is no regular file, or has ``MAX_FILE_BYTES`` or more.
        OSError: There is no such file.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UndecodableImageError(path, reason='not a regular file')
    if status.st_size >= MAX_FILE_BYTES:
        raise UndecodableImageError(path, reason=f'{status.st_size} bytes; an image has fewer than 2**30')


def open_image(path: str) -> BinaryIO:
    """Opens a local image file, of which the header is wanted, or a member of a shard.

    Raises:
        UndecodableImageError: As for :func:`read_file`.
        OSError: There is no such file.
    """
    if split_shard(path):
        return io.BytesIO(read_file(path))
    check_file(path)
    return open(path, 'rb', buffering=0)


def read_image_header(path: str) -> ImageHeader:
    """Reads the header of a local image file, under the limits of :func:`read_image`.

    Raises:
        UndecodableImageError: There is no such file, or it is not one that :func:`read_image` reads.
    """
    try:
        with open_image(path) as file:
            header = read_header(file)
    except (OSError, ValueError) as error:
        raise UndecodableImageError(path, reason=getattr(error, 'strerror', None) or str(error)) from error
    check_pixels(path, header.size)
    return header


def is_annotated_size(size: Size, annotated: Size) -> bool:
    """Whether an image has the size that is annotated; a pixel more or less in a side is rounding."""
    return all(abs(side - other) <= 1 for side, other in zip(size, annotated, strict=True))


def check_pixels(path: str, size: Size) -> None:
    """Checks an image's size before memory is taken for its pixels.

    The limit is that of Pillow, or what the environment variable ``MMYOLOX_MAX_IMAGE_PIXELS`` says.

    Raises:
        UndecodableImageError: The image has more pixels.
        UserError: The variable holds something else than a number of pixels.
    """
    text = os.environ.get(PIXELS_VARIABLE, str(_USUAL_MAX_PIXELS))
    if not (text.isascii() and text.isdigit()):
        raise UserError(f'{PIXELS_VARIABLE}={text}: a whole number of pixels is needed')
    if size.width * size.height > int(text):
        raise UndecodableImageError(
            path,
            reason=f'{size.width} x {size.height} pixels are over the limit of {int(text)}; '
            f'to read it set {PIXELS_VARIABLE}',
        )


def decode_image(path: str, content: bytes, flags: int, channels: int | None = None) -> np.ndarray:
    """Decodes a file's content by OpenCV's ``flags``; see :func:`read_image`."""
    try:
        header = read_header(io.BytesIO(content))
        check_pixels(path, header.size)
        if content.startswith(_START_OF_NPY):
            shape, dtype = read_npy_header(io.BytesIO(content))
            # Memory is taken only if the file holds as much.
            if math.prod(shape) * dtype.itemsize > len(content):
                raise ValueError(f'it breaks off: {len(content)} bytes for shape {shape}, {dtype}')
            pixels: np.ndarray | None = np.load(io.BytesIO(content), allow_pickle=False)
        else:
            pixels = decode_upright(content, flags, header.orientation)
    except (ValueError, EOFError) as error:
        raise UndecodableImageError(path, reason=' '.join(str(error).split())) from error
    except (cv2.error, MemoryError) as error:
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


def decode_upright(content: bytes, flags: int, orientation: int) -> np.ndarray | None:
    """Decodes by OpenCV's ``flags``, and turns WebP files upright, as OpenCV does others."""
    is_left = content[8:12] == b'WEBP' and not flags & cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_IGNORE_ORIENTATION if is_left else 0
    pixels: np.ndarray | None = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None or not is_left:
        return pixels
    return _flipped(pixels.swapaxes(0, 1) if orientation in _TRANSPOSED else pixels, orientation)


def turned_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An image (h, w, channels) as it is stored, of one turned upright from EXIF's ``orientation``."""
    flipped = _flipped(pixels, orientation)
    return np.ascontiguousarray(flipped.swapaxes(0, 1) if orientation in _TRANSPOSED else flipped)


def _flipped(pixels: np.ndarray, orientation: int) -> np.ndarray:
    turns = (orientation - 1) % 4  # of EXIF 2.3: none, mirrored, by half a turn, upside down
    return pixels[:: -1 if turns in (2, 3) else 1, :: -1 if turns in (1, 2) else 1]


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

    Raises:
        UndecodableImageError: The image has too many pixels, see :func:`check_pixels`.
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
        check_pixels(path, header.size)
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

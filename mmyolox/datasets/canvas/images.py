"""Where the pixels of a scene come from: an array in memory, or a JPEG file that is decoded when drawn."""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from .geometry import Size
from .jpeg import JpegHeader

_JPEG_FLAGS = {
    1: {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR},
    2: {1: cv2.IMREAD_REDUCED_GRAYSCALE_2, 3: cv2.IMREAD_REDUCED_COLOR_2},
    4: {1: cv2.IMREAD_REDUCED_GRAYSCALE_4, 3: cv2.IMREAD_REDUCED_COLOR_4},
    8: {1: cv2.IMREAD_REDUCED_GRAYSCALE_8, 3: cv2.IMREAD_REDUCED_COLOR_8},
}
"""OpenCV's flags by shrink factor and channels."""


class UndecodableImageError(Exception):
    """An image file that is missing, empty or not an image.

    Attributes:
        path: the file.
        sample_idx: its index in the data set, -1 outside of one.
    """

    def __init__(self, path: str, sample_idx: int = -1) -> None:
        super().__init__(f'cannot decode the image {path}')
        self.path = path
        self.sample_idx = sample_idx


class ImageSource(Protocol):
    """An image of known size, whose pixels are there when asked for.

    Attributes:
        size: (w, h) in pixels.
        channels: of its pixels.
        num_bytes: what all its pixels take in memory.
    """

    size: Size
    channels: int

    @property
    def num_bytes(self) -> int: ...

    def read(self, shrink: int = 1) -> tuple[np.ndarray, int]:
        """The pixels, perhaps smaller than the image.

        Args:
            shrink: how many times smaller they may be: 1, 2, 4 or 8.

        Returns:
            (ceil(h / n), ceil(w / n), channels) uint8, and n, which is at most ``shrink``. Each pixel stands
            for n x n of the image; at the right and bottom border for what there is of them.
        """


class Pixels:
    """An image in memory, (h, w, channels) uint8."""

    def __init__(self, pixels: np.ndarray) -> None:
        height, width, self.channels = pixels.shape
        self.size = (width, height)
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
        path: of the file, for messages.
        content: of the file.
        header: what it says, see :func:`~.jpeg.read_jpeg_header`.
        channels: of the pixels: 3 for BGR, 1 for grey.
        max_shrink: how many times smaller it may be decoded, where a scene needs it smaller anyway. The
            decoder then leaves out the high frequencies, which is faster, and averages where full decoding
            with bilinear interpolation would skip pixels: values differ.
        sample_idx: its index in the data set, for messages.
        remember: is given the pixels of the full image.
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
        return self.size[0] * self.size[1] * self.channels

    def read(self, shrink: int = 1) -> tuple[np.ndarray, int]:
        """Decodes what was not decoded before, see :class:`ImageSource`.

        Raises:
            UndecodableImageError: the file breaks off or holds something else than its header says.
        """
        shrink = min(shrink, self._max_shrink)
        if self._decoded is None or self._decoded[1] > shrink:
            self._decoded = (self._decode(shrink), shrink)
            if self._remember and shrink == 1:
                self._remember(self._decoded[0])
        return self._decoded

    def _decode(self, shrink: int) -> np.ndarray:
        shape = (-(-self.size[1] // shrink), -(-self.size[0] // shrink))
        flag = _JPEG_FLAGS[shrink][self.channels]
        pixels = cv2.imdecode(np.frombuffer(self._content, np.uint8), flag)
        if pixels is None or pixels.shape[:2] != shape:
            raise UndecodableImageError(self._path, self._sample_idx)
        pixels.setflags(write=False)
        return pixels.reshape(*shape, self.channels)

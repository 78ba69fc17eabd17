"""The letterbox of our test pipeline in NumPy, bit for bit what it draws with OpenCV.

:class:`mmyolox.datasets.transforms.Letterbox` ends in ``cv2.resize`` with ``INTER_LINEAR``, which computes
8-bit images in fixed point (OpenCV 4.12, ``resize.cpp``). That arithmetic is reproduced here: weights of 11
bits, a horizontal pass whose sums lose 4 bits, a vertical pass whose products lose 16, and 2 bits of rounding
at the end. It was compared on x86; builds of OpenCV that hand resizing to a vendor's library, as on ARM, may
round otherwise.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

MAX_PIXELS = 1 << 27
"""The most that the input of a network may have, such as 11585 x 11585: more is a mistake, and no memory."""

_UNIT = 2048
"""What OpenCV's fixed-point weights sum up to."""
_BLOCK_ROWS = 16
"""Rows computed at once: their 32-bit sums stay in the processor's cache."""


class Size(NamedTuple):
    """Width and height in pixels: the one form of a size in this project.

    Arrays and OpenMMLab's ``img_shape`` and ``ori_shape`` have the height first. Their shapes are turned into
    sizes, and sizes into shapes, here alone.
    """

    width: int
    height: int

    @classmethod
    def of_shape(cls, shape_hw: Sequence[int]) -> 'Size':
        """The size of what has a shape (height, width, ...)."""
        return cls(shape_hw[1], shape_hw[0])

    @property
    def shape_hw(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


def fitted_size(source: Size, target: Size) -> Size:
    """The size of an image scaled to fit into another size, aspect ratio kept.

    Sides are rounded down to whole pixels as in Megvii's YOLOX 0.3. At least one pixel remains.

    Args:
        source: The size of the image.
        target: The size that it is to fit into.
    """
    ratio = min(target.width / source.width, target.height / source.height)
    # The tiny term undoes float error: 77 * (320 / 77) must not end at 319.
    return Size(*(max(1, int(side * ratio + 1e-6)) for side in source))


def letterbox(image: Image, size: Size, pad_value: int = 114) -> Image:
    """Scales an image to fit into a size, aspect ratio kept, at the top left of a grey canvas.

    Args:
        image: (h, w, channels) uint8.
        size: The size of the canvas.
        pad_value: The grey level of the canvas.

    Returns:
        (height, width, channels) uint8, a new array.
    """
    fitted = fitted_size(Size.of_shape(image.shape), size)
    canvas = np.full((*size.shape_hw, image.shape[2]), pad_value, np.uint8)
    canvas[: fitted.height, : fitted.width] = resize(image, fitted)
    return canvas


def resize(image: Image, size: Size) -> Image:
    """Resizes an image as ``cv2.resize`` does with ``INTER_LINEAR``, bit for bit.

    Args:
        image: (h, w, channels) uint8.
        size: The size of the result.

    Returns:
        (height, width, channels) uint8; the image itself if it has that size.
    """
    if image.shape[:2] == size.shape_hw:
        return image
    old_height, old_width, channels = image.shape
    columns, column_weights = _neighbours(old_width, size.width, channels)
    rows, row_weights = _neighbours(old_height, size.height)
    flat = image.reshape(old_height, old_width * channels)
    resized = np.empty((size.height, size.width * channels), np.uint8)
    for start in range(0, size.height, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        needed, positions = np.unique(rows[:, block], return_inverse=True)
        source = flat[needed]
        sums = np.take(source, columns[0], axis=1) * column_weights[0]
        sums += np.take(source, columns[1], axis=1) * column_weights[1]
        sums >>= 4
        upper, lower = sums[positions.reshape(2, -1)]
        upper *= row_weights[0, block, None]
        lower *= row_weights[1, block, None]
        upper >>= 16
        lower >>= 16
        upper += lower
        upper += 2
        upper >>= 2
        resized[block] = upper
    return resized.reshape(*size.shape_hw, channels)


@lru_cache(maxsize=64)
def _neighbours(old: int, new: int, channels: int = 1) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The two values of an axis that each new value lies between, and how much each counts.

    Args:
        old: The number of pixels of the image.
        new: The number of pixels of the result.
        channels: The number of values of a pixel, which lie together.

    Returns:
        (2, new * channels) indices, and as many int32 weights of 11 bits.
    """
    # In OpenCV's precisions: the scale in double, the fraction in single.
    position = ((np.arange(new) + 0.5) * (1.0 / (new / old)) - 0.5).astype(np.float32)
    first = np.floor(position)
    fraction = position - first
    weights = np.rint(np.stack([np.float32(1) - fraction, fraction]) * np.float32(_UNIT))
    pixels = np.stack([first, first + 1]).astype(np.intp).clip(0, old - 1)
    indices = pixels[..., None] * channels + np.arange(channels)
    return indices.reshape(2, -1), np.repeat(weights.astype(np.int32), channels, axis=1)

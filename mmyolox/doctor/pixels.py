"""What the pixels of the images say: whether they can be decoded, and a small picture to compare them by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.canvas.images import UndecodableImageError, decode_image, read_file
from mmyolox.errors import UserError

from .file_types import is_cut_off
from .files import ImageFiles
from .near_copies import SIDE, near_groups
from .workers import Distinct, Progress, in_threads, silent

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}
_ENOUGH = 4 * SIDE
"""Pixels of a side: enough to average each cell of a small picture."""
_BLANK = 2
"""Grey levels between the darkest and the lightest part of a blank image, at most: noise."""


class Look(NamedTuple):
    """One image as decoded; see :class:`Pixels`."""

    thumb: NDArray[np.uint8]
    fault: str = ''
    is_cut_off: bool = False


@dataclass(frozen=True)
class Pixels:
    """The decoded images, I of them.

    Attributes:
        thumbs: (I, SIDE, SIDE) uint8, each in grey, upright, whatever its aspect; 0 where ``is_decoded`` does
            not hold.
        is_decoded: (I,) whether the image can be decoded, and is whole.
        is_cut_off: (I,) whether its file ends before the image does.
        faults: Why an image whose header is readable cannot be decoded, ``''`` where it can.
        first_copies: (I,) int64, see :class:`.files.ImageFiles`.
    """

    thumbs: NDArray[np.uint8]
    is_decoded: NDArray[np.bool_]
    is_cut_off: NDArray[np.bool_]
    faults: Sequence[str]
    first_copies: NDArray[np.int64]

    @cached_property
    def is_blank(self) -> NDArray[np.bool_]:
        """(I,) whether the image has one colour, as far as the eye sees."""
        lightest, darkest = self.thumbs.max(axis=(1, 2)), self.thumbs.min(axis=(1, 2))
        return self.is_decoded & (lightest - darkest <= _BLANK)

    @cached_property
    def near_groups(self) -> NDArray[np.int64]:
        """(I,) the first image that each looks like, perhaps by steps; itself where there is none before.

        Images whose file is the copy of another one stand alone.
        """
        chosen = np.flatnonzero(self.is_decoded & (self.first_copies == np.arange(len(self.thumbs))))
        groups = np.arange(len(self.thumbs))
        groups[chosen] = chosen[near_groups(self.thumbs[chosen])]
        return groups


def read_pixels(paths: Sequence[str], files: ImageFiles, progress: Progress = silent) -> Pixels:
    """Decodes image files, JPEG ones at a reduced scale; those with too many pixels are not decoded.

    Args:
        paths: The I files; one that comes several times is read once.
        files: What their headers say.
        progress: Shows how far it is.
    """
    distinct = Distinct.of(paths)
    images = distinct.firsts[files.is_readable[distinct.firsts]].tolist()
    looks = in_threads(
        lambda image: look_at(paths[image], int(files.stored[image].min()), files.types[image]),
        images,
        progress,
        'images',
    )
    looked = dict(zip(images, looks, strict=True))
    nothing = Look(np.zeros((SIDE, SIDE), np.uint8))
    own = [looked.get(image, nothing) for image in distinct.firsts[distinct.numbers].tolist()]
    faults = [look.fault for look in own]
    return Pixels(
        thumbs=np.array([look.thumb for look in own], np.uint8).reshape(-1, SIDE, SIDE),
        is_decoded=files.is_readable & np.array([not fault for fault in faults], np.bool_),
        is_cut_off=np.array([look.is_cut_off for look in own], np.bool_),
        faults=faults,
        first_copies=files.first_copies,
    )


def look_at(path: str, shortest_side: int, type_name: str) -> Look:
    """Decodes one image.

    Args:
        path: Its file.
        shortest_side: The shortest side that its header tells, pixels.
        type_name: What it is, as :func:`.file_types.file_type` says.
    """
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    shrink = next((shrink for shrink in _REDUCED if shortest_side // shrink >= _ENOUGH), 1)
    try:
        content = read_file(path)
        if is_cut_off(content, type_name):
            return Look(nothing, f'it ends before its image does, after {len(content)} bytes', True)
        pixels = decode_image(path, content, _REDUCED[shrink])
    except UndecodableImageError as error:
        return Look(nothing, error.reason or 'its pixels cannot be decoded')
    except UserError as error:  # it has other channels than any image that is trained on
        return Look(nothing, str(error))
    grey = pixels[..., 0] if pixels.shape[2] == 1 else pixels.mean(2).astype(np.uint8)
    return Look(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA))

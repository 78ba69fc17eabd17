"""A picture that is described but not yet drawn.

Mosaic, affine, flip and letterbox only multiply 3x3 matrices; the pixels of every source image are then
read once and written once, straight into the final canvas, when :meth:`Scene.render` is called.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError

from .geometry import (
    horizontal_flip,
    is_axis_aligned,
    largest_stretch,
    rectangle_corners,
    scaling,
    transform_bboxes,
    transform_points,
    translation,
)
from .images import ImageSource, Pixels

FILL = 114
"""The grey level of Megvii's YOLOX for whatever no image covers."""

_CONTRAST_LOSS = 16
"""An image whose values span that many times less after a step has lost its range."""

_BEYOND = 768
"""How far outside of 0-255 floats may be: MMDetection's steps multiply them by up to 1.5, and add to them."""


@dataclass(frozen=True)
class Layer:
    """One source image, or a part of it, on a canvas.

    Attributes:
        source: The image.
        matrix: (3, 3) float64, from the image's continuous coordinates to the canvas'.
        region: The part of the image that shows, xyxy in whole pixels of it.
    """

    source: ImageSource
    matrix: np.ndarray
    region: tuple[int, int, int, int]

    @classmethod
    def of(cls, source: ImageSource, matrix: np.ndarray) -> Layer:
        """A layer that shows the whole image."""
        return cls(source, matrix, (0, 0, *source.size))

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """The xyxy hull of the layer on the canvas."""
        # In plain numbers: for four corners NumPy's calls cost more than the arithmetic.
        (a, b, x), (c, d, y), _ = self.matrix.tolist()
        x1, y1, x2, y2 = self.region
        xs = [a * u + b * v + x for u in (x1, x2) for v in (y1, y2)]
        ys = [c * u + d * v + y for u in (x1, x2) for v in (y1, y2)]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def is_untouched(self) -> bool:
        """Whether the whole image shows as it is."""
        return self.region == (0, 0, *self.source.size) and np.array_equal(self.matrix, np.eye(3))

    @cached_property
    def is_upright(self) -> bool:
        """Whether it is neither rotated nor sheared."""
        return is_axis_aligned(self.matrix)

    def moved(self, matrix: np.ndarray) -> Layer:
        """The layer after one more map of its canvas."""
        return Layer(self.source, matrix @ self.matrix, self.region)

    def fits(self, size: Size) -> bool:
        """Whether nothing of the layer sticks out of a canvas of ``size`` by a pixel or more."""
        x1, y1, x2, y2 = self.extent
        return x1 > -1 and y1 > -1 and x2 < size.width + 1 and y2 < size.height + 1

    def is_visible(self, size: Size) -> bool:
        """Whether a part of the layer lies on a canvas of ``size``."""
        x1, y1, x2, y2 = self.extent
        left, top, right, bottom = self.region
        return left < right and top < bottom and x1 < size.width and y1 < size.height and x2 > 0 and y2 > 0

    def cropped(self, size: Size) -> Layer:
        """The layer without the source pixels that lie wholly outside the canvas; upright layers only."""
        left, top, right, bottom = self.region
        canvas = np.array([[0, 0, *size]], dtype=np.float64)
        x1, y1, x2, y2 = transform_bboxes(canvas, np.linalg.inv(self.matrix))[0]
        region = (
            max(left, math.floor(x1 + 1e-6)),
            max(top, math.floor(y1 + 1e-6)),
            min(right, math.ceil(x2 - 1e-6)),
            min(bottom, math.ceil(y2 - 1e-6)),
        )
        return Layer(self.source, self.matrix, region)

    def draw(self, canvas: np.ndarray) -> None:
        """Draws the layer onto a (h, w, channels) uint8 canvas, in place, with bilinear interpolation."""
        if not self.is_visible(Size.of_shape(canvas.shape)):
            return
        pixels, matrix, shrink = self._read()
        x, y = (float(matrix[i, 2]) for i in range(2))
        is_aligned = abs(x - round(x)) < 1e-6 and abs(y - round(y)) < 1e-6
        if self.is_upright and is_aligned and shrink == 1:
            self._resize_onto(canvas, pixels, (round(x), round(y)))
        else:
            self._warp_onto(canvas, pixels, matrix)

    def _read(self) -> tuple[np.ndarray, np.ndarray, int]:
        """The region's pixels, the matrix from them to the canvas, and how many times smaller they are."""
        stretch = largest_stretch(self.matrix)
        pixels, shrink = self.source.read(next((n for n in (8, 4, 2) if n * stretch <= 1), 1))
        left, top = self.region[0] // shrink, self.region[1] // shrink
        right, bottom = -(-self.region[2] // shrink), -(-self.region[3] // shrink)
        matrix = self.matrix @ scaling(shrink, shrink) @ translation(left, top)
        return pixels[top:bottom, left:right], matrix, shrink

    def _resize_onto(self, canvas: np.ndarray, pixels: np.ndarray, anchor: tuple[int, int]) -> None:
        """Draws an upright layer whose first pixel has its outer corner at a whole pixel, ``anchor``."""
        # cv2.resize is what the published pipelines use, finer than warpAffine's 1/32 px, and much faster.
        scale_x, scale_y = float(self.matrix[0, 0]), float(self.matrix[1, 1])
        shown_width, x, width = _axis_on_canvas(anchor[0], scale_x, pixels.shape[1], canvas.shape[1])
        shown_height, y, height = _axis_on_canvas(anchor[1], scale_y, pixels.shape[0], canvas.shape[0])
        if not width or not height:
            return
        shown = pixels[:shown_height, :shown_width]
        resized = cv2.resize(shown, None, fx=abs(scale_x), fy=abs(scale_y), interpolation=cv2.INTER_LINEAR)
        if scale_x < 0 or scale_y < 0:
            # OpenCV's codes. A copy with NumPy's negative strides is much slower.
            resized = cv2.flip(resized, 1 if scale_y > 0 else 0 if scale_x > 0 else -1)
        left, top = max(0, -x), max(0, -y)
        part = resized[top : canvas.shape[0] - y, left : canvas.shape[1] - x]
        target = canvas[y + top : y + height, x + left : x + width]
        target[:] = part.reshape(target.shape)

    def _warp_onto(self, canvas: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> None:
        height, width = canvas.shape[:2]
        # Of an upright layer the pixels whose centres it covers, so that neighbours neither overlap nor gape.
        margin = 0.0 if self.is_upright else 0.5
        left, top, right, bottom = self.extent
        x1, x2 = (min(max(round(x), 0), width) for x in (left - margin, right + margin))
        y1, y2 = (min(max(round(y), 0), height) for y in (top - margin, bottom + margin))
        if x1 == x2 or y1 == y2:
            return
        # OpenCV maps pixel centres: index i stands at i + 0.5 in continuous coordinates.
        centres = translation(-0.5 - x1, -0.5 - y1) @ matrix @ translation(0.5, 0.5)
        # Replicated, because the outermost half pixel of a source would stay undrawn otherwise: a grey seam.
        warped = cv2.warpAffine(pixels, centres[:2], (x2 - x1, y2 - y1), borderMode=cv2.BORDER_REPLICATE)
        covered = None
        if not self.is_upright:
            outline = rectangle_corners(np.array([self.region], dtype=np.float64))
            # A margin of one pixel, because OpenCV is careless with what begins just above an image.
            onto_mask = translation(0.5 - x1, 0.5 - y1) @ self.matrix
            fixed_point = np.rint(transform_points(outline, onto_mask) * 256).astype(np.int32)
            mask = np.zeros((y2 - y1 + 2, x2 - x1 + 2), np.uint8)
            covered = cv2.fillConvexPoly(mask, fixed_point[0], 255, shift=8)[1:-1, 1:-1]
        cv2.copyTo(warped, covered, canvas[y1:y2, x1:x2])


def _axis_on_canvas(anchor: int, scale: float, length: int, canvas: int) -> tuple[int, int, int]:
    """An axis of an upright image: how many pixels show, where the first does, and how many it becomes."""
    room = (canvas - anchor) / scale if scale > 0 else anchor / -scale
    # Two more, because the last pixel is interpolated with the next.
    shown = max(0, min(length, math.ceil(room) + 2))
    size = round(shown * abs(scale))
    return shown, anchor if scale > 0 else anchor - size, size


@dataclass(frozen=True)
class Scene:
    """Layers on a canvas, the later ones on top, and perhaps a second scene blended in.

    Attributes:
        size: The size of the canvas.
        layers: The images on it.
        blend: A scene of the same size that is averaged with this one (mixup), or None.
        share: The weight of this scene in the average; the other one has the rest.
    """

    size: Size
    layers: tuple[Layer, ...]
    blend: Scene | None = None
    share: float = 0.5

    @classmethod
    def of(cls, image: np.ndarray) -> Scene:
        """The scene that shows just this (h, w, channels) uint8 image."""
        return cls.showing(Pixels(image))

    @classmethod
    def showing(cls, source: ImageSource) -> Scene:
        """The scene that shows just this image."""
        return cls(source.size, (Layer.of(source, np.eye(3)),))

    def moved(self, matrix: np.ndarray, size: Size) -> Scene:
        """The scene after an affine map of its canvas onto a new canvas of ``size``.

        What the old canvas cut off stays cut off, to within a pixel of the source. Where that cannot be said
        by cropping sources (a rotated layer sticks out, or a blended scene is resized) the scene is drawn
        first.
        """
        if size == self.size and np.array_equal(matrix, horizontal_flip(size.width)):
            blend = self.blend and self.blend.moved(matrix, size)
            return Scene(size, tuple(layer.moved(matrix) for layer in self.layers), blend, self.share)
        if self.blend or not all(la.is_upright or la.fits(self.size) for la in self.layers):
            return Scene.of(self.render()).moved(matrix, size)
        kept = (la if la.fits(self.size) else la.cropped(self.size) for la in self.layers)
        return Scene(size, tuple(layer.moved(matrix) for layer in kept))

    def blended_with(self, other: Scene, share: float = 0.5) -> Scene:
        """The average of this scene, with the weight ``share``, and another one of the same size."""
        if self.blend:
            return Scene.of(self.render()).blended_with(other, share)
        return Scene(self.size, self.layers, other, share)

    def render(self) -> np.ndarray:
        """Draws the scene: (h, w, channels) uint8, contiguous.

        Raises:
            UserError: Images with different numbers of channels are to come into one picture.
        """
        first = self.layers[0]
        if len(self.layers) == 1 and first.is_untouched and first.source.size == self.size:
            pixels, _ = first.source.read()
            canvas = pixels if pixels.flags.writeable else pixels.copy()
        else:
            canvas = np.full((*self.size.shape_hw, first.source.channels), FILL, dtype=np.uint8)
            for layer in self.layers:
                _check_same_channels(first.source.channels, layer.source.channels)
                layer.draw(canvas)
        if self.blend is None:
            return canvas
        partner = self.blend.render()
        _check_same_channels(canvas.shape[2], partner.shape[2])
        # Nearly a half less, so that rounding to the nearest cuts the fraction off, as the float average cast
        # to uint8 of Megvii's and MMDetection's mixup. OpenCV drops the axis of a single channel.
        return cv2.addWeighted(canvas, self.share, partner, 1 - self.share, -0.49).reshape(canvas.shape)


def _check_same_channels(one: int, other: int) -> None:
    if one != other:
        raise UserError(
            f'images with {one} and with {other} channels cannot come into one picture; '
            'LoadImage(channels=...) says which do not belong to the data set'
        )


def _lost_range(before: object, after: object) -> bool:
    """Whether a step has scaled the pixels of an image to a range as 0-1, or that of normalised ones.

    Dark and even images tell nothing; steps that change the contrast of others leave at least a part of it.
    """
    if not isinstance(before, np.ndarray) or not isinstance(after, np.ndarray) or after.dtype.kind != 'f':
        return False
    is_made = before.dtype == np.uint8 and before.shape == after.shape
    return is_made and bool(np.ptp(before) > _CONTRAST_LOSS * max(np.ptp(after), 1))


class Sample(dict):
    """The results dict of a pipeline, whose ``img`` is drawn when somebody asks for it.

    Geometric transforms keep the pending picture under ``scene``. Any other transform, ours or another
    project's, reads ``results['img']`` and gets it rendered at that moment. A deep copy shares the data set.

    Attributes:
        lost_range: Whether the pixels of ``img`` have been scaled to another range than 0-255.
    """

    lost_range = False

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (key == 'img' and super().__contains__('scene'))

    def __setitem__(self, key: Any, value: Any) -> None:
        if key == 'img':
            is_small = self.lost_range and np.ptp(value) < 256 / _CONTRAST_LOSS
            self.lost_range = is_small or _lost_range(super().get('img'), value)
            self.pop('scene', None)
        super().__setitem__(key, value)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, ``img`` included; ``default`` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __deepcopy__(self, memo: dict) -> Sample:
        return Sample((k, v if k == 'dataset' else copy.deepcopy(v, memo)) for k, v in self.items())

    def __missing__(self, key: str) -> Any:
        if key == 'img' and 'scene' in self:
            self['img'] = self.pop('scene').render()
            return self['img']
        raise KeyError(key)


def take_scene(results: dict) -> Scene:
    """Takes the pending scene out of a sample, or makes one of its rendered image.

    Args:
        results: The results, which hold ``scene``, or ``img`` as (h, w, channels) with values in 0-255.

    Raises:
        UserError: Values are far from these.
    """
    if 'scene' in results:
        return results.pop('scene')
    image = results.pop('img')
    if image.dtype == np.uint8:
        return Scene.of(image)
    # Of other projects' transforms some leave floats behind, a little outside of the range.
    low, high = image.min(), image.max()
    beyond = _BEYOND if image.dtype.kind == 'f' else 0
    if getattr(results, 'lost_range', False) or not (low >= -beyond and high <= 255 + beyond):
        raise UserError(
            f'{results.get("img_path")}: a step of the pipeline gives an image with values from {low:.5g} to '
            f'{high:.5g}, and they must stay at 0-255; to normalise is for model.data_preprocessor'
        )
    return Scene.of(np.rint(image).clip(0, 255).astype(np.uint8))


def take_image(results: dict) -> np.ndarray:
    """Takes the picture out of a sample as pixels, (h, w, channels) uint8; ``results`` as in `take_scene`."""
    return take_scene(results).render()

"""A picture that is described but not yet drawn.

Mosaic, affine, flip and letterbox only multiply 3x3 matrices; the pixels of every source image are then
read once and written once, straight into the final canvas, when :meth:`Scene.render` is called.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .geometry import (
    Size,
    bboxes_touch,
    horizontal_flip,
    is_axis_aligned,
    rectangle_corners,
    transform_bboxes,
    transform_points,
    translation,
)

FILL = 114
"""The grey level of Megvii's YOLOX for whatever no image covers."""


@dataclass(frozen=True)
class Layer:
    """One source image on a canvas.

    Attributes:
        pixels: (h, w, channels) uint8.
        matrix: (3, 3) float64, from the pixels' continuous coordinates to the canvas'.
    """

    pixels: np.ndarray
    matrix: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """The xyxy hull (4,) of the layer on the canvas, float64."""
        height, width = self.pixels.shape[:2]
        return transform_bboxes(np.array([[0, 0, width, height]], dtype=np.float64), self.matrix)[0]

    def moved(self, matrix: np.ndarray) -> Layer:
        """The layer after one more map of its canvas."""
        return Layer(self.pixels, matrix @ self.matrix)

    def fits(self, size: Size) -> bool:
        """Whether nothing of the layer sticks out of a canvas of ``size`` (w, h) by a pixel or more."""
        x1, y1, x2, y2 = self.extent
        return bool(x1 > -1 and y1 > -1 and x2 < size[0] + 1 and y2 < size[1] + 1)

    def cropped(self, size: Size) -> Layer:
        """The layer without the source pixels that lie wholly outside the canvas; axis-aligned only."""
        height, width = self.pixels.shape[:2]
        canvas = np.array([[0, 0, *size]], dtype=np.float64)
        x1, y1, x2, y2 = transform_bboxes(canvas, np.linalg.inv(self.matrix))[0]
        left, top = max(0, int(np.floor(x1 + 1e-6))), max(0, int(np.floor(y1 + 1e-6)))
        right, bottom = min(width, int(np.ceil(x2 - 1e-6))), min(height, int(np.ceil(y2 - 1e-6)))
        return Layer(self.pixels[top:bottom, left:right], self.matrix @ translation(left, top))

    def draw(self, canvas: np.ndarray) -> None:
        """Draws the layer onto a (h, w, channels) uint8 canvas, in place, with bilinear interpolation."""
        height, width = canvas.shape[:2]
        extent = self.extent
        if self.pixels.size == 0 or not bboxes_touch(extent[None], (width, height))[0]:
            return
        corners = np.rint(extent).astype(int)
        inside = corners.min() >= 0 and corners[2] <= width and corners[3] <= height
        if is_axis_aligned(self.matrix) and inside and np.abs(extent - corners).max() < 1e-6:
            self._resize_onto(canvas, corners)
        else:
            self._warp_onto(canvas, extent)

    def _resize_onto(self, canvas: np.ndarray, corners: np.ndarray) -> None:
        # cv2.resize is what the published test pipelines use, and is finer than warpAffine's 1/32 px.
        x1, y1, x2, y2 = corners
        mirror_x, mirror_y = (-1 if self.matrix[i, i] < 0 else 1 for i in range(2))
        resized = cv2.resize(self.pixels, (int(x2 - x1), int(y2 - y1)), interpolation=cv2.INTER_LINEAR)
        canvas[y1:y2, x1:x2] = resized.reshape(y2 - y1, x2 - x1, -1)[::mirror_y, ::mirror_x]

    def _warp_onto(self, canvas: np.ndarray, extent: np.ndarray) -> None:
        height, width = canvas.shape[:2]
        axis_aligned = is_axis_aligned(self.matrix)
        # Of an upright layer the pixels whose centres it covers, so that neighbours neither overlap nor gape.
        outward = np.array([0, 0, 0, 0] if axis_aligned else [-0.5, -0.5, 0.5, 0.5])
        x1, y1, x2, y2 = np.rint(extent + outward).clip(0, [width, height, width, height]).astype(int)
        if x1 == x2 or y1 == y2:
            return
        # OpenCV maps pixel centres: index i stands at i + 0.5 in continuous coordinates.
        centres = translation(-0.5 - x1, -0.5 - y1) @ self.matrix @ translation(0.5, 0.5)
        # Replicated, because the outermost half pixel of a source would stay undrawn otherwise: a grey seam.
        warped = cv2.warpAffine(self.pixels, centres[:2], (x2 - x1, y2 - y1), borderMode=cv2.BORDER_REPLICATE)
        covered = None if axis_aligned else self._covered((x1, y1), warped.shape[:2])
        cv2.copyTo(warped, covered, canvas[y1:y2, x1:x2])

    def _covered(self, corner: Size, shape: tuple[int, ...]) -> np.ndarray:
        """Which pixels of the canvas' part at ``corner`` (x, y) a rotated layer covers: (h, w) uint8."""
        height, width = self.pixels.shape[:2]
        outline = rectangle_corners(np.array([[0, 0, width, height]], dtype=np.float64))
        # A margin of one pixel, because OpenCV is careless with what begins just above an image.
        shift = translation(0.5 - corner[0], 0.5 - corner[1])
        fixed_point = np.rint(transform_points(outline, shift @ self.matrix) * 256).astype(np.int32)
        mask = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
        return cv2.fillConvexPoly(mask, fixed_point[0], 255, shift=8)[1:-1, 1:-1]


@dataclass(frozen=True)
class Scene:
    """Layers on a canvas, the later ones on top, and perhaps a second scene blended in half and half.

    Attributes:
        size: canvas (w, h) in pixels.
        layers: the images on it.
        blend: a scene of the same size that is averaged with this one (mixup), or None.
    """

    size: Size
    layers: tuple[Layer, ...]
    blend: Scene | None = None

    @classmethod
    def of(cls, image: np.ndarray) -> Scene:
        """The scene that shows just this (h, w, channels) uint8 image."""
        height, width = image.shape[:2]
        return cls((width, height), (Layer(image, np.eye(3)),))

    def moved(self, matrix: np.ndarray, size: Size) -> Scene:
        """The scene after an affine map of its canvas onto a new canvas of ``size`` (w, h).

        What the old canvas cut off stays cut off, to within a pixel of the source. Where that cannot be said
        by cropping sources (a rotated layer sticks out, or a blended scene is resized) the scene is drawn
        first.
        """
        if size == self.size and np.array_equal(matrix, horizontal_flip(size[0])):
            blend = self.blend and self.blend.moved(matrix, size)
            return Scene(size, tuple(layer.moved(matrix) for layer in self.layers), blend)
        if self.blend or not all(is_axis_aligned(la.matrix) or la.fits(self.size) for la in self.layers):
            return Scene.of(self.render()).moved(matrix, size)
        kept = (la if la.fits(self.size) else la.cropped(self.size) for la in self.layers)
        return Scene(size, tuple(layer.moved(matrix) for layer in kept))

    def blended_with(self, other: Scene) -> Scene:
        """The half-and-half average of this scene and another one of the same size."""
        if self.blend:
            return Scene.of(self.render()).blended_with(other)
        return Scene(self.size, self.layers, other)

    def render(self) -> np.ndarray:
        """Draws the scene: (h, w, channels) uint8, contiguous."""
        canvas = self._render_layers()
        if self.blend is None:
            return canvas
        # Halves are rounded down, as the float average cast to uint8 of Megvii's and MMDetection's mixup.
        return _average_down(canvas, self.blend.render())

    def _render_layers(self) -> np.ndarray:
        width, height = self.size
        first = self.layers[0]
        covers = len(self.layers) == 1 and first.pixels.shape[:2] == (height, width)
        if covers and np.array_equal(first.matrix, np.eye(3)):
            return first.pixels
        canvas = np.full((height, width, first.pixels.shape[2]), FILL, dtype=np.uint8)
        for layer in self.layers:
            layer.draw(canvas)
        return canvas


def _average_down(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # floor((a + b) / 2) without leaving uint8: the common bits plus half of the differing ones.
    differing = cv2.bitwise_xor(a, b)
    # OpenCV drops the axis of a single channel.
    return cv2.add(cv2.bitwise_and(a, b), cv2.LUT(differing, _HALVES)).reshape(a.shape)


_HALVES = (np.arange(256) >> 1).astype(np.uint8)


class Sample(dict):
    """The results dict of a pipeline, whose ``img`` is drawn when somebody asks for it.

    Geometric transforms keep the pending picture under ``scene``. Any other transform, ours or another
    project's, reads ``results['img']`` and gets it rendered at that moment. A deep copy shares the data set.
    """

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (key == 'img' and super().__contains__('scene'))

    def __setitem__(self, key: Any, value: Any) -> None:
        if key == 'img':
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
        results: holds ``scene``, or ``img`` as (h, w, channels) with values in 0-255.
    """
    if 'scene' in results:
        return results.pop('scene')
    image = results.pop('img')
    # Of other projects' transforms some leave floats behind, a little outside of the range.
    return Scene.of(image if image.dtype == np.uint8 else np.rint(image).clip(0, 255).astype(np.uint8))


def take_image(results: dict) -> np.ndarray:
    """Takes the picture out of a sample as pixels, (h, w, channels) uint8; ``results`` as in `take_scene`."""
    return take_scene(results).render()

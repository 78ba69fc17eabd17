"""One source image on the canvas of a scene, and how it is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .geometry import (
    Size,
    is_axis_aligned,
    largest_stretch,
    rectangle_corners,
    scaling,
    transform_bboxes,
    transform_points,
    translation,
)
from .images import ImageSource

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class Layer:
    """One source image, or a part of it, on a canvas.

    Attributes:
        source: the image.
        matrix: (3, 3) float64, from the image's continuous coordinates to the canvas'.
        region: the part of the image that shows, xyxy in whole pixels of it.
    """

    source: ImageSource
    matrix: np.ndarray
    region: tuple[int, int, int, int]

    @classmethod
    def of(cls, source: ImageSource, matrix: np.ndarray) -> Layer:
        """A layer that shows the whole image."""
        return cls(source, matrix, (0, 0, *source.size))

    @cached_property
    def extent(self) -> Extent:
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
        """Whether nothing of the layer sticks out of a canvas of ``size`` (w, h) by a pixel or more."""
        x1, y1, x2, y2 = self.extent
        return x1 > -1 and y1 > -1 and x2 < size[0] + 1 and y2 < size[1] + 1

    def is_visible(self, size: Size) -> bool:
        """Whether a part of the layer lies on a canvas of ``size`` (w, h)."""
        x1, y1, x2, y2 = self.extent
        left, top, right, bottom = self.region
        return left < right and top < bottom and x1 < size[0] and y1 < size[1] and x2 > 0 and y2 > 0

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
        height, width = canvas.shape[:2]
        if not self.is_visible((width, height)):
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

    def _resize_onto(self, canvas: np.ndarray, pixels: np.ndarray, anchor: Size) -> None:
        """Draws an upright layer whose first pixel has its outer corner at a whole pixel, ``anchor``."""
        # cv2.resize is what the published pipelines use, finer than warpAffine's 1/32 px, and much faster.
        scale_x, scale_y = float(self.matrix[0, 0]), float(self.matrix[1, 1])
        columns, x, width = _placed(anchor[0], scale_x, pixels.shape[1], canvas.shape[1])
        rows, y, height = _placed(anchor[1], scale_y, pixels.shape[0], canvas.shape[0])
        if not width or not height:
            return
        shown = pixels[:rows, :columns]
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
        covered = None if self.is_upright else self._covered((x1, y1), warped.shape[:2])
        cv2.copyTo(warped, covered, canvas[y1:y2, x1:x2])

    def _covered(self, corner: Size, shape: tuple[int, ...]) -> np.ndarray:
        """Which pixels of the canvas' part at ``corner`` (x, y) a rotated layer covers: (h, w) uint8."""
        outline = rectangle_corners(np.array([self.region], dtype=np.float64))
        # A margin of one pixel, because OpenCV is careless with what begins just above an image.
        shift = translation(0.5 - corner[0], 0.5 - corner[1])
        fixed_point = np.rint(transform_points(outline, shift @ self.matrix) * 256).astype(np.int32)
        mask = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
        return cv2.fillConvexPoly(mask, fixed_point[0], 255, shift=8)[1:-1, 1:-1]


def _placed(anchor: int, scale: float, length: int, canvas: int) -> tuple[int, int, int]:
    """An axis of an upright image: how many pixels show, the first on the canvas, and how many there."""
    room = (canvas - anchor) / scale if scale > 0 else anchor / -scale
    # Two more, because the last pixel is interpolated with the next.
    shown = max(0, min(length, math.ceil(room) + 2))
    size = round(shown * abs(scale))
    return shown, anchor if scale > 0 else anchor - size, size

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

from .geometry import Size, horizontal_flip
from .images import ImageSource, Pixels
from .layer import Layer

FILL = 114
"""The grey level of Megvii's YOLOX for whatever no image covers."""


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
        return cls.showing(Pixels(image))

    @classmethod
    def showing(cls, source: ImageSource) -> Scene:
        """The scene that shows just this image."""
        return cls(source.size, (Layer.of(source, np.eye(3)),))

    def moved(self, matrix: np.ndarray, size: Size) -> Scene:
        """The scene after an affine map of its canvas onto a new canvas of ``size`` (w, h).

        What the old canvas cut off stays cut off, to within a pixel of the source. Where that cannot be said
        by cropping sources (a rotated layer sticks out, or a blended scene is resized) the scene is drawn
        first.
        """
        if size == self.size and np.array_equal(matrix, horizontal_flip(size[0])):
            blend = self.blend and self.blend.moved(matrix, size)
            return Scene(size, tuple(layer.moved(matrix) for layer in self.layers), blend)
        if self.blend or not all(la.is_upright or la.fits(self.size) for la in self.layers):
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
        if len(self.layers) == 1 and first.is_untouched and first.source.size == self.size:
            pixels, _ = first.source.read()
            return pixels if pixels.flags.writeable else pixels.copy()
        canvas = np.full((height, width, first.source.channels), FILL, dtype=np.uint8)
        for layer in self.layers:
            layer.draw(canvas)
        return canvas


def _average_down(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # A quarter less, so that rounding to the nearest rounds halves down; reshaped, because OpenCV drops the
    # axis of a single channel.
    return cv2.addWeighted(a, 0.5, b, 0.5, -0.25).reshape(a.shape)


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

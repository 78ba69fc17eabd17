"""Photos as a page holds them, and where boxes, their texts and keypoints are on them."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mmyolox.errors import counted

if TYPE_CHECKING:
    from .blocks import Box, BoxKind, Picture

KINDS: dict[BoxKind, tuple[str, str]] = {
    'missed': ('?', 'missed: an annotation without a detection'),
    'false': ('✗', 'false: a detection without an annotation'),
    'hit': ('✓', 'hit: detection and annotation match'),
    'truth': ('', 'annotation'),
    'ignored': ('~', 'ignored'),
}
"""The sign of each kind of box and what it is called, what matters most first."""

_MOST_TEXTS = 12
"""Boxes of a picture that have a text; of more it covers the photo, and pointing at them shows it."""
_MARGIN = 0.25
"""How far boxes outside of a photo are shown, as a share of its longer side."""


@dataclass(frozen=True)
class Photo:
    """A photo that is part of the page.

    Attributes:
        jpeg: The file, in base64; ``''`` for a photo that cannot be shown.
        size_wh: The width and height of the original image in pixels, those of all boxes on it.
    """

    jpeg: str
    size_wh: tuple[int, int]


def embed(image: npt.NDArray[np.uint8], longest: int = 480, quality: int = 78) -> Photo:
    """Makes a photo of an image: about 40 KB of the page at 480 pixels.

    Args:
        image: (H, W, 3) uint8, BGR.
        longest: The most pixels of a side; a larger image is shrunk.
        quality: The quality of the JPEG, up to 100.
    """
    import cv2

    height, width = image.shape[:2]
    scale = min(1, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return Photo(b64encode(jpeg.tobytes()).decode(), (width, height))


@dataclass(frozen=True)
class Shape:
    """A box as it is drawn.

    Attributes:
        box: The box.
        path: Its outline in pixels of the original image, as SVG's paths have it.
        text: Its sign and label.
        text_xy: Where the text begins; ``None`` for one that is shown when it is pointed at.
        anchor: ``end`` where it ends there, at the right border; its width is the browser's to know.
    """

    box: Box
    path: str
    text: str
    text_xy: tuple[float, float] | None
    anchor: Literal['start', 'end'] = 'start'


@dataclass(frozen=True)
class Panel:
    """A photo with boxes, such as the annotations, or the detections.

    Attributes:
        name: What the boxes are.
        boxes: All boxes.
        view: What is shown: left, top, width and height in pixels of the original image.
        text_size: The size of texts in these pixels.
        limbs: Pairs of keypoints that lines join.
    """

    name: str
    boxes: Sequence[Box]
    view: tuple[float, float, float, float]
    text_size: float
    limbs: Sequence[tuple[int, int]]

    @property
    def summary(self) -> str:
        """How many boxes there are of each kind: ``2 hit, 1 missed``, or ``3 boxes`` if they are of none."""
        counts = {kind: sum(box.kind == kind for box in self.boxes) for kind in KINDS}
        plain = counts.pop('truth')
        known = [f'{number} {kind}' for kind, number in counts.items() if number]
        return ', '.join([*known, *([counted(plain, 'box')] if plain else [])]) or 'none'

    def shapes(self) -> list[Shape]:
        """The boxes as they are drawn, large ones first so that small ones are on top, those with NaN not."""
        drawn = [box for box in self.boxes if all(map(math.isfinite, box.xyxy))]
        order = list(KINDS)
        by_rank = sorted(drawn, key=lambda box: (order.index(box.kind), -_area(box)))
        places: dict[int, tuple[float, float]] = {}
        for box in by_rank[:_MOST_TEXTS]:
            if place := self._place(box, places.values()):
                places[id(box)] = place
        left, right = self.view[0], self.view[0] + self.view[2]
        shapes = []
        for box in sorted(drawn, key=_area, reverse=True):
            place, text = places.get(id(box)), _text(box)
            shape = Shape(box, _outline(box), text, place)
            # Wide letters take 0.8 of the size: such a text could pass the border, so that it ends there.
            if place and left < place[0] and place[0] + 0.8 * self.text_size * len(text) > right:
                shape = replace(shape, text_xy=(right - 0.2 * self.text_size, place[1]), anchor='end')
            shapes.append(shape)
        return shapes

    def limbs_of(self, box: Box) -> str:
        """The lines between the keypoints of a box, as SVG's paths have them."""
        points = box.keypoints
        pairs = [(points[a], points[b]) for a, b in self.limbs if max(a, b) < len(points)]
        return ''.join(f'M{_numbers(*one)}L{_numbers(*other)}' for one, other in pairs if one and other)

    def points_of(self, box: Box) -> str:
        """The keypoints of a box, as SVG's paths have them."""
        return ''.join(f'M{_numbers(*point)}h0' for point in box.keypoints if point)

    def _place(self, box: Box, taken: Collection[tuple[float, float]]) -> tuple[float, float] | None:
        """Where the text of a box begins: above it, within or below, the first that is in view and free."""
        left, top, width, height = self.view
        size = self.text_size
        y1, y2 = sorted(box.xyxy[1::2])
        # A little more than half of the size is the mean width of a letter.
        x = max(left, min(box.xyxy[0], box.xyxy[2], left + width - 0.58 * size * len(_text(box))))
        tries = [y1 - 0.35 * size, y1 + 1.1 * size, y2 + 1.1 * size, y2 - 0.35 * size]
        seen = [y for y in tries if top + size <= y <= top + height] or [top + size]
        free = (
            y for y in seen if all(abs(y - by) > 1.1 * size or abs(x - at) > 6 * size for at, by in taken)
        )
        return next(((x, y) for y in free), None)


def panels_of(picture: Picture) -> list[Panel]:
    """The panels of a picture, which show the same part of the photo."""
    view = _view([box for _, boxes in picture.panels for box in boxes], picture.photo)
    size = max(picture.photo.size_wh) / 30
    return [Panel(name, boxes, view, size, picture.limbs) for name, boxes in picture.panels]


def kinds_on(pictures: Sequence[Picture]) -> list[BoxKind]:
    """The kinds of boxes on pictures."""
    found = {box.kind for picture in pictures for _, boxes in picture.panels for box in boxes}
    return [kind for kind in KINDS if kind in found]


def _view(boxes: Sequence[Box], photo: Photo) -> tuple[float, float, float, float]:
    """The photo, and what lies outside of it of the boxes, as far as a quarter of the longer side."""
    width, height = photo.size_wh
    room = _MARGIN * max(width, height)
    xs = [x for box in boxes for x in box.xyxy[::2] if math.isfinite(x)]
    ys = [y for box in boxes for y in box.xyxy[1::2] if math.isfinite(y)]
    left, right = max(min([0, *xs]), -room), min(max([width, *xs]), width + room)
    top, bottom = max(min([0, *ys]), -room), min(max([height, *ys]), height + room)
    return left, top, right - left, bottom - top


def _area(box: Box) -> float:
    return abs((box.xyxy[2] - box.xyxy[0]) * (box.xyxy[3] - box.xyxy[1]))


def _text(box: Box) -> str:
    return f'{KINDS[box.kind][0]} {box.label}'.strip()


def _outline(box: Box) -> str:
    (x, right), (y, bottom) = sorted(box.xyxy[::2]), sorted(box.xyxy[1::2])
    width = _numbers(right - x)
    return f'M{_numbers(x, y)}h{width}v{_numbers(bottom - y)}h-{width}z'


def _numbers(*values: float) -> str:
    """Numbers with one decimal at most, which is enough for pixels."""
    return ' '.join(f'{value:.1f}'.removesuffix('.0') for value in values)

"""Draws scenes of textured shapes and says where everything is; ``make_shapes.py`` makes data sets of them.

Coordinates are continuous pixels: pixel (0, 0) covers [0, 1) x [0, 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_OVERSAMPLE = 4
_MIN_COLOUR_DISTANCE = 100.0


def _ring(angles_deg: NDArray, radii: NDArray) -> NDArray:
    angles = np.deg2rad(angles_deg)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


# Outlines (V, 2) and keypoints (5, 2) in a frame of radius 1: x to the right, y down, the head up.
OUTLINES = {
    'disk': _ring(np.arange(0, 360, 5), np.ones(72)),
    'box': np.array([[-0.75, -0.95], [0.75, -0.95], [0.75, 0.95], [-0.75, 0.95]]),
    'triangle': np.array([[0.0, -1.0], [0.9, 0.8], [-0.9, 0.8]]),
    'star': _ring(np.arange(-90, 270, 36), np.tile([1.0, 0.45], 5)),
}
LANDMARKS = {
    'disk': np.array([[0.0, -0.75], [-0.75, 0.0], [0.75, 0.0], [0.0, 0.75], [0.0, 0.0]]),
    'box': np.array([[0.0, -0.7], [-0.5, 0.0], [0.5, 0.0], [0.0, 0.7], [0.0, 0.0]]),
    'triangle': np.array([[0.0, -0.6], [-0.62, 0.62], [0.62, 0.62], [0.0, 0.62], [0.0, 0.15]]),
    'star': np.array([[0.0, -0.6], [-0.7, -0.2], [0.7, -0.2], [0.0, 0.3], [0.0, 0.0]]),
}
CLASS_NAMES = tuple(OUTLINES)
CATEGORY_FIELDS: dict[str, Any] = dict(
    keypoints=['head', 'left', 'right', 'tail', 'centre'],
    skeleton=[[1, 5], [2, 5], [3, 5], [4, 5]],
    flip_pairs=[['left', 'right']],
)


@dataclass(frozen=True)
class Settings:
    """What the scenes look like.

    Attributes:
        width: The width of every image in pixels.
        height: The height of every image in pixels.
        shapes: The least and greatest number of shapes aimed at in an image that is not empty.
        radius: The least and greatest radius of a shape, as a share of the image's shorter side.
        max_rotation: The largest turn of a shape in degrees, either way.
        max_hidden: The greatest share of a shape that later shapes may hide.
        min_inside: The least share of a shape that has to be inside the image.
        empty: The share of the images without any shape.
    """

    width: int = 320
    height: int = 320
    shapes: tuple[int, int] = (1, 6)
    radius: tuple[float, float] = (0.09, 0.22)
    max_rotation: float = 45.0
    max_hidden: float = 0.4
    min_inside: float = 0.6
    empty: float = 0.05


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape placed in an image.

    Attributes:
        label: The index into ``CLASS_NAMES``.
        coverage: (H, W) float32 in [0, 1], the share of each pixel inside the full outline.
        keypoints: (5, 2) in pixels, some perhaps outside the image.
        frame: (2, 2), which takes an offset in pixels from the centre, ``keypoints[4]``, to the outline's
            frame.
        area: The area of the whole outline in pixels, what is outside the image included.
    """

    label: int
    coverage: NDArray[np.float32]
    keypoints: NDArray[np.float64]
    frame: NDArray[np.float64]
    area: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), the pixels at least half inside the outline."""
        return self.coverage >= 0.5


def make_scene(
    rng: np.random.Generator, settings: Settings
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Makes one image.

    Returns:
        The image (H, W, 3), BGR, and what :func:`annotate` says of each shape.
    """
    image = background(rng, settings.width, settings.height)
    shapes = place_shapes(rng, settings) if rng.random() >= settings.empty else []
    for shape in shapes:
        paint(rng, image, shape)
    image += rng.normal(0, rng.uniform(1, 6), image.shape)
    objects = [annotate(shape, shapes[index + 1 :]) for index, shape in enumerate(shapes)]
    return np.clip(np.round(image), 0, 255).astype(np.uint8), objects


def annotate(shape: Shape, above: Sequence[Shape]) -> dict[str, Any]:
    """Describes a shape that the shapes ``above`` may hide.

    Returns:
        ``label``; ``bbox``, xyxy tight around the pixels of the full shape that are inside the image, hidden
        or not; ``area``, the number of these pixels; ``keypoints``, COCO's flat list of x, y, visibility: 2
        seen, 1 hidden, 0 outside the image with coordinates 0; ``num_keypoints``, those inside.
    """
    mask = shape.mask
    height, width = mask.shape
    hidden = np.logical_or.reduce([np.zeros_like(mask), *(other.mask for other in above)])
    keypoints: list[float] = []
    for x, y in shape.keypoints.tolist():
        inside = 0 <= x < width and 0 <= y < height
        keypoints += [round(x, 2), round(y, 2), 1 if hidden[int(y), int(x)] else 2] if inside else [0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(axis=1)).tolist(), np.flatnonzero(mask.any(axis=0)).tolist()
    return dict(
        label=shape.label,
        bbox=(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1),
        area=int(mask.sum()),
        keypoints=keypoints,
        num_keypoints=sum(visibility > 0 for visibility in keypoints[2::3]),
    )


def place_shapes(rng: np.random.Generator, settings: Settings) -> list[Shape]:
    """Shapes in the order of drawing, none hidden or cut off by more than the settings allow."""
    size = np.array([settings.width, settings.height])
    wanted = int(rng.integers(settings.shapes[0], settings.shapes[1] + 1))
    shapes: list[Shape] = []
    seen: list[NDArray[np.bool_]] = []
    for _ in range(8 * wanted):
        shape = random_shape(rng, settings, rng.uniform(0.05, 0.95, 2) * size)
        mask = shape.mask
        left = [other & ~mask for other in seen]
        least = [(1 - settings.max_hidden) * other.mask.sum() for other in shapes]
        inside = mask.sum() >= settings.min_inside * shape.area
        if inside and all(part.sum() >= area for part, area in zip(left, least, strict=True)):
            shapes.append(shape)
            seen = [*left, mask]
        if len(shapes) == wanted:
            break
    return shapes


def random_shape(rng: np.random.Generator, settings: Settings, centre: NDArray) -> Shape:
    """A shape of random class, size, turn and squeeze around a point (2,) in pixels."""
    label = int(rng.integers(len(CLASS_NAMES)))
    radius = min(settings.width, settings.height) * rng.uniform(*settings.radius)
    angle = np.deg2rad(rng.uniform(-settings.max_rotation, settings.max_rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([radius * rng.uniform(0.75, 1.0), radius])
    landmarks = LANDMARKS[CLASS_NAMES[label]]
    outline = (OUTLINES[CLASS_NAMES[label]] - landmarks[4]) @ matrix.T + centre
    x, y = outline.T
    return Shape(
        label=label,
        coverage=rasterise(outline, settings.width, settings.height),
        keypoints=(landmarks - landmarks[4]) @ matrix.T + centre,
        frame=np.linalg.inv(matrix),
        area=abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2,
    )


def rasterise(polygon: NDArray, width: int, height: int) -> NDArray[np.float32]:
    """The share of each pixel that a polygon covers: (V, 2) pixels -> (H, W) float32."""
    coverage = np.zeros((height, width), np.float32)
    x1, y1 = np.clip(np.floor(polygon.min(axis=0)), 0, [width, height]).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(polygon.max(axis=0)), 0, [width, height]).astype(int).tolist()
    if x1 < x2 and y1 < y2:
        canvas = np.zeros(((y2 - y1) * _OVERSAMPLE, (x2 - x1) * _OVERSAMPLE), np.uint8)
        # OpenCV puts pixel centres at whole coordinates; with `shift=4` it takes sixteenths of pixels.
        points = np.round(((polygon - [x1, y1]) * _OVERSAMPLE - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], 255, shift=4)
        part = cv2.resize(canvas, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
        coverage[y1:y2, x1:x2] = part.astype(np.float32) / 255
    return coverage


def background(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """An image (H, W, 3), values around 0 to 255: a gradient, soft clouds, lines and arcs as clutter."""
    corners = rng.uniform(30, 225, 3) + rng.uniform(-60, 60, (2, 2, 3))
    image = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    clouds = rng.uniform(-1, 1, rng.integers(3, 12, 2)) * rng.uniform(5, 35)
    image += cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    unit = min(width, height) / 160
    for _ in range(rng.integers(0, 8)):
        colour = rng.uniform(0, 255, 3).tolist()
        thickness = max(1, round(unit * rng.uniform(0.5, 2)))
        start, end = rng.integers(0, [width, height], (2, 2)).tolist()
        if rng.random() < 0.5:
            cv2.line(image, start, end, colour, thickness)
        else:
            axes = [round(unit * value) for value in rng.uniform(10, 60, 2)]
            cv2.ellipse(image, start, axes, rng.uniform(0, 360), 0, rng.uniform(40, 140), colour, thickness)
    return image


def paint(rng: np.random.Generator, image: NDArray[np.float64], shape: Shape) -> None:
    """Draws a shape, with a dot at its head, into an image (H, W, 3)."""
    rows, columns = np.nonzero(shape.coverage)
    pixels = image[rows, columns]
    alpha = shape.coverage[rows, columns, None]
    u, v = shape.frame @ (np.stack([columns, rows]) + 0.5 - shape.keypoints[4][:, None])
    head_u, head_v = shape.frame @ (shape.keypoints[0] - shape.keypoints[4])
    first, second = random_colours(rng, pixels.mean(axis=0))
    # The second colour only tints the first, so that the pattern does not break up the outline.
    fill = first + 0.6 * texture(rng, u, v)[:, None] * (second - first)
    dot = np.clip((0.16 - np.hypot(u - head_u, v - head_v)) / 0.04, 0, 1)[:, None]
    fill += dot * (np.where(first.mean() > 127, 0.0, 255.0) - fill)
    image[rows, columns] = pixels + alpha * (fill - pixels)


def random_colours(rng: np.random.Generator, behind: NDArray) -> tuple[NDArray, NDArray]:
    """Two colours (3,), the first well away from the colour ``behind`` (3,), the second from the first."""
    candidates = rng.uniform(0, 255, (2, 32, 3))
    first = candidates[0, np.argmax(np.linalg.norm(candidates[0] - behind, axis=1) >= _MIN_COLOUR_DISTANCE)]
    second = candidates[1, np.argmax(np.linalg.norm(candidates[1] - first, axis=1) >= _MIN_COLOUR_DISTANCE)]
    return first, second


def texture(rng: np.random.Generator, u: NDArray, v: NDArray) -> NDArray:
    """A random pattern in [0, 1] at points (P,) of the frame in which the shape has radius 1."""
    pattern = rng.choice(['plain', 'gradient', 'stripes', 'checks', 'noise'])
    frequency = rng.uniform(4.0, 9.0)
    across, along = np.sin(frequency * u), np.sin(frequency * v)
    grid = rng.integers(0, 2, (16, 16))
    cells = np.clip((np.stack([u, v]) + 2) * 4, 0, 15).astype(int)
    patterns = dict(
        plain=np.zeros_like(u),
        gradient=np.clip((v + 1) / 2, 0, 1),
        stripes=np.clip(4 * across + 0.5, 0, 1),
        checks=np.clip(8 * across * along + 0.5, 0, 1),
        noise=grid[cells[0], cells[1]].astype(float),
    )
    return patterns[str(pattern)]

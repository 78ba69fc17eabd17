"""Plane geometry of images, boxes and annotated instances on 3x3 matrices.

Coordinates are continuous: pixel ``i`` of an image covers ``[i, i + 1)``, an image of width ``w`` spans
``[0, w]``, and a matrix maps a column vector ``(x, y, 1)`` of one image to another image's. Boxes are xyxy
in the same coordinates, so that boxes and pixels go through the very same matrix.

What is annotated on a sample are arrays of length M, one entry an instance, under keys that begin with
``gt_``. ``gt_bboxes`` (M, 4) float32 xyxy in pixels of the current canvas and ``gt_bboxes_labels`` (M,) int64
are always there. The label -1 marks a region to ignore (a crowd): it is no object, and no background either.
Further arrays under ``gt_*`` follow their instance through every transform. One that holds coordinates has an
:data:`InstanceMap` under its key in ``results['instance_maps']``, set by whatever loads it.
"""

import math
from collections.abc import Callable

import numpy as np

from mmyolox.deploy.letterbox import Size, fitted_size

IGNORED = -1
"""The label of a region that is neither an object nor background."""

InstanceMap = Callable[[np.ndarray, np.ndarray, Size], np.ndarray]
"""Maps values (M, ...) by a (3, 3) matrix onto a canvas of a size; returns new ones in the same order."""


def translation(x: float, y: float) -> np.ndarray:
    """The (3, 3) float64 matrix that moves by ``(x, y)`` pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def scaling(x: float, y: float) -> np.ndarray:
    """The (3, 3) float64 matrix that scales about the origin."""
    return np.array([[x, 0, 0], [0, y, 0], [0, 0, 1]], dtype=np.float64)


def rotation(degrees: float) -> np.ndarray:
    """The (3, 3) float64 matrix that rotates about the origin (clockwise on screen: y points down)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=np.float64)


def shearing(x_degrees: float, y_degrees: float) -> np.ndarray:
    """The (3, 3) float64 matrix that shears about the origin."""
    x, y = math.tan(math.radians(x_degrees)), math.tan(math.radians(y_degrees))
    return np.array([[1, x, 0], [y, 1, 0], [0, 0, 1]], dtype=np.float64)


def horizontal_flip(width: float) -> np.ndarray:
    """The (3, 3) float64 matrix that mirrors an image of that width onto itself."""
    return np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]], dtype=np.float64)


def rectangle_corners(bboxes: np.ndarray) -> np.ndarray:
    """The corners (M, 4, 2) of xyxy boxes (M, 4), clockwise from the top left."""
    return bboxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Maps points (..., 2) by an affine matrix; float64 inside, the dtype of ``points`` outside."""
    mapped = points @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped.astype(points.dtype, copy=False)


def transform_bboxes(bboxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The axis-aligned hulls (M, 4) of xyxy boxes (M, 4) after an affine map.

    Exact for maps without rotation and shear; otherwise the box around the four mapped corners, as in
    Megvii's YOLOX and MMDetection.
    """
    corners = transform_points(rectangle_corners(bboxes.astype(np.float64)), matrix)
    hulls = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return hulls.astype(bboxes.dtype)


def clip_bboxes(bboxes: np.ndarray, size: Size) -> np.ndarray:
    """The boxes (M, 4) cut to an image of ``size``."""
    width, height = size
    return bboxes.clip(0, np.array([width, height, width, height], dtype=bboxes.dtype))


def bboxes_touch(bboxes: np.ndarray, size: Size) -> np.ndarray:
    """Which boxes (M, 4) have at least a part in an image of ``size``: a bool array (M,)."""
    width, height = size
    return (bboxes[:, 0] < width) & (bboxes[:, 1] < height) & (bboxes[:, 2] > 0) & (bboxes[:, 3] > 0)


def is_axis_aligned(matrix: np.ndarray) -> bool:
    """Whether an affine matrix neither rotates nor shears."""
    return bool(matrix[0, 1] == 0 and matrix[1, 0] == 0)


def largest_stretch(matrix: np.ndarray) -> float:
    """How many times longer an affine map makes a distance at most: its largest singular value."""
    (a, b, _), (c, d, _), _ = matrix.tolist()
    squares, area = a * a + b * b + c * c + d * d, a * d - b * c
    return math.sqrt((squares + math.sqrt(max(0.0, squares * squares - 4 * area * area))) / 2)


def fit_matrix(source: Size, target: Size) -> np.ndarray:
    """Scales an image of ``source`` to fit into ``target``, aspect ratio kept, at the top left.

    Sides are rounded down to whole pixels as in Megvii's YOLOX 0.3, and each axis' scale is that of its
    rounded side, so that boxes and pixels agree exactly. At least one pixel remains.
    """
    width, height = fitted_size(source, target)
    return scaling(width / source.width, height / source.height)


def instance_keys(results: dict) -> list[str]:
    """The keys of a sample that hold one entry an instance."""
    return [key for key in results if key.startswith('gt_')]


def keep_instances(results: dict, keep: np.ndarray) -> None:
    """Keeps the instances that the mask (M,) or the indices choose, in place."""
    for key in instance_keys(results):
        results[key] = results[key][keep]


def add_instances(results: dict, others: list[dict]) -> None:
    """Appends the instances of other samples, in place."""
    for key in instance_keys(results):
        results[key] = np.concatenate([results[key], *(other[key] for other in others)])


def has_objects(results: dict) -> bool:
    """Whether anything but ignored regions is annotated."""
    return bool((results['gt_bboxes_labels'] != IGNORED).any())


def map_instances(results: dict, matrix: np.ndarray, size: Size) -> None:
    """Moves the instances onto a canvas of ``size``, in place.

    Boxes are clipped, and an instance is dropped when its box is outside. ``instance_maps`` move the rest.
    """
    bboxes = clip_bboxes(transform_bboxes(results['gt_bboxes'], matrix), size)
    results['gt_bboxes'] = bboxes
    keep_instances(results, bboxes_touch(bboxes, size))
    for key, map_values in results.get('instance_maps', {}).items():
        results[key] = map_values(results[key], matrix, size)

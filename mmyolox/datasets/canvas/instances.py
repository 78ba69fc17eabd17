"""What is annotated on a sample: arrays with one row an instance, under keys that begin with ``gt_``.

``gt_bboxes`` (M, 4) float32 xyxy in pixels of the current canvas and ``gt_bboxes_labels`` (M,) int64 are
always there. The label -1 marks a region to ignore (a crowd): it is no object, and no background either.

Further arrays under ``gt_*`` follow their instance through every transform. One that holds coordinates has an
:data:`InstanceMap` under its key in ``results['instance_maps']``, set by whatever loads it.
"""

from collections.abc import Callable

import numpy as np

from .geometry import Size, bboxes_touch, clip_bboxes, transform_bboxes

IGNORED = -1
"""The label of a region that is neither an object nor background."""

InstanceMap = Callable[[np.ndarray, np.ndarray, Size], np.ndarray]
"""Maps values (M, ...) by a (3, 3) matrix onto a canvas of a size (w, h); returns new ones, row for row."""


def instance_keys(results: dict) -> list[str]:
    """The keys of a sample that hold one row an instance."""
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
    """Moves the instances onto a canvas of ``size`` (w, h), in place.

    Boxes are clipped, and an instance is dropped when its box is outside. ``instance_maps`` move the rest.
    """
    bboxes = clip_bboxes(transform_bboxes(results['gt_bboxes'], matrix), size)
    results['gt_bboxes'] = bboxes
    keep_instances(results, bboxes_touch(bboxes, size))
    for key, map_values in results.get('instance_maps', {}).items():
        results[key] = map_values(results[key], matrix, size)

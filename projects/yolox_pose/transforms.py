"""Keypoints in a pipeline: how they are loaded, how they move along with their boxes, how they are packed.

Keypoints are (M, K, 3): x and y in continuous pixel coordinates, as :mod:`mmyolox.datasets.canvas.geometry`
has them, and COCO's visibility: 0 not labelled, 1 labelled but hidden, 2 seen. Those not labelled are all
zero.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mmyolox.datasets.canvas.geometry import IGNORED, transform_points
from mmyolox.datasets.transforms import LoadAnnotations, PackDetInputs
from mmyolox.deploy.letterbox import Size
from mmyolox.registry import TRANSFORMS


def without_outliers(keypoints: np.ndarray, size: Size | np.ndarray) -> np.ndarray:
    """Keypoints (M, K, 3) of which those outside an image are not labelled any more.

    Args:
        keypoints: (M, K, 3) of any dtype; the position of what is not labelled does not matter.
        size: The size of the image, or arrays of (w, h) that broadcast with (M, K, 2). The border is inside,
            on all four sides: COCO has keypoints at x = w.
    """
    positions, visibility = keypoints[..., :2], keypoints[..., 2]
    is_labelled = (visibility > 0) & ((positions >= 0) & (positions <= size)).all(-1)
    return np.where(is_labelled[..., None], keypoints, 0)


def map_keypoints(
    keypoints: np.ndarray, matrix: np.ndarray, size: Size, flip_indices: Sequence[int]
) -> np.ndarray:
    """Moves keypoints (M, K, 3) by an affine matrix onto a canvas of ``size``.

    What leaves the canvas is not labelled any more, and so no later map brings it back. A matrix that
    mirrors swaps the joints: a mirrored left hand looks like a right one. The inverse is the map by the
    inverse matrix, for keypoints that stayed on the canvas.

    Args:
        keypoints: (M, K, 3) float32.
        matrix: The (3, 3) affine matrix.
        size: The size of the canvas.
        flip_indices: (K,), which keypoint takes each one's place in a mirror image.
    """
    moved = np.concatenate([transform_points(keypoints[..., :2], matrix), keypoints[..., 2:]], axis=-1)
    moved = without_outliers(moved, size)
    return moved[:, flip_indices] if _determinant(matrix) < 0 else moved


def map_areas(areas: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """Areas (M,) after an affine map, of the whole objects: what leaves the canvas still tells their size."""
    return areas * np.float32(abs(_determinant(matrix)))


def _determinant(matrix: np.ndarray) -> float:
    """The determinant of the linear part: how areas grow; negative for a map that mirrors."""
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


@TRANSFORMS.register_module()
class LoadPoseAnnotations(LoadAnnotations):
    """Begins the instance arrays with those of keypoints, and says how they move.

    Beside what :class:`mmyolox.datasets.transforms.LoadAnnotations` makes there are ``gt_keypoints``
    (M, K, 3) float32, x and y in pixels of the current canvas and COCO's visibility, all zero where not
    labelled, and ``gt_areas`` (M,) float32, pixels of the canvas squared. Objects without a labelled keypoint
    stay as boxes.

    Args:
        ignore_crowd: Whether to keep crowd boxes as regions, see
            :class:`mmyolox.datasets.transforms.LoadAnnotations`.
    """

    def transform(self, results: dict) -> dict:
        flip_indices = results['dataset'].skeleton.flip_indices
        results['instance_maps'] = dict(
            gt_keypoints=partial(map_keypoints, flip_indices=flip_indices), gt_areas=map_areas
        )
        return super().transform(results)

    def load_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays ``gt_*``, see :meth:`LoadAnnotations.load_instances`."""
        return super().load_instances(results) | dict(
            gt_keypoints=results['keypoints'].astype(np.float32),
            gt_areas=results['areas'].astype(np.float32),
        )


@TRANSFORMS.register_module()
class PackPoseInputs(PackDetInputs):
    """Packs keypoints along, see :class:`mmyolox.datasets.transforms.PackDetInputs`.

    ``data_samples`` also holds ``keypoints`` (M, K, 3) and ``areas`` (M,), float32 in pixels of ``inputs``,
    where annotations were loaded. The meta also has the untouched ``gt_keypoints`` in pixels of the original
    image, and ``id``, the list of the annotations' ids, which MMPose's metric reads.
    """

    def pack_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays of objects and of ignored regions, see :meth:`PackDetInputs.pack_instances`."""
        packed = super().pack_instances(results)
        if 'gt_keypoints' in results:
            is_object = results['gt_bboxes_labels'] != IGNORED
            packed.update(keypoints=results['gt_keypoints'][is_object], areas=results['gt_areas'][is_object])
        return packed

    def pack_meta(self, results: dict) -> dict[str, Any]:
        """What else the sample says of the image, see :meth:`PackDetInputs.pack_meta`."""
        meta = super().pack_meta(results)
        if 'keypoints' in results:
            meta.update(gt_keypoints=results['keypoints'], id=results['id'])
        return meta

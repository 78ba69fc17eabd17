"""Plane geometry of keypoints, as :mod:`mmyolox.datasets.canvas.geometry` has it of boxes.

Keypoints are (M, K, 3): x and y in continuous pixel coordinates, and COCO's visibility: 0 not labelled, 1
labelled but hidden, 2 seen. Those not labelled are all zero.
"""

from collections.abc import Sequence

import numpy as np

from mmyolox.datasets.canvas.geometry import Size, transform_points


def without_outliers(keypoints: np.ndarray, size: Size | np.ndarray) -> np.ndarray:
    """Keypoints (M, K, 3) of which those outside an image are not labelled any more.

    Args:
        keypoints: of any dtype; the position of what is not labelled does not matter.
        size: (w, h) of the image, or arrays that broadcast with (M, K, 2). Its border is inside, on all four
            sides: COCO has keypoints at x = w.
    """
    points, visibility = keypoints[..., :2], keypoints[..., 2]
    is_labelled = (visibility > 0) & ((points >= 0) & (points <= size)).all(-1)
    return np.where(is_labelled[..., None], keypoints, 0)


def map_keypoints(
    keypoints: np.ndarray, matrix: np.ndarray, size: Size, flip_indices: Sequence[int]
) -> np.ndarray:
    """Moves keypoints (M, K, 3) by an affine matrix onto a canvas of ``size`` (w, h).

    What leaves the canvas is not labelled any more, and so no later map brings it back. A matrix that
    mirrors swaps the joints: a mirrored left hand looks like a right one. The inverse is the map by the
    inverse matrix, for keypoints that stayed on the canvas.

    Args:
        keypoints: float32, see above.
        matrix: (3, 3).
        size: of the canvas.
        flip_indices: (K,) which keypoint takes each one's place in a mirror image.
    """
    moved = np.concatenate([transform_points(keypoints[..., :2], matrix), keypoints[..., 2:]], axis=-1)
    moved = without_outliers(moved, size)
    return moved[:, flip_indices] if _determinant(matrix) < 0 else moved


def map_areas(areas: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """Areas (M,) after an affine map, of the whole objects: what leaves the canvas still tells their size."""
    return areas * np.float32(abs(_determinant(matrix)))


def _determinant(matrix: np.ndarray) -> float:
    """Of the linear part: how areas grow; negative for a map that mirrors."""
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]

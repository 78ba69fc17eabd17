"""Keypoints of the head as pure functions: from raw outputs to pixels of the input and of the original."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def decode_keypoints(offsets: Tensor, cells: Tensor) -> Tensor:
    """Turns raw outputs into keypoints.

    Args:
        offsets: (..., 2K): x and y of each keypoint from the cell's corner, in stride units. Taken to
            float32, as half precision has steps of half a pixel above 512.
        cells: (..., 3): x and y of the cell's top left corner in input pixels, and the stride.

    Returns:
        (..., K, 2) float32 in input pixels.
    """
    points = offsets.float().reshape(*offsets.shape[:-1], offsets.shape[-1] // 2, 2)
    return points * cells[..., None, 2:] + cells[..., None, :2]


def keypoints_to_original(keypoints: Tensor, images: Tensor, metas: Sequence[dict]) -> Tensor:
    """Maps keypoints from input pixels to their original images'.

    Args:
        keypoints: (n, K, 2) in input pixels.
        images: (n,) int64: the index in ``metas``.
        metas: one dict an image: ``matrix``, the affine (3, 3) map from the original image to the input.

    Returns:
        (n, K, 2) float32 in pixels of the original images, not clipped.
    """
    inverses = np.linalg.inv(np.stack([meta['matrix'] for meta in metas]).astype(np.float64))
    maps = torch.from_numpy(inverses.astype(np.float32)).to(keypoints.device)[images]
    return keypoints @ maps[:, :2, :2].transpose(1, 2) + maps[:, None, :2, 2]


def swap_sides(rows: Tensor, images: Tensor, metas: Sequence[dict], flip_indices: Sequence[int]) -> Tensor:
    """Swaps what left and right keypoints predict where the input was a mirror image.

    Args:
        rows: (n, K, C).
        images: (n,) int64: the index in ``metas``.
        metas: as in :func:`keypoints_to_original`.
        flip_indices: (K,) which keypoint takes each one's place in a mirror image.
    """
    is_mirrored = np.linalg.det(np.stack([meta['matrix'] for meta in metas])) < 0
    swaps = torch.from_numpy(is_mirrored).to(rows.device)[images]
    return torch.where(swaps[:, None, None], rows[:, list(flip_indices)], rows)

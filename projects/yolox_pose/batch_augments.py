"""Augmentations of whole training batches on the device that know of keypoints."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmyolox.models.batch_augments import YOLOXBatchFlip, YOLOXBatchSyncRandomResize
from mmyolox.registry import MODELS

from .skeleton import Skeleton


@MODELS.register_module()
class PoseBatchFlip(YOLOXBatchFlip):
    """Mirrors training images left and right, and swaps the joints of the left and the right side.

    Args:
        skeleton: What :meth:`Skeleton.of` takes; it says which joints are swapped.
        prob: The share of images that are mirrored.
    """

    flip_indices: Tensor

    def __init__(self, skeleton: Mapping[str, Any], prob: float = 0.5) -> None:
        super().__init__(prob)
        flip_indices = torch.tensor(Skeleton.of(skeleton).flip_indices)
        self.register_buffer('flip_indices', flip_indices, persistent=False)

    def flip_annotations(self, data_samples: dict, flips: Tensor, width: int) -> dict:
        """Mirrors boxes and keypoints, see :meth:`YOLOXBatchFlip.flip_annotations`."""
        keypoints = flip_keypoints(data_samples['keypoints'], flips, width, self.flip_indices)
        return super().flip_annotations(data_samples, flips, width) | dict(keypoints=keypoints)


@MODELS.register_module()
class PoseBatchSyncRandomResize(YOLOXBatchSyncRandomResize):
    """Multi-scale training, see the base class, with keypoints and areas scaled along."""

    def scale_annotations(self, data_samples: dict, ratios: Tensor) -> dict:
        """Scales boxes, keypoints and areas, see :meth:`YOLOXBatchSyncRandomResize.scale_annotations`."""
        return super().scale_annotations(data_samples, ratios) | dict(
            keypoints=scale_keypoints(data_samples['keypoints'], ratios),
            areas=data_samples['areas'] * ratios.prod(),
        )


def flip_keypoints(keypoints: Tensor, flips: Tensor, width: int, flip_indices: Tensor) -> Tensor:
    """Mirrors the keypoints of some images; its own inverse.

    Args:
        keypoints: (B, M, K, 3) x, y, visibility; zeros for what is not labelled and for padding, which stay.
        flips: (B,) bool, the images that are mirrored.
        width: The width of the images in pixels.
        flip_indices: (K,) int64, which keypoint takes each one's place in a mirror image.
    """
    x, y, visibility = keypoints[:, :, flip_indices].unbind(-1)
    mirrored = torch.stack([torch.where(visibility > 0, width - x, x), y, visibility], dim=-1)
    return torch.where(flips.view(-1, 1, 1, 1), mirrored, keypoints)


def scale_keypoints(keypoints: Tensor, ratios: Tensor) -> Tensor:
    """Scales keypoints (B, M, K, 3) by the ratios (2,) of width and height; undone by ``1 / ratios``."""
    return keypoints * torch.cat([ratios, ratios.new_ones(1)])

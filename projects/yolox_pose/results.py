"""Detections with keypoints, as metrics see them, and as the core's tools draw, evaluate and export them."""

from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.apis.results import KeypointTools
from mmyolox.deploy import ModelInfo

from .skeleton import default_sigma


class PoseInstances(InstanceData):
    """Detections of an image that metrics see as NumPy arrays, and all others as tensors.

    MMPose's metrics expect arrays, which its own models give them. MMEngine hands every metric
    :meth:`to_dict` of a sample.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, tensors as arrays on the host."""
        return InstanceData.to_dict(self.numpy())


def exported_skeleton(info: ModelInfo) -> dict[str, Any]:
    """The skeleton as far as it is drawn; mirror pairs, which are not, are left out of exported files."""
    skeleton = dict(
        keypoints=list(info.points),
        links=[[info.points[index] for index in link] for link in info.links],
        flip_pairs=[],
        sigmas=[default_sigma(name) for name in info.points],
    )
    return dict(skeleton=skeleton, class_keypoints=info.class_points)


def pose_instances(detections: InstanceData, keypoints: Tensor) -> PoseInstances:
    """The detections with the fields that the head gives them."""
    return PoseInstances(
        **dict(detections.items()),
        keypoints=keypoints[..., :2],
        keypoint_scores=keypoints[..., 2],
        bbox_scores=detections.scores,
    )


KEYPOINTS = KeypointTools(
    'YOLOXPoseVisualizer',
    'YOLOXPoseCocoDataset',
    'YOLOXPoseCocoMetric',
    exported_skeleton,
    pose_instances,
    lambda detections: torch.cat([detections.keypoints, detections.keypoint_scores[..., None]], dim=2),
)

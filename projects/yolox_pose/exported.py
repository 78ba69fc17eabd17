"""What the points of an exported pose model are: keypoints, for the tools that draw and evaluate them."""

from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.apis.points import PointKind
from mmyolox.deploy import ModelInfo

from .instances import PoseInstances
from .skeleton import default_sigma


def _dataset_meta(info: ModelInfo) -> dict[str, Any]:
    """The skeleton as far as it is drawn; mirror pairs, which are not, are left out of exported files."""
    skeleton = dict(
        keypoints=list(info.points),
        links=[[info.points[index] for index in link] for link in info.links],
        flip_pairs=[],
        sigmas=[default_sigma(name) for name in info.points],
    )
    return dict(skeleton=skeleton, class_keypoints=info.class_points)


def _instances(found: InstanceData, points: Tensor) -> PoseInstances:
    """The detections with the fields that the head gives them."""
    return PoseInstances(
        **dict(found.items()),
        keypoints=points[..., :2],
        keypoint_scores=points[..., 2],
        bbox_scores=found.scores,
    )


def _points(found: InstanceData) -> Tensor:
    """Keypoints and their scores side by side."""
    return torch.cat([found.keypoints, found.keypoint_scores[..., None]], dim=2)


KEYPOINTS = PointKind(
    'YOLOXPoseVisualizer', 'YOLOXPoseCocoDataset', 'YOLOXPoseCocoMetric', _dataset_meta, _instances, _points
)

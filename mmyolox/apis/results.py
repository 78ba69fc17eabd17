"""Detections outside of a model, and their keypoints: a project that has any tells of them here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.deploy import DeployError, Detections, ModelInfo
from mmyolox.extensions import load_extensions


@dataclass(frozen=True)
class KeypointTools:
    """How keypoints are called, drawn and evaluated; a project registers its own.

    Attributes:
        visualizer: The type of a :class:`~mmyolox.apis.drawing.YOLOXVisualizer`.
        dataset: The type of a data set annotated in COCO's format with such keypoints.
        metric: The type of a metric of them, which takes ``ann_file``.
        dataset_meta: What makes the part of ``dataset_meta`` that these read about keypoints, from an
            exported file's info.
        instances: What adds to the detections of an image their keypoints (n, K, 3): x and y in pixels of the
            image, and score.
        keypoints: What returns the keypoints (n, K, 3) of such detections.
    """

    visualizer: str
    dataset: str
    metric: str
    dataset_meta: Callable[[ModelInfo], dict[str, Any]]
    instances: Callable[[InstanceData, Tensor], InstanceData]
    keypoints: Callable[[InstanceData], Tensor]


_REGISTERED: list[KeypointTools] = []


def register_keypoints(tools: KeypointTools) -> None:
    """Says what keypoints are; a project does it in its :mod:`extension <mmyolox.extensions>`."""
    _REGISTERED.append(tools)


def keypoint_tools(info: ModelInfo) -> KeypointTools | None:
    """The tools for the keypoints of a model, which its info calls points; None for a model without any.

    Raises:
        DeployError: No installed project has keypoints.
    """
    if not info.points:
        return None
    load_extensions()
    if not _REGISTERED:
        raise DeployError('the model predicts keypoints, which no installed project knows')
    return _REGISTERED[0]


def as_instances(detections: Detections, tools: KeypointTools | None) -> InstanceData:
    """What an exported model returns of an image, in the form that our heads return."""
    columns = dict(bboxes=detections.bboxes, scores=detections.scores, labels=detections.labels)
    instances = InstanceData(**{name: torch.from_numpy(column) for name, column in columns.items()})
    if tools is None or detections.points is None:
        return instances
    return tools.instances(instances, torch.from_numpy(detections.points))


def as_detections(instances: InstanceData, tools: KeypointTools | None) -> Detections:
    """What our heads return of an image, in the form that exported models return."""
    keypoints = None if tools is None else tools.keypoints(instances).numpy()
    return Detections(instances.bboxes.numpy(), instances.scores.numpy(), instances.labels.numpy(), keypoints)

"""What the points are that exported models predict: a project that has any tells the tools here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.deploy import DeployError, Detections, ModelInfo
from mmyolox.extensions import load_extensions


@dataclass(frozen=True)
class PointKind:
    """How points are called, drawn and evaluated; a project registers its own.

    Attributes:
        visualizer: The type of a :class:`~mmyolox.apis.drawing.YOLOXVisualizer`.
        dataset: The type of a data set annotated in COCO's format with such points.
        metric: The type of a metric of them, which takes ``ann_file``.
        dataset_meta: What of ``dataset_meta`` these read about points, from what an exported file says.
        instances: The detections of an image with their points (n, P, 3): x and y in pixels of the image,
            and score.
        points: The points (n, P, 3) of such detections.
    """

    visualizer: str
    dataset: str
    metric: str
    dataset_meta: Callable[[ModelInfo], dict[str, Any]]
    instances: Callable[[InstanceData, Tensor], InstanceData]
    points: Callable[[InstanceData], Tensor]


_POINT_KINDS: list[PointKind] = []


def register_points(kind: PointKind) -> None:
    """Says what points are; a project does it in the module of its :mod:`extension
    <mmyolox.extensions>`."""
    _POINT_KINDS.append(kind)


def point_kind(info: ModelInfo) -> PointKind | None:
    """What the points of a model are; None for one without points.

    Raises:
        DeployError: No installed project has points.
    """
    if not info.points:
        return None
    load_extensions()
    if not _POINT_KINDS:
        raise DeployError('the model predicts points, which no installed project knows')
    return _POINT_KINDS[0]


def as_instances(found: Detections, kind: PointKind | None) -> InstanceData:
    """The detections of an image as heads of ours return them."""
    columns = dict(bboxes=found.bboxes, scores=found.scores, labels=found.labels)
    instances = InstanceData(**{name: torch.from_numpy(column) for name, column in columns.items()})
    if kind is None or found.points is None:
        return instances
    return kind.instances(instances, torch.from_numpy(found.points))


def as_detections(found: InstanceData, kind: PointKind | None) -> Detections:
    """What heads of ours return of an image, as exported models do."""
    points = None if kind is None else kind.points(found).numpy()
    return Detections(found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy(), points)

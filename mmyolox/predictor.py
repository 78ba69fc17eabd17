"""What finds objects for a tool: a checkpoint in PyTorch, or an exported file in its runtime."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor

from . import inference
from .convert.extensions import load_projects
from .datasets.transforms import UndecodableImageError, read_image
from .deploy import DeployError, Detections, ExportedModel, ModelInfo
from .deploy.runtimes import SUFFIXES
from .inference import Image
from .models import YOLODetector
from .utils.errors import UserError
from .utils.threads import map_ahead
from .visualization import YOLOXVisualizer, build_visualizer

Detect = Callable[[Iterable[Image], int, int], Iterator[DetDataSample]]
"""As :func:`mmyolox.inference.detect`, of images, batch size and workers."""


@dataclass(frozen=True)
class Predictor:
    """Finds and draws objects.

    Attributes:
        detect: Finds them in images.
        visualizer: Draws them, and makes entries of a result file.
        is_grey: Whether images have a single channel, and not BGR.
    """

    detect: Detect
    visualizer: YOLOXVisualizer
    is_grey: bool


@dataclass(frozen=True)
class PointKind:
    """How the points that exported models predict are called and drawn; a project registers its own.

    Attributes:
        visualizer: The type of a :class:`~mmyolox.visualization.YOLOXVisualizer`.
        dataset_meta: What of ``dataset_meta`` it reads about points, from what an exported file says.
        instances: The detections of an image with their points (n, P, 3): x and y in pixels of the image,
            and score.
    """

    visualizer: str
    dataset_meta: Callable[[ModelInfo], dict[str, Any]]
    instances: Callable[[InstanceData, Tensor], InstanceData]


_POINT_KINDS: list[PointKind] = []


def register_points(kind: PointKind) -> None:
    """Says what points are; a project does it in its module ``checkpoints``."""
    _POINT_KINDS.append(kind)


def open_predictor(
    config: str | Path | None,
    checkpoint: str | Path,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    allow_unsafe: bool = False,
    dtype: str = 'float32',
) -> Predictor:
    """Loads a checkpoint, or an exported file, which its runtime runs on the CPU.

    Args:
        config: As for :func:`mmyolox.inference.init_detector`; None for an exported file.
        checkpoint: A checkpoint, or a file that :mod:`mmyolox.deploy` runs.
        device: As for :func:`mmyolox.inference.init_detector`, as are the others; they have no meaning for an
            exported file.
        cfg_options: See ``device``.
        allow_unsafe: See ``device``.
        dtype: See ``device``.

    Raises:
        UserError: The file cannot be used, or an option means nothing for an exported file.
    """
    if not str(checkpoint).endswith(SUFFIXES):
        model = inference.init_detector(config, checkpoint, device, cfg_options, allow_unsafe, dtype=dtype)
        return _of_checkpoint(model)
    if config or cfg_options or device not in (None, 'cpu') or dtype != 'float32':
        raise UserError(
            f'{checkpoint} is an exported file, which says all itself and runs on the CPU: leave out the '
            'config, --cfg-options, --device and --dtype'
        )
    return _of_export(ExportedModel(checkpoint))


def _of_checkpoint(model: YOLODetector) -> Predictor:
    first_step = model.cfg.test_dataloader.dataset.pipeline[0]
    return Predictor(
        partial(inference.detect, model),
        build_visualizer(model.cfg, model.dataset_meta),
        first_step.get('color_type') == 'grayscale',
    )


def _of_export(model: ExportedModel) -> Predictor:
    info, kind = model.info, point_kind(model)
    meta: dict[str, Any] = dict(classes=info.classes, cat_ids=info.category_ids)
    if kind is not None:
        meta |= kind.dataset_meta(info)
    init_default_scope('mmyolox')
    cfg = Config(dict(visualizer=dict(type=kind.visualizer if kind else 'YOLOXVisualizer')))
    return Predictor(partial(detect_exported, model), build_visualizer(cfg, meta), model.channels == 1)


def point_kind(model: ExportedModel) -> PointKind | None:
    """What the points of a model are; None for one without points."""
    if not model.info.points:
        return None
    load_projects()
    if not _POINT_KINDS:
        raise DeployError(f'{model.path}: it predicts points, which no installed project knows')
    return _POINT_KINDS[0]


def detect_exported(
    model: ExportedModel, images: Iterable[Image], batch_size: int = 8, workers: int = 0
) -> Iterator[DetDataSample]:
    """Finds objects in images, as :func:`mmyolox.inference.detect` does.

    Args:
        model: The exported model.
        images: Paths, or (h, w, channels) uint8 arrays with the channels that the model takes, BGR.
        batch_size: Images that are handed to the model together.
        workers: Threads that read the images of the next batches.

    Yields:
        As :func:`mmyolox.inference.detect`.
    """
    kind = point_kind(model)
    read = partial(_read, color_type='grayscale' if model.channels == 1 else 'color')
    loaded = filter(None, map_ahead(read, enumerate(images), workers, 2 * batch_size))
    while batch := list(islice(loaded, batch_size)):
        found = model([pixels for _, pixels in batch])
        for (meta, pixels), one in zip(batch, found, strict=True):
            sample = DetDataSample(metainfo=dict(meta, ori_shape=pixels.shape[:2]))
            sample.pred_instances = _as_instances(one, kind)
            yield sample


def _read(number: int, image: Image, color_type: str) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
    """What is said of an image, and its pixels; None, with a warning, for a file that cannot be decoded."""
    if isinstance(image, np.ndarray):
        return dict(img_id=number), image.reshape(*image.shape[:2], -1)
    try:
        return dict(img_id=number, img_path=str(image)), read_image(str(image), color_type)
    except UndecodableImageError as error:
        print_log(f'{error}; it is left out', 'current', logging.WARNING)
        return None


def _as_instances(found: Detections, kind: PointKind | None) -> InstanceData:
    columns = dict(bboxes=found.bboxes, scores=found.scores, labels=found.labels)
    instances = InstanceData(**{name: torch.from_numpy(column) for name, column in columns.items()})
    if kind is None or found.points is None:
        return instances
    return kind.instances(instances, torch.from_numpy(found.points))

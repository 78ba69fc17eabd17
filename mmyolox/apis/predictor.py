"""What finds objects for a tool: a checkpoint in PyTorch, or an exported file in its runtime."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

from mmyolox.deploy import ExportedModel
from mmyolox.deploy.runtimes import SUFFIXES
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.models.detector import pack_prediction
from mmyolox.utils.threads import map_ahead

from . import inference
from .drawing import YOLOXVisualizer, build_visualizer
from .inference import Image
from .points import as_instances, point_kind

Detect = Callable[[Iterable[Image], int, int], Iterator[DetDataSample]]
"""As :func:`mmyolox.apis.inference.detect`, of images, batch size and workers."""


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
        config: As for :func:`mmyolox.apis.inference.init_detector`; None for an exported file.
        checkpoint: A checkpoint, or a file that :mod:`mmyolox.deploy` runs.
        device: As for :func:`mmyolox.apis.inference.init_detector`, as are the others; they have no meaning
            for an exported file.
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
    info, kind = model.info, point_kind(model.info)
    meta: dict[str, Any] = dict(classes=info.classes, cat_ids=info.category_ids)
    if kind is not None:
        meta |= kind.dataset_meta(info)
    init_default_scope('mmyolox')
    cfg = Config(dict(visualizer=dict(type=kind.visualizer if kind else 'YOLOXVisualizer')))
    return Predictor(partial(detect_exported, model), build_visualizer(cfg, meta), model.channels == 1)


def detect_exported(
    model: ExportedModel, images: Iterable[Image], batch_size: int = 8, workers: int = 0
) -> Iterator[DetDataSample]:
    """Finds objects in images, as :func:`mmyolox.apis.inference.detect` does.

    Args:
        model: The exported model.
        images: Paths, or (h, w, channels) uint8 arrays with the channels that the model takes, BGR.
        batch_size: Images that are handed to the model together.
        workers: Threads that read the images of the next batches.

    Yields:
        As :func:`mmyolox.apis.inference.detect`.
    """
    kind = point_kind(model.info)
    read = partial(_read, color_type='grayscale' if model.channels == 1 else 'color')
    loaded = filter(None, map_ahead(read, enumerate(images), workers, 2 * batch_size))
    while batch := list(islice(loaded, batch_size)):
        found = model([pixels for _, pixels in batch])
        for (meta, pixels), one in zip(batch, found, strict=True):
            yield pack_prediction(as_instances(one, kind), dict(meta, ori_shape=pixels.shape[:2]))


def _read(number: int, image: Image, color_type: str) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
    """What is said of an image, and its pixels; None for a file that cannot be decoded."""
    pixels = inference.decode_or_warn(image, color_type)
    return None if pixels is None else (inference.image_meta(number, image), pixels)

"""Detectors behind one protocol: a model in PyTorch, or an exported file in its runtime."""

import logging
import os.path as osp
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.device import get_device
from mmengine.logging import MMLogger, print_log
from mmengine.registry import init_default_scope
from torch import nn

from mmyolox.checkpoints.classes import ClassNames, names_of, of_classes, recorded_data
from mmyolox.checkpoints.convert import state_dict_of
from mmyolox.checkpoints.load import load_checkpoint
from mmyolox.checkpoints.match import match_weights
from mmyolox.checkpoints.published import COCO_CLASSES
from mmyolox.checkpoints.recognise import config_for, recognise
from mmyolox.checkpoints.record import read_record
from mmyolox.config import load_config, require
from mmyolox.datasets import yolox_collate
from mmyolox.datasets.coco_file import read_class_names
from mmyolox.datasets.transforms import (
    LoadAnnotations,
    LoadImage,
    Sample,
    UndecodableImageError,
    begin_scene,
    read_image,
)
from mmyolox.deploy import ExportedModel
from mmyolox.deploy.formats import format_of
from mmyolox.deploy.letterbox import Image, Size
from mmyolox.errors import SHOWN, UserError, counted, first_few
from mmyolox.extensions import load_extensions
from mmyolox.models import YOLODetector
from mmyolox.models.detector import pack_prediction
from mmyolox.registry import DATASETS, MODELS, TRANSFORMS
from mmyolox.utils.devices import choose_dtype

from .drawing import YOLOXVisualizer, build_visualizer
from .results import as_instances, keypoint_tools

ImageLike = str | Path | Image
"""A file, or an array (h, w) or (h, w, channels) uint8."""

Meta = dict[str, Any]
"""What is said of an image: ``img_id``, perhaps ``img_path``, and arrays ``gt_*`` of its annotations."""

Item = TypeVar('Item')
Result = TypeVar('Result')


class Detector(Protocol):
    """Finds objects in images, whatever runs the network.

    Attributes:
        channels: The number of channels of the images that it takes.
        dataset_meta: What is known of the data: ``classes``, a name for each label, and more.
        visualizer: What draws its detections and makes entries of a result file of them.
    """

    channels: int
    dataset_meta: Mapping[str, Any]

    @property
    def visualizer(self) -> YOLOXVisualizer: ...

    def read(self, image: ImageLike) -> Image:
        """The pixels (h, w, channels) of a file or an array: BGR unless the config says otherwise.

        Raises:
            UndecodableImageError: The file is missing or no image.
            UserError: The image has another number of channels, or the array another shape or type.
        """

    def prepare(self, pixels: Image, meta: Meta) -> Any:
        """Makes one sample for :meth:`predict`; threads call it."""

    def predict(self, samples: Sequence[Any]) -> list[DetDataSample]:
        """The detections in each, on the CPU, in pixels of the original image."""


def detect(
    detector: Detector | YOLODetector, images: Iterable[ImageLike], batch_size: int = 8, workers: int = 0
) -> Iterator[DetDataSample]:
    """Finds objects in images.

    Args:
        detector: What :func:`open_detector` returns, or the model that :func:`init_detector` returns.
        images: The images: paths, or (h, w, channels) uint8 arrays with the channels that the network takes:
            BGR unless the config says otherwise.
        batch_size: The number of images in a forward pass.
        workers: The number of threads that read and prepare the images of the next batches while the network
            is at work. With 0 nothing is read ahead of its batch.

    Yields:
        For every image in turn, on the CPU, ``pred_instances`` with ``bboxes`` (n, 4) float32 xyxy in pixels
        of the original image, ``scores`` (n,) and ``labels`` (n,), the best first; and ``img_id``, the
        image's place in ``images``, with ``img_path`` for a path. A file that cannot be decoded is named in
        a warning and left out.
    """
    chosen: Detector = TorchDetector(detector) if isinstance(detector, YOLODetector) else detector

    def read(item: tuple[int, ImageLike]) -> tuple[Image, Meta] | None:
        number, image = item
        path = {} if isinstance(image, np.ndarray) else dict(img_path=str(image))
        try:
            return chosen.read(image), dict(img_id=number, **path)
        except UndecodableImageError as error:
            print_log(f'{error}; it is left out', 'current', logging.WARNING)
            return None

    return detect_items(chosen, read, enumerate(images), batch_size, workers)


def detect_items(
    detector: Detector,
    load: Callable[[Item], tuple[Image, Meta] | None],
    items: Iterable[Item],
    batch_size: int,
    workers: int,
) -> Iterator[DetDataSample]:
    """The batch loop behind :func:`detect`, whose last two arguments it takes, for images from anywhere.

    Args:
        detector: The detector.
        load: What returns the pixels of an item, as :meth:`Detector.read` does, and what is said of the
            image; None leaves the item out.
        items: The items that ``load`` takes.
    """

    def prepare(item: Item) -> Any:
        image = load(item)
        return None if image is None else detector.prepare(*image)

    prepared = map_ahead(prepare, items, workers, 2 * batch_size)
    samples = (sample for sample in prepared if sample is not None)
    while batch := list(islice(samples, batch_size)):
        yield from detector.predict(batch)


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Iterator[Result]:
    """Maps by threads: yields the results in order, and raises what a call raises.

    Args:
        function: What is called. It releases Python's lock for most of its time, as decoding and resizing
            images do.
        items: The argument of each call. They are taken by the caller's thread.
        workers: The number of threads; 0 calls in the caller's thread when a result is asked for.
        ahead: How many calls are begun before their results are asked for, at most, so that memory is
            bounded.
    """
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class TorchDetector:
    """A model in PyTorch with the test pipeline of its config; see :class:`Detector`.

    Args:
        model: The model that :func:`init_detector` returns.
        pipeline: The configs of the steps; None for those of the model's config.
        img_scale: The size that the steps fit images into; None for that of the model's config.

    Raises:
        UserError: The pipeline does not begin with ``LoadImage``.
    """

    def __init__(
        self, model: YOLODetector, pipeline: Sequence[Any] | None = None, img_scale: Size | None = None
    ) -> None:
        self.model = model
        self.channels = model.input_channels
        self.dataset_meta: Mapping[str, Any] = model.dataset_meta
        if pipeline is None:
            dataset = model.cfg.test_dataloader.dataset
            pipeline, img_scale = dataset.pipeline, dataset.get('img_scale')
        first, *others = (TRANSFORMS.build(step) for step in pipeline)
        if not isinstance(first, LoadImage):
            raise UserError(
                f'the test pipeline begins with {type(first).__name__}; it must begin with LoadImage'
            )
        self._backend_args = first.backend_args
        self._steps = Compose([step for step in others if not isinstance(step, LoadAnnotations)])
        self._img_scale = Size(*(img_scale or (640, 640)))
        self._largest_stride = max(model.bbox_head.head_module.featmap_strides)

    @cached_property
    def visualizer(self) -> YOLOXVisualizer:
        """The visualizer of the model's config."""
        return build_visualizer(self.model.cfg, self.dataset_meta)

    def read(self, image: ImageLike) -> Image:
        """The pixels of an image, from where the pipeline's first step reads."""
        return read_pixels(image, self.channels, self._backend_args)

    def prepare(self, pixels: Image, meta: Meta) -> dict[str, Any]:
        """The packed sample of an image; annotations in ``meta`` pass by the pipeline."""
        known = {key: value for key, value in meta.items() if not key.startswith('gt_')}
        sample = Sample(known, img_scale=self._img_scale, rng=np.random.default_rng(0))
        packed: dict[str, Any] = self._steps(begin_scene(sample, pixels))
        packed['data_samples']['meta'] = meta | packed['data_samples']['meta']
        return packed

    @torch.no_grad()  # not inference_mode: no faster for such networks, and its results could not be changed
    def predict(self, samples: Sequence[dict[str, Any]]) -> list[DetDataSample]:
        """Predicts in one forward pass."""
        batch = yolox_collate(samples, self._largest_stride)
        return [sample.cpu() for sample in self.model.test_step(batch)]


class ExportedDetector:
    """An exported model in its runtime; see :class:`Detector`."""

    def __init__(self, model: ExportedModel) -> None:
        self.model = model
        self.channels = model.channels
        self._keypoints = keypoint_tools(model.info)
        meta = self._keypoints.dataset_meta(model.info) if self._keypoints else {}
        self.dataset_meta: Mapping[str, Any] = dict(
            meta, classes=model.info.classes, cat_ids=model.info.category_ids
        )

    @cached_property
    def visualizer(self) -> YOLOXVisualizer:
        """The visualizer of what the model predicts."""
        init_default_scope('mmyolox')
        name = self._keypoints.visualizer if self._keypoints else 'YOLOXVisualizer'
        return build_visualizer(Config(dict(visualizer=dict(type=name))), self.dataset_meta)

    def read(self, image: ImageLike) -> Image:
        """The pixels of an image."""
        return read_pixels(image, self.channels)

    def prepare(self, pixels: Image, meta: Meta) -> tuple[Image, Meta]:
        """The image as it is: the model itself letterboxes."""
        return pixels, dict(meta, ori_shape=pixels.shape[:2])

    def predict(self, samples: Sequence[tuple[Image, Meta]]) -> list[DetDataSample]:
        """Predicts in one call of the model."""
        predictions = self.model([pixels for pixels, _ in samples])
        return [
            pack_prediction(as_instances(detections, self._keypoints), meta)
            for detections, (_, meta) in zip(predictions, samples, strict=True)
        ]


def read_pixels(image: ImageLike, channels: int, backend_args: dict[str, Any] | None = None) -> Image:
    """The pixels of a file or an array; see :meth:`Detector.read`.

    Args:
        image: The file or the array.
        channels: The number of channels that it must have.
        backend_args: The arguments of the file backend, as for
            :func:`~mmyolox.datasets.transforms.read_image`.
    """
    if not isinstance(image, np.ndarray):
        pixels: Image = read_image(str(image), color_type(channels), backend_args, channels)
        return pixels
    is_image = image.dtype == np.uint8 and image.ndim in (2, 3) and image.size > 0
    if not is_image or (channels != 1 if image.ndim == 2 else image.shape[2] != channels):
        raise UserError(
            f'an image of shape {image.shape}, {image.dtype}: needed is (h, w, channels), uint8, with '
            f'{channels} channel(s)'
        )
    return image.reshape(*image.shape[:2], channels)


def color_type(channels: int) -> str:
    """The ``color_type`` of :func:`~mmyolox.datasets.transforms.read_image` for so many channels."""
    return {1: 'grayscale', 3: 'color'}.get(channels, 'unchanged')


def open_detector(
    checkpoint: str | Path,
    config: str | Path | None = None,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    allow_unsafe: bool = False,
    dtype: str = 'float32',
) -> Detector:
    """Loads a checkpoint, or an exported file, which its runtime runs.

    ``checkpoint`` may also be a file that :mod:`mmyolox.deploy` runs, for which the other arguments, those of
    :func:`init_detector`, mean nothing.

    Raises:
        UserError: The file cannot be used, or an option means nothing for an exported file.
    """
    load_extensions()
    if format_of(checkpoint) is None:
        return TorchDetector(
            init_detector(config, checkpoint, device, cfg_options, allow_unsafe, dtype=dtype)
        )
    if config or cfg_options or device not in (None, 'cpu') or dtype != 'float32':
        raise UserError(
            f'{checkpoint} is an exported file, which says all itself and runs where its runtime does: leave '
            'out the config, --cfg-options, --device and --dtype'
        )
    return ExportedDetector(ExportedModel(checkpoint))


def init_detector(
    config: str | Path | None,
    checkpoint: str | Path,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    allow_unsafe: bool = False,
    fuse: bool = True,
    dtype: str = 'float32',
) -> YOLODetector:
    """Builds a model that is ready to predict, in a form for that: it cannot be trained or saved.

    Args:
        config: A config file, or the name of one of ours. Where it reads the classes (and what its
            ``data_variables`` name) from a data set's annotations, those recorded in the checkpoint are
            taken, and the data set is not needed. None for the config of ours that fits the weights, which
            is told (see :func:`~mmyolox.checkpoints.recognise.config_for`). The size of images and what is
            done to their pixels are those that the checkpoint records; ``cfg_options`` go before that.
        checkpoint: A file or a web address, of ours or of any other framework that
            :mod:`mmyolox.checkpoints` knows; or the name of published weights, such as ``yolox_s`` (see
            :mod:`mmyolox.checkpoints.published`).
        device: The device, as PyTorch names it; None for the machine's accelerator, else the CPU.
        cfg_options: The values of the config to change, as for :func:`~mmyolox.config.load_config`.
        allow_unsafe: Whether to read whatever the checkpoint contains, which may run code.
        fuse: Whether the batch norms are folded into the convolutions: faster, and equal to float32 rounding.
            False keeps the layers and the state dict of the checkpoint.
        dtype: What the network computes in: ``float32``; ``bfloat16`` or ``float16`` for speed, at a little
            accuracy (see the docs); ``auto`` for the fastest that the device has. Boxes, scores and
            suppression are float32 always.

    Returns:
        The model in evaluation mode, with ``cfg``, the config, ``input_record``, what is known of its images
        (:class:`~mmyolox.checkpoints.record.InputRecord`), and ``dataset_meta``, what the checkpoint recorded
        of its data, else the metainfo of the config's test data set. Its ``classes``, a name for each label,
        are the config's where the checkpoint has these (in any order; the class layers follow), else those
        recorded, else the config's, else those of its test annotations if they are there, else COCO's for 80
        classes, else numbers.

    Raises:
        UserError: The config or the checkpoint is at fault, the checkpoint does not give a value to every
            tensor of the model, or the device is not there or has not this ``dtype``.
    """
    source = str(checkpoint)
    if config is not None and str(config).endswith(('.pth', '.pt', '.ckpt', '.safetensors')):
        raise UserError(f'config {config}: these are weights; give the config first, then the checkpoint')
    content = load_checkpoint(source, allow_unsafe=allow_unsafe)
    weights = state_dict_of(content, source)
    recorded, record = recorded_data(content, weights, source), read_record(content, weights, source)
    if config is None:
        try:
            architecture = recognise(weights)
            config, options = config_for(architecture, recorded)
        except UserError as error:
            raise UserError(f'checkpoint {source}: {error}') from error
        recipe = f'; trained with {record.recipe}' if record.recipe else ''
        said = f'{architecture.describe()}{recipe}; its network is built by {config}'
        print_log(f'checkpoint {source}: {said}', 'current')
        cfg_options = options | (cfg_options or {})
    cfg = load_config(config, cfg_options, recorded | record.config_values())
    require(cfg, 'model', 'test_dataloader')
    init_default_scope(cfg.get('default_scope') or 'mmyolox')
    model: YOLODetector = MODELS.build(cfg.model)
    dataset = DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True))
    classes = ClassNames(names_of(recorded), names_of(dataset.metainfo))
    matched, summary = match_weights(model, weights, source, classes)
    if not summary.complete:
        raise UserError(f'checkpoint {source} cannot be used with {cfg.filename}: {summary.describe()}')
    model.load_state_dict(matched)
    print_log(f'checkpoint {source}: {summary.describe()}', 'current', summary.level)
    if summary.class_layers and classes.file != classes.model:
        recorded = of_classes(recorded, classes.model)
    model.cfg = cfg
    model.dataset_meta = _dataset_meta(dataset, recorded, model.bbox_head.num_classes, source)
    model.input_record = record
    _show(model, source)
    device = device or get_device()
    try:
        model.to(device).eval()
    except (AssertionError, RuntimeError) as error:  # PyTorch's words for an absent or unknown device
        raise UserError(f'device {device} cannot be used: {str(error).splitlines()[0]}') from error
    prepare_network(model, fuse, choose_dtype(dtype, torch.device(device)))
    return model


def _show(model: YOLODetector, source: str) -> None:
    """Says what a checkpoint holds, in the line that a person sees."""
    classes = model.dataset_meta['classes']
    size = model.cfg.test_dataloader.dataset.get('img_scale')
    recipe = model.input_record.recipe or Path(model.cfg.filename).stem
    parts = [
        f'{source}: {recipe}',
        f'{counted(len(classes), "class")} ({first_few(classes, 5)})',
    ]
    parts += ['{} x {}'.format(*size)] if size else []
    MMLogger.get_current_instance().info(', '.join(parts), extra=SHOWN)


def _dataset_meta(
    dataset: BaseDataset, recorded: dict[str, Any], num_classes: int, source: str
) -> dict[str, Any]:
    """What is known of the data that a model was trained on; names that are assumed are told."""

    def assumed_names() -> Iterator[tuple[str, Sequence[str]]]:
        """What the classes may be called by the words of others, the surest first, and whose they are."""
        if dataset.ann_file.endswith('.json') and osp.isfile(dataset.ann_file):
            yield f'those of {dataset.ann_file}', read_class_names(dataset.ann_file)
        yield 'those of COCO', COCO_CLASSES
        yield 'numbers', [f'class {label}' for label in range(num_classes)]

    said = (recorded.get('classes') or (), dataset.metainfo.get('classes') or ())
    names = next((names for names in said if len(names) == num_classes), None)
    if names is None:
        origin, names = next(pair for pair in assumed_names() if len(pair[1]) == num_classes)
        MMLogger.get_current_instance().info(
            f'checkpoint {source}: neither it nor the config names its {num_classes} classes; {origin} '
            f'are assumed ({first_few(names, 5)})',
            extra=SHOWN,
        )
    return dict(dataset.metainfo | recorded, classes=tuple(names))


def prepare_network(model: YOLODetector, fuse: bool, dtype: torch.dtype) -> None:
    """Turns a model in evaluation mode into a form that predicts faster and trains no more, in place.

    Scores, boxes and suppression stay in float32.

    Args:
        model: The model.
        fuse: Whether batch norms are folded into the convolutions. Logits change by float32 rounding.
        dtype: The dtype of weights and feature maps.
    """
    if fuse:
        fuse_conv_bn(model)
    for part in (model.backbone, model.neck, model.bbox_head):
        part.to(dtype)

    def cast(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(x.to(dtype) for x in inputs)

    if dtype != torch.float32:
        model.backbone.register_forward_pre_hook(cast)

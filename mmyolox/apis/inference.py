"""Detection in images of one's own: a model from a config and a checkpoint, and what it finds.

model = init_detector('yolox_s_fast_8xb8-300e_coco', 'yolox_s.pth')
for sample in detect(model, ['a.jpg', 'b.jpg']):
    print(sample.img_path, sample.pred_instances.bboxes)
"""

import logging
import os.path as osp
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

from mmyolox.checkpoints.convert import state_dict_of, without_wrapper
from mmyolox.checkpoints.load import download_checkpoint, load_checkpoint, recorded_data
from mmyolox.checkpoints.match import match_weights
from mmyolox.checkpoints.recognise import config_for, recognise
from mmyolox.config import load_config, require
from mmyolox.config.values import read_class_names
from mmyolox.datasets import DetectionDataset, yolox_collate
from mmyolox.datasets.transforms import (
    LoadAnnotations,
    LoadImage,
    Sample,
    UndecodableImageError,
    begin_scene,
    read_image,
)
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.registry import DATASETS, MODELS
from mmyolox.utils.precision import choose_dtype, prepare_network
from mmyolox.utils.threads import map_ahead

Image = str | Path | NDArray[np.uint8]


def init_detector(
    config: str | Path | None,
    checkpoint: str | Path,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    allow_unsafe: bool = False,
    fuse: bool = True,
    dtype: str = 'float32',
) -> YOLODetector:
    """Build a detector that is ready to predict, in a form for that: it cannot be trained or saved.

    Args:
        config: A config file, or the name of one of ours. Where it reads the classes (and what its
            ``data_variables`` name) from a data set's annotations, those recorded in the checkpoint are
            taken, and the data set is not needed. None for the config of ours that fits the weights, which
            is told (see :func:`~mmyolox.checkpoints.recognise.config_for`).
        checkpoint: A file or a web address, of ours or of any other framework that
            :mod:`mmyolox.convert` knows.
        device: As PyTorch names it; None for the machine's accelerator, else the CPU.
        cfg_options: Values of the config to change, as for :func:`~mmyolox.config.load_config`.
        allow_unsafe: Read whatever the checkpoint contains, which may run code.
        fuse: Fold the batch norms into the convolutions: faster, and equal to float32 rounding. False keeps
            the layers and the state dict of the checkpoint.
        dtype: What the network computes in: ``float32``; ``bfloat16`` or ``float16`` for speed, at a little
            accuracy (see the docs); ``auto`` for the fastest that the device has. Boxes, scores and
            suppression are float32 always.

    Returns:
        The model in evaluation mode, with ``cfg``, the config, and ``dataset_meta``, what the checkpoint
        recorded of its data, else the metainfo of the config's test data set. Its ``classes``, a name for
        each label, are those recorded, else the config's, else those of its test annotations if they are
        there, else COCO's for 80 classes, else numbers.

    Raises:
        UserError: The config or the checkpoint is at fault, the checkpoint does not give a value to every
            tensor of the model, or the device is not there or has not this ``dtype``.
    """
    source = str(checkpoint)
    if config is not None and str(config).endswith(('.pth', '.pt', '.ckpt')):
        raise UserError(f'config {config}: these are weights; give the config first, then the checkpoint')
    load = download_checkpoint if source.startswith(('http://', 'https://')) else load_checkpoint
    content = load(source, allow_unsafe=allow_unsafe)
    weights = state_dict_of(content, source)
    recorded = recorded_data(content)
    if config is None:
        config, options = _recognised_config(weights, recorded, source)
        cfg_options = options | (cfg_options or {})
    cfg = load_config(config, cfg_options, recorded)
    require(cfg, 'model', 'test_dataloader')
    init_default_scope(cfg.get('default_scope') or 'mmyolox')
    model: YOLODetector = MODELS.build(cfg.model)
    matched, summary = match_weights(model, weights, source)
    if not summary.complete:
        raise UserError(f'checkpoint {source} cannot be used with {config}: {summary.describe()}')
    model.load_state_dict(matched)
    model.cfg = cfg
    model.dataset_meta = _dataset_meta(_test_dataset(cfg), recorded, model.bbox_head.num_classes)
    target = device or get_device()
    _on_device(model, target).eval()
    prepare_network(model, fuse, choose_dtype(dtype, torch.device(target)))
    return model


def detect(
    model: YOLODetector, images: Iterable[Image], batch_size: int = 8, workers: int = 0
) -> Iterator[DetDataSample]:
    """Find objects in images, by the config's test pipeline.

    Args:
        model: Of :func:`init_detector`.
        images: Paths, or (h, w, channels) uint8 arrays with the channels that the network takes: BGR unless
            the config says otherwise.
        batch_size: Images a forward pass.
        workers: Threads that read and prepare the images of the next batches while the network is at work.
            With 0 nothing is read ahead of its batch.

    Yields:
        For every image in turn, on the CPU, ``pred_instances`` with ``bboxes`` (n, 4) float32 xyxy in pixels
        of the original image, ``scores`` (n,) and ``labels`` (n,), the best first; and ``img_id``, the
        image's place in ``images``, with ``img_path`` for a path. A file that cannot be decoded is named in
        a warning and left out.
    """
    prepare = Preparer(model.cfg).prepare
    samples = filter(None, map_ahead(prepare, enumerate(images), workers, 2 * batch_size))
    while batch := list(islice(samples, batch_size)):
        yield from predict(model, batch)


@torch.no_grad()  # not inference_mode: no faster for such networks, and its results could not be changed
def predict(model: YOLODetector, samples: Sequence[dict]) -> list[DetDataSample]:
    """One forward pass: the predictions, on the CPU, for samples of :class:`Preparer`."""
    return [sample.cpu() for sample in model.test_step(yolox_collate(samples))]


class Preparer:
    """Makes samples of images without annotations, as a config's test pipeline does.

    Args:
        cfg: The model's config.

    Raises:
        UserError: The pipeline does not begin with ``LoadImage``.
    """

    def __init__(self, cfg: Config) -> None:
        dataset = _test_dataset(cfg)
        first, *others = dataset.pipeline.transforms
        if not isinstance(first, LoadImage):
            raise UserError(
                f'the test pipeline begins with {type(first).__name__}; it must begin with LoadImage'
            )
        self._loader = first
        self._steps = Compose([step for step in others if not isinstance(step, LoadAnnotations)])
        self._img_scale = dataset.img_scale

    def prepare(self, number: int, image: Image) -> dict | None:
        """The packed sample of an image; None, with a warning, for a file that cannot be decoded."""
        pixels = decode_or_warn(image, self._loader.color_type, self._loader.backend_args)
        return None if pixels is None else self.pack(number, image, pixels)

    def decode(self, image: Image) -> NDArray[np.uint8]:
        """The pixels (h, w, channels) of a file or an array."""
        return decode(image, self._loader.color_type, self._loader.backend_args)

    def pack(self, number: int, image: Image, pixels: NDArray[np.uint8]) -> dict:
        """What comes after decoding: resizing, padding, packing."""
        sample = Sample(
            image_meta(number, image), img_scale=self._img_scale, rng=np.random.default_rng(number)
        )
        packed: dict = self._steps(begin_scene(sample, pixels))
        return packed


def decode(
    image: Image, color_type: str = 'color', backend_args: dict[str, Any] | None = None
) -> NDArray[np.uint8]:
    """The pixels (h, w, channels) of a file or an array.

    Args:
        image: A path, or an array (h, w) or (h, w, channels).
        color_type: Of files, as for :func:`~mmyolox.datasets.transforms.read_image`.
        backend_args: As ``color_type``.

    Raises:
        UndecodableImageError: The file is missing or no image.
        UserError: The array has another shape or type.
    """
    if not isinstance(image, np.ndarray):
        return read_image(str(image), color_type, backend_args)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
        raise UserError(f'an image of shape {image.shape}, {image.dtype}: needed is (h, w, channels), uint8')
    return image.reshape(*image.shape[:2], -1)


def decode_or_warn(
    image: Image, color_type: str = 'color', backend_args: dict[str, Any] | None = None
) -> NDArray[np.uint8] | None:
    """:func:`decode`; None, with a warning, for a file that cannot be decoded."""
    try:
        return decode(image, color_type, backend_args)
    except UndecodableImageError as error:
        print_log(f'{error}; it is left out', 'current', logging.WARNING)
        return None


def image_meta(number: int, image: Image) -> dict[str, Any]:
    """What predictions say of their image: its place among all, and the path of a file."""
    return dict(img_id=number) if isinstance(image, np.ndarray) else dict(img_id=number, img_path=str(image))


def _recognised_config(
    weights: dict[str, torch.Tensor], recorded: dict[str, Any], source: str
) -> tuple[str, dict[str, Any]]:
    """The name of the config that fits weights, and options for it."""
    try:
        architecture = recognise(without_wrapper(weights))
        config, options = config_for(architecture, recorded)
    except UserError as error:
        raise UserError(f'checkpoint {source}: {error}') from error
    print_log(f'checkpoint {source}: {architecture.describe()}; config {config}', 'current')
    return config, options


def _test_dataset(cfg: Config) -> DetectionDataset:
    """The test data set, of which no file is read."""
    return DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True))


def _dataset_meta(dataset: DetectionDataset, recorded: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """What is known of the data that the model was trained on."""
    names = next(
        (names for names in _known_names(dataset, recorded) if len(names) == num_classes),
        [f'class {label}' for label in range(num_classes)],
    )
    return dict(dataset.metainfo | recorded, classes=tuple(names))


def _known_names(dataset: DetectionDataset, recorded: dict[str, Any]) -> Iterator[Sequence[str]]:
    """What the classes may be called, the surest first."""
    yield recorded.get('classes') or ()
    yield dataset.metainfo.get('classes') or ()
    if dataset.ann_file.endswith('.json') and osp.isfile(dataset.ann_file):
        yield read_class_names(dataset.ann_file)
    # The import takes over a second, and is seldom needed.
    from mmdet.datasets import CocoDataset

    yield CocoDataset.METAINFO['classes']  # mmdet's get_classes has underscores, which no annotation has


def _on_device(model: YOLODetector, device: str) -> YOLODetector:
    try:
        return model.to(device)
    except (AssertionError, RuntimeError) as error:  # PyTorch's words for an absent or unknown device
        raise UserError(f'device {device} cannot be used: {str(error).splitlines()[0]}') from error

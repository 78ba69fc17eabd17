"""The figures of a detector over a data set: of exported models, and of what they were exported from."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.dataset import Compose
from mmengine.evaluator import Evaluator

from mmyolox.checkpoints.classes import names_of
from mmyolox.datasets import DetectionDataset
from mmyolox.datasets.ground_truth import hand_over
from mmyolox.datasets.transforms import LoadAnnotations, LoadImage, PackDetInputs
from mmyolox.deploy import ModelInfo
from mmyolox.deploy.letterbox import Image
from mmyolox.engine.progress_line import with_progress
from mmyolox.errors import UserError, first_few
from mmyolox.registry import DATASETS

from .detectors import Detector, Meta, color_type, detect_items
from .results import keypoint_tools

_KEPT = (LoadImage, LoadAnnotations, PackDetInputs)
"""The steps of a test pipeline that a detector does not do itself."""
_WORKERS = 4
"""Threads that decode images while the network is at work."""


def coco_data(
    info: ModelInfo,
    ann_file: str | Path,
    img_prefix: str | Path,
    dataset_meta: Mapping[str, Any] | None = None,
) -> tuple[ConfigDict, ConfigDict]:
    """The configs of a data set in COCO's format, and of its metric, for a model.

    Args:
        info: The model's info, which says its classes and keypoints.
        ann_file: The annotations.
        img_prefix: The folder of the images that they name.
        dataset_meta: What is known of the model's data, which may say more of keypoints than ``info`` does.
    """
    tools = keypoint_tools(info)
    skeleton = tools.dataset_meta(info) if tools else {}
    known = {name: (dataset_meta or {}).get(name, value) for name, value in skeleton.items()}
    dataset = ConfigDict(
        type=tools.dataset if tools else 'YOLOXCocoDataset',
        metainfo=dict(known, classes=info.classes),
        ann_file=str(ann_file),
        data_prefix=dict(img=str(img_prefix)),
        pipeline=[dict(type='LoadImage', tolerant=True), dict(type='PackDetInputs')],
        img_scale=(640, 640),  # not read: nothing is resized
        test_mode=True,
    )
    metric = ConfigDict(
        type=tools.metric if tools else 'YOLOXCocoMetric', ann_file=str(ann_file), proposal_nums=(100, 1, 10)
    )
    return dataset, metric


def image_dataset(cfg: ConfigDict, channels: int) -> DetectionDataset:
    """The data set of a config, whose samples are the images as they were read, with what metrics want.

    Args:
        cfg: The config of the data set.
        channels: The number of channels of the images.

    Raises:
        UserError: Its pipeline does not begin with reading; its files are at fault.
    """
    loading = cfg.pipeline[0]
    if loading.type != 'LoadImage':
        raise UserError(f'the test pipeline begins with {loading.type}; it must begin with LoadImage')
    loading = dict(loading, color_type=color_type(channels), channels=channels)
    dataset: DetectionDataset = DATASETS.build(dict(cfg, pipeline=[loading, *cfg.pipeline[1:]]))
    steps = dataset.pipeline.transforms
    dataset.pipeline = Compose([step for step in steps if isinstance(step, _KEPT)])
    return dataset


def evaluate(
    detector: Detector, dataset: DetectionDataset, metric: ConfigDict, batch_size: int = 8
) -> dict[str, float]:
    """Runs a detector over a data set; a terminal of ours shows how far it is.

    Args:
        detector: The detector.
        dataset: The data set that :func:`image_dataset` returns.
        metric: The config of a metric, or of several.
        batch_size: The number of images that are handed over together.

    Returns:
        The metric's figures, ``coco/bbox_mAP`` and others; the metric also logs its tables.

    Raises:
        UserError: A class of the data set has another place among those of the detector.
    """
    own, names = names_of(detector.dataset_meta), names_of(dataset.metainfo)
    moved = [name for label, name in enumerate(names) if name in own and own.index(name) != label]
    if moved:
        raise UserError(
            f'the model has its classes in another order than the data set ({first_few(own, 5)}; '
            f'{first_few(names, 5)}): give the config or the annotations with the order of the model'
        )

    def load(index: int) -> tuple[Image, Meta]:
        sample = dataset[index]
        return sample['inputs'].transpose(1, 2, 0), sample['data_samples']['meta']

    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    hand_over(evaluator, dataset)
    samples = detect_items(detector, load, range(len(dataset)), batch_size, _WORKERS)
    deque(with_progress((evaluator.process([sample]) for sample in samples), len(dataset)), maxlen=0)
    figures: dict[str, float] = evaluator.evaluate(len(dataset))
    return figures

"""Average precision of exported models, and of what they were exported from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.dataset import Compose
from mmengine.evaluator import Evaluator

from mmyolox.datasets import DetectionDataset
from mmyolox.datasets.transforms import LoadAnnotations, LoadImage, PackDetInputs
from mmyolox.deploy import Detections, ModelInfo
from mmyolox.errors import UserError
from mmyolox.export.inputs import Image
from mmyolox.models.detector import pack_prediction
from mmyolox.registry import DATASETS
from mmyolox.utils.progress import with_progress
from mmyolox.utils.threads import map_ahead

from .points import PointKind, as_instances, point_kind

Find = Callable[[Sequence[Image]], list[Detections]]
"""An :class:`~mmyolox.deploy.ExportedModel` or a :class:`.reference.Reference`."""

_KEPT = (LoadImage, LoadAnnotations, PackDetInputs)
"""The steps of a test pipeline that an exported model leaves to be done."""
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
        info: Of the model: its classes and points.
        ann_file: The annotations.
        img_prefix: The folder of the images that they name.
        dataset_meta: Of the model's data, which may say more of points than ``info`` does.
    """
    kind = point_kind(info)
    points = kind.dataset_meta(info) if kind else {}
    known = {name: (dataset_meta or {}).get(name, value) for name, value in points.items()}
    dataset = ConfigDict(
        type=kind.dataset if kind else 'YOLOXCocoDataset',
        metainfo=dict(known, classes=info.classes),
        ann_file=str(ann_file),
        data_prefix=dict(img=str(img_prefix)),
        pipeline=[dict(type='LoadImage', tolerant=True), dict(type='PackDetInputs')],
        img_scale=(640, 640),  # not read: nothing is resized
        test_mode=True,
    )
    metric = ConfigDict(
        type=kind.metric if kind else 'YOLOXCocoMetric', ann_file=str(ann_file), proposal_nums=(100, 1, 10)
    )
    return dataset, metric


def image_dataset(cfg: ConfigDict, channels: int) -> DetectionDataset:
    """The data set of a config, whose samples are the images as they were read, with what metrics want.

    Args:
        cfg: Its config.
        channels: Of the images, 1 or 3.

    Raises:
        UserError: Its pipeline does not begin with reading; its files are at fault.
    """
    loading = cfg.pipeline[0]
    if loading.type != 'LoadImage':
        raise UserError(f'the test pipeline begins with {loading.type}; it must begin with LoadImage')
    color_type = 'grayscale' if channels == 1 else 'color'
    dataset = DATASETS.build(dict(cfg, pipeline=[dict(loading, color_type=color_type), *cfg.pipeline[1:]]))
    steps = dataset.pipeline.transforms
    dataset.pipeline = Compose([step for step in steps if isinstance(step, _KEPT)])
    return dataset


def average_precision(
    find: Find, info: ModelInfo, dataset: DetectionDataset, metric: ConfigDict, batch_size: int = 8
) -> dict[str, float]:
    """Runs a model over a data set, with a progress bar on stderr.

    Args:
        find: The model.
        info: What it says of itself.
        dataset: Of :func:`image_dataset`.
        metric: The config of a metric, or of several.
        batch_size: Images handed over together.

    Returns:
        The metric's figures, ``coco/bbox_mAP`` and others; the metric also logs its tables.
    """
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dataset.metainfo
    samples = _samples(find, point_kind(info), dataset, batch_size)
    for sample in with_progress(samples, len(dataset)):
        evaluator.process([sample])
    figures: dict[str, float] = evaluator.evaluate(len(dataset))
    return figures


def _samples(
    find: Find, kind: PointKind | None, dataset: DetectionDataset, batch_size: int
) -> Iterator[DetDataSample]:
    """What a model finds in the images of a data set, under their ids there."""

    def read(index: int) -> tuple[Image, dict[str, Any]]:
        sample = dataset[index]
        return sample['inputs'].transpose(1, 2, 0), sample['data_samples']['meta']

    indices = ((index,) for index in range(len(dataset)))
    loaded = map_ahead(read, indices, _WORKERS, 2 * batch_size)
    while chunk := list(islice(loaded, batch_size)):
        found = find([image for image, _ in chunk])
        for one, (_, meta) in zip(found, chunk, strict=True):
            yield pack_prediction(as_instances(one, kind), meta)

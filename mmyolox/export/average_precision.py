"""COCO's AP of an exported model beside that of the model it was exported from."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mmyolox.datasets.coco_file import CocoAnnotations, read_coco
from mmyolox.deploy import Detections, ExportedModel
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.models import YOLODetector

from .inputs import read_image
from .verify import predict

_CHUNK = 8
"""Images in memory at a time."""


def compare_ap(
    model: YOLODetector, exported: ExportedModel, ann_file: Path, img_prefix: Path
) -> dict[str, tuple[float, float]]:
    """COCO's figures of boxes, of a model and of its export, at the export's thresholds.

    Args:
        model: The model.
        exported: Its export.
        ann_file: Annotations in COCO's format.
        img_prefix: The folder of the images that they name.

    Returns:
        Both figures by name, ``bbox_mAP`` and others: PyTorch's, and the exported model's.

    Raises:
        UserError: The annotations are at fault, lack a class of the model, or an image is missing.
    """
    file = read_coco(str(ann_file))
    images, meta = file.images, _dataset_meta(model, file)
    metrics = [_metric(ann_file, meta) for _ in range(2)]
    entries = iter(images)
    while chunk := list(islice(entries, _CHUNK)):
        pixels = [read_image(model, img_prefix / entry['file_name']) for entry in chunk]
        ids = [entry['id'] for entry in chunk]
        for metric, found in zip(
            metrics, (predict(model, pixels, exported.info), exported(pixels)), strict=True
        ):
            metric.process(None, _samples(ids, found))
    first, second = (metric.evaluate(len(images)) for metric in metrics)
    return {name.removeprefix('coco/'): (value, second[name]) for name, value in first.items()}


def _dataset_meta(model: YOLODetector, file: CocoAnnotations) -> dict[str, Any]:
    """The model's, with its classes as the file spells them: mmdet's names of COCO's have no spaces."""
    spelt = {name.replace(' ', '_'): name for name in file.category_ids}
    classes = model.dataset_meta['classes']
    return model.dataset_meta | dict(
        classes=tuple(spelt.get(name.replace(' ', '_'), name) for name in classes)
    )


def _metric(ann_file: Path, meta: dict[str, Any]) -> YOLOXCocoMetric:
    metric = YOLOXCocoMetric(str(ann_file))
    metric.dataset_meta = meta
    return metric


def _samples(ids: Sequence[int | str], found: Sequence[Detections]) -> list[dict]:
    """Detections as metrics take them."""
    return [
        dict(img_id=number, pred_instances=dict(bboxes=one.bboxes, scores=one.scores, labels=one.labels))
        for number, one in zip(ids, found, strict=True)
    ]

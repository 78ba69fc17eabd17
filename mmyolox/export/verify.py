"""Whether an exported file computes what PyTorch does: on the same images, in its own runtime."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from mmengine.config import ConfigDict

from mmyolox.apis import ExportedDetector, TorchDetector, detect
from mmyolox.apis.results import as_detections, keypoint_tools
from mmyolox.deploy import ExportedModel, ModelInfo
from mmyolox.deploy.letterbox import Image
from mmyolox.deploy.model import input_batch
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector

from .differences import clear_score_of, match, prediction_differences
from .formats import remove_export
from .network import ExportNetwork
from .options import ExportOptions


@dataclass(frozen=True)
class Limits:
    """How far an exported file may be from PyTorch.

    Attributes:
        predictions: The largest difference in the predictions of all priors, of a score, or of a box's value
            relative to that value where it is above 1; None where roundings add up too far to say.
        matched: The least share of clear detections that the other model has too, both ways.
        iou: The least overlap of a match.
        score: The largest mean difference of matched scores.
        keypoints: The largest median distance of matched keypoints, in longer sides of their boxes.
    """

    predictions: float | None
    matched: float
    iou: float
    score: float
    keypoints: float


LIMITS = dict(
    fp32=Limits(predictions=5e-3, matched=0.98, iou=0.95, score=5e-3, keypoints=0.01),
    fp16=Limits(predictions=None, matched=0.9, iou=0.8, score=0.03, keypoints=0.03),
    int8=Limits(predictions=None, matched=0.6, iou=0.5, score=0.15, keypoints=0.1),
)
"""The limits by precision."""

LETTERBOXED = Limits(predictions=None, matched=0.9, iou=0.8, score=0.03, keypoints=0.03)
"""The limits in float32 with letterboxing in the graph, whose grey levels differ by 1 from OpenCV's."""


@dataclass(frozen=True)
class Report:
    """How far an exported file is from PyTorch.

    Attributes:
        limits: How far it may be.
        images: The number of images that were compared.
        box_predictions: The largest difference of a box or keypoint in the predictions of all priors, see
            :class:`Limits`; NaN where the file does not return them.
        score_predictions: The largest difference of a score in them.
        clear_score: What an object scores that must be detected again.
        objects: The number of clear detections of PyTorch.
        matched: The share of clear detections that both have; 1 if neither has any.
        pixels: The largest difference of a side of matched boxes, in pixels of the image.
        score: The mean difference of matched scores.
        largest_score: The largest difference of matched scores.
        keypoints: The median distance of matched keypoints, in longer sides of their boxes; NaN if there
            are none.
    """

    limits: Limits
    images: int
    box_predictions: float
    score_predictions: float
    clear_score: float
    objects: int
    matched: float
    pixels: float
    score: float
    largest_score: float
    keypoints: float

    def describe(self) -> str:
        """The figures in one line."""
        predictions = (
            f'predictions differ by up to {self.box_predictions:.2g} in boxes, '
            f'{self.score_predictions:.2g} in scores; '
        )
        keypoints = f', and in the median by {self.keypoints:.2%} of their sides in keypoints'
        return (
            f'{self.images} images: {"" if math.isnan(self.box_predictions) else predictions}'
            f'{self.objects} objects over {self.clear_score:.2g}, {self.matched:.1%} found by both; these '
            f'differ by up to {self.pixels:.2g} px and {self.largest_score:.2g} in score'
            f'{"" if math.isnan(self.keypoints) else keypoints}'
        )

    def fault(self) -> str | None:
        """Which limit is exceeded, or None.

        Detections are not looked at where all predictions agree: NMS may still tip at near-equal scores.
        """
        if self.limits.predictions is not None:
            worst = max(self.box_predictions, self.score_predictions)
            if worst <= self.limits.predictions:
                return None
            return (
                f'the largest difference of a prediction is {worst:.2g}, more than {self.limits.predictions}'
            )
        if self.matched < self.limits.matched:
            return f'{self.matched:.1%} of the objects are found by both, less than {self.limits.matched:.0%}'
        if self.score > self.limits.score:
            return f'scores differ by {self.score:.2g} in the mean, more than {self.limits.score}'
        if self.keypoints > self.limits.keypoints:
            return (
                f'keypoints are {self.keypoints:.1%} of their boxes apart, more than '
                f'{self.limits.keypoints:.0%}'
            )
        return None


def verify(model: YOLODetector, path: Path, options: ExportOptions, images: Sequence[Image]) -> Report:
    """Compares an exported file with the model it was exported from; a file that differs is removed.

    Args:
        model: The model.
        path: The file that :func:`.formats.export_model` wrote.
        options: The options of the export.
        images: The images, (h, w, channels) uint8 each, BGR; photographs like those that the network was
            trained on say most.

    Raises:
        UserError: It differs more than its precision explains, or its runtime cannot run it.
    """
    exported = ExportedModel(path)
    report = compare(model, exported, options, images)
    fault = report.fault()
    if fault:
        remove_export(path)
        raise UserError(f'{path} does not compute what PyTorch does and was removed: {fault}')
    return report


def compare(
    model: YOLODetector, exported: ExportedModel, options: ExportOptions, images: Sequence[Image]
) -> Report:
    """How far an exported model is from the model it was exported from; see :func:`verify`."""
    limits = LIMITS[options.precision.name]
    box_predictions = score_predictions = math.nan
    if options.preprocess:
        limits = LETTERBOXED if options.precision.name == 'fp32' else limits
    elif options.form != 'end2end':
        box_predictions, score_predictions = _prediction_differences(model, exported, options, images)
    if math.isnan(box_predictions):
        limits = replace(limits, predictions=None)
    tools = keypoint_tools(exported.info)
    wanted, exported_detections = (
        [as_detections(sample.pred_instances, tools) for sample in detect(detector, images, batch_size)]
        for detector, batch_size in (
            (reference_detector(model, exported.info), 1),
            (ExportedDetector(exported), exported.batch_size),
        )
    )
    clear_score = clear_score_of(wanted)
    matches = [
        match(*pair, limits.iou, clear_score) for pair in zip(wanted, exported_detections, strict=True)
    ]
    scores = np.concatenate([one.scores for one in matches])
    keypoints = np.concatenate([one.keypoints for one in matches])
    clear = sum(one.clear for one in matches)
    return Report(
        limits,
        len(images),
        box_predictions,
        score_predictions,
        clear_score,
        sum(one.objects for one in matches),
        sum(one.matched for one in matches) / clear if clear else 1.0,
        max(one.pixels for one in matches),
        float(scores.mean()) if len(scores) else 0.0,
        float(scores.max(initial=0)),
        float(np.median(keypoints)) if len(keypoints) else math.nan,
    )


def reference_detector(model: YOLODetector, info: ModelInfo) -> TorchDetector:
    """What an export is held against: the model in PyTorch, with the size and the thresholds of its export.

    Args:
        model: The model. It is not changed.
        info: The info of its export.
    """
    network = copy.deepcopy(model).cpu().float()
    network.bbox_head.test_cfg = ConfigDict(
        score_thr=info.score_thr,
        multi_label=info.multi_label,
        nms_pre=info.nms_pre,
        nms=dict(iou_threshold=info.iou_thr),
        max_per_img=info.max_per_img,
    )
    pipeline = [dict(type=name) for name in ('LoadImage', 'Letterbox', 'PackDetInputs')]
    return TorchDetector(network, pipeline, info.size)


def _prediction_differences(
    model: YOLODetector, exported: ExportedModel, options: ExportOptions, images: Sequence[Image]
) -> tuple[float, float]:
    """The largest differences of boxes and of scores in the predictions of all priors.

    With dynamic shapes, another batch and another size than those that were traced.
    """
    network = ExportNetwork(model, options).eval()
    info, count = exported.info, options.batch + options.dynamic_batch
    if options.dynamic_size:
        height, width = info.input_size
        info = replace(info, input_size=(height + max(info.strides), width + 2 * max(info.strides)))
    worst = (0.0, 0.0)
    for start in range(0, len(images), count):
        chosen = [images[index % len(images)] for index in range(start, start + count)]
        batch = input_batch(chosen, info, np.dtype(np.float32))
        with torch.no_grad():
            wanted = network(torch.from_numpy(batch)).numpy()
        (predictions,) = exported.runtime.run(batch)
        apart = prediction_differences(predictions.astype(np.float32), wanted, len(info.classes))
        worst = max(worst[0], apart[0]), max(worst[1], apart[1])
    return worst

"""COCO's precision and recall of boxes, from arrays: one class after the other.

Matching and the curves are the libraries' own, faster-coco-eval's (C++) or pycocotools'. Handing them one
class at a time, with the images that have something of it, changes no figure: classes do not meet in COCO's
evaluation, and an image with neither an object nor a detection of a class adds nothing to it. But of
5,000 images x 80 classes most pairs are empty, and only one class's detections are Python objects at a time.
"""

import contextlib
import gc
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

Entry = dict[str, Any]

IOU_THRESHOLDS: NDArray[np.floating] = np.linspace(0.5, 0.95, 10)
AREAS = ('all', 'small', 'medium', 'large')
"""COCO's ranges of an object's area, in its order; the limits are 32 x 32 and 96 x 96 pixels."""


@dataclass(frozen=True)
class BoxDetections:
    """The detections in a whole data set, N in all, in the order of their images.

    Attributes:
        images: (N,) int64, the number of the image; its order breaks ties of scores.
        bboxes: (N, 4) float64, xywh in pixels of the image.
        scores: (N,) float64.
        labels: (N,) int64.
    """

    images: NDArray[np.int64]
    bboxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class BoxCurves:
    """What COCO's evaluation has at its end; -1 where there is nothing to find.

    Attributes:
        precision: (T, R, C, A, K) float64: IoU thresholds, 101 recalls, classes, ``AREAS``, limits.
        recall: (T, C, A, K) float64.
        iou_thrs: (T,) float64, the IoU thresholds.
        max_dets: K limits of the number of detections of a class in an image, rising.
    """

    precision: NDArray[np.floating]
    recall: NDArray[np.floating]
    iou_thrs: NDArray[np.floating]
    max_dets: tuple[int, ...]


@dataclass(frozen=True)
class Library:
    """The two classes that pycocotools, and what follows its interface, evaluates with."""

    coco: type[Any]
    evaluation: type[Any]


def pycocotools() -> Library:
    """COCO's own library."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return Library(COCO, COCOeval)


def faster_coco_eval() -> Library:
    """The same in C++; pycocotools, and a line in the log, where it is not installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        line = 'faster-coco-eval is not installed: pycocotools evaluates, with the same results but slower'
        print_log(f'{line} (pip install faster-coco-eval)', 'current', logging.WARNING)
        return pycocotools()
    return Library(COCO, COCOeval_faster)


BACKENDS = dict(faster_coco_eval=faster_coco_eval, pycocotools=pycocotools)


def box_curves(
    truth: Sequence[Sequence[Entry]],
    found: BoxDetections,
    max_dets: Sequence[int],
    iou_thrs: NDArray[np.floating],
    library: Library,
) -> BoxCurves:
    """Matches detections with objects and computes the curves.

    Args:
        truth: For each of C classes its objects: ``image`` as in ``found``, ``bbox``, ``area`` and
            ``iscrowd`` as in COCO's files.
        found: The detections.
        max_dets: How many detections of a class in an image count; all these limits are tried.
        iou_thrs: The IoU thresholds.
        library: What one of ``BACKENDS`` returns.
    """
    limits = sorted(max_dets)
    precision = np.full((len(iou_thrs), 101, len(truth), len(AREAS), len(limits)), -1.0)
    recall = np.full((len(iou_thrs), *precision.shape[2:]), -1.0)
    order = np.argsort(found.labels, kind='stable')
    ends = np.searchsorted(found.labels, np.arange(len(truth) + 1), sorter=order)
    with _without_garbage_collection():
        for label, objects in enumerate(truth):
            if objects:
                entries = _detection_entries(found, order[ends[label] : ends[label + 1]])
                evaluation = _evaluate(library, _object_entries(objects), entries, limits, iou_thrs)
                precision[:, :, label] = evaluation['precision'][:, :, 0]
                recall[:, label] = evaluation['recall'][:, 0]
    return BoxCurves(precision, recall, iou_thrs, tuple(limits))


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spares the collector, which finds nothing in a million new dictionaries and takes 40% of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _object_entries(objects: Sequence[Entry]) -> list[Entry]:
    # Ids count from 1: 0 means "not matched" in both libraries.
    return [
        dict(
            id=number,
            image_id=entry['image'],
            category_id=1,
            bbox=entry['bbox'],
            area=entry['area'],
            iscrowd=entry['iscrowd'],
        )
        for number, entry in enumerate(objects, start=1)
    ]


def _detection_entries(found: BoxDetections, index: NDArray[np.int64]) -> list[Entry]:
    bboxes = found.bboxes[index]
    columns = (found.images[index], bboxes, bboxes[:, 2] * bboxes[:, 3], found.scores[index])
    return [
        {'id': number, 'image_id': image, 'category_id': 1, 'bbox': bbox, 'area': area, 'score': score}
        for number, (image, bbox, area, score) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), start=1
        )
    ]


def _evaluate(
    library: Library,
    objects: list[Entry],
    detections: list[Entry],
    limits: Sequence[int],
    iou_thrs: NDArray[np.floating],
) -> Any:
    """The library's result for one class."""
    numbers = {entry['image_id'] for entries in (objects, detections) for entry in entries}
    images = [dict(id=number) for number in sorted(numbers)]
    # Both libraries report their progress, a few lines a class.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = [library.coco() for _ in range(2)]
        for side, annotations in zip(sides, (objects, detections), strict=True):
            side.dataset = dict(info={}, images=images, annotations=annotations, categories=[dict(id=1)])
            side.createIndex()
        evaluation = library.evaluation(*sides, 'bbox')
        evaluation.params.maxDets = list(limits)
        evaluation.params.iouThrs = iou_thrs
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval

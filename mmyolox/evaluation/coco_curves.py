"""COCO's precision and recall, from arrays: one class after the other.

Matching and the curves are the libraries' own, faster-coco-eval's (C++) or pycocotools'. Handing them one
class at a time, with the images that have something of it, changes no figure: classes do not meet in COCO's
evaluation, and an image with neither an object nor a detection of a class adds nothing to it. But of
5,000 images x 80 classes most pairs are empty, and only one class's detections are Python objects at a time;
of these, only as many of an image as the highest limit lets count.
"""

import contextlib
import gc
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.datasets.coco_file import CocoAnnotations

Entry = dict[str, Any]

IOU_THRESHOLDS: NDArray[np.floating] = np.linspace(0.5, 0.95, 10)
AREAS = ('all', 'small', 'medium', 'large')
"""COCO's ranges of an object's area, in its order; the limits are 32 x 32 and 96 x 96 pixels."""


@dataclass(frozen=True)
class Comparison:
    """What detections and objects are compared by: their boxes, or what a subclass adds to the boxes.

    Attributes:
        max_dets: How many detections of a class in an image count; all these limits are tried, rising.
        iou_thrs: (T,) float64, the IoU thresholds.
        kind: The libraries' name for it, the first part of the figures' names, and the file suffix of the
            results.
        class_figure: The name of a class's own figure; ``{}`` is the class.
        areas: The ranges of an object's area that have figures, in the libraries' order.
        recall_ious: The IoU thresholds at which recalls have figures of their own.
    """

    max_dets: tuple[int, ...]
    iou_thrs: NDArray[np.floating]
    kind: str = 'bbox'
    class_figure: str = '{}_precision'
    areas: tuple[str, ...] = AREAS
    recall_ious: tuple[float, ...] = ()

    def prepared(self, dataset_meta: Mapping[str, Any], file: CocoAnnotations) -> 'Comparison':
        """This comparison for a data set.

        Args:
            dataset_meta: The data set's metainfo.
            file: The annotations to compare with.

        Raises:
            UserError: They do not have what is compared.
        """
        return self

    def covers(self, label: int) -> bool:
        """Whether the objects of a class have what is compared."""
        return True

    def object_fields(self, annotation: Entry, label: int) -> Entry:
        """What the library reads of an object beside its box; ``annotation`` is the file's."""
        return {}

    def detection_fields(self, rows: NDArray[np.floating], label: int) -> dict[str, NDArray[np.floating]]:
        """What the library reads of detections beside their boxes.

        Args:
            rows: (n, F), those of one class, as in :class:`Detections`.
            label: The class.

        Returns:
            By name, n values or rows.
        """
        return {}

    def parameters(self, label: int) -> dict[str, Any]:
        """Further parameters of the library's evaluation of a class."""
        return {}


@dataclass(frozen=True)
class Detections:
    """The detections in a whole data set, N in all.

    Attributes:
        images: (N,) int64, the number of the image; its order breaks ties of scores.
        rows: (N, F) float32: xyxy in pixels of the image, score, label, and what is compared beside boxes.
    """

    images: NDArray[np.int64]
    rows: NDArray[np.floating]


@dataclass(frozen=True)
class Curves:
    """What COCO's evaluation has at its end; -1 where there is nothing to find.

    Attributes:
        precision: (T, R, C, A, K) float64: IoU thresholds, 101 recalls, classes, areas, limits.
        recall: (T, C, A, K) float64.
        comparison: Has the thresholds, the areas and the limits.
    """

    precision: NDArray[np.floating]
    recall: NDArray[np.floating]
    comparison: Comparison


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


def coco_curves(
    comparison: Comparison, truth: Sequence[Sequence[Entry]], found: Detections, library: Library
) -> Curves:
    """Matches detections with objects and computes the curves.

    Args:
        comparison: What is compared, at which thresholds and limits.
        truth: For each of C classes its objects: ``image_id``, the number of the image as in ``found``,
            ``bbox``, ``area`` and ``iscrowd`` as in COCO's files, and the fields that ``comparison`` adds.
        found: The detections.
        library: What one of ``BACKENDS`` returns.
    """
    sizes = len(truth), len(comparison.areas), len(comparison.max_dets)
    precision = np.full((len(comparison.iou_thrs), 101, *sizes), -1.0)
    recall = np.full((len(comparison.iou_thrs), *sizes), -1.0)
    labels = found.rows[:, 5]
    order = np.argsort(labels, kind='stable')
    ends = np.searchsorted(labels, np.arange(len(truth) + 1), sorter=order)
    with _without_garbage_collection():
        for label, objects in enumerate(truth):
            if objects:
                index = _best(found, order[ends[label] : ends[label + 1]], max(comparison.max_dets))
                entries = _detection_entries(found, index, comparison, label)
                evaluation = _evaluate(library, _numbered(objects), entries, comparison, label)
                precision[:, :, label] = evaluation['precision'][:, :, 0]
                recall[:, label] = evaluation['recall'][:, 0]
    return Curves(precision, recall, comparison)


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


def _best(found: Detections, index: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Those of ``index`` that count: the first ``limit`` of each image by score, ties in their order."""
    images = found.images[index]
    order = np.lexsort((-found.rows[index, 4], images))
    images = images[order]
    places = np.arange(len(index)) - np.searchsorted(images, images)
    return index[order[places < limit]]


def _numbered(objects: Sequence[Entry]) -> list[Entry]:
    # Ids count from 1: 0 means "not matched" in both libraries.
    return [{**entry, 'id': number, 'category_id': 1} for number, entry in enumerate(objects, start=1)]


def _detection_entries(
    found: Detections, index: NDArray[np.int64], comparison: Comparison, label: int
) -> list[Entry]:
    rows = found.rows[index].astype(np.float64)
    bboxes = rows[:, :4].copy()
    bboxes[:, 2:] -= bboxes[:, :2]
    columns = (found.images[index], bboxes, bboxes[:, 2] * bboxes[:, 3], rows[:, 4])
    entries = [
        {'id': number, 'image_id': image, 'category_id': 1, 'bbox': bbox, 'area': area, 'score': score}
        for number, (image, bbox, area, score) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), start=1
        )
    ]
    for name, values in comparison.detection_fields(rows, label).items():
        for entry, value in zip(entries, values.tolist(), strict=True):
            entry[name] = value
    return entries


def _evaluate(
    library: Library, objects: list[Entry], detections: list[Entry], comparison: Comparison, label: int
) -> Any:
    """The library's result for one class."""
    numbers = {entry['image_id'] for entries in (objects, detections) for entry in entries}
    images = [dict(id=number) for number in sorted(numbers)]
    parameters = dict(maxDets=list(comparison.max_dets), iouThrs=comparison.iou_thrs)
    # Both libraries report their progress, a few lines a class.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = [library.coco() for _ in range(2)]
        for side, annotations in zip(sides, (objects, detections), strict=True):
            side.dataset = dict(info={}, images=images, annotations=annotations, categories=[dict(id=1)])
            side.createIndex()
        evaluation = library.evaluation(*sides, comparison.kind)
        for name, value in (parameters | comparison.parameters(label)).items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval

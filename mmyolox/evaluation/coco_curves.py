"""COCO's precision and recall, from arrays: one class after the other.

Matching and the curves are the libraries' own, faster-coco-eval's (C++) or pycocotools'. Handing them one
class at a time, with the images that have something of it, changes no figure: classes do not meet in COCO's
evaluation, and an image with neither an object nor a detection of a class adds nothing to it. But of
5,000 images x 80 classes most pairs are empty, and only one class's objects and detections are Python objects
at a time; of the latter, only as many of an image as the highest limit lets count.
"""

import contextlib
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.utils.memory import without_garbage_collection

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
        iou_type: The libraries' name for it, the first part of the figures' names, and the file suffix of the
            results.
        class_figure: The name of a class's own figure; ``{}`` is the class.
        areas: The ranges of an object's area that have figures, in the libraries' order.
        recall_ious: The IoU thresholds at which recalls have figures of their own.
    """

    max_dets: tuple[int, ...]
    iou_thrs: NDArray[np.floating]
    iou_type: str = 'bbox'
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

    def object_fields(self, file: CocoAnnotations, index: int, label: int) -> Entry:
        """What the library reads of an object beside its box; ``index`` is that of the file's annotation."""
        return {}

    def detection_fields(self, extras: NDArray[np.floating], label: int) -> dict[str, NDArray[np.floating]]:
        """What the library reads of detections beside their boxes.

        Args:
            extras: (n, E), the extras of n detections of one class, see :class:`Detections`.
            label: The class.

        Returns:
            By name, arrays whose first dimension is n.
        """
        return {}

    def parameters(self, label: int) -> dict[str, Any]:
        """The further parameters of the library's evaluation of a class."""
        return {}


@dataclass(frozen=True)
class Detections:
    """The detections in a whole data set, N in all.

    Attributes:
        images: (N,) int64, the number of the image; its order breaks ties of scores.
        bboxes: (N, 4) xyxy in pixels of the image.
        scores: (N,).
        labels: (N,).
        extras: (N, E), what is compared beside boxes.
    """

    images: NDArray[np.int64]
    bboxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    labels: NDArray[np.floating]
    extras: NDArray[np.floating]

    def best(self, indices: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
        """The ``indices`` that count: the first ``limit`` of each image by score, ties in order."""
        images = self.images[indices]
        order = np.lexsort((-self.scores[indices], images))
        images = images[order]
        ranks = np.arange(len(indices)) - np.searchsorted(images, images)
        return indices[order[ranks < limit]]

    def entries(self, indices: NDArray[np.int64], comparison: Comparison, label: int) -> list[Entry]:
        """The detections of ``indices``, all of one class, as the libraries read them.

        Their ids count from 1: 0 means "not matched" in both libraries.
        """
        bboxes = self.bboxes[indices].astype(np.float64)
        bboxes[:, 2:] -= bboxes[:, :2]
        columns = dict(
            id=np.arange(1, len(indices) + 1),
            category_id=np.ones(len(indices), dtype=np.int64),
            image_id=self.images[indices],
            bbox=bboxes,
            area=bboxes[:, 2] * bboxes[:, 3],
            score=self.scores[indices].astype(np.float64),
            **comparison.detection_fields(self.extras[indices].astype(np.float64), label),
        )
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, one, strict=True)) for one in values]


@dataclass(frozen=True)
class Curves:
    """What COCO's evaluation has at its end; -1 where there is nothing to find.

    Attributes:
        precision: (T, R, C, A, K) float64: IoU thresholds, 101 recalls, classes, areas, limits.
        recall: (T, C, A, K) float64.
        comparison: The comparison, with the thresholds, the areas and the limits.
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
    comparison: Comparison,
    objects: Iterable[Sequence[Entry]],
    classes: int,
    detections: Detections,
    library: Library,
) -> Curves:
    """Matches detections with objects and computes the curves.

    Args:
        comparison: What is compared, at which thresholds and limits.
        objects: The objects of each class, looked at one class after the other: ``image_id``, the number of
            the image as in ``detections``, ``bbox``, ``area`` and ``iscrowd`` as in COCO's files, and the
            fields that ``comparison`` adds.
        classes: The number of classes C.
        detections: The detections of all classes.
        library: The library, which one of ``BACKENDS`` returns.
    """
    sizes = classes, len(comparison.areas), len(comparison.max_dets)
    precision = np.full((len(comparison.iou_thrs), 101, *sizes), -1.0)
    recall = np.full((len(comparison.iou_thrs), *sizes), -1.0)
    order = np.argsort(detections.labels, kind='stable')
    ends = np.searchsorted(detections.labels, np.arange(classes + 1), sorter=order)
    with without_garbage_collection():  # 40% of the time
        for label, own_objects in enumerate(objects):
            if own_objects:
                best = detections.best(order[ends[label] : ends[label + 1]], max(comparison.max_dets))
                entries = detections.entries(best, comparison, label)
                evaluation = _evaluate(library, own_objects, entries, comparison, label)
                precision[:, :, label] = evaluation['precision'][:, :, 0]
                recall[:, label] = evaluation['recall'][:, 0]
    return Curves(precision, recall, comparison)


def _evaluate(
    library: Library,
    objects: Sequence[Entry],
    detections: Sequence[Entry],
    comparison: Comparison,
    label: int,
) -> Any:
    """The library's result for one class."""
    objects = [dict(entry, id=number, category_id=1) for number, entry in enumerate(objects, start=1)]
    numbers = {entry['image_id'] for entries in (objects, detections) for entry in entries}
    images = [dict(id=number) for number in sorted(numbers)]
    parameters = dict(maxDets=list(comparison.max_dets), iouThrs=comparison.iou_thrs)
    # Both libraries report their progress, a few lines a class.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = [library.coco() for _ in range(2)]
        for side, annotations in zip(sides, (objects, detections), strict=True):
            side.dataset = dict(info={}, images=images, annotations=annotations, categories=[dict(id=1)])
            side.createIndex()
        evaluation = library.evaluation(*sides, comparison.iou_type)
        for name, value in (parameters | comparison.parameters(label)).items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval

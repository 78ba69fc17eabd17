"""Average precision as COCO defines it, over any data set in COCO's format."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric, DumpResults
from mmengine.fileio import dump
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.datasets.annotations import UNBOUNDED, is_bounded
from mmyolox.datasets.coco_file import CocoAnnotations, read_coco
from mmyolox.datasets.gathering import gather_samples
from mmyolox.datasets.ground_truth import ground_truth
from mmyolox.errors import UserError, did_you_mean, first_few
from mmyolox.files import atomic_write, check_target
from mmyolox.registry import METRICS

from .coco_curves import BACKENDS, IOU_THRESHOLDS, Comparison, Curves, Detections, Entry, coco_curves
from .coco_summary import (
    PRECISIONS,
    ClassFigures,
    class_figures,
    class_table,
    figures_of,
    is_evaluated,
    summary_lines,
    value_of,
)

ImageDetections = tuple[int | str, NDArray[np.floating]]
"""An image's id and its detections (n, 6 + E): xyxy in pixels of the image, score, label, E values more."""


@METRICS.register_module()
class YOLOXCocoMetric(BaseMetric):
    """COCO's evaluation of boxes, in the options and results of mmdet's ``CocoMetric`` (3.3 to 3.5).

    - The results of an epoch are one small array an image. Processes exchange arrays: MMEngine's pickle all
      results, through files of a folder that all machines have to share.
    - Label i is the category of that name. mmdet takes the ids in the file's order, which gives every class
      another's score as soon as ``classes`` are configured in another order.
    - A file may lack ``info``, ``area`` (that of the box is taken) and ``iscrowd`` (0), may count annotations
      from 0, which pycocotools takes for "not matched", and may have any numbers or texts as image ids.
    - An epoch in which nothing is detected has an AP of 0, so that ``save_best`` finds its key.
    - Recalls are named by the number of detections that they are of, whatever ``proposal_nums`` are.

    The figures are ``bbox_mAP``, ``bbox_mAP_50``, ..., rounded to three decimals, and -1 where the data set
    has nothing to find, such as large objects.

    Args:
        ann_file: The COCO annotation file to evaluate against. Without ``annotations`` only if
            ``format_only``. By default the boxes are those of the data set that is evaluated, whatever its
            format, which has to be handed over by :meth:`take_dataset`.
        metric: The metric, ``bbox``; there is no other.
        classwise: Whether to report ``{class}_precision`` too, NaN for a class without objects, and log a
            table.
        proposal_nums: How many detections of a class in an image count, see
            :func:`~mmyolox.evaluation.coco_summary.figures_of`.
        iou_thrs: The IoU thresholds; by default 0.50, 0.55, ..., 0.95.
        metric_items: Which figures to return; by default the six precisions.
        format_only: Whether to write the results to ``outfile_prefix`` and evaluate nothing.
        outfile_prefix: The beginning of the file's name: the detections are written to
            ``{outfile_prefix}.bbox.json`` in COCO's result format.
        backend_args: The arguments of MMEngine's file backend, where ``ann_file`` is not local.
        backend: The library: ``faster_coco_eval``, or ``pycocotools``, whose results are equal and slower.
        collect_device: MMEngine's. The device that arrays are exchanged on is that of the process group.
        prefix: What stands before the names of the figures.

    Attributes:
        by_class: What the last evaluation measured of each class, whatever ``classwise`` says; the terminal
            shows it. Any metric may have it.
        last_results: The detections of the last evaluation, those of all processes on the main one, and none
            on the others. The next evaluation replaces them.

    Raises:
        UserError: The file is missing or at fault, has crowds only, or lacks one of the data set's classes;
            an option is wrong; the results cannot be written.
    """

    default_prefix = 'coco'
    annotation_fields: tuple[str, ...] = ()
    """Further fields of the file's annotations that the comparisons read."""
    _file: CocoAnnotations = None  # type: ignore[assignment]  # set by `take_dataset` before anything reads it

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = 'bbox',
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: Mapping[str, Any] | None = None,
        backend: str = 'faster_coco_eval',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if metric not in ('bbox', ['bbox']):
            raise UserError(f"metric={metric!r}: YOLOXCocoMetric evaluates boxes only, metric='bbox'")
        if format_only and outfile_prefix is None:
            raise UserError('format_only=True needs outfile_prefix, which says where the results go')
        self.classwise = classwise
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.max_dets = tuple(sorted(proposal_nums))
        self.iou_thrs = IOU_THRESHOLDS if iou_thrs is None else np.asarray(iou_thrs, dtype=np.float64)
        self.metric_items = PRECISIONS if metric_items is None else tuple(metric_items)
        self.comparisons = self.make_comparisons()
        known = list(dict.fromkeys(name for one in self.comparisons for name in figures_of(one)))
        for item in self.metric_items:
            _check_choice('metric_items', item, known)
        _check_choice('backend', backend, list(BACKENDS))
        if outfile_prefix is not None and is_main_process():
            for comparison in self.comparisons:
                check_target(f'{outfile_prefix}.{comparison.iou_type}.json')
        self.library = BACKENDS[backend]()
        self.by_class: list[ClassFigures] = []
        self.last_results: list[ImageDetections] = []
        if ann_file is not None:
            self._take(
                read_coco(
                    ann_file,
                    backend_args=backend_args,
                    need_annotations=not format_only,
                    fields=self.annotation_fields,
                )
            )
        self._wants_dataset = ann_file is None

    def take_dataset(self, dataset: Any) -> None:
        """Takes the boxes of the data set that is evaluated, where the metric has no annotation file.

        Our Runner and :func:`mmyolox.apis.evaluate.evaluate` call it before anything is evaluated, and so
        for any metric that has such a method.

        Args:
            dataset: The data set, after ``dataset_meta`` was set.

        Raises:
            UserError: It is none of ours, or the metric cannot be evaluated on it.
        """
        if self._wants_dataset:
            self._take(CocoAnnotations.of(**ground_truth(dataset), fields=self.annotation_fields))
            self._compare_classes()

    def _take(self, file: CocoAnnotations) -> None:
        """Makes a file the ground truth."""
        self._file = file
        self._object_indices = _bounded_boxes(file)
        if not self.format_only:
            _check_objects(file, self._object_indices)
        # In the order of their ids, which is how pycocotools breaks ties between scores.
        ids = sorted(file.image_ids, key=lambda key: (str(type(key)), key))
        self._image_numbers = {image_id: number for number, image_id in enumerate(ids)}

    def make_comparisons(self) -> tuple[Comparison, ...]:
        """What is evaluated; a subclass adds to it. It is called while the metric is made."""
        return (Comparison(self.max_dets, self.iou_thrs),)

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Takes the data set's metainfo and compares it with the file: before training, not after it."""
        self._dataset_meta = dataset_meta
        self.classes = tuple(dataset_meta['classes'])
        if self._file is not None:
            self._compare_classes()

    def _compare_classes(self) -> None:
        self.cat_ids = self._file.ids_of(self.classes)
        self.comparisons = tuple(one.prepared(self._dataset_meta, self._file) for one in self.comparisons)

    def figure_names(self) -> list[str]:
        """The names of the figures that an evaluation gives; the data set's metainfo must be known.

        The training compares them with what its hooks go by. Any metric may have this method.
        """
        if self.format_only:
            return []
        names = [
            f'{one.iou_type}_{item}'
            for one in self.comparisons
            for item in self.metric_items
            if item in figures_of(one) and is_evaluated(figures_of(one)[item], one)
        ]
        if self.classwise:
            names += [one.class_figure.format(name) for one in self.comparisons for name in self.classes]
        return [f'{self.prefix}/{name}' for name in names]

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps the detections in a batch of images.

        Args:
            data_batch: The batch, which is not used.
            data_samples: The samples, each with ``img_id`` and ``pred_instances``, a dict of ``bboxes`` (n,
                4) xyxy in pixels of the original image, ``scores`` (n,) and ``labels`` (n,), tensors or
                arrays.

        Raises:
            UserError: The metric has neither an annotation file nor a data set.
        """
        if self._file is None:
            raise UserError(
                f'{type(self).__name__}: ann_file is not set, and nobody handed over the data set that is '
                "evaluated, as mmyolox's tools do: set ann_file"
            )
        detections = [self.pack(sample['pred_instances']) for sample in data_samples]
        # One transfer from the device a batch.
        together = torch.cat(detections).cpu().numpy()
        parts = np.split(together, np.cumsum([len(one) for one in detections])[:-1])
        self.results += zip((sample['img_id'] for sample in data_samples), parts, strict=True)

    def pack(self, predicted: Mapping[str, Any]) -> torch.Tensor:
        """An image's n predictions as one tensor (n, 6 + E) float32, see :data:`ImageDetections`.

        A subclass appends columns for what it compares beside boxes.
        """
        columns = (predicted[name] for name in ('bboxes', 'scores', 'labels'))
        return torch.column_stack([torch.as_tensor(column).float() for column in columns])

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluates what all processes have detected.

        Args:
            size: The number of images of the data set.

        Returns:
            The figures by name, in all processes.

        Raises:
            UserError: See :meth:`curves`.
        """
        results = self.results[:size]
        if get_world_size() > 1:
            ids = list(self._image_numbers)
            numbered = [(self._number(image_id), rows) for image_id, rows in self.results]
            results = [(ids[number], rows) for number, rows in gather_samples(numbered, size)]
        metrics: list[Any] = [None]
        if is_main_process():
            figures = self.compute_metrics(results)
            metrics = [{f'{self.prefix}/{name}': value for name, value in figures.items()}]
        broadcast_object_list(metrics)
        self.results.clear()
        return metrics[0]

    def _number(self, image_id: int | str) -> int:
        """The number of an image in the order of the ids."""
        if image_id not in self._image_numbers:
            raise UserError(
                f'{self._file.path} has no image with the id {image_id!r}, in which detections are to be '
                "evaluated: is it the data set's own annotation file?"
            )
        return self._image_numbers[image_id]

    def compute_metrics(self, results: list[ImageDetections]) -> dict[str, float]:
        """The figures by name.

        Args:
            results: The results of all images, as :meth:`process` keeps them.
        """
        self.last_results = results
        if self.outfile_prefix is not None:
            self.write_results(self.outfile_prefix)
        if self.format_only:
            return {}
        # Totals come first: `save_best='auto'` goes by the first figure.
        metrics: dict[str, float] = {}
        class_metrics: dict[str, float] = {}
        all_curves = [self.curves(results, comparison.iou_type) for comparison in self.comparisons]
        objects = self._object_indices[~self._file.iscrowd[self._object_indices]]
        labels = self._file.labels(self.cat_ids)[self._file.category_indices[objects]]
        counts = np.bincount(labels[labels >= 0], minlength=len(self.cat_ids)).tolist()
        self.by_class = class_figures(all_curves, self.classes, counts)
        for comparison, curves in zip(self.comparisons, all_curves, strict=True):
            figures = figures_of(comparison)
            print_log('\n'.join([comparison.iou_type, *summary_lines(curves)]), 'current')
            if self.classwise:
                print_log('\n'.join([comparison.iou_type, *class_table(curves, self.classes)]), 'current')
                for label, name in enumerate(self.classes):
                    value = value_of(figures['mAP'], curves, label)
                    figure = comparison.class_figure.format(name)
                    class_metrics[figure] = round(value, 3) if value > -1 else math.nan
            for item in self.metric_items:
                if item in figures:
                    value = value_of(figures[item], curves)
                    metrics[f'{comparison.iou_type}_{item}'] = round(value, 3)
        return metrics | class_metrics

    def curves(self, results: Sequence[ImageDetections], iou_type: str = 'bbox') -> Curves:
        """The precision and recall of every class.

        Args:
            results: The results of all images, as :meth:`process` keeps them.
            iou_type: The ``iou_type`` of one of the metric's comparisons.

        Raises:
            UserError: An image is not in the annotation file.
        """
        (comparison,) = (one for one in self.comparisons if one.iou_type == iou_type)
        numbers = np.array([self._number(image_id) for image_id, _ in results], dtype=np.int64)
        images = np.repeat(numbers, [len(detections) for _, detections in results])
        empty = np.empty((0, 6), dtype=np.float32)
        packed = np.concatenate([detections for _, detections in results] or [empty])
        detections = Detections(images, packed[:, :4], packed[:, 4], packed[:, 5], packed[:, 6:])
        objects = self._objects(comparison)
        return coco_curves(comparison, objects, len(self.cat_ids), detections, self.library)

    def _objects(self, comparison: Comparison) -> Iterator[list[Entry]]:
        """The objects of each class in turn, as :func:`coco_curves` takes them."""
        file, indices = self._file, self._object_indices
        labels = file.labels(self.cat_ids)[file.category_indices[indices]]
        numbers = np.array([self._image_numbers[image_id] for image_id in file.image_ids])
        areas = np.where(np.isnan(file.areas), file.bboxes[:, 2] * file.bboxes[:, 3], file.areas)
        order = np.argsort(labels, kind='stable')
        ends = np.searchsorted(labels, np.arange(len(self.cat_ids) + 1), sorter=order)
        for label in range(len(self.cat_ids)):
            own = indices[order[ends[label] : ends[label + 1]]] if comparison.covers(label) else indices[:0]
            images = numbers[file.image_indices[own]]
            columns = own, images, file.bboxes[own], areas[own], file.iscrowd[own].astype(int)
            yield [
                dict(image_id=image, bbox=bbox, area=area, iscrowd=iscrowd)
                | comparison.object_fields(file, index, label)
                for index, image, bbox, area, iscrowd in zip(*(c.tolist() for c in columns), strict=True)
            ]

    def write_results(self, prefix: str) -> None:
        """Writes the detections of the last evaluation in COCO's result format.

        Args:
            prefix: The beginning of the files' names, as ``outfile_prefix``.
        """
        for comparison in self.comparisons:
            self._write(self.last_results, comparison, prefix)

    def _write(self, results: Sequence[ImageDetections], comparison: Comparison, prefix: str) -> None:
        """Writes COCO's result format, image by image."""
        encode = json_encoder()
        with atomic_write(f'{prefix}.{comparison.iou_type}.json') as part, part.open('wb') as file:
            file.write(b'[')
            separator = b''
            for image_id, packed in results:
                if entries := self._entries(image_id, packed, comparison):
                    file.write(separator + encode(entries)[1:-1])
                    separator = b', '
            file.write(b']')

    def _entries(
        self, image_id: int | str, packed: NDArray[np.floating], comparison: Comparison
    ) -> list[Entry]:
        """The detections in an image as COCO's result format has them, those that are compared."""
        labels = packed[:, 5].astype(np.int64)
        entries: list[Entry] = [
            dict(
                image_id=image_id,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                score=score,
                category_id=self.cat_ids[int(label)],
            )
            for x1, y1, x2, y2, score, label, *_ in packed.tolist()
        ]
        for label in np.unique(labels).tolist():
            indices = np.flatnonzero(labels == label)
            for name, values in comparison.detection_fields(packed[indices, 6:], label).items():
                for index, value in zip(indices.tolist(), values.tolist(), strict=True):
                    entries[index][name] = value
        covered = map(comparison.covers, labels.tolist())
        return [entry for entry, is_covered in zip(entries, covered, strict=True) if is_covered]


@METRICS.register_module()
class DetectionsFile(DumpResults):
    """MMEngine's ``DumpResults``, whose pickle file is written whole or not at all.

    Like MMDetection's ``DumpDetResults`` it leaves out the ground truth.

    Args:
        out_file_path: The file.
        **kwargs: Those of MMEngine's.

    Raises:
        UserError: The file cannot be written.
    """

    def __init__(self, out_file_path: str, **kwargs: Any) -> None:
        super().__init__(out_file_path, **kwargs)
        if is_main_process():
            check_target(out_file_path)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps the detections in a batch of images.

        Args:
            data_batch: The batch, which is not used.
            data_samples: The samples.
        """
        truth = ('gt_instances', 'ignored_instances')
        found = [{key: value for key, value in one.items() if key not in truth} for one in data_samples]
        super().process(data_batch, found)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Writes the file.

        Args:
            results: The detections of all images.

        Returns:
            No figures.

        Raises:
            UserError: The system does not take the file.
        """
        with atomic_write(self.out_file_path) as part:
            dump(results, part)
        print_log(f'The detections are in {self.out_file_path}', 'current')
        return {}


@cache
def json_encoder() -> Callable[[list[Entry]], bytes]:
    """What makes JSON of entries: msgspec, which takes a seventh of the time, or Python's own."""
    try:
        import msgspec
    except ImportError:
        return lambda entries: json.dumps(entries).encode()
    encode: Callable[[list[Entry]], bytes] = msgspec.json.encode
    return encode


def _bounded_boxes(file: CocoAnnotations) -> NDArray[np.int64]:
    """The annotations to evaluate against: not those with impossible numbers, which a training leaves out.

    pycocotools counts these and boxes without area as objects that were not found. The latter stay, for equal
    figures. A warning names both.
    """
    bounded = is_bounded(file.bboxes)
    is_flat = bounded & (file.bboxes[:, 2:] <= 0).any(1)
    for mask, what in (
        (~bounded, f'{UNBOUNDED} (left out)'),
        (is_flat, 'without area, which count as objects that nothing finds'),
    ):
        if mask.any():
            ids = first_few(file.ids[index] for index in np.flatnonzero(mask))
            line = f'{file.path}: the evaluation has {int(mask.sum())} boxes {what}: annotation ids {ids}'
            print_log(line, 'current', logging.WARNING)
    return np.flatnonzero(bounded)


def _check_objects(file: CocoAnnotations, indices: NDArray[np.int64]) -> None:
    """Refuses a file of crowds, of which every figure would be -1; warns of no boxes and of ``ignore``.

    pycocotools overwrites ``ignore`` by ``iscrowd``, where a training takes either for a region to ignore.
    """
    ignored = indices[file.ignore[indices] & ~file.iscrowd[indices]]
    if len(ignored):
        ids = first_few(file.ids[index] for index in ignored)
        line = (
            f"{file.path}: {len(ignored)} boxes have ignore=1, which COCO's evaluation does not read: they "
            f'count as objects; set iscrowd=1 where they are none (annotation ids {ids})'
        )
        print_log(line, 'current', logging.WARNING)
    if not len(indices):
        line = f'{file.path} has no box: the figures will be -1, and say nothing of a checkpoint'
        print_log(line, 'current', logging.WARNING)
    elif file.iscrowd[indices].all():
        raise UserError(
            f'{file.path}: all {len(indices)} boxes are crowds (iscrowd), so that there is nothing to '
            'evaluate'
        )


def _check_choice(option: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        known = ', '.join(choices)
        raise UserError(f'{option}: there is no {value!r}{did_you_mean(value, choices)} (there are {known})')

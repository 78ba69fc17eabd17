"""Average precision as COCO defines it, over any data set in COCO's format."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.datasets.annotations import nearest
from mmyolox.datasets.coco_file import read_coco
from mmyolox.registry import METRICS
from mmyolox.utils import UserError
from mmyolox.utils.atomic import atomic_write

from .coco_boxes import BACKENDS, IOU_THRESHOLDS, BoxCurves, BoxDetections, Entry, box_curves
from .coco_summary import PRECISIONS, class_table, coco_figures, summary_lines, value_of

ImageResult = tuple[int | str, NDArray[np.floating]]
"""An image's id and its detections (n, 6): xyxy in pixels of the image, score, label."""


@METRICS.register_module()
class YOLOXCocoMetric(BaseMetric):
    """COCO's evaluation of boxes, in the options and results of mmdet's ``CocoMetric`` (3.3 to 3.5).

    - The results of an epoch are one small array an image, which is also all that processes exchange.
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
            ``format_only``.
        metric: ``bbox``; there is no other.
        classwise: Also report ``{class}_precision``, NaN for a class without objects, and log a table.
        proposal_nums: How many detections of a class in an image count, see
            :func:`~mmyolox.evaluation.coco_summary.coco_figures`.
        iou_thrs: The IoU thresholds; by default 0.50, 0.55, ..., 0.95.
        metric_items: Which figures to return; by default the six precisions.
        format_only: Write the results to ``outfile_prefix`` and evaluate nothing.
        outfile_prefix: Write the detections to ``{outfile_prefix}.bbox.json`` in COCO's result format.
        backend_args: Of MMEngine's file backend, where ``ann_file`` is not local.
        backend: ``faster_coco_eval``, or ``pycocotools``, whose results are equal and slower.
        collect_device: Where processes exchange their results: ``cpu`` or ``gpu``.
        prefix: Stands before the names of the figures.

    Raises:
        UserError: The file is missing or at fault, or lacks one of the data set's classes; an option is
            wrong.
    """

    default_prefix = 'coco'

    def __init__(
        self,
        ann_file: str,
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
        self.max_dets = tuple(proposal_nums)
        self.iou_thrs = IOU_THRESHOLDS if iou_thrs is None else np.asarray(iou_thrs, dtype=np.float64)
        self.metric_items = PRECISIONS if metric_items is None else tuple(metric_items)
        for item in self.metric_items:
            _check_choice('metric_items', item, list(coco_figures(self.max_dets)))
        _check_choice('backend', backend, list(BACKENDS))
        self.library = BACKENDS[backend]()
        self._file = read_coco(ann_file, backend_args=backend_args, need_annotations=not format_only)
        # In the order of their ids, which is how pycocotools breaks ties between scores.
        ids = sorted((image['id'] for image in self._file.images), key=lambda key: (str(type(key)), key))
        self._image_numbers = {image_id: number for number, image_id in enumerate(ids)}

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Takes the data set's metainfo and looks its classes up: before training, not after an epoch."""
        self._dataset_meta = dataset_meta
        self.classes = tuple(dataset_meta['classes'])
        self.cat_ids = self._file.ids_of(self.classes)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps the detections in a batch of images.

        Args:
            data_batch: Not used.
            data_samples: Each with ``img_id`` and ``pred_instances``, a dict of ``bboxes`` (n, 4) xyxy in
                pixels of the original image, ``scores`` (n,) and ``labels`` (n,).
        """
        predicted = [sample['pred_instances'] for sample in data_samples]
        rows = [
            torch.column_stack([one['bboxes'].float(), one['scores'], one['labels']]) for one in predicted
        ]
        # One transfer from the device a batch.
        together = torch.cat(rows).cpu().numpy()
        parts = np.split(together, np.cumsum([len(row) for row in rows])[:-1])
        self.results += zip((sample['img_id'] for sample in data_samples), parts, strict=True)

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """The figures by name.

        Args:
            results: Of all images, as :meth:`process` keeps them.
        """
        if self.outfile_prefix is not None:
            self._write(results, f'{self.outfile_prefix}.bbox.json')
        if self.format_only:
            return {}
        anything_found = any(len(rows) for _, rows in results)
        return self._report(self.curves(results), anything_found)

    def curves(self, results: Sequence[ImageResult]) -> BoxCurves:
        """Precision and recall of every class.

        Args:
            results: Of all images, as :meth:`process` keeps them.

        Raises:
            UserError: An image is not in the annotation file.
        """
        found = self._flatten(results)
        return box_curves(self._objects(), found, self.max_dets, self.iou_thrs, self.library)

    def _flatten(self, results: Sequence[ImageResult]) -> BoxDetections:
        unknown = [image_id for image_id, _ in results if image_id not in self._image_numbers]
        if unknown:
            raise UserError(
                f'{self._file.path} has no image with the id {unknown[0]!r}, in which detections are to be '
                "evaluated: is it the data set's own annotation file?"
            )
        numbers = [self._image_numbers[image_id] for image_id, _ in results]
        rows = np.concatenate([np.empty((0, 6)), *(part for _, part in results)])
        rows[:, 2:4] -= rows[:, :2]
        images = np.repeat(np.array(numbers, dtype=np.int64), [len(part) for _, part in results])
        return BoxDetections(images, rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))

    def _objects(self) -> list[list[Entry]]:
        """The objects of each class, as :func:`box_curves` takes them."""
        by_category: dict[int, list[Entry]] = {category: [] for category in self.cat_ids}
        for annotation in self._file.annotations:
            if annotation['category_id'] in by_category:
                width, height = annotation['bbox'][2:]
                entry = dict(
                    image=self._image_numbers[annotation['image_id']],
                    bbox=annotation['bbox'],
                    area=annotation.get('area', width * height),
                    iscrowd=int(annotation.get('iscrowd', 0)),
                )
                by_category[annotation['category_id']].append(entry)
        return list(by_category.values())

    def _report(self, curves: BoxCurves, anything_found: bool) -> dict[str, float]:
        print_log('\n'.join(['', *summary_lines(curves)]), 'current')
        figures = coco_figures(self.max_dets)
        metrics = {}
        if self.classwise:
            print_log('\n'.join(['', *class_table(curves, self.classes)]), 'current')
            for label, name in enumerate(self.classes):
                value = value_of(figures['mAP'], curves, label)
                metrics[f'{name}_precision'] = round(value, 3) if value > -1 else math.nan
        for item in self.metric_items:
            metrics[f'bbox_{item}'] = round(value_of(figures[item], curves), 3) if anything_found else 0.0
        return metrics

    def _write(self, results: Sequence[ImageResult], path: str) -> None:
        """Writes COCO's result format, entry by entry."""
        with atomic_write(path) as part, part.open('w', encoding='utf-8') as file:
            file.write('[')
            for number, entry in enumerate(self._result_entries(results)):
                file.write((', ' if number else '') + json.dumps(entry))
            file.write(']')

    def _result_entries(self, results: Sequence[ImageResult]) -> Iterator[Entry]:
        for image_id, rows in results:
            for x1, y1, x2, y2, score, label in rows.tolist():
                yield dict(
                    image_id=image_id,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    score=score,
                    category_id=self.cat_ids[int(label)],
                )


def _check_choice(option: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        known = ', '.join(choices)
        raise UserError(f'{option}: there is no {value!r}{nearest(value, choices)} (there are {known})')

"""Average precision as COCO defines it, over any data set in COCO's format."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation.metrics import CocoMetric

from mmyolox.datasets.coco_file import CocoAnnotations, read_coco
from mmyolox.registry import METRICS

_REPORTED = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
"""What mmdet's metric reports where ``metric_items`` does not say."""


@METRICS.register_module()
class YOLOXCocoMetric(CocoMetric):
    """mmdet's ``CocoMetric`` (3.3 to 3.5) for boxes, made safe for annotation files other than COCO's own.

    - Label i is the category of that name. mmdet takes the ids in the file's order, which gives every class
      another's score as soon as ``classes`` are configured in another order.
    - A file may lack ``info``, ``area`` (that of the box is taken) and ``iscrowd`` (0), and may count
      annotations from 0, which pycocotools takes for "not matched".
    - An epoch in which nothing is detected has an AP of 0, so that ``save_best`` finds its key.

    Args:
        ann_file: The COCO annotation file to evaluate against. Without ``annotations`` only if
            ``format_only``.
        backend_args: Of MMEngine's file backend, where ``ann_file`` is not local.
        format_only: Write the results to ``outfile_prefix`` and evaluate nothing.
        **kwargs: Of mmdet's ``CocoMetric``, such as ``classwise``, ``proposal_nums``, ``outfile_prefix``.

    Raises:
        UserError: The file is missing or at fault, or lacks one of the data set's classes.
    """

    def __init__(
        self,
        ann_file: str,
        backend_args: Mapping[str, Any] | None = None,
        format_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(format_only=format_only, **kwargs)
        file = read_coco(ann_file, backend_args=backend_args, need_annotations=not format_only)
        self._file = file
        self._coco_api = _as_ground_truth(file)

    @CocoMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Takes the data set's metainfo and looks its classes up: before training, not after an epoch."""
        self._dataset_meta = dataset_meta
        self.cat_ids = self._file.ids_of(dataset_meta['classes'])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The metrics by name, as mmdet computes them."""
        metrics: dict[str, float] = super().compute_metrics(results)
        if not metrics and not self.format_only:
            return {f'bbox_{item}': 0.0 for item in self.metric_items or _REPORTED}
        return metrics


def _as_ground_truth(file: CocoAnnotations) -> COCO:
    for number, annotation in enumerate(file.annotations, start=1):
        annotation['id'] = number
        annotation.setdefault('iscrowd', 0)
        annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
    coco = COCO()
    # Not every pycocotools does without `info`.
    coco.dataset = dict(info={}, images=file.images, annotations=file.annotations, categories=file.categories)
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs
    return coco

"""The last steps of a pipeline: weed out, and pack into what the collate function takes."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.instances import IGNORED, has_objects, keep_instances
from mmyolox.datasets.canvas.scene import take_image
from mmyolox.registry import TRANSFORMS

META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'matrix')


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Drops boxes that have become too small, and the sample if it has no object left.

    Args:
        min_gt_bbox_wh: smallest width and height in pixels of the current canvas.
        keep_empty: keep a sample without objects (it trains the objectness as background). False makes the
            data set draw another one, as in the published recipes.
    """

    def __init__(self, min_gt_bbox_wh: tuple[float, float] = (1, 1), keep_empty: bool = False) -> None:
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.keep_empty = keep_empty

    def transform(self, results: dict) -> dict | None:
        sides = results['gt_bboxes'][:, 2:] - results['gt_bboxes'][:, :2]
        keep_instances(results, (sides > self.min_gt_bbox_wh).all(axis=1))
        return results if self.keep_empty or has_objects(results) else None


@TRANSFORMS.register_module()
class PackDetInputs(BaseTransform):
    """Draws the sample and keeps what the model needs.

    Returns ``dict(inputs, data_samples)`` of NumPy arrays; they become tensors once a batch, in the collate
    function. ``inputs`` is (channels, h, w) uint8, channels last in memory; ``data_samples`` holds ``bboxes``
    (M, 4) float32 xyxy in pixels of ``inputs``, ``labels`` (M,) int64, ``ignored_bboxes`` (I, 4) and
    ``meta``, the sample's ``img_id``, ``img_path``, ``ori_shape`` (h, w), ``img_shape`` (h, w) and, for an
    undisturbed single image, ``matrix`` from the original image to ``inputs``. The meta also has the
    untouched annotations as ``gt_bboxes``, ``gt_labels`` and ``gt_ignored``, for metrics that want them in
    pixels of the original image.
    """

    def transform(self, results: dict) -> dict:
        # A view: collate copies every image into the batch once, in memory order.
        inputs = take_image(results).transpose(2, 0, 1)
        return dict(
            inputs=inputs, data_samples=dict(self.pack_instances(results), meta=self.pack_meta(results))
        )

    def pack_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays that the collate function pads; models with more than boxes add theirs."""
        bboxes = results.get('gt_bboxes', np.zeros((0, 4), np.float32))
        labels = results.get('gt_bboxes_labels', np.zeros(0, np.int64))
        is_object = labels != IGNORED
        return dict(bboxes=bboxes[is_object], labels=labels[is_object], ignored_bboxes=bboxes[~is_object])

    def pack_meta(self, results: dict) -> dict[str, Any]:
        """What else is told of the image; arrays ``gt_*`` become ``gt_instances`` beside its predictions."""
        meta = {key: results[key] for key in META_KEYS if key in results}
        if 'bboxes' in results:
            meta.update(
                gt_bboxes=results['bboxes'], gt_labels=results['labels'], gt_ignored=results['is_crowd']
            )
        return meta

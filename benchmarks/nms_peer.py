"""Runs and times mmcv's compiled NMS; ``nms.py`` starts this file in mmcv's environment.

A request names ``case``, a ``.npz`` file of ``bboxes``, ``scores``, ``labels`` and ``iou_threshold``;
``way``, one of ``WAYS``; and ``keep``, the ``.npy`` file to write the kept indices to.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from mmcv.ops import batched_nms, nms
from side_by_side import serve
from torch import Tensor

Way = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def one_pass(bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """``batched_nms`` as it goes below 10,000 boxes: classes moved apart, all in one call."""
    return batched_nms(bboxes, scores, labels, dict(iou_threshold=iou_threshold, split_thr=len(labels) + 1))[
        1
    ]


def class_by_class(bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """``batched_nms`` as it goes from 10,000 boxes on: classes moved apart, a call each."""
    return batched_nms(bboxes, scores, labels, dict(iou_threshold=iou_threshold, split_thr=0))[1]


def exact(bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """The compiled op on each class where it is, so that no coordinate is rounded."""
    kept = []
    for label in labels.unique():
        index = (labels == label).nonzero().squeeze(1)
        kept.append(index[nms(bboxes[index], scores[index], iou_threshold)[1]])
    keep = torch.cat(kept)
    return keep[scores[keep].argsort(descending=True, stable=True)]


WAYS: dict[str, Way] = dict(one_pass=one_pass, class_by_class=class_by_class, exact=exact)


def timed(case: str, way: str, keep: str) -> float:
    """Runs a case and stores what is kept; the seconds that it took."""
    arrays = np.load(case)
    tensors = [torch.from_numpy(arrays[name]) for name in ('bboxes', 'scores', 'labels')]
    start = time.perf_counter()
    kept = WAYS[way](*tensors, float(arrays['iou_threshold']))
    seconds = time.perf_counter() - start
    np.save(keep, kept.numpy())
    return seconds


if __name__ == '__main__':
    serve(timed)

"""From the head's raw outputs to detections: the parts of ``YOLOXHead.predict``, for a whole batch at once.

Boxes of all images lie in one table whose column ``images`` says whose they are, so that the number of
operations, and of waits for the device, does not grow with the batch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.deploy.letterbox import Size

from .boxes import decode_bboxes, grid_priors
from .levels import flat_cells
from .networks.head_module import HeadOutputs


def confident_priors(outputs: HeadOutputs, strides: Sequence[int], score_thr: float) -> InstanceData:
    """The priors that may reach the threshold: an object's score limits those of its classes.

    Class scores are at most 1, and rounding keeps that order, so no box is lost; on photographs nine tenths
    of the priors go before their classes and boxes are computed.

    Args:
        outputs: What the head returns.
        strides: The stride of each level in pixels of the input.
        score_thr: What the score of an object must exceed.

    Returns:
        ``images`` (R,) int64, the index in the batch; ``priors`` (R,) int64, counted row by row, level by
        level; ``bboxes`` (R, 4) float32 xyxy in input pixels; ``class_scores`` (R, C) float32, objectness
        times class probability. By level, then by image, then by prior.
    """
    levels, start = [], 0
    for cls_logits, bbox_preds, obj_logits, stride in zip(
        outputs.cls_logits, outputs.bbox_preds, outputs.obj_logits, strides, strict=True
    ):
        obj_scores = obj_logits.float().sigmoid().flatten(1)
        images, cells = (obj_scores > score_thr).nonzero(as_tuple=True)
        logits, preds = (flat_cells(level)[images, cells].float() for level in (cls_logits, bbox_preds))
        priors = grid_priors([(cls_logits.shape[2], cls_logits.shape[3])], [stride], cls_logits.device)
        level = InstanceData(
            images=images,
            priors=start + cells,
            bboxes=decode_bboxes(preds, priors[cells]),
            class_scores=logits.sigmoid_() * obj_scores[images, cells, None],
        )
        levels.append(level)
        start += len(priors)
    return InstanceData.cat(levels)


def label_candidates(confident: InstanceData, score_thr: float, multi_label: bool) -> InstanceData:
    """Turns the class scores of priors into boxes with one label each.

    Args:
        confident: The priors with ``class_scores`` (R, C) and any other fields.
        score_thr: What a score must exceed.
        multi_label: Whether a prior may become several boxes, or only one of its best class (the first of
            equals).

    Returns:
        The fields of ``confident``, with ``scores`` (K,) and ``labels`` (K,) int64 instead of
        ``class_scores``; by prior, then by class.
    """
    class_scores = confident.pop('class_scores')
    if multi_label:
        chosen, labels = (class_scores > score_thr).nonzero(as_tuple=True)
    else:
        best, best_labels = class_scores.max(dim=1)
        chosen = (best > score_thr).nonzero().squeeze(1)
        labels = best_labels[chosen]
    candidates = confident[chosen]
    candidates.set_field(class_scores[chosen, labels], 'scores')
    candidates.set_field(labels, 'labels')
    return candidates


def to_original(bboxes: Tensor, images: Tensor, metas: Sequence[dict]) -> Tensor:
    """Maps boxes from input pixels to their original images', and clips them to these.

    Args:
        bboxes: (n, 4) xyxy in input pixels.
        images: (n,) int64: the index in ``metas``.
        metas: One dict an image: ``matrix``, an axis-aligned (3, 3) map (scale, shift, flips) from the
            original image to the input, and ``ori_shape``, its (h, w).

    Returns:
        (n, 4) xyxy in pixels of the original images.
    """
    matrices = np.stack([meta['matrix'] for meta in metas])
    maps = np.concatenate(
        [
            matrices.diagonal(axis1=1, axis2=2)[:, :2],
            matrices[:, :2, 2],
            [Size.of_shape(meta['ori_shape']) for meta in metas],
        ],
        axis=1,
        dtype=np.float32,
        casting='same_kind',
    )
    scale, shift, limit = torch.from_numpy(maps).to(bboxes.device)[images].chunk(3, dim=1)
    corners = (bboxes.reshape(-1, 2, 2) - shift[:, None]) / scale[:, None]
    # A mirrored image swaps left and right.
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat([low, high], dim=1).clamp(min=0).minimum(limit.repeat(1, 2))


def split_by_image(detections: InstanceData, count: int) -> list[InstanceData]:
    """Takes detections that are sorted by ``images`` apart: an ``InstanceData`` for each of ``count`` images.

    ``images`` and ``priors``, which mean nothing outside the batch, are dropped. Each has memory of its own,
    so that whoever keeps or pickles one image does not keep the batch.
    """
    counts = detections.pop('images').bincount(minlength=count).tolist()
    columns = {name: column.split(counts) for name, column in detections.items() if name != 'priors'}
    return [
        InstanceData(**{name: parts[image].clone() for name, parts in columns.items()})
        for image in range(count)
    ]

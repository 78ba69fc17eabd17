"""The YOLOX head: towers, training losses and predictions."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.ops import batched_nms
from mmyolox.registry import MODELS, TASK_UTILS
from mmyolox.utils.errors import UserError

from .bbox import bbox_ious, decode_bboxes, encode_bboxes, grid_priors, points_inside
from .sim_ota import Assignment


@MODELS.register_module()
class YOLOXHead(BaseModule):
    """Decoupled anchor-free head (Ge et al. 2021) with the losses and weights of Megvii's YOLOX.

    Args:
        head_module: config of the towers; builds to a module with ``num_classes`` and ``featmap_strides``
            whose ``forward(feats)`` returns lists of class logits (B, C, H, W), box regressions
            (B, 4, H, W) and objectness logits (B, 1, H, W), one a level.
        loss_bbox_weight: weight of the squared IoU loss.
        loss_l1_weight: weight of the L1 loss on the raw regression in the last epochs.
        use_l1: whether the L1 loss is on; :class:`mmyolox.engine.YOLOXModeSwitchHook` turns it on.
        train_cfg: holds ``assigner``. Only training needs it.
        test_cfg: ``score_thr``; ``nms`` with ``iou_threshold``; ``max_per_img``; ``multi_label``: whether a
            prior may be several classes, or only its best one (Megvii's protocol); ``nms_pre``: how many of
            the best candidates of an image go into NMS. Only prediction needs it.
        init_cfg: of :class:`mmengine.model.BaseModule`.
    """

    def __init__(
        self,
        head_module: dict,
        loss_bbox_weight: float = 5.0,
        loss_l1_weight: float = 1.0,
        use_l1: bool = False,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.head_module = MODELS.build(head_module)
        self.loss_bbox_weight = loss_bbox_weight
        self.loss_l1_weight = loss_l1_weight
        self.use_l1 = use_l1
        self.assigner = TASK_UTILS.build(train_cfg['assigner']) if train_cfg else None
        self.test_cfg: Any = None if test_cfg is None else _check_test_cfg(test_cfg)

    @property
    def num_classes(self) -> int:
        """How many classes the head tells apart."""
        return self.head_module.num_classes

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The raw outputs: class logits, box regressions and objectness logits, a list of levels each."""
        return self.head_module(feats)

    def loss(self, feats: Sequence[Tensor], data_samples: dict) -> dict[str, Tensor]:
        """The training losses of a batch.

        Args:
            feats: feature maps of the neck.
            data_samples: ``bboxes`` (B, M, 4), ``labels`` (B, M) and ``ignored_bboxes`` (B, I, 4), see
                :func:`mmyolox.datasets.yolox_collate`.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_obj`` and, in the last epochs, ``loss_l1``: scalars, summed
            over the batch and divided by its number of positive priors (mean over processes).
        """
        if self.assigner is None:
            raise UserError('model.train_cfg is missing: training needs its assigner')
        cls_logits, bbox_preds, obj_logits, priors = self._flatten(self(feats))
        gt_bboxes, gt_labels = data_samples['bboxes'], data_samples['labels']
        assignment = self.assigner.assign(
            decode_bboxes(bbox_preds.detach(), priors),
            cls_logits.detach(),
            obj_logits.detach(),
            priors,
            gt_bboxes,
            gt_labels,
        )
        normaliser = all_reduce_mean(assignment.is_positive.sum().float()).clamp(min=1)
        images, rows = assignment.is_positive.nonzero(as_tuple=True)
        gts, ious = assignment.gt_index[images, rows], assignment.ious[images, rows]
        cls_targets = F.one_hot(gt_labels[images, gts], self.num_classes) * ious[:, None]
        losses = dict(
            loss_cls=_bce_sum(cls_logits[images, rows], cls_targets),
            loss_obj=self._objectness_loss(obj_logits, assignment, priors, data_samples['ignored_bboxes']),
            **self._bbox_losses(bbox_preds[images, rows], priors[rows], gt_bboxes[images, gts]),
        )
        return {name: loss / normaliser for name, loss in losses.items()}

    def _bbox_losses(self, bbox_preds: Tensor, priors: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The summed losses of positive priors: (n, 4) regressions, (n, 3) priors and (n, 4) targets.

        Only positives are decoded with gradients: an exponential that overflows on a background prior would
        turn its zero gradient into NaN.
        """
        ious = bbox_ious(decode_bboxes(bbox_preds, priors), targets).clamp(min=1e-16)
        losses = dict(loss_bbox=self.loss_bbox_weight * (1 - ious**2).sum())  # Megvii's IOUloss
        if self.use_l1:
            l1 = F.l1_loss(bbox_preds.float(), encode_bboxes(targets, priors), reduction='sum')
            losses['loss_l1'] = self.loss_l1_weight * l1
        return losses

    def predict(self, feats: Sequence[Tensor], metas: Sequence[dict]) -> list[InstanceData]:
        """The detections of a batch.

        Args:
            feats: feature maps of the neck.
            metas: one dict an image; ``matrix`` is the (3, 3) map from the original image to the input, and
                ``ori_shape`` its (h, w).

        Returns:
            An ``InstanceData`` an image, by descending score: ``bboxes`` (n, 4) float32 xyxy in pixels of the
            original image, clipped to it, ``scores`` (n,) float32, ``labels`` (n,) int64.
        """
        if self.test_cfg is None:
            raise UserError('model.test_cfg is missing: prediction needs score_thr, nms and max_per_img')
        cls_logits, bbox_preds, obj_logits, priors = self._flatten(self(feats))
        bboxes = decode_bboxes(bbox_preds, priors)
        scores = cls_logits.float().sigmoid() * obj_logits.float().sigmoid()[..., None]
        return [self._predict_image(*image) for image in zip(bboxes, scores, metas, strict=True)]

    def _predict_image(self, bboxes: Tensor, scores: Tensor, meta: dict) -> InstanceData:
        """Filters, suppresses and maps back the boxes (N, 4) and scores (N, C) of one image."""
        cfg = self.test_cfg
        if not cfg.multi_label:
            best = scores.max(dim=1, keepdim=True)
            scores = torch.zeros_like(scores).scatter(1, best.indices, best.values)
        rows, labels = (scores > cfg.score_thr).nonzero(as_tuple=True)
        candidates = InstanceData(bboxes=bboxes[rows], scores=scores[rows, labels], labels=labels)
        if len(candidates) > cfg.nms_pre:
            candidates = candidates[candidates.scores.topk(cfg.nms_pre).indices]
        detections = candidates[
            batched_nms(
                candidates.bboxes,
                candidates.scores,
                candidates.labels,
                cfg.nms.iou_threshold,
                cfg.max_per_img,
            )
        ]
        # After the suppression: boxes clipped at the image's border overlap more than as predicted.
        detections.bboxes = to_original(detections.bboxes, meta)
        return detections

    def _flatten(
        self, outputs: tuple[list[Tensor], list[Tensor], list[Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, N, C) class logits, (B, N, 4) regressions, (B, N) objectness logits and (N, 3) priors."""
        sizes = [(level.shape[2], level.shape[3]) for level in outputs[0]]
        priors = grid_priors(sizes, self.head_module.featmap_strides, outputs[0][0].device)
        cls_logits, bbox_preds, obj_logits = (
            torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2) for levels in outputs
        )
        return cls_logits, bbox_preds, obj_logits[..., 0], priors

    def _objectness_loss(
        self, obj_logits: Tensor, assignment: Assignment, priors: Tensor, ignored_bboxes: Tensor
    ) -> Tensor:
        """The summed cross-entropy; background priors inside an ignored region do not count."""
        losses = F.binary_cross_entropy_with_logits(
            obj_logits.float(), assignment.is_positive.float(), reduction='none'
        )
        cells = priors[:, :2] + priors[:, 2:] / 2
        in_region = points_inside(cells[:, None], ignored_bboxes[:, None]).any(dim=2)
        return losses.masked_fill(in_region & ~assignment.is_positive, 0).sum()


def _check_test_cfg(test_cfg: dict) -> ConfigDict:
    expected = {'score_thr', 'multi_label', 'nms_pre', 'nms', 'max_per_img'}
    wrong = sorted(expected.symmetric_difference(test_cfg))
    if wrong or set(test_cfg['nms']) != {'iou_threshold'}:
        raise UserError(
            f'model.test_cfg must have the keys {sorted(expected)}, nms with the key iou_threshold; '
            f'{", ".join(wrong) or "nms"} is too much or missing'
        )
    return ConfigDict(test_cfg)


def to_original(bboxes: Tensor, meta: dict) -> Tensor:
    """Maps boxes (n, 4) from input pixels to the original image's, and clips them to it.

    Args:
        bboxes: (n, 4) xyxy in input pixels.
        meta: ``matrix``, an axis-aligned (3, 3) map (scale, shift, flips) from the original image to the
            input, and ``ori_shape``, its (h, w).
    """
    matrix = torch.as_tensor(meta['matrix'], dtype=torch.float32, device=bboxes.device)
    scale, shift = matrix.diagonal()[:2], matrix[:2, 2]
    corners = (bboxes.reshape(-1, 2, 2) - shift) / scale
    height, width = meta['ori_shape']
    limit = corners.new_tensor([width, height])
    # A mirrored image swaps left and right.
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat([low, high], dim=1).clamp(min=0).minimum(limit.repeat(2))


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a scalar over all processes; itself if there is only one."""
    value = value.clone()
    all_reduce(value, op='mean')
    return value


def _bce_sum(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction='sum')

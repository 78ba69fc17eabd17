"""The YOLOX head: towers, training losses and predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.nms import images_nms
from mmyolox.registry import MODELS, TASK_UTILS

from .assigner import Assignment, PairCosts
from .boxes import bbox_ious, decode_bboxes, encode_bboxes, grid_priors, points_inside
from .levels import gather_rows, take_rows
from .postprocess import confident_priors, label_candidates, split_by_image, to_original

Outputs = tuple[list[Tensor], ...]
"""What a head's convolutions give, lists of levels: class logits, regressions, objectness logits and more."""


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
        self.assigner: Any = TASK_UTILS.build(train_cfg['assigner']) if train_cfg else None
        self.test_cfg: Any = None if test_cfg is None else _check_test_cfg(test_cfg)

    @property
    def num_classes(self) -> int:
        """How many classes the head tells apart."""
        return self.head_module.num_classes

    def forward(self, feats: Sequence[Tensor]) -> Outputs:
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
        outputs = self(feats)
        priors = self._priors(outputs)
        return self._losses(outputs, self._assign(outputs, priors, data_samples), priors, data_samples)

    def _priors(self, outputs: Outputs) -> Tensor:
        """The priors (N, 3) of raw outputs, see :func:`~mmyolox.models.boxes.grid_priors`."""
        sizes = [(level.shape[2], level.shape[3]) for level in outputs[0]]
        return grid_priors(sizes, self.head_module.featmap_strides, outputs[0][0].device)

    def _assign(self, outputs: Outputs, priors: Tensor, data_samples: dict) -> Assignment:
        """Which of the priors (N, 3) learns which ground truth."""
        cls_logits, bbox_levels, obj_levels = outputs[:3]
        pred_bboxes = decode_bboxes(flatten_levels(bbox_levels).detach(), priors)
        return self.assigner.assign(
            pred_bboxes,
            [level.detach() for level in cls_logits],
            flatten_levels(obj_levels)[..., 0].detach(),
            priors,
            data_samples['bboxes'],
            data_samples['labels'],
            self._pair_costs(outputs, pred_bboxes, priors, data_samples),
        )

    def _pair_costs(
        self, outputs: Outputs, pred_bboxes: Tensor, priors: Tensor, data_samples: dict
    ) -> PairCosts | None:
        """What matching a ground truth costs beside its class and box: nothing.

        A head with more outputs than these overrides it. ``pred_bboxes`` are (B, N, 4) xyxy in input pixels.
        """
        return None

    def _losses(
        self, outputs: Outputs, assignment: Assignment, priors: Tensor, data_samples: dict
    ) -> dict[str, Tensor]:
        """The losses of a matched batch, each divided by what it is to be divided by."""
        cls_logits, bbox_levels, obj_levels = outputs[:3]
        normaliser = all_reduce_mean(assignment.is_positive.sum().float()).clamp(min=1)
        losses = dict(
            loss_cls=_class_loss(cls_logits, assignment, data_samples['labels']),
            loss_obj=_objectness_loss(
                flatten_levels(obj_levels)[..., 0], assignment, priors, data_samples['ignored_bboxes']
            ),
            **self._bbox_losses(bbox_levels, assignment, priors, data_samples['bboxes']),
        )
        return {name: loss / normaliser for name, loss in losses.items()}

    def _bbox_losses(
        self, bbox_levels: Sequence[Tensor], assignment: Assignment, priors: Tensor, gt_bboxes: Tensor
    ) -> dict[str, Tensor]:
        """The summed losses of the positive priors among the regressions, (B, 4, H, W) a level.

        Only positives are decoded with gradients: an exponential that overflows elsewhere would turn its
        zero gradient into NaN.
        """
        is_filled = assignment.is_filled
        preds = take_rows(bbox_levels, assignment.slot_priors).float()
        cells = priors[assignment.slot_priors.clamp(min=0)]
        targets = gather_rows(gt_bboxes, assignment.slot_gts)
        ious = bbox_ious(decode_bboxes(preds, cells), targets).clamp(min=1e-16)
        squared = (1 - ious**2).where(is_filled, 0)  # Megvii's IOUloss
        losses = dict(loss_bbox=self.loss_bbox_weight * squared.sum())
        if self.use_l1:
            l1 = (preds - encode_bboxes(targets, cells)).abs().where(is_filled[..., None], 0)
            losses['loss_l1'] = self.loss_l1_weight * l1.sum()
        return losses

    def predict(self, feats: Sequence[Tensor], metas: Sequence[dict]) -> list[InstanceData]:
        """The detections of a batch, from the feature maps of the neck; see :meth:`postprocess`."""
        return self.postprocess(self(feats), metas)

    def postprocess(self, outputs: Outputs, metas: Sequence[dict]) -> list[InstanceData]:
        """Turns raw outputs into detections.

        All images go through at once, so that the waits for the device hardly grow with the batch: 32
        photographs take 23 at a threshold of 0.3 and about 110 at 0.001.

        Args:
            outputs: of :meth:`forward`.
            metas: one dict an image; ``matrix`` is the (3, 3) map from the original image to the input, and
                ``ori_shape`` its (h, w).

        Returns:
            An ``InstanceData`` an image, by descending score (equal ones by level, row, column and class):
            ``bboxes`` (n, 4) float32 xyxy in pixels of the original image, clipped to it, ``scores`` (n,)
            float32, ``labels`` (n,) int64.
        """
        if self.test_cfg is None:
            raise UserError('model.test_cfg is missing: prediction needs score_thr, nms and max_per_img')
        cfg = self.test_cfg
        cls_logits, bbox_preds, obj_logits = outputs[:3]
        strides = self.head_module.featmap_strides
        rows = confident_priors(cls_logits, bbox_preds, obj_logits, strides, cfg.score_thr)
        candidates = label_candidates(rows, cfg.score_thr, cfg.multi_label)
        keep = images_nms(
            candidates.bboxes,
            candidates.scores,
            candidates.labels,
            candidates.images,
            cfg.nms.iou_threshold,
            cfg.max_per_img,
            cfg.nms_pre,
        )
        detections = candidates[keep]
        # After the suppression: boxes clipped at the image's border overlap more than as predicted.
        detections.bboxes = to_original(detections.bboxes, detections.images, metas)
        self._add_fields(detections, outputs, metas)
        return split_by_image(detections, len(metas))

    def _add_fields(self, detections: InstanceData, outputs: Outputs, metas: Sequence[dict]) -> None:
        """Adds to the detections that are kept what else their priors predict: nothing.

        A head with more outputs than these overrides it. Detections have ``images`` (R,) and ``priors``
        (R,) int64: whose they are and of which prior.
        """

    def point_columns(self, outputs: Outputs, priors: Tensor, decode: bool) -> list[Tensor]:
        """What an exported network gives of an object's points: nothing, as there are none.

        A head with points overrides it and :meth:`describe_points`.

        Args:
            outputs: of :meth:`forward`.
            priors: (N, 3), see :func:`~mmyolox.models.boxes.grid_priors`.
            decode: whether to give pixels of the input, or offsets from the prior's corner in strides.

        Returns:
            At most one (B, 3P, N) float32: x, y and score (0-1) of each of the P points in turn.
        """
        return []

    def describe_points(self, dataset_meta: Mapping[str, Any]) -> dict[str, Any]:
        """What :class:`mmyolox.deploy.ModelInfo` is to say of an object's points, by its fields: nothing."""
        return {}


def _check_test_cfg(test_cfg: dict) -> ConfigDict:
    expected = {'score_thr', 'multi_label', 'nms_pre', 'nms', 'max_per_img'}
    wrong = sorted(expected.symmetric_difference(test_cfg))
    if wrong or set(test_cfg['nms']) != {'iou_threshold'}:
        raise UserError(
            f'model.test_cfg must have the keys {sorted(expected)}, nms with the key iou_threshold; '
            f'{", ".join(wrong) or "nms"} is too much or missing'
        )
    return ConfigDict(test_cfg)


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all processes; itself if there is only one."""
    value = value.clone()
    all_reduce(value, op='mean')
    return value


def level_columns(levels: Sequence[Tensor]) -> Tensor:
    """(B, C, N) of levels (B, C, H, W)."""
    return torch.cat([level.flatten(2) for level in levels], dim=2)


def flatten_levels(levels: Sequence[Tensor]) -> Tensor:
    """(B, N, C) of levels (B, C, H, W)."""
    return level_columns(levels).transpose(1, 2)


def _class_loss(cls_logits: Sequence[Tensor], assignment: Assignment, gt_labels: Tensor) -> Tensor:
    """The summed cross-entropy of positive priors; their overlap is the target of their class."""
    logits = take_rows(cls_logits, assignment.slot_priors).float()
    labels = gt_labels.gather(1, assignment.slot_gts).clamp_(min=0)
    targets = torch.zeros_like(logits).scatter_(2, labels[..., None], assignment.slot_scores[..., None])
    weight = assignment.is_filled[..., None].float()
    return F.binary_cross_entropy_with_logits(logits, targets, weight, reduction='sum')


def _objectness_loss(
    obj_logits: Tensor, assignment: Assignment, priors: Tensor, ignored_bboxes: Tensor
) -> Tensor:
    """The summed cross-entropy; background priors inside an ignored region do not count."""
    losses = F.binary_cross_entropy_with_logits(
        obj_logits.float(), assignment.is_positive.float(), reduction='none'
    )
    cells = priors[:, :2] + priors[:, 2:] / 2
    in_region = points_inside(cells[:, None], ignored_bboxes[:, None]).any(dim=2)
    return losses.masked_fill(in_region & ~assignment.is_positive, 0).sum()

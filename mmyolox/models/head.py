"""The YOLOX head: towers, training losses and predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.nms import images_nms
from mmyolox.registry import MODELS, TASK_UTILS

from .assigner import Assignment, PairCosts
from .boxes import decode_bboxes, decode_centers, encode_bboxes, grid_priors
from .levels import flatten_levels, level_columns, take_slots
from .losses import MatchedBatch, all_reduce_mean
from .networks.head_module import HeadOutputs
from .postprocess import confident_priors, label_candidates, split_by_image, to_original


@MODELS.register_module()
class YOLOXHead(BaseModule):
    """Decoupled anchor-free head (Ge et al. 2021) with the losses and weights of Megvii's YOLOX.

    Args:
        head_module: The config of the towers, a module with ``num_classes`` and ``featmap_strides``
            whose ``forward(feats)`` returns :class:`HeadOutputs`.
        loss_bbox_weight: The weight of the squared IoU loss.
        loss_l1_weight: The weight of the L1 loss on the raw regression in the last epochs.
        use_l1: Whether the L1 loss is on; :class:`mmyolox.engine.YOLOXModeSwitchHook` turns it on.
        class_weights: What the classification loss of a prior is multiplied by, by the class of its ground
            truth: a number a class, at least 0. None is for ones.
        train_cfg: A dict with ``assigner``, which only training needs.
        test_cfg: A dict, which only prediction needs, with ``score_thr``; ``nms`` with ``iou_threshold``
            (and a ``type`` that is 'nms', as in MMDetection); ``max_per_img``; ``multi_label``: whether a
            prior may be several classes, or only its best one (Megvii's protocol); ``nms_pre``: how
            many of the best candidates of an image go into NMS.
        init_cfg: MMEngine's weight initialisation.
    """

    def __init__(
        self,
        head_module: dict,
        loss_bbox_weight: float = 5.0,
        loss_l1_weight: float = 1.0,
        use_l1: bool = False,
        class_weights: Sequence[float] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.head_module = MODELS.build(head_module)
        self.loss_bbox_weight = loss_bbox_weight
        self.loss_l1_weight = loss_l1_weight
        self.use_l1 = use_l1
        self.class_weights: Tensor | None
        if class_weights is not None and len(class_weights) != self.num_classes:
            raise UserError(
                f'model.bbox_head.class_weights has {len(class_weights)} numbers, but there are '
                f'{self.num_classes} classes'
            )
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer('class_weights', weights, persistent=False)
        if train_cfg and set(train_cfg) != {'assigner'}:
            raise UserError(
                f'model.train_cfg must have the key assigner alone; it has {sorted(map(str, train_cfg))}'
            )
        self.assigner: Any = TASK_UTILS.build(train_cfg['assigner']) if train_cfg else None
        self.test_cfg: Any = None if test_cfg is None else _check_test_cfg(test_cfg)
        self.after_network = MatchingAndLosses()

    @property
    def num_classes(self) -> int:
        """How many classes the head tells apart."""
        return self.head_module.num_classes

    def forward(self, feats: Sequence[Tensor]) -> HeadOutputs:
        """The raw outputs."""
        return self.head_module(feats)

    def loss(self, feats: Sequence[Tensor], data_samples: dict) -> dict[str, Tensor]:
        """The training losses of a batch.

        Args:
            feats: The feature maps of the neck.
            data_samples: A dict with ``bboxes`` (B, M, 4), ``labels`` (B, M) and ``ignored_bboxes`` (B, I,
                4), see :func:`mmyolox.datasets.yolox_collate`.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``loss_obj`` and, in the last epochs, ``loss_l1``: scalars, summed
            over the batch and divided by its number of positive priors (mean over processes).
        """
        if self.assigner is None:
            raise UserError('model.train_cfg is missing: training needs its assigner')
        losses: dict[str, Tensor] = self.after_network(self, self(feats), data_samples)
        return losses

    def priors(self, outputs: HeadOutputs) -> Tensor:
        """The priors (N, 3) of raw outputs, see :func:`~mmyolox.models.boxes.grid_priors`."""
        shapes_hw = [(level.shape[2], level.shape[3]) for level in outputs.cls_logits]
        return grid_priors(shapes_hw, self.head_module.featmap_strides, outputs.cls_logits[0].device)

    def assign(self, outputs: HeadOutputs, priors: Tensor, data_samples: dict) -> Assignment:
        """Decides which of the priors (N, 3) learns which ground truth."""
        pred_bboxes = decode_bboxes(flatten_levels(outputs.bbox_preds).detach(), priors)
        return self.assigner.assign(
            pred_bboxes,
            [level.detach() for level in outputs.cls_logits],
            flatten_levels(outputs.obj_logits)[..., 0].detach(),
            priors,
            data_samples['bboxes'],
            data_samples['labels'],
            self.pair_costs(outputs, pred_bboxes, priors, data_samples),
        )

    def pair_costs(
        self, outputs: HeadOutputs, pred_bboxes: Tensor, priors: Tensor, data_samples: dict
    ) -> PairCosts | None:
        """What matching a ground truth costs beside its class and box: nothing.

        A head with more outputs than these overrides it. ``pred_bboxes`` are (B, N, 4) xyxy in input pixels.
        """
        return None

    def losses(self, outputs: HeadOutputs, matched: MatchedBatch) -> dict[str, Tensor]:
        """The losses of a matched batch; the sums of the methods below over the number of positive priors."""
        losses = dict(
            loss_cls=self.class_loss(outputs, matched),
            loss_obj=self.objectness_loss(outputs, matched),
            loss_bbox=self.bbox_loss(outputs, matched),
        )
        if self.use_l1:
            losses['loss_l1'] = self.l1_loss(outputs, matched)
        normaliser = all_reduce_mean(matched.assignment.is_positive.sum().float()).clamp(min=1)
        means = torch.stack(list(losses.values())) / normaliser
        return dict(zip(losses, means.unbind(), strict=True))

    def class_loss(self, outputs: HeadOutputs, matched: MatchedBatch) -> Tensor:
        """The summed cross-entropy of positive priors, where their class has a score to reach."""
        logits = take_slots(outputs.cls_logits, matched.slots).float()
        labels, scores = matched.labels[..., None], matched.class_scores[..., None]
        targets = torch.zeros_like(logits).scatter_(2, labels, scores)
        weight = matched.assignment.is_filled[..., None].float()
        if self.class_weights is not None:
            weight = weight * self.class_weights[labels]
        return F.binary_cross_entropy_with_logits(logits, targets, weight, reduction='sum')

    def objectness_loss(self, outputs: HeadOutputs, matched: MatchedBatch) -> Tensor:
        """The summed cross-entropy of all priors but the ignored ones: 1 for positives, 0 for background."""
        logits = flatten_levels(outputs.obj_logits)[..., 0].float()
        targets = matched.assignment.is_positive.float()
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
        return losses.masked_fill(matched.is_ignored, 0).sum()

    def bbox_loss(self, outputs: HeadOutputs, matched: MatchedBatch) -> Tensor:
        """The summed and weighted squared IoU loss of positive priors."""
        squared = 1 - matched.ious.clamp(min=1e-16) ** 2  # Megvii's IOUloss
        return self.loss_bbox_weight * squared.masked_fill(matched.assignment.is_empty, 0).sum()

    def l1_loss(self, outputs: HeadOutputs, matched: MatchedBatch) -> Tensor:
        """The summed and weighted distance of positive priors' regressions from what they should be."""
        distances = (matched.bbox_preds - encode_bboxes(matched.bboxes, matched.cells)).abs()
        return self.loss_l1_weight * distances.masked_fill(matched.assignment.is_empty[..., None], 0).sum()

    def random_samples(self, count: int, objects: int, size: Size, device: torch.device) -> dict[str, Any]:
        """Ground truths of random images, to try a training step with.

        A head that needs more for its losses adds it.

        Args:
            count: The number of images.
            objects: That of the objects of each.
            size: The size of the images.
            device: Where the ground truths are to be.

        Returns:
            ``data_samples`` as :meth:`loss` takes them.
        """
        corners = torch.rand(count, objects, 2, 2, device=device).sort(dim=2).values
        bboxes = torch.stack([corners[..., 0] * size.width, corners[..., 1] * size.height], dim=3).flatten(2)
        labels = torch.randint(self.num_classes, (count, objects), device=device)
        return dict(bboxes=bboxes, labels=labels, ignored_bboxes=bboxes[:, :0])

    def predict(self, feats: Sequence[Tensor], metas: Sequence[dict]) -> list[InstanceData]:
        """The detections of a batch, from the feature maps of the neck; see :meth:`postprocess`."""
        return self.postprocess(self(feats), metas)

    def postprocess(self, outputs: HeadOutputs, metas: Sequence[dict]) -> list[InstanceData]:
        """Turns raw outputs into detections.

        All images go through at once, so that the waits for the device hardly grow with the batch: 32
        photographs take 23 at a threshold of 0.3 and about 110 at 0.001.

        Args:
            outputs: What :meth:`forward` returns.
            metas: One dict an image, in which ``matrix`` is the (3, 3) map from the original image to the
                input, and ``ori_shape`` its (h, w).

        Returns:
            An ``InstanceData`` an image, by descending score (equal ones by level, row, column and class):
            ``bboxes`` (n, 4) float32 xyxy in pixels of the original image, clipped to it, ``scores`` (n,)
            float32, ``labels`` (n,) int64.
        """
        if self.test_cfg is None:
            raise UserError('model.test_cfg is missing: prediction needs score_thr, nms and max_per_img')
        cfg = self.test_cfg
        confident = confident_priors(outputs, self.head_module.featmap_strides, cfg.score_thr)
        candidates = label_candidates(confident, cfg.score_thr, cfg.multi_label)
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
        self.add_fields(detections, outputs, metas)
        return split_by_image(detections, len(metas))

    def add_fields(self, detections: InstanceData, outputs: HeadOutputs, metas: Sequence[dict]) -> None:
        """Adds to the detections that are kept what else their priors predict: nothing.

        A head with more outputs than these overrides it. Detections have ``images`` (R,) and ``priors``
        (R,) int64: whose they are and of which prior.
        """

    def export_columns(self, outputs: HeadOutputs, priors: Tensor, decode: bool) -> list[Tensor]:
        """The columns of an exported network's table, see :class:`mmyolox.export.network.ExportNetwork`.

        A head with more outputs than these appends columns of its own, and names them in
        :meth:`export_info`.

        Args:
            outputs: What :meth:`forward` returns.
            priors: (N, 3), see :func:`~mmyolox.models.boxes.grid_priors`.
            decode: Whether boxes are in pixels of the input, or as the regression says them, in strides.

        Returns:
            Of each, (B, columns, N) float32: the box in 4 columns, the objectness score, C class scores.
        """
        bboxes = level_columns(outputs.bbox_preds)
        # Sigmoids come before the levels are joined, so that runtimes fuse them with the convolutions.
        return [
            decode_centers(bboxes, priors) if decode else bboxes,
            level_columns([level.sigmoid() for level in outputs.obj_logits]),
            level_columns([level.sigmoid() for level in outputs.cls_logits]),
        ]

    def export_candidates(self, outputs: HeadOutputs, priors: Tensor) -> list[Tensor]:
        """What an exported network hands to its own NMS; a head with more outputs appends its own.

        Args:
            outputs: What :meth:`forward` returns.
            priors: (N, 3), see :func:`~mmyolox.models.boxes.grid_priors`.

        Returns:
            Boxes (B, N, 4) xyxy in input pixels, and scores (B, C, N), objectness times class probability.
        """
        scores = level_columns([level.sigmoid() for level in outputs.cls_logits])
        scores = scores * level_columns([level.sigmoid() for level in outputs.obj_logits])
        return [decode_bboxes(flatten_levels(outputs.bbox_preds), priors), scores]

    def export_info(self, dataset_meta: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of :class:`mmyolox.deploy.ModelInfo` that the head knows."""
        cfg = self.test_cfg
        if cfg is None:
            raise UserError('model.test_cfg is missing: an export needs its thresholds')
        return dict(
            classes=tuple(dataset_meta['classes']),
            category_ids=tuple(dataset_meta.get('cat_ids') or ()),
            strides=self.head_module.featmap_strides,
            score_thr=cfg.score_thr,
            iou_thr=cfg.nms.iou_threshold,
            max_per_img=cfg.max_per_img,
            nms_pre=cfg.nms_pre,
            multi_label=cfg.multi_label,
        )


class MatchingAndLosses(nn.Module):
    """What follows the network in training, without weights: a module for the sake of its ``compile``."""

    def forward(self, head: YOLOXHead, outputs: HeadOutputs, data_samples: dict) -> dict[str, Tensor]:
        """The losses of a head's raw outputs, see :meth:`YOLOXHead.loss`."""
        priors = head.priors(outputs)
        assignment = head.assign(outputs, priors, data_samples)
        return head.losses(outputs, MatchedBatch.of(outputs, assignment, priors, data_samples))


def _check_test_cfg(test_cfg: dict) -> ConfigDict:
    expected = {'score_thr', 'multi_label', 'nms_pre', 'nms', 'max_per_img'}
    wrong = sorted(expected.symmetric_difference(test_cfg))
    nms = {'type': 'nms', **test_cfg.get('nms', {})}
    if wrong or set(nms) != {'type', 'iou_threshold'} or nms['type'] != 'nms':
        raise UserError(
            f'model.test_cfg must have the keys {sorted(expected)}, nms with the key iou_threshold; '
            f'{", ".join(wrong) or "nms"} is too much or missing'
        )
    return ConfigDict(test_cfg)

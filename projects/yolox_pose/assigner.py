"""SimOTA whose costs also look at keypoints."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmyolox.models import PairCosts, SimOTAAssigner
from mmyolox.models.assigner import slices
from mmyolox.models.boxes import bbox_ious
from mmyolox.models.levels import batched_gather, flat_cells
from mmyolox.registry import TASK_UTILS

from .head_module import decode_keypoints
from .oks import PoseTargets


@TASK_UTILS.register_module()
class PoseSimOTAAssigner(SimOTAAssigner):
    """SimOTA where a pair also costs ``oks_weight`` times the negative log of its keypoints' similarity.

    With ``vis_weight``, the binary cross-entropy of its keypoints' visibilities, summed over keypoints, is
    added too. The weights are those of MMYOLO 0.6.0's assigner of the same name.

    Keypoints are looked at only in a window around the centre of each ground truth: the cells of a level
    whose centres are within ``center_radius`` strides, ceil(2 ``center_radius``) squared at most; beyond the
    border of the image it is moved inside. All other pairs count as OKS 0, and as visibilities of 1/2. They
    cost 100,000 anyhow, so that a ground truth takes one only after all pairs that are both inside its box
    and near its centre. Therefore the outcome differs from MMYOLO's only

    - for ground truths that take more priors than there are cells inside their box and near their centre
      (boxes of a few cells), and then in which of the others they take;
    - for people without labelled keypoints, whom MMYOLO does not train with: the IoU stands in for
      their OKS and K log 2 for their visibility, so that they neither win nor lose contested priors by it;
    - where float32 rounding makes costs equal: here the lower index wins.

    Nothing of size (N, M, K) exists: windows are worked on level by level, in slices of ``max_pairs``
    coordinates.

    Args:
        oks_weight: The weight of the OKS cost.
        vis_weight: The weight of the visibility cost.
        **kwargs: Those of :class:`mmyolox.models.SimOTAAssigner`.
    """

    OKS_EPS = 1e-7

    def __init__(self, oks_weight: float = 3.0, vis_weight: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.oks_weight = oks_weight
        self.vis_weight = vis_weight

    @torch.no_grad()
    def pose_costs(
        self,
        offsets: Sequence[Tensor],
        vis_logits: Sequence[Tensor],
        pred_bboxes: Tensor,
        priors: Tensor,
        gt_bboxes: Tensor,
        targets: PoseTargets,
    ) -> PairCosts:
        """What keypoints add to the costs of pairs.

        Args:
            offsets: The offsets (B, 2K, H, W) of each level, see :func:`.head_module.decode_keypoints`.
            vis_logits: The visibility logits (B, K, H, W) of each level.
            pred_bboxes: (B, N, 4) float32 xyxy in input pixels.
            priors: (N, 3) float32, see :func:`mmyolox.models.boxes.grid_priors`.
            gt_bboxes: (B, M, 4) float32 xyxy in input pixels.
            targets: The keypoints of the B x M ground truths.
        """
        windows, costs, start = [], [], 0
        for level, vis_level in zip(offsets, vis_logits, strict=True):
            here = slice(start, start + level[0, 0].numel())
            window = center_window(gt_bboxes, self.center_radius, priors[start, 2], level.shape[2:])
            outputs = flat_cells(level), flat_cells(vis_level), pred_bboxes[:, here], priors[here]
            costs.append(self._level_costs(window, *outputs, gt_bboxes, targets))
            windows.append(window + start)
            start = here.stop
        num_keypoints = targets.spreads.shape[2]
        unseen = -self.oks_weight * math.log(self.OKS_EPS) + self.vis_weight * num_keypoints * math.log(2)
        return PairCosts(torch.cat(windows, dim=2), torch.cat(costs, dim=2), unseen)

    def _level_costs(
        self,
        window: Tensor,
        offsets: Tensor,
        vis_logits: Tensor,
        pred_bboxes: Tensor,
        priors: Tensor,
        gt_bboxes: Tensor,
        targets: PoseTargets,
    ) -> Tensor:
        """The costs (B, M, W) of a level's window (B, M, W) of its n cells, a few ground truths at a time.

        Args:
            window: Which of the n cells are in the window of each ground truth.
            offsets: (B, n, 2K).
            vis_logits: (B, n, K).
            pred_bboxes: (B, n, 4).
            priors: (n, 3).
            gt_bboxes: (B, M, 4).
            targets: The keypoints of the ground truths.
        """
        costs = torch.empty_like(window, dtype=torch.float32)
        batch, count, cells = window.shape
        step = self.slice_length(count, batch * cells * offsets.shape[2], window.device)
        for gts in slices(count, step):
            index = window[:, gts]
            costs[:, gts] = self.keypoint_costs(
                decode_keypoints(_take(offsets, index), priors[index]),
                _take(vis_logits, index),
                bbox_ious(_take(pred_bboxes, index), gt_bboxes[:, gts, None]),
                targets.repeated(gts),
            )
        return costs

    def keypoint_costs(
        self, keypoints: Tensor, vis_logits: Tensor, ious: Tensor, targets: PoseTargets
    ) -> Tensor:
        """The costs (B, m, w) of pairs.

        Args:
            keypoints: (B, m, w, K, 2) in input pixels.
            vis_logits: (B, m, w, K).
            ious: (B, m, w).
            targets: The keypoints of each ground truth, (B, m, 1, ...).
        """
        fits = torch.where(targets.has_labels, targets.oks(keypoints), ious)
        costs = -self.oks_weight * (fits + self.OKS_EPS).log()
        if self.vis_weight:
            is_labelled = targets.is_labelled.float().expand_as(vis_logits)
            entropies = F.binary_cross_entropy_with_logits(vis_logits.float(), is_labelled, reduction='none')
            unknown = vis_logits.shape[-1] * math.log(2)
            costs += self.vis_weight * torch.where(targets.has_labels, entropies.sum(dim=-1), unknown)
        return costs


def center_window(gt_bboxes: Tensor, radius: float, stride: Tensor, shape_hw: Sequence[int]) -> Tensor:
    """The cells of a level around the centres of boxes (B, M, 4): (B, M, W), counted row by row."""
    centers = (gt_bboxes[..., :2] + gt_bboxes[..., 2:]) / 2 / stride
    first = (centers - radius - 0.5).floor().long() + 1
    sides = [min(math.ceil(2 * radius), length) for length in shape_hw]
    rows, columns = (
        first[..., axis, None].clamp(0, shape_hw[1 - axis] - sides[1 - axis])
        + torch.arange(sides[1 - axis], device=first.device)
        for axis in (1, 0)
    )
    return (rows[..., None] * shape_hw[1] + columns[..., None, :]).flatten(2)


def _take(table: Tensor, index: Tensor) -> Tensor:
    """The entries (B, m, w, C) of a table (B, n, C) that an index (B, m, w) names."""
    return batched_gather(table, index.flatten(1)).reshape(*index.shape, table.shape[2])

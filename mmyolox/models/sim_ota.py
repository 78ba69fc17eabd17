"""SimOTA: which prior learns which ground truth, for a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmyolox.registry import TASK_UTILS

from .bbox import bbox_ious, points_inside


@dataclass(frozen=True)
class Assignment:
    """The outcome of matching.

    Attributes:
        gt_index: (B, N) int64, the row of the ground truth that a prior learns, -1 for background.
        ious: (B, N) float32, the overlap of the prior's current prediction with that ground truth, 0 for
            background.
    """

    gt_index: Tensor
    ious: Tensor

    @property
    def is_positive(self) -> Tensor:
        """(B, N) bool, whether a prior has a ground truth."""
        return self.gt_index >= 0


@TASK_UTILS.register_module()
class SimOTAAssigner:
    """Assigns every ground truth its dynamic number of cheapest priors (Ge et al. 2021, section 2.1).

    A prior is a candidate when its cell's centre lies in any ground truth, or within ``center_radius``
    strides of the centre of any. A pair costs ``cls_weight`` times the classification's binary
    cross-entropy plus ``iou_weight`` times the negative log IoU, plus 100,000 when the cell's centre is not
    both inside this ground truth and near its centre. Each ground truth takes as many priors as the
    ``candidate_topk`` largest IoUs sum up to (at least one); a prior that several take goes to the ground
    truth that is cheapest for it.

    The results equal MMDetection 3.3's ``SimOTAAssigner`` image by image. Ties: of equally cheap priors the
    one with the lower index is taken, of equally cheap ground truths the one with the lower index.

    The class cost of all pairs is the sum over classes of ``-log(1 - p)``, once a prior, plus one
    correction at the ground truth's class, so that nothing of size (N, M, C) exists. Pairs are worked on in
    slices of the ground truths, ``max_pairs`` at a time (or B x N, if more): every temporary of pairs has at
    most four times as many elements, the coordinates of boxes.

    Args:
        center_radius: in strides.
        candidate_topk: how many IoUs count towards the dynamic number.
        iou_weight: weight of the IoU cost.
        cls_weight: weight of the classification cost.
        max_pairs: bound of B x N x the ground truths in a slice.
    """

    OUTSIDE_COST = 100_000.0
    IOU_EPS = 1e-7
    LOG_FLOOR = -100.0  # the floor of torch's binary_cross_entropy

    def __init__(
        self,
        center_radius: float = 2.5,
        candidate_topk: int = 10,
        iou_weight: float = 3.0,
        cls_weight: float = 1.0,
        max_pairs: int = 4_000_000,
    ) -> None:
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight
        self.max_pairs = max_pairs

    @torch.no_grad()
    def assign(
        self,
        pred_bboxes: Tensor,
        cls_logits: Tensor,
        obj_logits: Tensor,
        priors: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
    ) -> Assignment:
        """Matches a batch.

        Args:
            pred_bboxes: (B, N, 4) float32 xyxy in input pixels.
            cls_logits: (B, N, C).
            obj_logits: (B, N).
            priors: (N, 3) float32, see :func:`mmyolox.models.bbox.grid_priors`.
            gt_bboxes: (B, M, 4) float32 xyxy in input pixels.
            gt_labels: (B, M) int64; rows with -1 are no objects.
        """
        batch, num_priors = obj_logits.shape
        num_gts = gt_labels.shape[1]
        cells = priors[:, :2] + priors[:, 2:] / 2
        radii = priors[:, 2:] * self.center_radius
        log_scores, log_rest = self._class_logs(cls_logits, obj_logits)
        step = max(1, self.max_pairs // max(1, batch * num_priors))
        slices = [slice(start, start + step) for start in range(0, num_gts, step)]
        candidates = torch.zeros_like(obj_logits, dtype=torch.bool)
        for part in slices:
            in_box, near_center = self._locate(cells, radii, gt_bboxes[:, part])
            candidates |= ((in_box | near_center) & (gt_labels[:, None, part] >= 0)).any(dim=2)
        matches = _Matches.empty(batch, num_priors, pred_bboxes.device)
        for part in slices:
            labels = gt_labels[:, part]
            ious = bbox_ious(pred_bboxes[:, :, None], gt_bboxes[:, None, part])
            cost = self._class_cost(log_scores, log_rest, labels)
            cost -= self.iou_weight * torch.log(ious + self.IOU_EPS)
            in_box, near_center = self._locate(cells, radii, gt_bboxes[:, part])
            cost += self.OUTSIDE_COST * ~(in_box & near_center)
            possible = candidates[:, :, None] & (labels >= 0)[:, None]
            cost.masked_fill_(~possible, float('inf'))
            ious.masked_fill_(~possible, 0)
            matches.add(cost, self._cheapest_priors(cost, ious), part.start)
        gt_index = matches.resolve()
        return Assignment(gt_index, self._matched_ious(pred_bboxes, gt_bboxes, gt_index))

    def _class_logs(self, cls_logits: Tensor, obj_logits: Tensor) -> tuple[Tensor, Tensor]:
        """log p and log(1 - p), each (B, N, C) float32, of p = sqrt(class score x objectness)."""
        cls_scores, obj_scores = cls_logits.float().sigmoid(), obj_logits.float().sigmoid()
        scores = (cls_scores * obj_scores[..., None]).sqrt()
        return scores.log().clamp(self.LOG_FLOOR), (1 - scores).log().clamp(self.LOG_FLOOR)

    def _class_cost(self, log_scores: Tensor, log_rest: Tensor, labels: Tensor) -> Tensor:
        """The weighted binary cross-entropies (B, N, m) against one-hot targets."""
        index = labels.clamp(min=0)[:, None].expand(-1, log_scores.shape[1], -1)
        at_label = log_rest.gather(2, index) - log_scores.gather(2, index)
        return self.cls_weight * (at_label - log_rest.sum(dim=2, keepdim=True))

    def _locate(self, cells: Tensor, radii: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """Whether cell centres are inside, and near the centres of, ground truths: two (B, N, m) bools."""
        boxes = gt_bboxes[:, None]
        centers = (boxes[..., :2] + boxes[..., 2:]) / 2
        near = torch.cat([centers - radii[:, None], centers + radii[:, None]], dim=-1)
        return points_inside(cells[:, None], boxes), points_inside(cells[:, None], near)

    def _cheapest_priors(self, cost: Tensor, ious: Tensor) -> Tensor:
        """The priors that each ground truth takes: (B, topk, m) int64, -1 where it takes fewer."""
        topk = min(self.candidate_topk, cost.shape[1])
        dynamic_k = ious.topk(topk, dim=1).values.sum(dim=1).int().clamp(min=1)
        prior_index = _smallest(cost, topk)
        is_taken = torch.arange(topk, device=cost.device)[:, None] < dynamic_k[:, None]
        is_taken &= cost.gather(1, prior_index).isfinite()
        return prior_index.masked_fill(~is_taken, -1)

    @staticmethod
    def _matched_ious(pred_bboxes: Tensor, gt_bboxes: Tensor, gt_index: Tensor) -> Tensor:
        if gt_bboxes.shape[1] == 0:
            return torch.zeros_like(pred_bboxes[..., 0])
        matched = gt_bboxes.gather(1, gt_index.clamp(min=0)[..., None].expand(-1, -1, 4))
        return bbox_ious(pred_bboxes, matched) * (gt_index >= 0)


def _smallest(cost: Tensor, k: int) -> Tensor:
    """Indices (B, k, m) of the k smallest costs along axis 1, cheapest first, the lower index on ties.

    The bits of a non-negative float32 sort like an integer; the prior's index in the lower half of an int64
    makes every key distinct, and the order independent of the device. (Costs below zero, -3e-7 at
    most from the epsilon in the logarithm of a perfect IoU, count as zero.)
    """
    keys = cost.clamp(min=0).view(torch.int32).long() << 32
    keys += torch.arange(cost.shape[1], device=cost.device)[:, None]
    return keys.topk(k, dim=1, largest=False).values & 0xFFFFFFFF


@dataclass
class _Matches:
    """Which ground truths took which priors, gathered slice by slice.

    Attributes:
        count: (B, N) int64, how many took a prior.
        taker: (B, N) int64, the sum of their rows: the row itself where there is one.
        best_cost: (B, N) float32, the lowest cost of a prior over all ground truths so far.
        best_gt: (B, N) int64, and whose it is.
    """

    count: Tensor
    taker: Tensor
    best_cost: Tensor
    best_gt: Tensor

    @classmethod
    def empty(cls, batch: int, num_priors: int, device: torch.device) -> '_Matches':
        zeros = torch.zeros((batch, num_priors), dtype=torch.int64, device=device)
        return cls(
            zeros, zeros.clone(), torch.full_like(zeros, float('inf'), dtype=torch.float32), zeros.clone()
        )

    def add(self, cost: Tensor, taken: Tensor, first_gt: int) -> None:
        """Adds the matches ``taken`` (B, topk, m) of the ground truths from ``first_gt`` on."""
        lowest = cost.min(dim=2)
        is_cheaper = lowest.values < self.best_cost
        self.best_cost = torch.where(is_cheaper, lowest.values, self.best_cost)
        self.best_gt = torch.where(is_cheaper, lowest.indices + first_gt, self.best_gt)
        gts = torch.arange(first_gt, first_gt + taken.shape[2], device=taken.device).expand_as(taken)
        is_match = (taken >= 0).flatten(1)
        priors = taken.clamp(min=0).flatten(1)
        self.count.scatter_add_(1, priors, is_match.long())
        # A sum, so that entries that match nothing add nothing; only read where a single one was added.
        self.taker.scatter_add_(1, priors, gts.flatten(1) * is_match)

    def resolve(self) -> Tensor:
        """The ground truth (B, N) of every prior, -1 without one; contested priors go to the cheapest."""
        owner = torch.where(self.count > 1, self.best_gt, self.taker)
        return owner.masked_fill(self.count == 0, -1)

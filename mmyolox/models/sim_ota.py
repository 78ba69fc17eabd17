"""SimOTA: which prior learns which ground truth, for a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmyolox.registry import TASK_UTILS

from .bbox import bbox_ious, pairwise_ious


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
        step = max(1, self.max_pairs // max(1, batch * num_priors))
        slices = [slice(start, start + step) for start in range(0, gt_labels.shape[1], step)]
        candidates = torch.zeros_like(obj_logits, dtype=torch.bool)
        for part in slices:
            in_box, near_center = self._locate(priors, gt_bboxes[:, part])
            is_object = (gt_labels[:, part] >= 0)[..., None]
            candidates |= ((in_box | near_center) & is_object).any(dim=1)
        background_cost, label_cost = self._class_costs(cls_logits, obj_logits)
        matches = _Matches.empty(batch, num_priors, pred_bboxes.device)
        for part in slices:
            bboxes, labels = gt_bboxes[:, part], gt_labels[:, part]
            impossible = ~(candidates[:, None] & (labels >= 0)[..., None])
            ious = pairwise_ious(bboxes, pred_bboxes).masked_fill_(impossible, 0)
            cost = _rows(label_cost, labels) + background_cost
            cost -= self.iou_weight * torch.log(ious + self.IOU_EPS)
            in_box, near_center = self._locate(priors, bboxes)
            cost += self.OUTSIDE_COST * ~(in_box & near_center)
            cost.masked_fill_(impossible, float('inf'))
            matches.add(cost, self._cheapest_priors(cost, ious), part.start)
        gt_index = matches.resolve()
        return Assignment(gt_index, _matched_ious(pred_bboxes, gt_bboxes, gt_index))

    def _class_costs(self, cls_logits: Tensor, obj_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The classification cost, split in two.

        Returns:
            (B, 1, N) the cost if a prior had no class at all, and (B, C, N) what having a class adds to it,
            both weighted. Of p = sqrt(class score x objectness): -sum(log(1 - p)), and log(1 - p) - log(p).
        """
        obj_scores = obj_logits.float().sigmoid()[:, None]
        scores = (cls_logits.transpose(1, 2).float().sigmoid() * obj_scores).sqrt()
        log_rest = (1 - scores).log().clamp(self.LOG_FLOOR)
        label_cost = log_rest - scores.log().clamp(self.LOG_FLOOR)
        return -self.cls_weight * log_rest.sum(dim=1, keepdim=True), self.cls_weight * label_cost

    def _locate(self, priors: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """Whether cell centres are inside, and near the centres of, ground truths: two (B, m, N) bools."""
        stride = priors[:, 2]
        x, y = (priors[:, :2] + priors[:, 2:] / 2).T
        x1, y1, x2, y2 = gt_bboxes[..., None].unbind(2)
        center_x, center_y, radius = (x1 + x2) / 2, (y1 + y2) / 2, self.center_radius * stride
        in_box = (x > x1) & (y > y1) & (x < x2) & (y < y2)
        near_center = (x > center_x - radius) & (x < center_x + radius)
        near_center &= (y > center_y - radius) & (y < center_y + radius)
        return in_box, near_center

    def _cheapest_priors(self, cost: Tensor, ious: Tensor) -> Tensor:
        """The priors that each ground truth takes: (B, m, topk) int64, -1 where it takes fewer."""
        topk = min(self.candidate_topk, cost.shape[2])
        dynamic_k = ious.topk(topk, dim=2).values.sum(dim=2, keepdim=True).int().clamp(min=1)
        prior_index = _smallest(cost, topk)
        is_taken = torch.arange(topk, device=cost.device) < dynamic_k
        is_taken &= cost.gather(2, prior_index).isfinite()
        return prior_index.masked_fill(~is_taken, -1)


def _rows(table: Tensor, labels: Tensor) -> Tensor:
    """Of a table (B, C, N), the rows (B, m, N) of labels (B, m); any row for a label of -1."""
    images = torch.arange(len(table), device=table.device)[:, None]
    return table[images, labels.clamp(min=0)]


def _matched_ious(pred_bboxes: Tensor, gt_bboxes: Tensor, gt_index: Tensor) -> Tensor:
    """The overlaps (B, N) of predictions with their ground truths, 0 without one."""
    if gt_bboxes.shape[1] == 0:
        return torch.zeros_like(pred_bboxes[..., 0])
    matched = gt_bboxes.gather(1, gt_index.clamp(min=0)[..., None].expand(-1, -1, 4))
    return bbox_ious(pred_bboxes, matched) * (gt_index >= 0)


def _smallest(cost: Tensor, k: int) -> Tensor:
    """Indices (B, m, k) of the k smallest costs along the last axis, cheapest first, the lower index on ties.

    The bits of a non-negative float32 sort like an integer; the prior's index in the lower half of an int64
    makes every key distinct, and the order independent of the device. (Costs below zero, -3e-7 at
    most from the epsilon in the logarithm of a perfect IoU, count as zero.)
    """
    keys = cost.clamp(min=0).view(torch.int32).long() << 32
    keys += torch.arange(cost.shape[2], device=cost.device)
    return keys.topk(k, dim=2, largest=False).values & 0xFFFFFFFF


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
        """Adds the matches ``taken`` (B, m, topk) of the ground truths from ``first_gt`` on."""
        lowest = cost.min(dim=1)
        is_cheaper = lowest.values < self.best_cost
        self.best_cost = torch.where(is_cheaper, lowest.values, self.best_cost)
        self.best_gt = torch.where(is_cheaper, lowest.indices + first_gt, self.best_gt)
        gts = torch.arange(first_gt, first_gt + taken.shape[1], device=taken.device)[:, None].expand_as(taken)
        is_match = (taken >= 0).flatten(1)
        priors = taken.clamp(min=0).flatten(1)
        self.count.scatter_add_(1, priors, is_match.long())
        # A sum, so that entries that match nothing add nothing; only read where a single one was added.
        self.taker.scatter_add_(1, priors, gts.flatten(1) * is_match)

    def resolve(self) -> Tensor:
        """The ground truth (B, N) of every prior, -1 without one; contested priors go to the cheapest."""
        owner = torch.where(self.count > 1, self.best_gt, self.taker)
        return owner.masked_fill(self.count == 0, -1)

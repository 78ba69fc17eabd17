"""SimOTA: which prior learns which ground truth, for a whole batch at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmyolox.registry import TASK_UTILS

from .boxes import bbox_ious, pairwise_ious
from .levels import batched_gather


@dataclass(frozen=True)
class Assignment:
    """The outcome of matching, for every prior and as a list of fixed length: P slots an image.

    The length does not depend on what was matched, so that nothing has to wait for the device. Each positive
    prior fills one slot; the others are empty.

    Attributes:
        gt_index: (B, N) int64, the ground truth that a prior learns, -1 for background.
        slot_priors: (B, P) int64, the prior of each slot, -1 if the slot is empty.
        slot_gts: (B, P) int64, the ground truth that it learns, 0 if the slot is empty.
        slot_ious: (B, P) float32, the overlap of its current prediction with that ground truth; 0 if the slot
            is empty.
    """

    gt_index: Tensor
    slot_priors: Tensor
    slot_gts: Tensor
    slot_ious: Tensor

    @property
    def is_positive(self) -> Tensor:
        """(B, N) bool, whether a prior has a ground truth."""
        return self.gt_index >= 0

    @property
    def is_filled(self) -> Tensor:
        """(B, P) bool, whether a slot holds a positive prior."""
        return self.slot_priors >= 0

    def per_prior(self, values: Tensor) -> Tensor:
        """Puts values of slots (B, P) where their priors are: (B, N), 0 for background."""
        # One more column, where the empty slots go.
        count = self.gt_index.shape[1]
        padded = values.new_zeros(len(values), count + 1)
        return padded.scatter(1, self.slot_priors.where(self.is_filled, count), values)[:, :count]


@dataclass
class Matches:
    """Which ground truths took which priors, gathered slice by slice.

    Attributes:
        taken: (B, M, topk) int64, the priors that each ground truth takes, -1 where it takes fewer.
        best_cost: (B, N) float32, the lowest cost of a prior over all ground truths so far.
        best_gt: (B, N) int64, the ground truth of that cost.
    """

    taken: Tensor
    best_cost: Tensor
    best_gt: Tensor

    @classmethod
    def empty(cls, obj_scores: Tensor, count: int, topk: int) -> 'Matches':
        """The state before any of ``count`` ground truths an image, for priors of ``obj_scores`` (B, N)."""
        gts = torch.zeros_like(obj_scores, dtype=torch.int64)
        taken = gts.new_empty(len(gts), count, topk)
        return cls(taken, torch.full_like(obj_scores, float('inf')), gts)

    @property
    def topk(self) -> int:
        """How many priors a ground truth can take."""
        return self.taken.shape[2]

    def add(self, images: slice, gts: slice, cost: Tensor, dynamic_k: Tensor) -> None:
        """Adds what some ground truths take, from all costs (b, m, N) and how many each wants (b, m)."""
        lowest = cost.min(dim=1)
        is_cheaper = lowest.values < self.best_cost[images]
        self.best_cost[images] = torch.where(is_cheaper, lowest.values, self.best_cost[images])
        self.best_gt[images] = torch.where(is_cheaper, lowest.indices + gts.start, self.best_gt[images])
        index = _cheapest(cost, self.topk)
        is_taken = torch.arange(self.topk, device=cost.device) < dynamic_k[..., None]
        is_taken &= cost.gather(2, index).isfinite()
        self.taken[images, gts] = index.masked_fill_(~is_taken, -1)

    def resolve(self) -> tuple[Tensor, Tensor]:
        """Gives contested priors to their cheapest ground truth, which may be one that did not take them.

        Returns:
            (B, N) the ground truth of every prior, -1 without one, and (B, M x topk) the priors, each once:
            -1 in slots of no prior and of one that an earlier slot has.
        """
        slot_priors = self.taken.flatten(1)
        is_taken, priors = slot_priors >= 0, slot_priors.clamp(min=0)
        none = slot_priors.shape[1]
        slots = torch.arange(none, device=priors.device)
        first = torch.full_like(self.best_gt, none)
        first.scatter_reduce_(1, priors, slots.where(is_taken, none), 'amin')
        last = torch.full_like(self.best_gt, -1).scatter_reduce_(1, priors, slots.where(is_taken, -1), 'amax')
        owner = torch.where(first == last, first // self.topk, self.best_gt).masked_fill_(last < 0, -1)
        return owner, slot_priors.masked_fill(first.gather(1, priors) != slots, -1)


@dataclass(frozen=True)
class PairCosts:
    """What something beside class and box adds to the costs of pairs: of a few, and of all others.

    Attributes:
        priors: (B, M, W) int64, for each ground truth the priors of its listed pairs, all different.
        costs: (B, M, W) float32, what each listed pair costs, not below zero.
        elsewhere: What any other pair costs.
    """

    priors: Tensor
    costs: Tensor
    elsewhere: float

    def add_to(self, plane: Tensor, images: slice, gts: slice) -> None:
        """Adds the costs of some ground truths to a plane of theirs (b, m, N), in place."""
        priors = self.priors[images, gts]
        listed = plane.gather(2, priors) + self.costs[images, gts]
        plane.add_(self.elsewhere).scatter_(2, priors, listed)


_NOWHERE = -1e6  # pixels; a box of this corner twice has no area and overlaps nothing


@dataclass(frozen=True)
class _Grid:
    """The cells of a level: their centres in x (W,) and y (H,), the stride (), and which priors."""

    x: Tensor
    y: Tensor
    stride: Tensor
    cells: slice


def _grids(priors: Tensor, levels: Sequence[Tensor]) -> list[_Grid]:
    """The cells of each level (..., H, W), from the priors (N, 3) of all."""
    grids, start = [], 0
    for level in levels:
        height, width = level.shape[-2:]
        cells = slice(start, start + height * width)
        grid = priors[cells].view(height, width, 3)
        x, y, stride = grid[0, :, 0], grid[:, 0, 1], grid[0, 0, 2]
        grids.append(_Grid(x + stride / 2, y + stride / 2, stride, cells))
        start = cells.stop
    return grids


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
    correction at the ground truth's class, so that nothing of size (N, M, C) exists. Images are worked on a
    few at a time (b), and their ground truths in slices (m): of the planes of scores (b, C, N) and of pairs
    (b, m, N) at most five live at once, each of ``max_pairs`` float32 (or C x N or b x N, if that is more).
    Beside them there are only boxes of priors, (B, N, 4), and of slots, (B, M x ``candidate_topk``, 4).

    Args:
        center_radius: The distance from the centre of a ground truth, in strides, within which cells are near
            it.
        candidate_topk: How many IoUs count towards the dynamic number.
        iou_weight: The weight of the IoU cost.
        cls_weight: The weight of the classification cost.
        max_pairs: How many pairs of a prior and a class or a ground truth are worked on at a time.
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
        cls_logits: Sequence[Tensor],
        obj_logits: Tensor,
        priors: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        pair_costs: PairCosts | None = None,
    ) -> Assignment:
        """Matches a batch. There are M x min(``candidate_topk``, N) slots an image.

        Args:
            pred_bboxes: (B, N, 4) float32 xyxy in input pixels.
            cls_logits: The class logits (B, C, H, W) of each level.
            obj_logits: (B, N).
            priors: (N, 3) float32, see :func:`mmyolox.models.boxes.grid_priors`.
            gt_bboxes: (B, M, 4) float32 xyxy in input pixels.
            gt_labels: (B, M) int64; -1 for padding, which is no object.
            pair_costs: What else pairs cost.
        """
        batch, num_priors = obj_logits.shape
        count = gt_labels.shape[1]
        is_candidate, outside_costs = self._locate(_grids(priors, cls_logits), gt_bboxes, gt_labels >= 0)
        # A box that overlaps none: its overlaps need no mask.
        bboxes = torch.where(is_candidate[..., None], pred_bboxes, _NOWHERE)
        obj_scores = obj_logits.float().sigmoid()
        matches = Matches.empty(obj_scores, count, min(self.candidate_topk, num_priors))
        step = self.slice_length(num_priors * cls_logits[0].shape[1])
        for images in slices(batch, step):
            scores, costs = self._class_costs([level[images] for level in cls_logits], obj_scores[images])
            costs.masked_fill_(~is_candidate[images], float('inf'))
            for gts in slices(count, self.slice_length(min(step, batch) * num_priors)):
                ious = pairwise_ious(gt_bboxes[images, gts], bboxes[images])
                dynamic_k = ious.topk(matches.topk, dim=2).values.sum(dim=2).int().clamp_(min=1)
                cost = self.class_and_iou_costs(scores, gt_labels[images, gts], ious)
                cost += costs[:, None]
                for cells, x_costs, y_costs in outside_costs:
                    plane = torch.maximum(x_costs[images, gts, None], y_costs[images, gts, :, None])
                    cost[..., cells] += plane.flatten(2)
                if pair_costs is not None:
                    pair_costs.add_to(cost, images, gts)
                matches.add(images, gts, cost, dynamic_k)
        gt_index, slot_priors = matches.resolve()
        is_empty, filled = slot_priors < 0, slot_priors.clamp(min=0)
        slot_gts = gt_index.gather(1, filled).masked_fill_(is_empty, 0)
        ious = bbox_ious(batched_gather(pred_bboxes, filled), batched_gather(gt_bboxes, slot_gts))
        return Assignment(gt_index, slot_priors, slot_gts, ious.masked_fill_(is_empty, 0))

    def slice_length(self, size: int) -> int:
        """How many items of this many elements are worked on at a time."""
        return max(1, self.max_pairs // max(1, size))

    def _class_costs(self, cls_logits: Sequence[Tensor], obj_scores: Tensor) -> tuple[Tensor, Tensor]:
        """The joint scores p = sqrt(class score x objectness) and the cost if a prior had no class at all.

        Returns:
            (b, C, N) scores, and (b, N), the sum over classes of -log(1 - p), weighted.
        """
        scores = torch.cat([level.flatten(2).float() for level in cls_logits], dim=2).sigmoid_()
        scores.mul_(obj_scores[:, None]).sqrt_()
        return scores, -self.cls_weight * torch.neg(scores).log1p_().clamp_(self.LOG_FLOOR).sum(dim=1)

    def class_and_iou_costs(self, scores: Tensor, labels: Tensor, ious: Tensor) -> Tensor:
        """What the class and the overlap of a pair add to its cost, (b, m, N).

        Having a class turns -log(1 - p) into -log(p).

        Args:
            scores: (b, C, N), p.
            labels: (b, m).
            ious: (b, m, N); the result takes its memory.
        """
        images = torch.arange(len(scores), device=scores.device)[:, None]
        scores = scores[images, labels.clamp(min=0)]
        cost = ious.add_(self.IOU_EPS).log_().mul_(-self.iou_weight)
        label_cost = (1 - scores).div_(scores).log_().clamp_(self.LOG_FLOOR, -self.LOG_FLOOR)
        return cost.add_(label_cost, alpha=self.cls_weight)

    def _locate(
        self, grids: Sequence[_Grid], gt_bboxes: Tensor, is_object: Tensor
    ) -> tuple[Tensor, list[tuple[slice, Tensor, Tensor]]]:
        """Where cells are inside, and near the centres of, ground truths.

        A cell is between two corners when its column and its row are: H + W comparisons, not H x W.

        Returns:
            (B, N) bool, whether a prior is a candidate, and for each level, its priors and for columns
            (B, M, W) and rows (B, M, H), the cost of not being inside and near: infinite for what is no
            object. The larger of the two is a cell's.
        """
        corners = gt_bboxes.masked_fill(~is_object[..., None], float('nan'))  # is not between, nor near
        low, high = corners[..., :2], corners[..., 2:]
        center = (low + high) / 2
        candidates, costs = [], []
        for grid in grids:
            radius = self.center_radius * grid.stride
            inside, near = _between(grid, low, high), _between(grid, center - radius, center + radius)
            counts = [torch.bmm(y.float().transpose(1, 2), x.float()) for x, y in (inside, near)]
            candidates.append((counts[0] + counts[1]).flatten(1) > 0)
            x_costs, y_costs = (~(a & b) * self.OUTSIDE_COST for a, b in zip(inside, near, strict=True))
            costs.append((grid.cells, x_costs.masked_fill_(~is_object[..., None], float('inf')), y_costs))
        return torch.cat(candidates, dim=1), costs


def _between(grid: _Grid, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Whether columns (b, M, W) and rows (b, M, H) of cells lie between two corners (b, M, 2)."""
    (x1, y1), (x2, y2) = low[..., None].unbind(2), high[..., None].unbind(2)
    return (grid.x > x1) & (grid.x < x2), (grid.y > y1) & (grid.y < y2)


def slices(count: int, step: int) -> Iterator[slice]:
    """Slices of ``step`` items that cover ``count``."""
    # So torch.compile only fixes the number of slices: range(0, count, step) would fix the count itself.
    return (slice(i * step, (i + 1) * step) for i in range(-(-count // step)))


def _cheapest(cost: Tensor, k: int) -> Tensor:
    """The indices (b, m, k) of the k smallest costs along the last axis, cheapest first, ties by index.

    The bits of a non-negative float32 sort like an integer; the prior's index in the lower half of an int64
    makes every key distinct, and the order independent of the device. (Costs below zero, -3e-7 at
    most from the epsilon in the logarithm of a perfect IoU, become zero.)
    """
    keys = cost.clamp_(min=0).view(torch.int32).long()
    keys.bitwise_left_shift_(32).bitwise_or_(torch.arange(cost.shape[2], device=cost.device))
    return keys.topk(k, dim=2, largest=False).values.bitwise_and_(0xFFFFFFFF)

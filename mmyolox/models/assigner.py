"""SimOTA: which prior learns which ground truth, for a whole batch at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from mmyolox.registry import TASK_UTILS

from .boxes import pairwise_ious
from .levels import level_columns


@dataclass(frozen=True)
class Assignment:
    """The outcome of matching, for every prior and as a list of fixed length: P slots an image.

    The length does not depend on what was matched, so that nothing has to wait for the device. Each positive
    prior fills one slot; the others are empty.

    Attributes:
        gt_index: (B, N) int64, the ground truth that a prior learns, -1 for background.
        slot_priors: (B, P) int64, the prior of each slot, -1 if the slot is empty.
        slot_gts: (B, P) int64, the ground truth that it learns, 0 if the slot is empty.
    """

    gt_index: Tensor
    slot_priors: Tensor
    slot_gts: Tensor

    @classmethod
    def background(cls, obj_logits: Tensor) -> 'Assignment':
        """The outcome for images without ground truths, with priors as those of logits (B, N)."""
        gt_index = torch.full_like(obj_logits, -1, dtype=torch.int64)
        return cls(gt_index, gt_index[:, :0], gt_index[:, :0])

    @property
    def is_positive(self) -> Tensor:
        """(B, N) bool, whether a prior has a ground truth."""
        return self.gt_index >= 0

    @property
    def is_empty(self) -> Tensor:
        """(B, P) bool, whether a slot holds no prior."""
        return self.slot_priors < 0

    @property
    def is_filled(self) -> Tensor:
        """(B, P) bool, whether a slot holds a positive prior."""
        return self.slot_priors >= 0

    def per_prior(self, values: Tensor) -> Tensor:
        """Puts values of slots (B, P) where their priors are: (B, N), 0 for background."""
        # One more column, where the empty slots go.
        count = self.gt_index.shape[1]
        padded = values.new_zeros(len(values), count + 1)
        return padded.scatter(1, self.slot_priors.masked_fill(self.is_empty, count), values)[:, :count]


@dataclass(frozen=True)
class Matches:
    """Which of some ground truths took which priors.

    Attributes:
        taken: (b, m, topk) int64, the priors that each ground truth takes, -1 where it takes fewer.
        best_cost: (b, N) float32, the lowest cost of a prior over these ground truths.
        best_gt: (b, N) int64, the ground truth of that cost.
    """

    taken: Tensor
    best_cost: Tensor
    best_gt: Tensor

    @classmethod
    def of(cls, cost: Tensor, wanted: Tensor, topk: int, first_gt: int) -> 'Matches':
        """What ground truths take, the first of which has the number ``first_gt``.

        Args:
            cost: (b, m, N), what pairs cost; it is used up.
            wanted: (b, m) float32, how many priors each ground truth wants; a fraction counts for nothing.
            topk: How many it can take.
            first_gt: The number of the first.
        """
        lowest = cost.min(dim=1)
        index = _cheapest(cost, topk)
        is_left = torch.arange(1, topk + 1, device=cost.device) > wanted[..., None]
        is_left |= cost.gather(2, index) == float('inf')
        return cls(index.masked_fill_(is_left, -1), lowest.values, lowest.indices + first_gt)

    def followed_by(self, later: 'Matches') -> 'Matches':
        """These and later ground truths of the same images."""
        is_cheaper = later.best_cost < self.best_cost
        return Matches(
            torch.cat([self.taken, later.taken], dim=1),
            torch.where(is_cheaper, later.best_cost, self.best_cost),
            torch.where(is_cheaper, later.best_gt, self.best_gt),
        )

    @staticmethod
    def resolve(parts: 'Sequence[Matches]') -> tuple[Tensor, Tensor]:
        """Gives contested priors to their cheapest ground truth, which may be one that did not take them.

        Args:
            parts: The matches of a few images each, B in all, with the same ground truths.

        Returns:
            (B, N) the ground truth of every prior, -1 without one, and (B, M x topk) the priors, each once:
            -1 in slots of no prior and of one that an earlier slot has.
        """
        taken, best_gt = (
            torch.cat([part.taken for part in parts]),
            torch.cat([part.best_gt for part in parts]),
        )
        slot_priors = taken.flatten(1)
        is_left, priors = slot_priors < 0, slot_priors.clamp(min=0)
        count = slot_priors.shape[1]
        slots = torch.arange(count, device=priors.device).expand_as(priors)
        first = torch.full_like(best_gt, count)
        first.scatter_reduce_(1, priors, slots.masked_fill(is_left, count), 'amin')
        last = torch.full_like(best_gt, -1)
        last.scatter_reduce_(1, priors, slots.masked_fill(is_left, -1), 'amax')
        owner = torch.where(first == last, first // taken.shape[2], best_gt).masked_fill_(last < 0, -1)
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


CPU_PAIRS, DEVICE_PAIRS = 4_000_000, 32_000_000
"""How many pairs a slice has by default: of 16 MB on a CPU, and of 128 MB on an accelerator."""

_NOWHERE = -1e6  # pixels; a box of this corner twice has no area and overlaps nothing


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
        max_pairs: How many pairs of a prior and a class or a ground truth are worked on at a time. None is
            for 4 million on a CPU, and 32 million on an accelerator, where each slice costs launches.
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
        max_pairs: int | None = None,
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
        if not count:
            return Assignment.background(obj_logits)
        with torch.autocast(priors.device.type, enabled=False):
            is_no_candidate, outside_costs = self._locate(priors, cls_logits, gt_bboxes, gt_labels < 0)
            # A box that overlaps none: its overlaps need no mask.
            bboxes = pred_bboxes.masked_fill(is_no_candidate[..., None], _NOWHERE)
            obj_scores = obj_logits.float().sigmoid()
            topk = min(self.candidate_topk, num_priors)
            step = self.slice_length(batch, num_priors * cls_logits[0].shape[1], priors.device)
            gts_step = self.slice_length(count, step * num_priors, priors.device)

            def matches(images: slice) -> Iterator[Matches]:
                scores, costs = self._class_costs([level[images] for level in cls_logits], obj_scores[images])
                costs = costs.masked_fill_(is_no_candidate[images], float('inf'))[:, None]
                for gts in slices(count, gts_step):
                    ious = pairwise_ious(gt_bboxes[images, gts], bboxes[images])
                    wanted = ious.topk(topk, dim=2).values.sum(dim=2).clamp_(min=1)
                    cost = self.class_and_iou_costs(scores, gt_labels[images, gts], ious).add_(costs)
                    levels = torch.split(cost, [y.shape[2] * x.shape[2] for y, x in outside_costs], dim=2)
                    for level, (y_costs, x_costs) in zip(levels, outside_costs, strict=True):
                        plane = torch.maximum(x_costs[images, gts, None], y_costs[images, gts, :, None])
                        level.add_(plane.flatten(2))
                    if pair_costs is not None:
                        pair_costs.add_to(cost, images, gts)
                    yield Matches.of(cost, wanted, topk, gts.start)

            parts = [reduce(Matches.followed_by, matches(images)) for images in slices(batch, step)]
            gt_index, slot_priors = Matches.resolve(parts)
        slot_gts = gt_index.gather(1, slot_priors.clamp(min=0)).masked_fill_(slot_priors < 0, 0)
        return Assignment(gt_index, slot_priors, slot_gts)

    def slice_length(self, count: int, size: int, device: torch.device) -> int:
        """How many of ``count`` items of so many elements each are worked on at a time on a device."""
        most = self.max_pairs or (CPU_PAIRS if device.type == 'cpu' else DEVICE_PAIRS)
        # So torch.compile asks only whether all items fit: a length would be a constant of its graph.
        return (count or 1) if count * size <= most else max(1, most // size)

    def _class_costs(self, cls_logits: Sequence[Tensor], obj_scores: Tensor) -> tuple[Tensor, Tensor]:
        """The joint scores p = sqrt(class score x objectness) and the cost if a prior had no class at all.

        Returns:
            (b, C, N) scores, and (b, N), the sum over classes of -log(1 - p), weighted.
        """
        scores = level_columns(cls_logits).float().sigmoid_()
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
        self, priors: Tensor, levels: Sequence[Tensor], gt_bboxes: Tensor, is_padding: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Where cells are inside, and near the centres of, ground truths.

        A cell is between two corners when its row and its column are: H + W comparisons, not H x W.

        Returns:
            (B, N) bool, whether a prior is no candidate, and for the rows (B, M, H) and the columns (B, M, W)
            of each level, the cost of not being inside and near: infinite for what is no object. The larger
            of the two is a cell's.
        """
        shapes_hw = [(level.shape[2], level.shape[3]) for level in levels]
        centers, radii = self._lines(priors, shapes_hw)
        heights, widths = zip(*shapes_hw, strict=True)
        is_padding = is_padding[..., None]
        corners = gt_bboxes.masked_fill(is_padding, float('nan'))  # is not between, nor near
        x1, y1, x2, y2 = torch.split(corners, 1, dim=2)
        low, high = (
            torch.cat([y.expand(-1, -1, sum(heights)), x.expand(-1, -1, sum(widths))], dim=2)
            for y, x in ((y1, x1), (y2, x2))
        )
        middle = (low + high) / 2
        is_inside = (centers > low) & (centers < high)
        is_near = (centers > middle - radii) & (centers < middle + radii)
        outside = (is_inside & is_near).logical_not_() * self.OUTSIDE_COST
        lengths = [*heights, *widths]
        costs = torch.split(outside.masked_fill_(is_padding, float('inf')), lengths, dim=2)
        masks = torch.split(torch.cat([is_inside, is_near], dim=1).float(), lengths, dim=2)
        count = len(levels)
        # Boxes in which a cell is, and centres that it is near: of both together, how many.
        sums = [
            torch.bmm(y.transpose(1, 2), x).flatten(1)
            for y, x in zip(masks[:count], masks[count:], strict=True)
        ]
        return torch.cat(sums, dim=1) == 0, list(zip(costs[:count], costs[count:], strict=True))

    def _lines(self, priors: Tensor, shapes_hw: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """The rows of cells of all levels, then their columns, of priors (N, 3): S of them.

        Returns:
            (S,) where their middle is, and (S,) how far from the centre of a ground truth they are near it,
            both in pixels.
        """
        strides = priors[:, 2:]
        cells = torch.cat([priors[:, :2] + strides / 2, self.center_radius * strides], dim=1)
        parts = torch.split(cells, [height * width for height, width in shapes_hw])
        grids = [torch.unflatten(part, 0, shape) for part, shape in zip(parts, shapes_hw, strict=True)]
        rows, columns = [grid[:, 0] for grid in grids], [grid[0] for grid in grids]
        centers = torch.cat([row[:, 1] for row in rows] + [column[:, 0] for column in columns])
        return centers, torch.cat([line[:, 2] for line in rows + columns])


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

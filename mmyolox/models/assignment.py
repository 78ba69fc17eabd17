"""The outcome of matching: who takes which priors, and who keeps a prior that several take."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Assignment:
    """The outcome of matching, for every prior and as a list of fixed length: P slots an image.

    The length does not depend on what was matched, so that nothing has to wait for the device. Each positive
    prior fills one slot; the others are empty.

    Attributes:
        gt_index: (B, N) int64, the row of the ground truth that a prior learns, -1 for background.
        slot_priors: (B, P) int64, the prior of each slot, -1 if the slot is empty.
        slot_gts: (B, P) int64, the row of the ground truth that it learns, 0 if the slot is empty.
        slot_scores: (B, P) float32, what the score of its class should be: the overlap of its current
            prediction with that ground truth; 0 if the slot is empty.
    """

    gt_index: Tensor
    slot_priors: Tensor
    slot_gts: Tensor
    slot_scores: Tensor

    @property
    def is_positive(self) -> Tensor:
        """(B, N) bool, whether a prior has a ground truth."""
        return self.gt_index >= 0

    @property
    def is_filled(self) -> Tensor:
        """(B, P) bool, whether a slot holds a positive prior."""
        return self.slot_priors >= 0


@dataclass
class Matches:
    """Which ground truths took which priors, gathered slice by slice.

    Attributes:
        taken: (B, M, topk) int64, the priors that each ground truth takes, -1 where it takes fewer.
        best_cost: (B, N) float32, the lowest cost of a prior over all ground truths so far.
        best_gt: (B, N) int64, and whose it is.
    """

    taken: Tensor
    best_cost: Tensor
    best_gt: Tensor

    @classmethod
    def empty(cls, obj_scores: Tensor, count: int, topk: int) -> 'Matches':
        """Before the first of ``count`` ground truths of the images and priors of ``obj_scores`` (B, N)."""
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


def _cheapest(cost: Tensor, k: int) -> Tensor:
    """Indices (b, m, k) of the k smallest costs along the last axis, cheapest first, the lower index on ties.

    The bits of a non-negative float32 sort like an integer; the prior's index in the lower half of an int64
    makes every key distinct, and the order independent of the device. (Costs below zero, -3e-7 at
    most from the epsilon in the logarithm of a perfect IoU, become zero.)
    """
    keys = cost.clamp_(min=0).view(torch.int32).long()
    keys.bitwise_left_shift_(32).bitwise_or_(torch.arange(cost.shape[2], device=cost.device))
    return keys.topk(k, dim=2, largest=False).values.bitwise_and_(0xFFFFFFFF)

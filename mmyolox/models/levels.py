"""Feature maps, a list of levels: joined, or read at some priors without a flattened copy of all levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor


def flat_cells(level: Tensor) -> Tensor:
    """The (B, H x W, C) view of a level (B, C, H, W)."""
    return level.flatten(2).transpose(1, 2)


def level_columns(levels: Sequence[Tensor]) -> Tensor:
    """(B, C, N) of levels (B, C, H, W)."""
    return torch.cat([level.flatten(2) for level in levels], dim=2)


def flatten_levels(levels: Sequence[Tensor]) -> Tensor:
    """(B, N, C) of levels (B, C, H, W)."""
    return level_columns(levels).transpose(1, 2)


@dataclass(frozen=True)
class LevelCells:
    """On which level, and in which of its cells, priors are.

    Attributes:
        cells: For each level, (...) int64, the cell of a prior, row by row; any if it is of another level.
        is_elsewhere: For each level, (..., 1) bool, whether a prior is not of this one.
    """

    cells: list[Tensor]
    is_elsewhere: list[Tensor]

    @classmethod
    def of(cls, priors: Tensor, levels: Sequence[Tensor]) -> 'LevelCells':
        """Looks up priors (...), counted row by row, level by level; -1 is of no level.

        Args:
            priors: The priors, int64.
            levels: Feature maps (B, C, H, W), of which only the sizes count.
        """
        sizes = [level.shape[2] * level.shape[3] for level in levels]
        starts = list(accumulate(sizes, initial=0))
        is_before = [priors < start for start in starts[:-1]]
        is_elsewhere = [
            before | (priors >= end) for before, end in zip(is_before[:-1], starts[1:], strict=False)
        ]
        cells = [
            (priors - start if start else priors).clamp(0, size - 1)
            for start, size in zip(starts, sizes, strict=False)
        ]
        return cls(cells, [mask[..., None] for mask in [*is_elsewhere, is_before[-1]]])


def take_slots(levels: Sequence[Tensor], slots: LevelCells) -> Tensor:
    """The outputs of all levels at the priors of slots, see :class:`~mmyolox.models.Assignment`.

    Equals concatenating the flattened levels and gathering, but nothing of their size is copied, and the
    backward pass writes the gradient of each level once, in the level's memory format.

    Args:
        levels: The feature maps, (B, C, H, W) each.
        slots: Those of P slots an image. The priors of an image are distinct, but for -1: the output of such
            a slot is zero and has no gradient.

    Returns:
        (B, P, C).
    """
    outputs: Tensor = _TakeSlots.apply(slots, *levels)  # type: ignore[no-untyped-call]
    return outputs


def take_priors(levels: Sequence[Tensor], images: Tensor, priors: Tensor) -> Tensor:
    """The outputs of all levels at priors of any images; for gradients, see :func:`take_slots`.

    Args:
        levels: The feature maps, (B, C, H, W) each.
        images: (R,) int64, the index in the batch.
        priors: (R,) int64, counted row by row, level by level.

    Returns:
        (R, C).
    """
    places = LevelCells.of(priors, levels)
    taken = [flat_cells(level)[images, cells] for level, cells in zip(levels, places.cells, strict=True)]
    return _merged(taken, places)


def batched_gather(table: Tensor, index: Tensor) -> Tensor:
    """The entries (B, P, C) of a table (B, n, C) that an index (B, P) names."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[2]))


def _merged(taken: Sequence[Tensor], places: LevelCells) -> Tensor:
    """Of what was taken from each level (..., C), that of the level where a prior is; 0 if it is nowhere."""
    merged = taken[0].masked_fill(places.is_elsewhere[0], 0)
    for values, is_elsewhere in zip(taken[1:], places.is_elsewhere[1:], strict=True):
        merged = torch.where(is_elsewhere, merged, values)
    return merged


class _TakeSlots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slots: LevelCells, *levels: Tensor) -> Tensor:
        ctx.save_for_backward(*slots.cells, *slots.is_elsewhere)
        # Not the levels themselves: they may be freed before the gradients are allocated.
        ctx.layouts = [
            (level.shape, level.dtype, level.is_contiguous(memory_format=torch.channels_last))
            for level in levels
        ]
        taken = [batched_gather(flat_cells(x), cells) for x, cells in zip(levels, slots.cells, strict=True)]
        return _merged(taken, slots)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.layouts)
        cells, is_elsewhere = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        formats = {True: torch.channels_last, False: torch.contiguous_format}
        grads = [
            torch.empty(shape, dtype=dtype, device=grad.device, memory_format=formats[is_last]).zero_()
            for shape, dtype, is_last in ctx.layouts
        ]
        for level, index, mask in zip(grads, cells, is_elsewhere, strict=True):
            own = grad.masked_fill(mask, 0)  # slots of other levels add nothing to some cell
            flat_cells(level).scatter_add_(1, index[..., None].expand_as(own), own)
        return None, *grads

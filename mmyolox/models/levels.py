"""Feature maps, a list of levels: joined, or read at some priors without a flattened copy of all levels."""

from collections.abc import Sequence
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


def take_slots(levels: Sequence[Tensor], slot_priors: Tensor) -> Tensor:
    """The outputs of all levels at the priors of slots, see :class:`~mmyolox.models.Assignment`.

    Equals concatenating the flattened levels and gathering, but nothing of their size is copied, and the
    backward pass writes the gradient of each level once, in the level's memory format.

    Args:
        levels: The feature maps, (B, C, H, W) each.
        slot_priors: (B, P) int64, priors counted row by row, level by level. Those of an image are distinct,
            but for -1: the output of such a slot is zero and has no gradient.

    Returns:
        (B, P, C).
    """
    outputs: Tensor = _TakeSlots.apply(slot_priors, *levels)  # type: ignore[no-untyped-call]
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
    outputs = levels[0].new_zeros(len(priors), levels[0].shape[1])
    for level, (cells, is_here) in zip(levels, _cells_by_level(priors, levels), strict=True):
        outputs = torch.where(is_here, flat_cells(level)[images, cells], outputs)
    return outputs


def batched_gather(table: Tensor, index: Tensor) -> Tensor:
    """The entries (B, P, C) of a table (B, n, C) that an index (B, P) names."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[2]))


class _TakeSlots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slot_priors: Tensor, *levels: Tensor) -> Tensor:
        ctx.save_for_backward(slot_priors)
        # Not the levels themselves: they may be freed before the gradients are allocated.
        ctx.layouts = [
            (level.shape, level.dtype, level.is_contiguous(memory_format=torch.channels_last))
            for level in levels
        ]
        outputs = levels[0].new_zeros(*slot_priors.shape, levels[0].shape[1])
        for level, (cells, is_here) in zip(levels, _cells_by_level(slot_priors, levels), strict=True):
            outputs = torch.where(is_here, batched_gather(flat_cells(level), cells), outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slot_priors,) = ctx.saved_tensors
        formats = {True: torch.channels_last, False: torch.contiguous_format}
        grads = [
            torch.empty(shape, dtype=dtype, device=grad.device, memory_format=formats[is_last]).zero_()
            for shape, dtype, is_last in ctx.layouts
        ]
        for level, (cells, is_here) in zip(grads, _cells_by_level(slot_priors, grads), strict=True):
            here = torch.where(is_here, grad, 0)  # slots of other levels add nothing to some cell
            flat_cells(level).scatter_add_(1, cells[..., None].expand_as(here), here)
        return None, *grads


def _cells_by_level(priors: Tensor, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The cells (...) of priors (...) on each level, and (..., 1) bool, whether a prior is of this level.

    A prior of another level has any cell.
    """
    cells_by_level, start = [], 0
    for level in levels:
        size = level.shape[2] * level.shape[3]
        cells = priors - start
        is_here = (cells >= 0) & (cells < size)
        cells_by_level.append((cells.clamp_(0, size - 1), is_here[..., None]))
        start += size
    return cells_by_level

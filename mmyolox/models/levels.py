"""Rows of feature maps: the outputs at some priors, without a flattened copy of all levels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def take_rows(levels: Sequence[Tensor], index: Tensor) -> Tensor:
    """The outputs of all levels at some priors.

    Equals concatenating the flattened levels and gathering, but nothing of their size is copied, and the
    backward pass writes the gradient of each level once, in the level's memory format.

    Args:
        levels: (B, C, H, W) each.
        index: (B, P) int64, priors counted row by row, level by level. Those of an image are distinct, but
            for -1: such a row is zero and has no gradient.

    Returns:
        (B, P, C).
    """
    rows: Tensor = _TakeRows.apply(index, *levels)  # type: ignore[no-untyped-call]
    return rows


def gather_rows(table: Tensor, index: Tensor) -> Tensor:
    """Of a table (B, n, C), the rows (B, P, C) of an index (B, P)."""
    return table.gather(1, index[..., None].expand(-1, -1, table.shape[2]))


def pick_rows(levels: Sequence[Tensor], images: Tensor, priors: Tensor) -> Tensor:
    """The outputs of all levels at priors of any images; for gradients, see :func:`take_rows`.

    Args:
        levels: (B, C, H, W) each.
        images: (R,) int64.
        priors: (R,) int64, counted row by row, level by level.

    Returns:
        (R, C).
    """
    rows = levels[0].new_zeros(len(priors), levels[0].shape[1])
    for level, (cells, is_here) in zip(levels, _places(priors, levels), strict=True):
        rows = torch.where(is_here, flat_cells(level)[images, cells], rows)
    return rows


def flat_cells(level: Tensor) -> Tensor:
    """The (B, H x W, C) view of a level."""
    return level.flatten(2).transpose(1, 2)


class _TakeRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, index: Tensor, *levels: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        # Not the levels themselves: they may be freed before the gradients are allocated.
        ctx.layouts = [(level.shape, level.dtype, _memory_format(level)) for level in levels]
        rows = levels[0].new_zeros(*index.shape, levels[0].shape[1])
        for level, (cells, is_here) in zip(levels, _places(index, levels), strict=True):
            rows = torch.where(is_here, gather_rows(flat_cells(level), cells), rows)
        return rows

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        grads = [
            torch.empty(shape, dtype=dtype, device=grad.device, memory_format=memory_format).zero_()
            for shape, dtype, memory_format in ctx.layouts
        ]
        for level, (cells, is_here) in zip(grads, _places(index, grads), strict=True):
            rows = torch.where(is_here, grad, 0)  # rows of other levels add nothing to some cell
            flat_cells(level).scatter_add_(1, cells[..., None].expand_as(rows), rows)
        return None, *grads


def _memory_format(level: Tensor) -> torch.memory_format:
    is_last = level.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


def _places(index: Tensor, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Where priors (...) are in each level: any cell (...), and (..., 1) bool, whether it is this one."""
    places, start = [], 0
    for level in levels:
        size = level.shape[2] * level.shape[3]
        cells = index - start
        is_here = (cells >= 0) & (cells < size)
        places.append((cells.clamp_(0, size - 1), is_here[..., None]))
        start += size
    return places

"""Outputs of feature maps at priors against flattening and indexing, forward and backward."""

import pytest
import torch

from mmyolox.models.levels import (
    LevelCells,
    batched_gather,
    flat_cells,
    flatten_levels,
    level_columns,
    take_priors,
    take_slots,
)

SIZES = ((4, 6), (2, 3), (1, 2))
COUNT = sum(h * w for h, w in SIZES)


def random_levels(dtype=torch.float32, memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    levels = [torch.randn(2, 5, *size).to(dtype=dtype, memory_format=memory_format) for size in SIZES]
    return [level.requires_grad_() for level in levels]


def plain_slots(levels, index):
    """Flattened, indexed, and zero where the index is -1."""
    flat = torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in levels], dim=1)
    rows = flat[torch.arange(len(index))[:, None], index.clamp(min=0)]
    return torch.where(index[..., None] >= 0, rows, 0)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    'index',
    [
        torch.stack([torch.arange(COUNT), torch.arange(COUNT).flip(0)]),
        torch.tensor([[0, -1, 31, 23, 24, -1], [-1, -1, 30, 29, 0, 5]]),
        torch.full((2, 3), -1),
        torch.zeros(2, 0, dtype=torch.int64),
    ],
    ids=['all', 'some', 'empty', 'none'],
)
def test_slots_and_gradients_equal_flat_indexing(index, memory_format, dtype):
    levels, plain = random_levels(dtype, memory_format), random_levels(dtype, memory_format)
    taken, expected = take_slots(levels, LevelCells.of(index, levels)), plain_slots(plain, index)
    assert taken.dtype == dtype
    assert torch.equal(taken, expected)
    weight = torch.randn(taken.shape).to(dtype)
    (taken * weight).sum().backward()
    (expected * weight).sum().backward()
    for level, truth in zip(levels, plain, strict=True):
        assert torch.equal(level.grad, truth.grad)
        assert level.grad.is_contiguous(memory_format=memory_format)


def test_a_broken_prior_does_not_reach_empty_slots():
    levels = random_levels()
    with torch.no_grad():
        levels[0][0, :, 0, 0] = float('nan')
        levels[2][0, :, 0, 1] = float('inf')
    taken = take_slots(levels, LevelCells.of(torch.tensor([[-1, 3], [0, -1]]), levels))
    taken.sum().backward()
    assert taken.isfinite().all()
    assert all(level.grad.isfinite().all() for level in levels)


def test_levels_are_not_kept_for_the_backward_pass():
    level = random_levels()[0]
    saved = []
    slots = LevelCells.of(torch.zeros(2, 3, dtype=torch.int64), [level])
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        take_slots([level], slots)
    assert [x.dtype for x in saved] == [torch.int64, torch.bool]


def test_gathered_entries():
    table = torch.arange(24.0).reshape(2, 3, 4)
    index = torch.tensor([[2, 0, 2, 1], [1, 1, 0, 2]])
    gathered = batched_gather(table, index)
    assert torch.equal(gathered, torch.stack([table[0, index[0]], table[1, index[1]]]))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('count', [0, 1, 40])
def test_taken_priors_equal_flat_indexing(count, memory_format, dtype):
    levels = random_levels(dtype, memory_format)
    images, priors = torch.randint(2, (count,)), torch.randint(COUNT, (count,))
    flat = torch.cat([level.flatten(2) for level in levels], dim=2)
    assert torch.equal(take_priors(levels, images, priors), flat[images, :, priors])


def test_cells_of_a_level():
    level = random_levels()[0]
    assert torch.equal(flat_cells(level)[1, 7], level[1, :, 1, 1])


def test_joined_levels():
    levels = random_levels()
    assert torch.equal(level_columns(levels)[1, :, 24], levels[1][1, :, 0, 0])
    assert torch.equal(flatten_levels(levels), level_columns(levels).transpose(1, 2))

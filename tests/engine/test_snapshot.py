"""A snapshot is what was saved at its moment, whatever happens later."""

from collections import OrderedDict
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmyolox.checkpoints.load import load_checkpoint
from mmyolox.engine.snapshot import HostMemory, checkpoint_of


def layouts():
    """Tensors of every kind that a checkpoint may have."""
    torch.manual_seed(0)
    strided = torch.randn(4, 6)
    return dict(
        plain=torch.randn(2, 3),
        channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        transposed=torch.randn(2, 3).t(),
        part=strided[1:3, ::2],
        expanded=torch.randn(3, 1).expand(3, 4),
        scalar=torch.tensor(3),
        empty=torch.empty(0, 4),
        half=torch.randn(3).bfloat16(),
        flags=torch.tensor([True, False]),
        conjugate=torch.randn(3, dtype=torch.complex64).conj(),
        sparse=torch.eye(3).to_sparse(),
        parameter=nn.Parameter(torch.randn(2)),
        frozen=nn.Parameter(torch.randn(2), requires_grad=False),
        trained=torch.randn(2, requires_grad=True),
    )


def equal(one, other):
    """Whether two tensors are the same in all that is saved of them."""
    kinds = [(type(t), t.dtype, t.shape, t.layout, t.requires_grad) for t in (one, other)]
    one, other = (t.to_dense() if t.is_sparse else t for t in (one, other))
    return kinds[0] == kinds[1] and torch.equal(one, other)


@pytest.mark.parametrize('name', layouts())
def test_a_tensor_of_any_kind_is_as_it_was(name):
    value = layouts()[name]
    snapshot = HostMemory().copy(dict(value=value))
    with torch.no_grad():
        if name == 'expanded':
            value = value[:, :1]
        value.zero_()
    assert equal(snapshot.restore()['value'], layouts()[name])


def test_a_layout_in_memory_is_kept():
    copy = HostMemory().copy(layouts()['channels_last']).restore()
    assert copy.is_contiguous(memory_format=torch.channels_last)


def test_all_else_is_as_it_was():
    state = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    history = HistoryBuffer()
    history.update(1.0)
    values = dict(state=state, history=history, array=np.arange(3), nested=[(1, {'a': 'b'})])
    kept = deepcopy(values)
    restored = HostMemory().copy(values).restore
    history.update(2.0)
    values['array'] += 1
    values['nested'][0][1]['a'] = 'c'
    del state['0.weight']
    copy = restored()
    assert isinstance(copy['state'], OrderedDict)
    assert copy['state']._metadata == kept['state']._metadata
    assert list(copy['state']) == list(kept['state'])
    assert [array.tolist() for array in copy['history'].data] == [[1.0], [1]]
    assert copy['array'].tolist() == [0, 1, 2]
    assert copy['nested'] == kept['nested']


def test_memory_is_kept_for_the_next_snapshot():
    memory = HostMemory()
    values = [torch.zeros(3), torch.zeros(3), torch.zeros(4)]
    first = memory.copy(values)
    assert len({tensor.data_ptr() for tensor in first.tensors}) == 3
    less = memory.copy([torch.ones(3), torch.ones(4)])
    assert [tensor.data_ptr() for tensor in less.tensors] == [
        first.tensors[index].data_ptr() for index in (0, 2)
    ]
    again = memory.copy([torch.full_like(value, 2) for value in values])
    assert [t.data_ptr() for t in again.tensors] == [t.data_ptr() for t in first.tensors]
    assert [value.tolist() for value in again.restore()] == [[2] * 3, [2] * 3, [2] * 4]


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        self.to(memory_format=torch.channels_last)

    def forward(self, *inputs, mode='tensor'):
        return dict(loss=self.layer(torch.stack(inputs)).square().mean())


def leaves(value, path=''):
    """All that a checkpoint holds, by its path."""
    if isinstance(value, dict):
        yield path, (type(value), list(value), getattr(value, '_metadata', None))
        for key, item in value.items():
            yield from leaves(item, f'{path}/{key}')
    elif isinstance(value, list | tuple):
        yield path, (type(value), len(value))
        for index, item in enumerate(value):
            yield from leaves(item, f'{path}/{index}')
    elif isinstance(value, torch.Tensor):
        yield path, (type(value), value.dtype, value.stride(), value.tolist())
    elif isinstance(value, HistoryBuffer):
        yield path, tuple(array.tobytes() for array in value.data)
    else:
        yield path, repr(value)


@pytest.mark.parametrize('has_ema', [False, True])
@pytest.mark.parametrize('is_whole', [False, True])
def test_it_is_the_checkpoint_that_mmengine_writes(tmp_path, has_ema, is_whole):
    runner = Runner(
        model=Tiny(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=list(torch.ones(4, 1, 3, 3)), sampler=dict(type='DefaultSampler'), batch_size=2
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=6), dict(type='ConstantLR', end=2)],
        custom_hooks=[dict(type='EMAHook')] if has_ema else [],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=9, save_last=False)),
        experiment_name=f'snapshot-{has_ema}-{is_whole}',
    )
    runner.train()
    parts = dict(save_optimizer=is_whole, save_param_scheduler=is_whole)
    meta = dict(epoch=2, iter=4)
    runner.save_checkpoint(str(tmp_path), 'theirs.pth', meta=dict(meta), **parts)
    torch.save(HostMemory().copy(checkpoint_of(runner, meta, **parts)).restore(), tmp_path / 'ours.pth')
    theirs, ours = (dict(leaves(load_checkpoint(tmp_path / name))) for name in ('theirs.pth', 'ours.pth'))
    assert theirs.pop('/meta/time')
    assert ours.pop('/meta/time')
    assert len(ours) > 20
    assert [name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)] == []
    assert [name for name, value in theirs.items() if value != ours[name]] == []
    assert list(load_checkpoint(tmp_path / 'ours.pth')) == list(load_checkpoint(tmp_path / 'theirs.pth'))

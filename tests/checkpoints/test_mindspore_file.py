"""Reading MindSpore's files: a small one of the real MindSpore's, and others at fault."""

import sys
from binascii import crc32

import numpy as np
import pytest
import torch

from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.sources import mindspore
from mmyolox.checkpoints.sources.mindspore import read_checkpoint
from mmyolox.errors import UserError
from tests.checkpoints.layouts import DATA
from tests.checkpoints.mindspore_writer import chunk, value

REAL_FILE = DATA / 'mindspore_2.10.ckpt'


def test_a_file_of_mindspore_is_read():
    tensors, others = read_weights(REAL_FILE)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        'conv.weight': (3, 2, 1, 1),
        'conv.bias': (3,),
        'bn.moving_mean': (3,),
        'bn.moving_variance': (3,),
        'bn.gamma': (3,),
        'bn.beta': (3,),
        'half': (2,),
        'brain': (2,),
        'epoch': (),
        'lr': (),
        'flag': (),
    }
    assert tensors['conv.weight'].flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert tensors['bn.moving_mean'].tolist() == [1, 2, 3]
    assert torch.equal(tensors['half'], torch.tensor([1.5, -2], dtype=torch.float16))
    assert torch.equal(tensors['brain'], torch.tensor([1.5, -2], dtype=torch.bfloat16))
    assert (tensors['epoch'].item(), tensors['flag'].item()) == (3, True)
    assert others == ()


def test_a_tensor_in_parts_is_joined(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3)
    content = tensor.numpy().tobytes()
    parts = [value('a', 'Float32', (2, 3), content[i : i + 8]) for i in range(0, 24, 8)]
    number = value('b', 'Int64', (0,), np.int64(-5).tobytes())
    (tmp_path / 'x.ckpt').write_bytes(b''.join([*parts[:2], number, parts[2]]))
    found = read_checkpoint(tmp_path / 'x.ckpt')
    assert torch.equal(found['a'], tensor)
    assert torch.equal(found['b'], torch.tensor(-5))


def test_an_empty_tensor_is_read(tmp_path):
    (tmp_path / 'x.ckpt').write_bytes(value('a', 'Float32', (0, 4), b''))
    assert read_checkpoint(tmp_path / 'x.ckpt')['a'].shape == (0, 4)


SOME = value('a', 'Float32', (2,), bytes(8))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (SOME[:-1], 'is cut off or damaged: 26 bytes of a tensor should follow'),
        (SOME + SOME[:1], 'is damaged or no MindSpore checkpoint'),
        (SOME + b'\x0a\x80', 'is damaged or no MindSpore checkpoint'),
        (SOME + b'\x12\x00', 'is damaged or no MindSpore checkpoint'),
        (b'\x0a\x03abc', 'is damaged or no MindSpore checkpoint'),
        (chunk(1, chunk(1, b'a') + chunk(2, b'')), 'is damaged or no MindSpore checkpoint'),
        (chunk(1, chunk(1, b'a')), 'is a MindSpore checkpoint without tensors'),
        (value('a', 'str', (0,), b'y\0\0\0'), 'is a MindSpore checkpoint without tensors'),
        (value('a', 'Float32', (3,), bytes(8)), r'tensor a has 8 bytes for shape \[3\], Float32'),
        (value('a', 'Float32', (1,), bytes(8)), r'tensor a has 8 bytes for shape \[1\], Float32'),
        (value('a', 'Float32', (2**64 - 1, 2**64 - 2), bytes(8)), r'8 bytes for shape \[-1, -2\], Float32'),
        (value('a', 'Float32', (2**64 - 1, 0), b''), r'0 bytes for shape \[-1, 0\], Float32'),
        (value('a', 'Float32', (2**40, 2**40, 0), b''), r'0 bytes for shape \[1099511627776, .*, 0\]'),
        (value('a', 'Float32', (2**62, 2**62), b''), r'0 bytes for shape \[4611686018427387904, .*\]'),
        (chunk(1, chunk(1, b'\xff\xfe') + SOME[5:]), 'is damaged or no MindSpore checkpoint'),
        (value('a', 'Int4', (2,), bytes(1)), 'tensor a is of type Int4, which cannot be read here'),
        (SOME + b'crc_num' + (crc32(SOME) ^ 1).to_bytes(10, 'big'), 'is damaged: its checksum is wrong'),
        (b'\xd8\x5e\x3a\x7f' + bytes(99), 'is encrypted'),
    ],
)
def test_a_file_at_fault_is_refused(tmp_path, content, message):
    (tmp_path / 'x.ckpt').write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_weights(tmp_path / 'x.ckpt')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('end', range(1, 60))
def test_a_file_that_ends_early_is_refused_or_lacks_tensors(tmp_path, end):
    (tmp_path / 'x.ckpt').write_bytes((SOME + value('b', 'Float32', (3,), bytes(12)))[:end])
    try:
        found = read_checkpoint(tmp_path / 'x.ckpt')
    except UserError:
        return
    assert end == len(SOME)
    assert list(found) == ['a']


def test_protobuf_may_be_absent(monkeypatch):
    mindspore._value_message.cache_clear()
    monkeypatch.setitem(sys.modules, 'google.protobuf', None)
    with pytest.raises(UserError, match='needs the package protobuf'):
        read_checkpoint(REAL_FILE)

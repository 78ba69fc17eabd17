"""Files of safetensors: recognised by their structure, read, and written."""

import json
import sys

import numpy as np
import pytest
import torch

from mmyolox.checkpoints.load import load_checkpoint, read_weights
from mmyolox.checkpoints.safetensors_file import write_checkpoint
from mmyolox.errors import UserError

WEIGHTS = {'a': torch.arange(6.0).reshape(2, 3), 'b': torch.tensor(7), 'half': torch.ones(2).half()}


def file_bytes(length: int | None = None, **changes) -> bytes:
    """A file of one tensor ``a`` (2,) float32, whose header is padded to ``length``."""
    entry = dict(dtype='F32', shape=[2], data_offsets=[0, 8]) | changes
    header = json.dumps(dict(a=entry)).encode()
    header = header.ljust(length or len(header))
    return len(header).to_bytes(8, 'little') + header + np.float32([1, 2]).tobytes()


def test_what_is_written_is_read(tmp_path):
    meta = dict(dataset_meta=dict(classes=('cat', 'dog'), sigmas=np.float32([0.5, 0.25])))
    shared = WEIGHTS | {'again': WEIGHTS['a'], 'turned': WEIGHTS['a'].T}
    write_checkpoint(tmp_path / 'w.safetensors', shared, meta)
    content = load_checkpoint(tmp_path / 'w.safetensors')
    assert content['meta'] == dict(dataset_meta=dict(classes=['cat', 'dog'], sigmas=[0.5, 0.25]))
    assert content['state_dict'].keys() == shared.keys()
    for name, tensor in shared.items():
        assert torch.equal(content['state_dict'][name], tensor)
        assert content['state_dict'][name].dtype == tensor.dtype


@pytest.mark.parametrize('first_byte', [0x08, 0x0A, 0x50, 0x80, 0xD8])
@pytest.mark.parametrize('name', ['w.safetensors', 'w.pth', 'w.ckpt', 'w.onnx'])
def test_the_first_byte_and_the_name_do_not_matter(tmp_path, first_byte, name):
    """Those of ONNX, MindSpore, zip, pickle and encrypted MindSpore files."""
    (tmp_path / name).write_bytes(file_bytes(0x100 + first_byte))
    assert read_weights(tmp_path / name)[0]['a'].tolist() == [1, 2]


def test_other_files_of_that_name_are_taken_for_what_they_are(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'w.safetensors')
    assert torch.equal(read_weights(tmp_path / 'w.safetensors')[0]['a'], WEIGHTS['a'])


@pytest.mark.parametrize(
    'content',
    [
        file_bytes()[:-1],
        file_bytes()[:20],
        file_bytes() + b'1',
        file_bytes(shape=[3]),
        file_bytes(shape=[-2]),
        file_bytes(shape=[2**62, 2**62]),
        file_bytes(data_offsets=[0, 2**40]),
        file_bytes(dtype='F31'),
        (9).to_bytes(8, 'little') + b'{not json',
        (100).to_bytes(8, 'little') + b'{' + b'[' * 99,
    ],
)
def test_a_damaged_file_is_one_line_with_advice(tmp_path, content, monkeypatch):
    (tmp_path / 'w.safetensors').write_bytes(content)
    for cache, advice in (('elsewhere', 'take another copy'), ('', 'delete it, and it is downloaded again')):
        monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / cache))
        with pytest.raises(UserError, match=r'w\.safetensors is damaged or no safetensors file \(') as caught:
            load_checkpoint(tmp_path / 'w.safetensors')
        assert '\n' not in str(caught.value)
        assert str(caught.value).endswith(f'); {advice}')


@pytest.mark.parametrize('text', ['[1]', 'no json', '[' * 100_000])
def test_metadata_at_fault_are_one_line(tmp_path, text):
    from safetensors.torch import save_file

    save_file(WEIGHTS, tmp_path / 'w.safetensors', {'mmyolox_meta': text})
    with pytest.raises(UserError, match=r'w\.safetensors is damaged'):
        load_checkpoint(tmp_path / 'w.safetensors')


def test_metadata_that_json_cannot_hold_are_refused(tmp_path):
    with pytest.raises(UserError, match='the metadata cannot be written as JSON'):
        write_checkpoint(tmp_path / 'w.safetensors', WEIGHTS, dict(x=object()))


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / 'w.safetensors', WEIGHTS, {})
    before = (tmp_path / 'w.safetensors').read_bytes()

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(UserError, match=r'w\.safetensors cannot be written: No space left'):
        write_checkpoint(tmp_path / 'w.safetensors', WEIGHTS, dict(x=1))
    assert (tmp_path / 'w.safetensors').read_bytes() == before
    assert len([*tmp_path.iterdir()]) == 1


def test_safetensors_may_be_absent(tmp_path, monkeypatch):
    (tmp_path / 'w.safetensors').write_bytes(file_bytes())
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(UserError, match='need the package safetensors: pip install safetensors'):
        load_checkpoint(tmp_path / 'w.safetensors')
    with pytest.raises(UserError, match='need the package safetensors'):
        write_checkpoint(tmp_path / 'x.safetensors', WEIGHTS, {})

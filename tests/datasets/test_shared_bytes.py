"""SharedBytes: what is shared with whom, and what is left behind."""

import copy
import os
import pickle

import numpy as np
import pytest

from mmyolox.datasets.shared_bytes import SharedBytes


def make(kind, size, tmp_path):
    return SharedBytes(size, None if kind == 'memory' else str(tmp_path))


@pytest.mark.parametrize('kind', ['memory', 'disk'])
def test_written_bytes_are_read(kind, tmp_path):
    shared = make(kind, 100, tmp_path)
    assert shared.array.shape == (100,)
    assert not shared.array.any()
    shared.write(3, np.arange(6, dtype=np.int16).reshape(2, 3))
    assert shared.array[3:15].tolist() == [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert not shared.array[:3].any()
    assert not shared.array[15:].any()


@pytest.mark.parametrize('kind', ['memory', 'disk'])
def test_a_forked_process_and_its_parent_see_each_other(kind, tmp_path):
    shared = make(kind, 5000, tmp_path)
    child = os.fork()
    if not child:
        shared.write(4999, np.array([7], np.uint8))
        os._exit(0)
    os.waitpid(child, 0)
    assert shared.array[4999] == 7


def test_the_array_is_read_only(tmp_path):
    with pytest.raises(ValueError, match='read-only'):
        make('memory', 10, tmp_path).array[0] = 1


def test_the_file_has_no_name(tmp_path):
    shared = make('disk', 10, tmp_path)
    assert not os.listdir(tmp_path)
    shared.write(0, np.ones(10, np.uint8))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda shared: pickle.loads(pickle.dumps(shared))])
def test_a_copy_is_independent(copied):
    shared = SharedBytes.of(np.arange(5, dtype=np.uint8))
    other = copied(shared)
    shared.write(0, np.array([9], np.uint8))
    assert other.array.tolist() == [0, 1, 2, 3, 4]
    other.write(1, np.array([8], np.uint8))
    assert shared.array.tolist() == [9, 1, 2, 3, 4]


@pytest.mark.parametrize('data', [np.arange(4.0), np.zeros((0, 4)), np.zeros(0, np.uint8)])
def test_of_an_array(data):
    assert SharedBytes.of(data).array.view(data.dtype).tolist() == data.reshape(-1).tolist()


@pytest.mark.parametrize('kind', ['memory', 'disk'])
def test_space_is_taken_as_it_is_written(kind, tmp_path):
    shared = make(kind, 10_000_000, tmp_path)
    assert shared.unwritten > 9_000_000
    shared.write(0, np.ones(6_000_000, np.uint8))
    assert 3_000_000 < shared.unwritten < 5_000_000
    shared.write(0, np.ones(10_000_000, np.uint8))
    assert shared.unwritten == 0


def test_a_full_disk_is_an_error_and_not_the_end(monkeypatch):
    shared = SharedBytes(10)

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'pwrite', full)
    with pytest.raises(OSError, match='No space left'):
        shared.write(0, np.ones(10, np.uint8))


def test_partial_writes_are_continued(monkeypatch):
    shared, pwrite = SharedBytes(10), os.pwrite
    monkeypatch.setattr(os, 'pwrite', lambda file, data, offset: pwrite(file, data[:3], offset))
    shared.write(1, np.arange(1, 9, dtype=np.uint8))
    assert shared.array.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]

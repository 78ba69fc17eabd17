"""Columns: arrays in a mapped file, which is believed only if it is as it was written."""

import copy
import errno
import pickle

import numpy as np
import pytest

from mmyolox.datasets.columns import Columns, DamagedError, write_columns
from mmyolox.errors import UserError

ARRAYS = dict(
    boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
    flags=np.array([True, False, True]),
    none=np.empty((0, 4), np.float64),
    strided=np.arange(20)[::2],
)
INFO = dict(name='Hündin', values=[1, None, 2.5])


@pytest.fixture
def path(tmp_path):
    write_columns(tmp_path / 'a b.columns', ARRAYS, INFO)
    return tmp_path / 'a b.columns'


def is_whole(columns):
    return columns.info == INFO and all(
        np.array_equal(columns[name], array) and columns[name].dtype == array.dtype
        for name, array in ARRAYS.items()
    )


def test_memory_that_the_system_does_not_give_is_told(monkeypatch):
    def write(*_):
        raise OSError(errno.EFBIG, 'File too large')

    monkeypatch.setattr('mmyolox.datasets.columns.SharedBytes.write', write)
    with pytest.raises(UserError, match=r'0 MB of annotations .*: File too large; raise .*\(ulimit -f\)$'):
        Columns.of(ARRAYS, INFO)


def test_what_was_written_is_read(path):
    columns = Columns.opened(path)
    assert is_whole(columns)
    assert is_whole(Columns.of(ARRAYS, INFO))
    assert [*columns] == [*ARRAYS]
    with pytest.raises(ValueError, match='read-only'):
        columns['boxes'][0] = 1


def test_copies_share_or_have_the_arrays(path):
    columns = Columns.opened(path)
    assert copy.deepcopy([columns])[0] is columns
    assert is_whole(pickle.loads(pickle.dumps(columns)))


def test_a_removed_file_stays_readable(path):
    columns = Columns.opened(path)
    path.unlink()
    assert is_whole(columns)


def test_any_flipped_bit_and_any_cut_is_noticed(path):
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(DamagedError):
            Columns.opened(path)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedError):
            Columns.opened(path)


def test_of_large_files_the_header_is_compared(path, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.columns._CHECKED', 0)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedError, match='bytes instead of'):
        Columns.opened(path)
    path.write_bytes(content.replace(b'boxes', b'foxes'))
    with pytest.raises(DamagedError, match='header'):
        Columns.opened(path)


def test_of_large_files_other_parts_are_compared_each_time(path, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.columns._BLOCK', 64)
    monkeypatch.setattr('mmyolox.datasets.columns._CHECKED', 64)
    write_columns(path, ARRAYS | dict(many=np.arange(40)), INFO)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = []
    for moment in range(9):  # of 9 blocks the last is damaged
        monkeypatch.setattr('time.time_ns', lambda moment=moment: moment)
        try:
            Columns.opened(path)
        except DamagedError:
            found.append(moment)
    assert found == [8]

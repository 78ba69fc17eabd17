"""Files that are never half written."""

import os

import pytest
from mmengine.fileio import get_file_backend

from mmyolox.engine import AtomicLocalBackend
from mmyolox.utils.files import PICTURE_SUFFIXES, atomic_write, list_images


def test_file_appears_whole_with_the_usual_rights(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    with atomic_write(path) as part:
        assert part.suffix == '.txt'
        assert part.parent == path.parent
        part.write_text('whole')
        assert not path.exists()
    assert path.read_text() == 'whole'
    plain = tmp_path / 'plain'
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    assert os.listdir(path.parent) == ['a.txt']


def test_a_reader_of_the_old_file_keeps_it(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with path.open() as reader:
        with atomic_write(path) as part:
            part.write_text('new')
        assert reader.read() == 'old'
    assert path.read_text() == 'new'


def test_old_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def fail():
        with atomic_write(path) as part:
            part.write_text('half')
            raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        fail()
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_backend_writes_atomically(tmp_path, monkeypatch):
    backend = get_file_backend(tmp_path / 'a', backend_args=dict(backend='atomic_local'))
    assert isinstance(backend, AtomicLocalBackend)
    backend.put(b'bytes', tmp_path / 'sub' / 'a')
    backend.put_text('ü', str(tmp_path / 'b'), encoding='latin-1')
    assert backend.get(tmp_path / 'sub' / 'a') == b'bytes'
    assert (tmp_path / 'b').read_bytes() == b'\xfc'

    def fail(*_):
        raise OSError('killed')

    monkeypatch.setattr('os.fsync', fail)
    for put, content in ((backend.put, b'new'), (backend.put_text, 'new')):
        with pytest.raises(OSError, match='killed'):
            put(content, tmp_path / 'b')
    assert (tmp_path / 'b').read_bytes() == b'\xfc'
    assert sorted(os.listdir(tmp_path)) == ['b', 'sub']


def test_arrays_are_images_but_no_pictures(tmp_path):
    names = ['a.npy', 'b.PNG', 'c.txt']
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == names[:2]
    assert [path.name for path in list_images(tmp_path, PICTURE_SUFFIXES)] == names[1:2]

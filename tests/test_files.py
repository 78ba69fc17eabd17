"""Files that are never half written."""

import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from mmyolox.engine import AtomicLocalBackend
from mmyolox.engine.work_dir import claim
from mmyolox.errors import UserError
from mmyolox.files import (
    PICTURE_SUFFIXES,
    atomic_write,
    cache_folder,
    check_folder,
    check_target,
    folder_beside,
    from_here,
    is_special,
    list_images,
    open_unshared,
    read_lines,
    read_text,
    writing,
)


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


@pytest.mark.parametrize(
    ('variables', 'folder'),
    [
        ({}, '/home/u/.cache/mmyolox'),
        (dict(XDG_CACHE_HOME='/c'), '/c/mmyolox'),
        (dict(XDG_CACHE_HOME='/c', MMYOLOX_HOME='~/m'), '/home/u/m'),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, variables, folder):
    for name, value in (dict.fromkeys(('XDG_CACHE_HOME', 'MMYOLOX_HOME'), '') | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('HOME', '/home/u')
    assert cache_folder() == Path(folder)


def test_a_user_without_a_home_is_told_to_name_a_cache(monkeypatch):
    for name in ('XDG_CACHE_HOME', 'MMYOLOX_HOME', 'HOME'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, 'getuid', lambda: 987654)
    with pytest.raises(UserError, match=r'cache folder ~/.cache/mmyolox cannot be told.*by MMYOLOX_HOME'):
        cache_folder()


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


def test_no_fork_has_a_file_that_is_written(tmp_path):
    path = tmp_path / 'a'
    with open_unshared(path, 'wb') as file, path.open('rb') as other:
        file.write(b'half')
        child = os.fork()
        if not child:
            held = [fd for fd in (file.fileno(), other.fileno()) if os.path.exists(f'/proc/self/fd/{fd}')]
            os._exit(held == [other.fileno()])
        file.write(b' and half')
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert path.read_bytes() == b'half and half'


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


@pytest.fixture
def small_files():
    """No file can be larger than 1000 bytes."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_file_that_the_system_does_not_take_is_named(tmp_path, small_files):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def write():
        with atomic_write(path) as part:
            part.write_bytes(bytes(2000))

    with pytest.raises(UserError, match=r'a\.txt cannot be written: File too large; raise the limit'):
        write()
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').touch()

    def write():
        with atomic_write(tmp_path / 'file/sub/a.txt'):
            pass

    with pytest.raises(UserError, match=r'file/sub/a\.txt cannot be written: .*; name another folder'):
        write()


@pytest.mark.parametrize('check', [check_folder, check_target])
def test_what_cannot_be_written_is_named_before(tmp_path, check):
    (tmp_path / 'file').touch()
    check(tmp_path / 'new/deep/a.json')
    assert os.listdir(tmp_path) == ['file']
    for path in (tmp_path / 'file/a.json', Path('/dev/null/a.json'), Path('/proc/a.json')):
        with pytest.raises(UserError, match=f'^{path} cannot be written: .*; name another folder'):
            check(path)
    with pytest.raises(UserError, match='choose a shorter name'):
        check(tmp_path / ('a' * 260))


@pytest.mark.parametrize('path', ['.', '/dev/null'])
def test_no_file_replaces_a_folder_or_a_device(path):
    for write in (check_target, lambda path: atomic_write(path).__enter__()):
        with pytest.raises(UserError, match=f'^{path} cannot be written: it is a folder, a pipe or a device'):
            write(path)


@pytest.mark.parametrize(
    ('name', 'is_ours'),
    [('work', True), ('work/run/log', True), ('.', True), ('elsewhere/a.jpg', False), ('workshop/a', False)],
)
def test_the_error_of_another_file_passes(tmp_path, name, is_ours):
    def fail():
        with writing(tmp_path / 'work'):
            raise PermissionError(13, 'Permission denied', str(tmp_path / name))

    expected = (UserError, 'work cannot be written: Permission denied') if is_ours else (OSError, name)
    with pytest.raises(expected[0], match=expected[1]):
        fail()


@pytest.mark.parametrize(('number', 'is_ours'), [(errno.ENOSPC, True), (errno.ENOENT, False)])
def test_an_error_without_a_name_is_of_a_file_if_only_writes_end_so(tmp_path, number, is_ours):
    with pytest.raises(UserError if is_ours else FileNotFoundError), writing(tmp_path):
        raise OSError(number, os.strerror(number))  # the latter from a socket, whose address was removed


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    code = """
import os, sys
from mmyolox.files import atomic_write
with atomic_write(sys.argv[1]) as part:
    part.write_text('half')
    os.kill(os.getpid(), 9)
"""
    for name in ('a.txt', 'b.txt'):
        subprocess.run([sys.executable, '-c', code, str(tmp_path / name)], check=False)
    assert len(os.listdir(tmp_path)) == 2
    alive = tmp_path / f'.a-{socket.gethostname()}-{os.getpid()}-0123abcd.part.txt'
    alive.touch()
    with atomic_write(tmp_path / 'a.txt') as part:
        part.write_text('whole')
    (left,) = {Path(name).name for name in os.listdir(tmp_path)} - {'a.txt', alive.name}
    assert left.startswith('.b-')


def test_a_folder_that_a_killed_process_left_goes_too(tmp_path):
    code = """
import os, sys
from mmyolox.files import folder_beside
with folder_beside(sys.argv[1]) as folder:
    (folder / 'half').touch()
    os.kill(os.getpid(), 9)
"""
    target = tmp_path / 'a.mlpackage'
    for write in (folder_beside, claim):
        subprocess.run([sys.executable, '-c', code, str(target)], check=False)
        (left,) = tmp_path.glob('.*.part.mlpackage')
        if write is claim:
            claim(tmp_path).close()
        else:
            with folder_beside(target) as folder:
                (folder / target.name).mkdir()
                (folder / target.name).rename(target)
        assert not left.exists()
    assert sorted(os.listdir(tmp_path)) == ['.lock', 'a.mlpackage']


def test_arrays_are_images_but_no_pictures(tmp_path):
    names = ['a.npy', 'b.PNG', 'c.txt']
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == names[:2]
    assert [path.name for path in list_images(tmp_path, PICTURE_SUFFIXES)] == names[1:2]


def test_images_in_linked_folders_are_listed_once(tmp_path):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere/a.jpg').touch()
    (tmp_path / 'elsewhere/above').symlink_to(tmp_path / 'set')
    (tmp_path / 'set/part').symlink_to(tmp_path / 'elsewhere')
    assert list_images(tmp_path / 'set') == [tmp_path / 'set/part/a.jpg']


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32-le'])
def test_lines_of_a_text_in_any_unicode(tmp_path, encoding):
    (tmp_path / 'a.txt').write_bytes(' Kätzchen \r\n\n\tb c\n'.encode(encoding))
    assert read_lines(tmp_path / 'a.txt') == ['Kätzchen', 'b c']


def test_a_text_that_is_no_unicode_names_the_files_that_are_called_so(tmp_path):
    (tmp_path / 'a.txt').write_bytes(b'\xff.jpg')
    assert os.fsencode(read_text(tmp_path / 'a.txt')) == b'\xff.jpg'


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('gone', path)])
def test_what_is_no_regular_file_is_not_read(tmp_path, make):
    path = tmp_path / 'a.txt'
    assert not is_special(path)
    make(path)
    assert is_special(path)
    with pytest.raises(UserError, match=r'a\.txt: not a regular file$'):
        read_text(path)


def test_a_text_that_is_absent(tmp_path):
    with pytest.raises(UserError, match=r'a\.txt: cannot be read \(No such file'):
        read_text(tmp_path / 'a.txt')


def test_a_relative_path_says_what_it_is_relative_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here('a/b.json') == f'a/b.json (relative to {tmp_path})'
    for path in (f'{tmp_path}/b.json', 's3://a/b.json'):
        assert from_here(path) == path

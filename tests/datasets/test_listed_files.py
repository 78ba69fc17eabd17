"""Whether files are there: told by listing folders, again only where their dates are others."""

import os
import re
import time

import pytest

from mmyolox.datasets import annotation_cache, listed_files
from mmyolox.datasets.listed_files import check_files_exist, list_folder
from mmyolox.errors import UserError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder of its own, which believes dates of the same moment."""
    monkeypatch.setenv('MMYOLOX_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(annotation_cache, 'TICK', 0)
    return tmp_path / 'home/annotations'


@pytest.fixture
def listed(monkeypatch):
    """The folders that were listed."""
    folders, entries = [], listed_files._entries
    monkeypatch.setattr(listed_files, '_entries', lambda folder: folders.append(folder) or entries(folder))
    return folders


@pytest.fixture
def files(tmp_path):
    """Three files in two folders, a moment ago."""
    paths = [f'{tmp_path}/images/{name}' for name in ('a/1.jpg', 'b/1.jpg', 'a/Hündin 2.jpg')]
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb'):
            pass
    wait()
    return paths


def wait():
    """Until what is changed has another date than what was changed before."""
    time.sleep(0.03)


def check(tmp_path, paths, name='folders-1'):
    check_files_exist('f', 'images', f'{tmp_path}/images', paths, name)


def test_files_are_looked_for_in_subfolders(tmp_path):
    for name in ('a.jpg', 'sub/b.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)
    check_files_exist('f', 'images', root, [f'{root}/a.jpg', f'{root}/sub/b.jpg', f'{root}/sub/../a.jpg'])
    absent = [f'{root}/a.jpg'] + [f'{root}/{folder}/{i}.jpg' for folder in ('sub', 'none') for i in range(2)]
    with pytest.raises(UserError) as error:
        check_files_exist('f', 'images', root, absent)
    assert str(error.value) == (f'f: 4 of 5 images are not in {root}: sub/0.jpg, sub/1.jpg, none/0.jpg, ...')


@pytest.mark.parametrize(
    ('name', 'end'),
    [
        ('/home/j/0.jpg', ': /home/j/0.jpg; 0.jpg is in {} itself: leave the folders out of the names'),
        ('sub/0.jpg', ': sub/0.jpg; 0.jpg is in {} itself: leave the folders out of the names'),
        ('/home/j/1.jpg', ': /home/j/1.jpg'),
        ('../1.jpg', ': ../1.jpg'),
    ],
)
def test_names_with_the_folders_of_another_computer(tmp_path, name, end):
    folder = tmp_path / 'images'
    folder.mkdir()
    (folder / '0.jpg').touch()
    path = name if name.startswith('/') else os.path.relpath(folder / name)
    with pytest.raises(UserError) as error:
        check_files_exist('f', 'images', os.path.relpath(folder), [path])
    assert str(error.value).endswith(end.format(os.path.relpath(folder)))


def test_a_file_system_that_lists_names_otherwise_has_the_last_word(tmp_path, home, listed, monkeypatch):
    (tmp_path / 'a.jpg').touch()
    monkeypatch.setattr(listed_files, '_entries', lambda folder: iter(()))
    for _ in range(2):
        check_files_exist('f', 'images', str(tmp_path), [f'{tmp_path}/a.jpg'], 'folders-1')
    assert not home.exists()


def test_links_to_nothing_and_to_themselves_are_absent(tmp_path):
    for name, target in (('here.jpg', 'a.jpg'), ('loop.jpg', 'loop.jpg'), ('broken.jpg', 'none')):
        (tmp_path / name).symlink_to(target)
    (tmp_path / 'a.jpg').touch()
    check_files_exist('f', 'images', str(tmp_path), [str(tmp_path / name) for name in ('a.jpg', 'here.jpg')])
    paths = [str(tmp_path / name) for name in ('a.jpg', 'loop.jpg', 'broken.jpg')]
    with pytest.raises(UserError, match=r'2 of 3 images are not in .*: loop\.jpg, broken\.jpg$'):
        check_files_exist('f', 'images', str(tmp_path), paths)


def test_absent_folder(tmp_path):
    with pytest.raises(UserError, match=r'none, the folder of the images, not found.*data_root'):
        check_files_exist('f', 'images', str(tmp_path / 'none'), [])


def test_what_is_no_file_is_absent(tmp_path, files):
    os.remove(files[0])
    os.mkdir(files[0])
    with pytest.raises(UserError, match=r'1 of 3 images are not in .*: a/1\.jpg$'):
        check(tmp_path, files)
    assert list_folder(f'{tmp_path}/images/a') == {'Hündin 2.jpg'}
    assert list_folder(f'{tmp_path}/none') == set()


def test_many_files_of_one_folder(tmp_path, files, monkeypatch):
    monkeypatch.setattr(listed_files, '_BLOCK', 2)
    check(tmp_path, files * 2)
    more = [f'{tmp_path}/images/a/{number}.jpg' for number in range(3, 8)]
    for path in more[1:]:
        os.link(files[0], path)
    with pytest.raises(UserError, match=r'1 of 8 images are not in .*: a/3\.jpg$'):
        check(tmp_path, files + more)


def test_folders_of_the_same_dates_are_not_listed_again(tmp_path, home, listed, files):
    for _ in range(2):
        check(tmp_path, files)
        assert sorted(listed) == [f'{tmp_path}/images/{name}/' for name in 'ab']
    check(tmp_path, files, 'folders-2')
    check(tmp_path, files, None)
    assert len(listed) == 6


def remove(path):
    os.remove(path)


def rename(path):
    os.rename(path, f'{path}.old')


def replace_folder(path):
    folder = os.path.dirname(path)
    os.rename(folder, f'{folder}.old')
    os.mkdir(folder)
    status = os.stat(f'{folder}.old')
    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize('change', [remove, rename, replace_folder])
def test_a_folder_that_lost_a_file_is_listed(tmp_path, home, files, change):
    check(tmp_path, files)
    wait()
    folder = os.path.dirname(files[1])
    status = os.stat(folder)
    change(files[1])
    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))  # the other date tells
    for _ in range(2):
        with pytest.raises(UserError, match=r'1 of 3 images are not in .*: b/1\.jpg$'):
            check(tmp_path, files)


def test_links_are_followed_each_time(tmp_path, home, files):
    os.rename(files[0], f'{tmp_path}/target.jpg')
    os.symlink(f'{tmp_path}/target.jpg', files[0])
    wait()
    check(tmp_path, files)
    os.remove(f'{tmp_path}/target.jpg')
    with pytest.raises(UserError, match=r'1 of 3 images are not in .*: a/1\.jpg$'):
        check(tmp_path, files)


def test_what_was_just_changed_is_listed_again(tmp_path, home, listed, files, monkeypatch):
    monkeypatch.setattr(annotation_cache, 'TICK', 10**12)
    for _ in range(2):
        check(tmp_path, files)
    assert len(listed) == 4
    assert not home.exists()


@pytest.mark.parametrize(('name', 'there'), [('A.JPG', 'a.jpg'), ('u\u0308.jpg', '\u00fc.jpg')])
def test_a_name_that_is_nearly_the_same_is_told(tmp_path, name, there):
    (tmp_path / there).touch()
    if os.path.isfile(tmp_path / name):
        pytest.skip('this file system takes them for the same')
    with pytest.raises(UserError, match='there is ' + re.escape(ascii(there)) + ', of other upper and lower'):
        check_files_exist('a.json', 'images', str(tmp_path), [f'{tmp_path}/{name}'])

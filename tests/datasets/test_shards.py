"""Members of tar files: found by an index or a scan, read alone or with neighbours; damage is named."""

import io
import os
import subprocess
import tarfile

import numpy as np
import pytest

from mmyolox.datasets import shards
from mmyolox.datasets.canvas.images import UndecodableImageError, read_file, read_image, read_image_header
from mmyolox.datasets.shards import (
    Member,
    Shard,
    format_index,
    index_path,
    parse_index,
    scan_shard,
    split_shard,
)

COUNT = 5


def write_tar(path, files, form=tarfile.PAX_FORMAT):
    with tarfile.open(path, 'w', format=form) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def files():
    """Contents of images and their JSON files, of other lengths each."""
    rng = np.random.default_rng(0)
    names = [f'{number}.{suffix}' for number in range(COUNT) for suffix in ('jpg', 'json')]
    return {name: rng.bytes(int(size)) for name, size in zip(names, rng.integers(1, 2000, 10), strict=True)}


@pytest.fixture
def shard(tmp_path, files):
    path = tmp_path / 'a-000000.tar'
    write_tar(path, files)
    return path


def write_index(shard):
    members, _ = scan_shard(str(shard))
    with open(index_path(str(shard)), 'w') as file:
        file.write(format_index(members))
    return members


@pytest.fixture(autouse=True)
def forget():
    """Shards of the same path are another file in each test."""
    shards._opened.cache_clear()


@pytest.mark.parametrize(
    ('path', 'place'),
    [
        ('images/a.jpg', None),
        ('images/a.tar', None),
        ('a.tar/b.jpg', ('a.tar', 'b.jpg')),
        ('s3://bucket/a.tar/b/c.jpg', ('s3://bucket/a.tar', 'b/c.jpg')),
        ('a.tar/b.tar/c.jpg', ('a.tar', 'b.tar/c.jpg')),
    ],
)
def test_paths_name_members(path, place):
    assert split_shard(path) == place


def test_a_folder_may_be_called_like_a_shard(tmp_path):
    (tmp_path / 'a.tar').mkdir()
    (tmp_path / 'a.tar/b.jpg').write_bytes(b'content')
    assert read_file(f'{tmp_path}/a.tar/b.jpg') == b'content'
    assert split_shard(f'{tmp_path}/a.tar/c.tar/d.tar/e.jpg') == (f'{tmp_path}/a.tar/c.tar', 'd.tar/e.jpg')


@pytest.mark.parametrize('form', [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize('with_index', [False, True])
def test_members_are_what_tarfile_reads(tmp_path, files, form, with_index):
    path = tmp_path / 'a.tar'
    long = {f'{"x" * 60}/{"y" * 60}.jpg': b'long'}
    other = {} if form == tarfile.USTAR_FORMAT else {'bäume.jpg': b'other'}
    write_tar(path, files | long | other, form)
    if with_index:
        write_index(path)
    with tarfile.open(path) as tar:
        expected = {info.name: tar.extractfile(info).read() for info in tar}
    assert {name: read_file(f'{path}/{name}') for name in expected} == expected == files | long | other


def test_index_is_that_of_dali(shard, files):
    # NVIDIA DALI, tools/wds2idx.py: "v1.2 SAMPLES", then "suffix offset size name" of each member.
    members, faults = scan_shard(str(shard))
    assert not faults
    first, *lines = format_index(members).splitlines()
    assert first == f'v1.2 {COUNT}'
    content = shard.read_bytes()
    for number, line in enumerate(lines):
        words = line.split(' ')
        assert [words[0], words[3], words[4], words[7]] == ['jpg', f'{number}.jpg', 'json', f'{number}.json']
        start, size = int(words[1]), int(words[2])
        assert content[start : start + size] == files[f'{number}.jpg']
    assert parse_index(format_index(members)) == members


@pytest.mark.parametrize(
    'text',
    ['', 'v1.1 1\njpg 512 1 a.jpg\n', 'v1.2 2\njpg 512 1 a.jpg\n', 'v1.2 1\njpg 512 1\n', 'v1.2 1\nx y z\n'],
)
def test_a_damaged_index_is_an_error(text, shard):
    (shard.parent / 'a-000000.idx').write_text(text)
    with pytest.raises(
        UndecodableImageError, match=r'a-000000.tar/0.jpg \(the index .*a-000000.idx is damaged'
    ):
        read_file(f'{shard}/0.jpg')


@pytest.mark.parametrize(
    ('offset', 'size'), [(512, 2**30), (512, 10**20), (10**20, 5), (-5, 5), (0, 5), (512, -3)]
)
def test_an_index_that_says_what_no_shard_has(shard, offset, size):
    (shard.parent / 'a-000000.idx').write_text(f'v1.2 1\njpg {offset} {size} 0.jpg\n')
    with pytest.raises(UndecodableImageError, match=rf'0.jpg \(it has {size} bytes at byte {offset}'):
        read_file(f'{shard}/0.jpg')


def test_the_index_of_another_shard_is_noticed(shard, files):
    write_index(shard)
    write_tar(shard, dict(sorted(files.items(), reverse=True)))
    with pytest.raises(UndecodableImageError, match=r'damaged|another file'):
        read_file(f'{shard}/0.jpg')
    # Of the same sizes, by the name.
    write_tar(shard, {'0.jpg': b'12', '1.jpg': b'34'})
    write_index(shard)
    write_tar(shard, {'1.jpg': b'34', '0.jpg': b'12'})
    shards._opened.cache_clear()
    with pytest.raises(UndecodableImageError, match=r'0.jpg .*the index is of another file'):
        read_file(f'{shard}/0.jpg')


@pytest.mark.parametrize('with_index', [False, True])
def test_a_shard_that_breaks_off(shard, files, with_index):
    members = write_index(shard)
    if not with_index:
        os.remove(index_path(str(shard)))
    with shard.open('rb+') as file:
        file.truncate(members['3.jpg'].offset + 1)
    for number in range(3):
        assert read_file(f'{shard}/{number}.jpg') == files[f'{number}.jpg']
    with pytest.raises(UndecodableImageError, match=r'a-000000.tar/3.jpg \(the shard breaks off'):
        read_file(f'{shard}/3.jpg')
    reason = 'breaks off' if with_index else 'no such member'
    with pytest.raises(UndecodableImageError, match=rf'a-000000.tar/4.jpg \(the shard .*{reason}'):
        read_file(f'{shard}/4.jpg')


@pytest.mark.parametrize('with_index', [False, True])
@pytest.mark.parametrize('field', [0, 124, 148], ids=['name', 'size', 'checksum'])
def test_a_bit_flips_in_a_header(shard, files, with_index, field):
    members = write_index(shard)
    if not with_index:
        os.remove(index_path(str(shard)))
    content = bytearray(shard.read_bytes())
    content[members['2.jpg'].offset - 512 + field] ^= 4
    shard.write_bytes(content)
    for number in (0, 1, 3, 4):
        assert read_file(f'{shard}/{number}.jpg') == files[f'{number}.jpg']
    reason = 'its header in the shard is damaged' if with_index else 'no such member'
    with pytest.raises(UndecodableImageError, match=rf'a-000000.tar/2.jpg \(.*{reason}'):
        read_file(f'{shard}/2.jpg')
    assert scan_shard(str(shard))[1] == [f'a header is damaged at byte {members["2.jpg"].offset - 512}']


@pytest.mark.parametrize('content', [b'', b'no tar file', bytes(10240), b'\xff\xd8' * 5000])
def test_what_is_no_tar_file(tmp_path, content):
    (tmp_path / 'a.tar').write_bytes(content)
    with pytest.raises(UndecodableImageError, match=r'a.tar/b.jpg \(no tar file'):
        read_file(f'{tmp_path}/a.tar/b.jpg')


def test_absent_shards_and_members(tmp_path, shard):
    with pytest.raises(UndecodableImageError, match=r'b.tar/0.jpg \(No such file'):
        read_file(f'{tmp_path}/b.tar/0.jpg')
    with pytest.raises(UndecodableImageError, match='the shard has no such member'):
        read_file(f'{shard}/9.jpg')


def test_gnu_tar_writes_what_we_read(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(['tar', '-cf', 'b.tar', *files], cwd=tmp_path, check=True)
    assert {name: read_file(f'{tmp_path}/b.tar/{name}') for name in files} == files


class Store:
    """A shard elsewhere that counts what is read of it."""

    def __init__(self, content):
        self.content = content
        self.reads = []

    def read(self, offset, size):
        self.reads.append((offset, size))
        return self.content[offset : offset + size]


def open_store(count, size=100, **options):
    files = {f'{number}.jpg': bytes([number % 256]) * size for number in range(count)}
    buffer, members = io.BytesIO(), {}
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            members[name] = Member(tar.offset - 512 * -(-size // 512), size)
    store = Store(buffer.getvalue())
    return files, store, Shard(members, store.read, store.read)


def test_neighbours_are_read_in_one_go():
    files, store, shard = open_store(130)
    order = np.random.default_rng(0).permutation(64).tolist()
    assert [shard.read(f'{number}.jpg') for number in order] == [files[f'{number}.jpg'] for number in order]
    assert store.reads == [(1024 * order[0], 612), (0, 63 * 1024 + 612)]
    store.reads.clear()
    assert [shard.read(f'{number}.jpg') for number in (64, 128, 129, 65)] == [
        files[f'{number}.jpg'] for number in (64, 128, 129, 65)
    ]
    assert store.reads == [
        (64 * 1024, 612),
        (128 * 1024, 612),
        (128 * 1024, 1636),
        (64 * 1024, 63 * 1024 + 612),
    ]


def test_single_images_take_no_neighbours():
    _, store, shard = open_store(64 * 100)
    for unit in range(100):
        shard.read(f'{unit * 64 + unit % 64}.jpg')
    assert {size for _, size in store.reads} == {612}


def test_what_is_read_ahead_is_bounded(monkeypatch):
    monkeypatch.setattr(shards, '_MOST_BYTES', 150_000)  # two units, and not three
    monkeypatch.setattr(shards, '_UNITS', shards._Units())
    _, store, shard = open_store(64 * 3)
    for number in (0, 1, 64, 65, 128, 129):
        shard.read(f'{number}.jpg')
    assert shards._UNITS._num_bytes() == 2 * (63 * 1024 + 612)
    store.reads.clear()
    shard.read('66.jpg')
    assert not store.reads
    shard.read('2.jpg')
    assert store.reads == [(2 * 1024, 612)]


def test_large_images_are_read_alone(monkeypatch):
    monkeypatch.setattr(shards, '_LONGEST_UNIT', 60_000)
    _, store, shard = open_store(64)
    for number in range(3):
        shard.read(f'{number}.jpg')
    assert [size for _, size in store.reads] == [612] * 3


def test_local_neighbours_are_announced_to_the_system(shard, files, monkeypatch):
    calls = []
    monkeypatch.setattr(os, 'posix_fadvise', lambda *args: calls.append(args[1:]))
    members, _ = scan_shard(str(shard))
    for number in range(COUNT):
        read_file(f'{shard}/{number}.jpg')
    assert calls[0] == (0, members['4.jpg'].offset + len(files['4.jpg']), os.POSIX_FADV_WILLNEED)


def test_images_of_shards_are_read_as_files(tmp_path):
    import cv2

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    write_tar(tmp_path / 'a.tar', {'b.png': cv2.imencode('.png', pixels)[1].tobytes()})
    assert np.array_equal(read_image(f'{tmp_path}/a.tar/b.png'), pixels)
    assert read_image_header(f'{tmp_path}/a.tar/b.png').size == (30, 20)


def test_workers_that_are_forked_read_at_the_same_time(shard, files):
    read_file(f'{shard}/0.jpg')  # opened before
    readers = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            names = [f'{number % COUNT}.jpg' for number in range(200)]
            os._exit(any(read_file(f'{shard}/{name}') != files[name] for name in names))
        readers.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in readers] == [0] * 4

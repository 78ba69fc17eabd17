"""Objects are read, again where a request fails, and within bounds; what is wrong is said in a line."""

import os
import re
import time
from pathlib import Path

import pytest
from mmengine.fileio import get, get_local_path, get_text

from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.datasets.canvas.images import UndecodableImageError, read_file
from mmyolox.datasets.object_storage import S3Backend
from mmyolox.datasets.shards import Member, format_index
from mmyolox.errors import UserError
from tests.datasets.small_sets import write_coco
from tests.datasets.storage import BUCKET, VARIABLES, FailingServer, client, storage, upload
from tests.datasets.test_shards import write_tar


@pytest.fixture(scope='module')
def address():
    with storage() as address:
        client(address).put_object(Bucket=BUCKET, Key='folder/a.txt', Body='täxt'.encode())
        yield address


@pytest.fixture(autouse=True)
def environment(monkeypatch, address):
    for name, value in dict(VARIABLES, AWS_ENDPOINT_URL=address).items():
        monkeypatch.setenv(name, value)
    # Backends are kept by MMEngine, with the client of their first address.
    monkeypatch.setattr('mmengine.fileio.io.backend_instances', {})


@pytest.fixture
def failing(monkeypatch):
    server = FailingServer()
    monkeypatch.setenv('AWS_ENDPOINT_URL', server.address)
    yield server
    server.shutdown()
    server.server_close()


def test_objects_are_read_by_their_paths():
    path = f's3://{BUCKET}/folder/a.txt'
    assert get(path) == get(path, backend_args=dict(backend='s3', attempts=2)) == 'täxt'.encode()
    assert get_text(path) == 'täxt'
    with get_local_path(path) as copy:
        assert os.path.basename(copy) == 'a.txt'
        assert Path(copy).read_bytes() == 'täxt'.encode()
    assert not os.path.exists(copy)
    assert read_file(path) == 'täxt'.encode()


@pytest.mark.parametrize(
    ('offset', 'size', 'expected'), [(0, 5, b't\xc3\xa4xt'), (1, 2, b'\xc3\xa4'), (4, 9, b't'), (5, 1, b'')]
)
def test_parts_of_objects(offset, size, expected):
    assert S3Backend().get_range(f's3://{BUCKET}/folder/a.txt', offset, size) == expected


def test_what_is_absent_is_not_asked_for_again(failing):
    failing.script = ['404 NoSuchKey']
    with pytest.raises(FileNotFoundError, match='there is no such object'):
        S3Backend().get(f's3://{BUCKET}/b.txt')
    assert failing.requests == 1
    with pytest.raises(UndecodableImageError, match=r's3://data/b.jpg \(there is no such object\)'):
        read_file(f's3://{BUCKET}/b.jpg')


@pytest.mark.parametrize('word', ['503 SlowDown', '500 InternalError', '400 RequestTimeout', 'cut', 'stall'])
def test_failures_that_pass_are_passed_over(failing, word):
    failing.script = [word, word, 'ok']
    assert S3Backend(attempts=3, timeout=0.2).get(f's3://{BUCKET}/a') == b'content'
    assert failing.requests == 3


@pytest.mark.parametrize(
    ('word', 'reason'),
    [
        ('503 SlowDown', 'told to say SlowDown'),
        ('cut', '3 read, but total bytes expected is 7'),
        ('stall', 'Read timeout|Connection was closed'),
    ],
)
def test_attempts_are_counted(failing, word, reason):
    failing.script = [word]
    with pytest.raises(OSError, match=f'2 attempts failed, at last: .*({reason})'):
        S3Backend(attempts=2, timeout=0.2).get(f's3://{BUCKET}/a')
    assert failing.requests == 2


def test_time_is_bounded(failing):
    failing.script = ['stall']
    began = time.monotonic()
    with pytest.raises(OSError, match=r'\d attempts failed, at last'):
        S3Backend(attempts=8, seconds=1, timeout=0.1).get(f's3://{BUCKET}/a')
    assert failing.requests < 5
    assert time.monotonic() - began < 10  # 8 attempts would take 18 s


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    with pytest.raises(UndecodableImageError, match=r'a.jpg \(2 attempts failed, at last: Could not connect'):
        read_file(f's3://{BUCKET}/a.jpg', dict(backend='s3', attempts=2))


def test_a_storage_that_is_gone_ends_a_training(failing):
    failing.script = ['503 SlowDown', '503 SlowDown', 'ok', '503 SlowDown']
    backend = S3Backend(attempts=1, max_failures=3)
    for _ in range(2):
        with pytest.raises(OSError, match='1 attempt failed'):
            backend.get(f's3://{BUCKET}/a')
    backend.get(f's3://{BUCKET}/a')
    for _ in range(2):
        with pytest.raises(OSError, match='1 attempt failed'):
            backend.get(f's3://{BUCKET}/a')
    with pytest.raises(UserError, match=r's3://data/a: 3 objects in a row could not be read .* by --resume'):
        backend.get(f's3://{BUCKET}/a')


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('404 NoSuchBucket', 's3://data/a: there is no bucket data at http://127.0.0.1'),
        (
            '403 InvalidAccessKeyId',
            r'does not take the credentials \(InvalidAccessKeyId\); set AWS_ACCESS_KEY_ID',
        ),
        ('403 SignatureDoesNotMatch', r'\(SignatureDoesNotMatch\); set AWS_SECRET_ACCESS_KEY'),
        ('400 ExpiredToken', r'\(ExpiredToken\); set AWS_SESSION_TOKEN'),
    ],
)
def test_mistakes_are_said_at_once(failing, word, message):
    failing.script = [word]
    with pytest.raises(UserError, match=message):
        S3Backend().get(f's3://{BUCKET}/a')
    assert failing.requests == 1


def test_what_may_not_be_read_is_an_error_of_the_file(failing):
    failing.script = ['403 AccessDenied']
    with pytest.raises(UndecodableImageError, match=r'a.jpg \(told to say AccessDenied\)'):
        read_file(f's3://{BUCKET}/a.jpg')


def test_no_credentials(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name)
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(UserError, match=r's3://data/a: .*credentials; set AWS_ACCESS_KEY_ID and'):
        S3Backend().get(f's3://{BUCKET}/a')


@pytest.mark.parametrize('path', ['s3://', 's3://bucket', 's3://bucket/', 's3://a b/c'])
def test_paths_of_no_object(path):
    with pytest.raises(UserError, match=re.escape(path)):
        S3Backend().get(path)


def test_an_endpoint_that_is_none(monkeypatch):
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'storage')
    with pytest.raises(UserError, match='s3://data/a: Invalid endpoint: storage'):
        S3Backend().get(f's3://{BUCKET}/a')


@pytest.mark.parametrize('name', ['attempts', 'seconds', 'timeout', 'max_failures'])
@pytest.mark.parametrize('value', [0, -1, 'many'])
def test_bounds_that_are_none(name, value):
    with pytest.raises(UserError, match=f'{name}={value!r} must be a number above 0'):
        S3Backend(**{name: value})


def test_boto3_is_named_where_it_is_absent(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'boto3', None)
    with pytest.raises(
        UserError, match=r's3://data/a: boto3 is needed to read it: pip install "mmyolox\[s3\]"'
    ):
        S3Backend().get(f's3://{BUCKET}/a')


def test_forked_workers_have_connections_of_their_own():
    backend = S3Backend()
    path = f's3://{BUCKET}/folder/a.txt'
    expected = backend.get(path)
    workers = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            os._exit(any(backend.get(path) != expected for _ in range(20)))
        workers.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in workers] == [0] * 3


def test_members_of_shards_are_ranges_of_objects(address, tmp_path):
    files = {f'{number}.jpg': bytes([number]) * (number + 1) for number in range(5)}
    write_tar(tmp_path / 'a.tar', files)
    places = {f'{number}.jpg': Member(512 + 1024 * number, number + 1) for number in range(5)}
    (tmp_path / 'a.idx').write_text(format_index(places))
    upload(address, tmp_path, 'members/')
    shard = f's3://{BUCKET}/members/a.tar'
    assert {name: read_file(f'{shard}/{name}') for name in files} == files
    with pytest.raises(UndecodableImageError, match=r'a.tar/9.jpg \(the shard has no such member'):
        read_file(f'{shard}/9.jpg')
    with pytest.raises(UndecodableImageError, match=r'b.tar/9.jpg \(there is no such object'):
        read_file(f's3://{BUCKET}/members/b.tar/9.jpg')


def open_set(**options):
    options = dict(data_root=f's3://{BUCKET}/set', data_prefix=dict(img='images/'), pipeline=[]) | options
    return YOLOXCocoDataset(ann_file='ann.json', **options)


def test_a_data_set(address, tmp_path):
    upload(address, write_coco(tmp_path, 5), 'set/')
    dataset = open_set()
    assert len(dataset) == 5
    path = dataset[2]['img_path']
    assert path == f's3://{BUCKET}/set/images/2.png'
    assert read_file(path) == (tmp_path / 'images/2.png').read_bytes()
    with pytest.raises(
        UserError, match=r'pictures/0.png, the first of 5 images, cannot be read \(there is no such'
    ):
        open_set(data_prefix=dict(img='pictures/'))
    with pytest.raises(UserError, match=r'annotation file s3://data/nowhere/ann.json not found'):
        open_set(data_root=f's3://{BUCKET}/nowhere')
    with pytest.raises(UserError, match='there is no bucket other'):
        open_set(data_root='s3://other/set')


def test_a_data_set_of_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    with pytest.raises(
        UserError, match=r'ann.json cannot be read \(1 attempt failed, at last: Could not connect'
    ):
        open_set(backend_args=dict(backend='s3', attempts=1))

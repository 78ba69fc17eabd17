"""Files of the web are there whole or not at all."""

import errno
import hashlib
import multiprocessing
import os
import random
import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from mmyolox.checkpoints import download as module
from mmyolox.checkpoints.download import download
from mmyolox.errors import UserError

from .web import serving

CONTENT = random.Random(0).randbytes(1000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = '/some folder/wéights.pth'
QUOTED = '/some%20folder/w%C3%A9ights.pth'


@pytest.fixture
def web():
    with serving() as server:
        server.files[QUOTED] = CONTENT
        yield server


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A place that the files of a download alone lie beside; no proxy stands before the server."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setattr(module, '_BLOCK', 100)
    return tmp_path / 'a b' / 'wéights.pth'


def left(target: Path) -> set[str]:
    """The files beside a target that are of use to somebody."""
    return {path.name for path in target.parent.iterdir() if path.suffix != '.lock'}


def ranges(web) -> list[str | None]:
    return [wanted for _, wanted in web.asked]


@pytest.mark.parametrize('sha256', ['', SHA256[:8], SHA256])
@pytest.mark.parametrize('has_lengths', [True, False])
def test_a_file_is_downloaded_once(web, target, sha256, has_lengths):
    web.has_lengths = has_lengths
    for _ in range(2):
        download(web.address + PATH, target, sha256)
    assert target.read_bytes() == CONTENT
    assert left(target) == {target.name}
    assert web.asked == [(QUOTED, None)]


def test_a_cut_connection_is_followed_by_another_that_goes_on(web, target):
    web.cuts = [300, 250, None]
    download(web.address + PATH, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == [None, 'bytes=300-', 'bytes=550-']


def test_a_server_without_ranges_starts_anew(web, target):
    web.cuts, web.has_ranges = [300, None], False
    download(web.address + PATH, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == [None, 'bytes=300-']


@pytest.fixture
def interrupted(web, target):
    """A first call that got 300 bytes."""
    web.cuts = [300, 0]
    kept = ', '.join(('after 300 of 1000 bytes', 'with which another try goes on'))
    with pytest.raises(UserError, match=rf'{web.address}.* cannot be downloaded \(.* broke off {kept}\)'):
        download(web.address + PATH, target)
    assert left(target) == {f'.{target.name}.part', f'.{target.name}.json'}
    web.asked.clear()


@pytest.mark.parametrize('is_brief', [True, False])
@pytest.mark.usefixtures('interrupted')
def test_the_next_call_goes_on(web, target, is_brief):
    web.is_brief, web.cuts = is_brief, [250, None]
    download(web.address + PATH, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == ['bytes=300-', 'bytes=550-']


@pytest.mark.usefixtures('interrupted')
def test_a_rest_without_a_length_must_fill_the_file(web, target):
    web.has_lengths, web.cuts = False, [200, None]
    download(web.address + PATH, target)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == ['bytes=300-', 'bytes=500-']


@pytest.mark.parametrize(
    ('content', 'tag', 'asked'),
    [
        (CONTENT[::-1], '"2"', ['bytes=300-']),
        (CONTENT[:700], '"1"', ['bytes=300-', None]),  # another length, though the tag says otherwise
        (CONTENT[:200], '"1"', ['bytes=300-', None]),  # shorter than what we have
    ],
    ids=['tag', 'length', 'shorter'],
)
@pytest.mark.usefixtures('interrupted')
def test_another_file_by_now_starts_anew(web, target, content, tag, asked):
    web.files[QUOTED], web.validators = content, {'ETag': tag}
    download(web.address + PATH, target)
    assert target.read_bytes() == content
    assert ranges(web) == asked


@pytest.mark.parametrize('validators', [{'ETag': 'W/"1"'}, {}], ids=['weak', 'none'])
def test_what_cannot_be_told_from_another_file_starts_anew(web, target, validators):
    web.validators, web.cuts = validators, [300, None]
    download(web.address + PATH, target)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == [None, None]


@pytest.mark.usefixtures('interrupted')
def test_a_date_tells_files_apart_as_well(web, target):
    target.with_name(f'.{target.name}.part').unlink()
    web.validators = {'ETag': 'W/"1"', 'Last-Modified': 'Sun, 29 Nov 2026 12:00:00 GMT'}
    web.cuts = [400, None]
    download(web.address + PATH, target)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == [None, 'bytes=400-']


@pytest.mark.usefixtures('interrupted')
def test_a_file_of_which_only_the_renaming_is_missing_is_not_asked_for(web, target):
    target.with_name(f'.{target.name}.part').write_bytes(CONTENT)
    download(web.address + PATH, target, SHA256)
    assert target.read_bytes() == CONTENT
    assert web.asked == []


@pytest.mark.usefixtures('interrupted')
def test_another_server_starts_anew(web, target):
    web.files['/mirror.pth'] = CONTENT
    download(f'{web.address}/mirror.pth', target, SHA256)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == [None]


@pytest.mark.parametrize('note', ['', '{"url": "htt', '[1, 2]', '{}', '{"url": "h", "validator": "x"}'])
@pytest.mark.usefixtures('interrupted')
def test_a_note_that_was_not_finished_starts_anew(web, target, note):
    target.with_name(f'.{target.name}.json').write_text(note)
    download(web.address + PATH, target)
    assert ranges(web) == [None]
    assert target.read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_removed_and_told(web, target):
    message = rf'its SHA-256 begins with {SHA256[:8]}, not with 0123abcd: it is damaged or another file, and'
    with pytest.raises(UserError, match=message):
        download(web.address + PATH, target, '0123abcd')
    assert f'.{target.name}.part' not in left(target)
    assert not target.exists()
    download(web.address + PATH, target, SHA256)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize('status', [404, 403, 500, 503])
def test_a_refusal_names_the_address_and_the_place(web, target, status):
    web.statuses[QUOTED] = status
    with pytest.raises(UserError) as info:
        download(web.address + PATH, target)
    start = f'{web.address}{PATH} cannot be downloaded (HTTP Error {status}: '
    assert str(info.value).startswith(start)
    assert str(info.value).endswith(f'); download it by other means and put it at {target}')
    assert left(target) == set()


@pytest.mark.parametrize(
    ('content', 'headers', 'reason'),
    [
        (b'', {}, 'the answer is empty'),
        (CONTENT, {'Content-Encoding': 'gzip'}, r'the answer is encoded \(gzip\)'),
        (CONTENT, {'Content-Length': 'abc'}, "the answer has the length 'abc'"),
        (CONTENT, {'Content-Length': '-5'}, "the answer has the length '-5'"),
    ],
)
def test_an_answer_that_is_no_file_is_told_and_the_next_call_starts_anew(
    web, target, content, headers, reason
):
    web.files[QUOTED], web.headers, web.has_lengths = content, headers, 'Content-Length' not in headers
    with pytest.raises(UserError, match=rf'cannot be downloaded \({reason}'):
        download(web.address + PATH, target)
    assert not target.exists()
    web.files[QUOTED], web.headers = CONTENT, {}
    download(web.address + PATH, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.usefixtures('interrupted')
def test_a_rest_that_is_too_long_starts_anew(web, target):
    web.surplus = b'zz'
    download(web.address + PATH, target)
    assert target.read_bytes() == CONTENT
    assert ranges(web) == ['bytes=300-', None]


def test_a_part_that_was_not_asked_for_is_no_file(web, target):
    web.status = 206
    with pytest.raises(UserError, match='the answer is a part of the file, and all of it was asked for'):
        download(web.address + PATH, target)
    assert left(target) == set()


@pytest.mark.parametrize('kind', ['text/html; charset=utf-8', 'application/xhtml+xml'])
def test_a_page_of_a_login_is_no_file(web, target, kind):
    web.content_type = kind
    with pytest.raises(UserError, match='the answer is a web page, perhaps of a proxy that wants a login'):
        download(web.address + PATH, target)
    assert left(target) == set()


def test_a_server_that_falls_silent_is_given_up(web, target, monkeypatch):
    monkeypatch.setattr(module, '_SILENCE', 0.05)
    web.hold.clear()
    with pytest.raises(UserError, match=r'cannot be downloaded \(.*timed out.*\)'):
        download(web.address + PATH, target)
    assert not target.exists()


@pytest.mark.parametrize(
    ('url', 'reason'),
    [
        ('http://127.0.0.1:{port}/a.pth', r'\[Errno 111\] Connection refused'),
        ('http://host.invalid/a.pth', 'Name or service|name resolution|No address'),
        ('http://' + 'a' * 70 + '/a.pth', 'label'),
        ('file:///absent/a.pth', 'No such file or directory'),
    ],
    ids=['nobody there', 'no name', 'no host', 'no file'],
)
def test_what_is_not_reached_is_told(target, monkeypatch, url, reason):
    monkeypatch.setenv('no_proxy', '*')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        url = url.format(port=free.getsockname()[1])
        with pytest.raises(UserError, match=rf'cannot be downloaded \(.*({reason})'):
            download(url, target)


def test_redirections_are_followed_also_to_go_on(web, target):
    web.moved['/here'] = f'{web.address}{QUOTED}'
    web.cuts = [300, None]
    download(f'{web.address}/here', target, SHA256)
    assert target.read_bytes() == CONTENT
    assert web.asked == [('/here', None), (QUOTED, None), ('/here', 'bytes=300-'), (QUOTED, 'bytes=300-')]


def test_the_proxy_of_the_environment_is_asked(web, target, monkeypatch):
    monkeypatch.setattr(urllib.request, '_opener', None)  # it keeps the proxies of the first call
    monkeypatch.setenv('no_proxy', '')
    monkeypatch.setenv('http_proxy', web.address)
    web.files['http://host.invalid/a.pth'] = CONTENT
    download('http://host.invalid/a.pth', target)
    assert target.read_bytes() == CONTENT


def test_a_shared_folder_is_an_address_too(tmp_path, target):
    (tmp_path / 'a.pth').write_bytes(CONTENT)
    download(f'file://{tmp_path}/a.pth', target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_told(web, tmp_path):
    (tmp_path / 'cache').touch()
    url = web.address + PATH
    with pytest.raises(UserError) as info:
        download(url, tmp_path / 'cache' / 'a.pth')
    assert str(info.value) == (
        f'{tmp_path}/cache cannot be written: File exists; name another folder; or name another cache by '
        f'MMYOLOX_HOME, or download {url} yourself and give its path'
    )


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='a device that is always full')
def test_a_full_disk_is_told(web, target):
    target.parent.mkdir()
    target.with_name(f'.{target.name}.part').symlink_to('/dev/full')
    message = (
        f'cannot be written: {os.strerror(errno.ENOSPC)}; make room; or name another cache by MMYOLOX_HOME'
    )
    with pytest.raises(UserError, match=message):
        download(web.address + PATH, target)
    assert not target.exists()


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(web, target, monkeypatch, number):
    fcntl = pytest.importorskip('fcntl')

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with pytest.raises(UserError, match=rf'takes no locks, .* \({os.strerror(number)}\): .*MMYOLOX_HOME'):
        download(web.address + PATH, target)
    assert web.asked == []


def test_two_processes_download_once(web, target, monkeypatch):
    """The second one comes while the first is at work, and says that it waits."""
    context = multiprocessing.get_context('fork')
    told = context.SimpleQueue()
    monkeypatch.setattr(module, 'tell', lambda line: told.put(line))
    web.hold.clear()
    processes = [
        context.Process(target=download, args=(web.address + PATH, target, SHA256)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    assert told.get() == f'downloading {web.address}{PATH} to {target}'
    assert told.get() == f'{target.name}: waiting for another process, which downloads it'
    web.hold.set()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert len(web.asked) == 1


@pytest.mark.parametrize('is_terminal', [True, False])
def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(web, target, monkeypatch, capfd, is_terminal):
    told = []
    monkeypatch.setattr(module, 'tell', lambda line: told.append(line))
    monkeypatch.setattr(module, '_LINE_INTERVAL', 0)
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: is_terminal)
    monkeypatch.setenv('FORCE_COLOR', '1')
    web.files[QUOTED] = CONTENT * 200
    monkeypatch.setattr(module, '_BLOCK', 100_000)
    download(web.address + PATH, target)
    if is_terminal:
        assert target.name in capfd.readouterr().err
        assert told[1:] == []
    else:
        assert told[1:] == [f'{target.name}: 0.{part} of 0.2 MB downloaded' for part in (1, 2)]

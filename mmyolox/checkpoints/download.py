"""Files of the web: fetched once, gone on with after an interruption, there whole or not at all."""

import hashlib
import json
import os
import re
import string
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from mmengine.logging import MMLogger

from mmyolox.errors import SHOWN, UserError
from mmyolox.files import cache_folder, writing
from mmyolox.version import __version__

_SILENCE = 30.0
"""Seconds without a byte after which we give a server up."""
_BLOCK = 1 << 18
_PAGES = {'text/html', 'application/xhtml+xml'}
_LINE_INTERVAL = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def download(url: str, path: Path, sha256: str = '', about: str = '') -> None:
    """Downloads a file, unless it is there.

    What came before a connection broke is kept beside the file, and the next call goes on with it if the
    server still has the same file (by ETag or date, and length). Of several processes that want a file one
    downloads it, and the others wait. Proxies are those of the environment (``https_proxy``, ``no_proxy``).

    Args:
        url: Its address: http, https or file.
        path: Where it goes; folders are made.
        sha256: The first hexadecimal digits of its SHA-256, if they are known.
        about: What is told of the file, before its address, when it is downloaded.

    Raises:
        UserError: It cannot be had, is another file than ``sha256`` says, or cannot be written.
    """
    if path.is_file():
        return
    try:
        with writing(path.parent), _alone(path):
            if not path.is_file():  # else another process was faster
                tell(f'{about}downloading {url} to {path}')
                _fetch(quote(url, safe=string.punctuation), path, sha256)
    except UserError as error:
        raise UserError(
            f'{error}; or name another cache by MMYOLOX_HOME, or download {url} yourself and give its path'
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if type(error) is URLError else error
        reason = str(cause) or type(cause).__name__
        raise UserError(
            f'{url} cannot be downloaded ({reason}); download it by other means and put it at {path}'
        ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other processes of the machine from downloading the same file during the block.

    Raises:
        UserError: The file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'.{path.name}.lock'))
    try:
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            if os.environ.get('LOCAL_RANK', '0') == '0':  # the others of a training need not say so as well
                tell(f'{path.name}: waiting for another process, which downloads it')
            held = lock.acquire()
    except OSError as error:
        if error.filename is not None:
            raise
        raise UserError(
            f'{path.parent} takes no locks, by which one process alone downloads a file ({error.strerror}): '
            'mount it with locks'
        ) from error
    with held:
        yield


def _fetch(url: str, path: Path, sha256: str) -> None:
    """Downloads a file, on as many connections as bring something."""
    part, note = (path.with_name(f'.{path.name}.{end}') for end in ('part', 'json'))
    longest = _size(part)
    while True:
        try:
            _append(url, part, note)
            break
        except (OSError, HTTPException):
            if _size(part) <= longest:
                raise
            longest = _size(part)
    digest = hashlib.sha256()
    with part.open('rb') as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    found = digest.hexdigest()
    if not found.startswith(sha256):
        part.unlink()
        raise HTTPException(
            f'its SHA-256 begins with {found[: len(sha256)]}, not with {sha256}: it is damaged or another '
            'file, and was removed'
        )
    part.replace(path)
    note.unlink()


def _append(url: str, part: Path, note: Path) -> None:
    """Downloads what a file lacks, or all of it if the server has another one by now.

    Args:
        url: The address.
        part: The file as far as it was downloaded.
        note: A file that says which one that is.
    """
    known = _read(note)
    done = _size(part) if known.get('url') == url and known.get('validator') else 0
    if done and done == known['total']:
        return
    rest = _ask(url, done, known) if done else None
    with rest or _ask(url) as response:
        if response.headers.get_content_type() in _PAGES:
            raise HTTPException('the answer is a web page, perhaps of a proxy that wants a login')
        coding = response.headers['Content-Encoding'] or 'identity'
        if coding != 'identity':
            raise HTTPException(f'the answer is encoded ({coding}), which was not asked for')
        if not rest and response.status == HTTPStatus.PARTIAL_CONTENT:
            raise HTTPException('the answer is a part of the file, and all of it was asked for')
        start = done if rest and rest.status == HTTPStatus.PARTIAL_CONTENT else 0
        # What holds where this answer says nothing.
        before: dict[str, Any] = known if start else dict(total=None, validator='')
        length = _length(response.headers)
        total = before['total'] if length is None else start + length
        validator = _validator(response.headers) or before['validator']
        with part.open('ab' if start else 'wb') as file, _progress(part, start, total) as advance:
            note.write_text(json.dumps(dict(url=url, validator=validator, total=total)))
            while block := response.read(_BLOCK):
                file.write(block)
                advance(len(block))
            file.flush()
            os.fsync(file.fileno())
    if not _size(part):
        part.unlink()
        raise HTTPException('the answer is empty')
    if total is not None and _size(part) != total:
        raise HTTPException(
            f'the connection broke off after {_size(part)} of {total} bytes, with which another try goes on'
        )


def _ask(url: str, start: int = 0, known: Mapping[str, Any] | None = None) -> Any:
    """Asks for a file, or for what goes on from ``start``.

    Returns:
        The answer, with all of a file that is another one by now; None where it is of no use.
    """
    headers = {'User-Agent': f'mmyolox/{__version__}'}
    if known:
        headers |= {'Range': f'bytes={start}-', 'If-Range': known['validator']}
    try:
        response = urlopen(Request(url, headers=headers), timeout=_SILENCE)
    except HTTPError as error:
        if known and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise
    if known and response.status == HTTPStatus.PARTIAL_CONTENT:
        place = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', response.headers['Content-Range'] or '')
        goes_on = place is not None and int(place[1]) == start and place[2] in ('*', str(known['total']))
        length = _length(response.headers)
        is_rest = length is None or known['total'] in (None, start + length)
        if not goes_on or not is_rest or _validator(response.headers) not in ('', known['validator']):
            response.close()
            return None
    return response


def _validator(headers: Message) -> str:
    """What tells a file of a server from an earlier one at the same address; ``''`` if nothing does."""
    tag = headers['ETag'] or ''
    # Weak tags do not promise the same bytes.
    return tag if tag and not tag.startswith('W/') else headers['Last-Modified'] or ''


def _length(headers: Message) -> int | None:
    """The number of bytes of an answer; None where it does not say.

    Raises:
        HTTPException: What it says is no number.
    """
    text = headers['Content-Length']
    if text is not None and not text.strip().isdecimal():
        raise HTTPException(f'the answer has the length {text!r}')
    return None if text is None else int(text)


def advice_on_copy(path: str | Path) -> str:
    """What to do about a file that is damaged, which may be one that was downloaded.

    Args:
        path: The file.
    """
    with suppress(UserError):  # no home folder, hence no download
        if cache_folder() in Path(path).absolute().parents:
            return 'delete it, and it is downloaded again'
    return 'take another copy'


def _read(note: Path) -> dict[str, Any]:
    """The note of an earlier call; empty if there is none, or it was not finished or is none of ours."""
    try:
        content = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    is_ours = isinstance(content, dict) and content.keys() == {'url', 'validator', 'total'}
    return content if is_ours else {}


def _size(file: Path) -> int:
    """The number of bytes of a file; 0 if there is none."""
    return file.stat().st_size if file.exists() else 0


@contextmanager
def _progress(part: Path, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """Shows how far a download is: a bar on a terminal, else a line now and then.

    Yields:
        What is to be called with the number of bytes that came.
    """
    name = part.stem[1:]
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress('{task.description}', *columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, completed=done, total=total)
            yield lambda count: bar.advance(task, count)
        return
    last = time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= _LINE_INTERVAL:
            last = time.monotonic()
            of_all = f' of {total / 1e6:.1f}' if total else ''
            tell(f'{name}: {done / 1e6:.1f}{of_all} MB downloaded')

    yield advance


def tell(line: str) -> None:
    """Logs what a person waits for, and has the terminal show it.

    Args:
        line: What to say.
    """
    MMLogger.get_current_instance().info(line, extra=SHOWN)

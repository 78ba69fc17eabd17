"""Object storage: what S3 and servers that speak its protocol hold, read through MMEngine's file backends.

A path ``s3://BUCKET/KEY`` is read wherever MMEngine's ``fileio`` reads it. Endpoint, region and credentials
are those of boto3: its environment variables (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...) and files.
"""

import errno
import os
import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.fileio import BaseStorageBackend, register_backend

from mmyolox.errors import UserError, counted

_ABSENT = {'NoSuchKey', '404'}
_BEYOND_END = 'InvalidRange'
_REFUSED = {
    'InvalidAccessKeyId': 'AWS_ACCESS_KEY_ID',
    'SignatureDoesNotMatch': 'AWS_SECRET_ACCESS_KEY',
    'ExpiredToken': 'AWS_SESSION_TOKEN',
    'InvalidToken': 'AWS_SESSION_TOKEN',
}
"""The errors of wrong credentials, with the variable that has them."""
_BUSY = {'SlowDown', 'Throttling', 'ThrottlingException', 'RequestTimeout', 'RequestTimeTooSkewed'}
_PIECE = 2**20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


@register_backend('s3', force=True, prefixes='s3')
class S3Backend(BaseStorageBackend):
    """Reads objects, or parts of them, again where a request fails, and within bounds.

    It takes the prefix ``s3://`` from MMEngine's ``PetrelBackend``, whose client is not public.

    Args:
        attempts: How often one object is asked for.
        seconds: After how many seconds no other attempt is made, and one that goes on is given up.
        timeout: How many seconds a server may say nothing.
        max_failures: How many objects in a row may fail in a process, beside those that are absent, before
            the storage counts as gone.

    Raises:
        UserError: A number is not above 0.
    """

    def __init__(
        self, attempts: int = 6, seconds: float = 60.0, timeout: float = 10.0, max_failures: int = 10
    ) -> None:
        bounds = dict(attempts=attempts, seconds=seconds, timeout=timeout, max_failures=max_failures)
        for name, value in bounds.items():
            if not isinstance(value, int | float) or value <= 0:
                raise UserError(f'backend_args of s3: {name}={value!r} must be a number above 0')
        self.attempts = attempts
        self.seconds = seconds
        self.timeout = timeout
        self.max_failures = max_failures
        self._failures = 0
        self._client: Any = None
        self._process = 0

    def get(self, filepath: str | Path) -> bytes:
        """The content of an object.

        Args:
            filepath: The path, ``s3://BUCKET/KEY``.

        Raises:
            OSError: There is none, it may not be read, or it was not read within the bounds.
            UserError: There is no such bucket, the credentials are wrong, or the storage is gone.
        """
        return self._read(str(filepath), {})

    def get_range(self, filepath: str, offset: int, size: int) -> bytes:
        """Some bytes of an object, fewer where it ends; raises as :meth:`get`.

        Args:
            filepath: The path.
            offset: Where they begin.
            size: How many there are, at least 1.
        """
        return self._read(filepath, dict(Range=f'bytes={offset}-{offset + size - 1}'))

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """The content of an object that is a text; raises as :meth:`get`.

        Args:
            filepath: The path.
            encoding: The encoding of the text.
        """
        return self.get(filepath).decode(encoding)

    @contextmanager
    def get_local_path(self, filepath: str | Path) -> Iterator[str]:
        """A local copy of an object, which is there within the block; raises as :meth:`get`.

        Args:
            filepath: The path.
        """
        with TemporaryDirectory() as folder:
            copy = Path(folder, Path(str(filepath)).name)
            copy.write_bytes(self.get(filepath))
            yield str(copy)

    def join_path(self, filepath: str | Path, *filepaths: str | Path) -> str:
        """A path and what is below it; MMEngine's data sets join theirs by it.

        Args:
            filepath: The path.
            *filepaths: The parts below it.
        """
        return posixpath.join(str(filepath), *map(str, filepaths))

    def _read(self, path: str, options: dict[str, str]) -> bytes:
        bucket, _, key = path.partition('://')[2].partition('/')
        end = time.monotonic() + self.seconds
        pause, reason = _FIRST_PAUSE, ''
        for attempt in range(1, self.attempts + 1):
            try:
                content = self._attempt(path, dict(options, Bucket=bucket, Key=key), end)
            except _RetryError as error:
                reason = f'{counted(attempt, "attempt")} failed, at last: {error}'
            else:
                self._failures = 0
                return content
            if attempt == self.attempts or time.monotonic() + pause > end:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._fail(path, reason)
        raise OSError(errno.EIO, reason)

    def _attempt(self, path: str, request: dict[str, str], end: float) -> bytes:
        client = self._connected(path)
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            pieces = []
            for piece in client.get_object(**request)['Body'].iter_chunks(_PIECE):
                pieces.append(piece)
                if time.monotonic() > end:
                    raise _RetryError(f'it takes more than {self.seconds:g} s')
            return b''.join(pieces)
        except ClientError as error:
            return self._refused(path, request['Bucket'], error.response)
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise UserError(f'{path}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY') from None
        except ValueError as error:  # of an endpoint or bucket that is none
            raise UserError(f'{path}: {error}') from None
        except BotoCoreError as error:
            if type(error).__name__ == 'ParamValidationError':
                raise UserError(f'{path}: no path of an object: {error}') from None
            raise _RetryError(str(error)) from error
        except OSError as error:  # of the connection
            raise _RetryError(str(error)) from error

    def _refused(self, path: str, bucket: str, response: dict[str, Any]) -> bytes:
        """What an error of the server means: no more bytes, a wait, or an error of ours."""
        code = response['Error'].get('Code', '')
        status = response['ResponseMetadata'].get('HTTPStatusCode', 0)
        message = response['Error'].get('Message') or code
        if code == _BEYOND_END:
            return b''
        if code in _BUSY or status >= 500:
            raise _RetryError(message)
        if code == 'NoSuchBucket':
            raise UserError(f'{path}: there is no bucket {bucket} at {self._client.meta.endpoint_url}')
        if code in _REFUSED:
            raise UserError(
                f'{path}: the storage does not take the credentials ({code}); set {_REFUSED[code]}'
            )
        if code in _ABSENT:
            raise FileNotFoundError(errno.ENOENT, 'there is no such object')
        self._fail(path, message)
        raise PermissionError(errno.EACCES, message)

    def _fail(self, path: str, reason: str) -> None:
        """Counts an object that was not read, and ends the training where none was read for long."""
        self._failures += 1
        if self._failures >= self.max_failures:
            raise UserError(
                f'{path}: {self._failures} objects in a row could not be read ({reason}); look whether the '
                'storage is there, then go on by --resume'
            )

    def _connected(self, path: str) -> Any:
        """The client of this process: a forked worker must not use the connections of its parent."""
        if self._process != os.getpid():
            try:
                import boto3
                from botocore.config import Config
            except ImportError:
                raise UserError(f'{path}: boto3 is needed to read it: pip install "mmyolox[s3]"') from None
            # The attempts are ours: those of botocore end before the content comes.
            config = Config(
                connect_timeout=self.timeout,
                read_timeout=self.timeout,
                retries=dict(total_max_attempts=1, mode='standard'),
            )
            try:
                self._client = boto3.session.Session().client('s3', config=config)
            except ValueError as error:  # AWS_ENDPOINT_URL
                raise UserError(f'{path}: {error}') from None
            self._process = os.getpid()
        return self._client


class _RetryError(Exception):
    """A request failed as another one may not."""

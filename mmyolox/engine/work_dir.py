"""The folder of a training: of one training at a time, and of no other one after it."""

import errno
import os
import socket
import sys
from itertools import count
from pathlib import Path
from typing import IO

from mmengine.config import Config

from mmyolox.checkpoints.load import latest_checkpoint
from mmyolox.engine.terminal import command_line
from mmyolox.errors import UserError
from mmyolox.files import remove

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


def claim(folder: str | Path) -> IO[str]:
    """Locks the folder of a training for this process, and removes half-written files of one that was killed.

    The lock is one of the operating system's on the file ``.lock``: it ends with the process, however that
    ends, and data workers do not inherit it. Where the file system has no locks (some network folders), a
    warning on stderr says that nothing guards the folder.

    Args:
        folder: The work dir; it is made if absent.

    Returns:
        The lock's file. The folder is locked until it is closed, where it can be.

    Raises:
        UserError: Another process trains in the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / '.lock').open('a+', encoding='utf-8')
    try:
        if fcntl is not None:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            lock.seek(0)
            owner = lock.read().strip() or 'it began just now'
            lock.close()
            raise UserError(
                f'work dir {folder}: another training ({owner}) runs in it; wait for it, or name another '
                'folder by --work-dir'
            ) from None
        print(
            f'warning: work dir {folder} cannot be locked ({error.strerror}); start no second training in it',
            file=sys.stderr,
        )
        return lock  # half-written files may be those of another training
    lock.truncate(0)
    lock.write(f'process {os.getpid()} on {socket.gethostname()}')
    lock.flush()
    for part in folder.glob('.*.part*'):
        remove(part)
    return lock


def set_start(cfg: Config, load_from: str | None, resume: str | None) -> None:
    """Decides what a training begins with, in place, and that the work dir holds no other training.

    Args:
        cfg: The config, with its ``work_dir``.
        load_from: The file of the weights to start from; by default the config's.
        resume: The checkpoint to go on from, a file or a web address; ``'auto'`` for the latest in the work
            dir, if there is one.

    Raises:
        UserError: The work dir holds a training, and this one does not go on with it, or cannot; or both a
            file of weights and a checkpoint to go on from are named.
    """
    if load_from and resume not in (None, 'auto'):
        raise UserError(
            f'--load-from {load_from} --resume {resume}: a training that goes on has the weights of its '
            'checkpoint; leave out one of the two'
        )
    if load_from:
        cfg.load_from = load_from
    if not resume and cfg.get('resume'):
        resume = cfg.get('load_from') or 'auto'
    latest = latest_checkpoint(cfg.work_dir)
    start = str(latest or '') if resume == 'auto' else resume or ''  # perhaps a web address: no path
    if latest is not None and (
        not start or Path(start).expanduser().resolve().parent != latest.resolve().parent
    ):
        raise UserError(
            f'work dir {cfg.work_dir} holds a training already ({latest.name}): go on with it, on the same '
            f'data, by --resume; or begin another one: {_command_elsewhere(cfg)}'
        )
    cfg.resume = bool(start)
    if start:  # else there is nothing to go on from yet, and the training begins
        cfg.load_from = start


def _command_elsewhere(cfg: Config) -> str:
    """The command that was typed, for a work dir that is free and has the name of the data."""
    data = Path(cfg.get('data_root') or '.').resolve().name
    base = str(Path(cfg.work_dir)) + f'_{data}' * bool(data)
    names = (base if number == 1 else f'{base}_{number}' for number in count(1))
    free = next(name for name in names if not Path(name).exists())
    return command_line('--work-dir', free, without='--work-dir')

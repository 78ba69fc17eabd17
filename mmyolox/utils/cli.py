"""How every command-line tool runs: errors in one line, its exit status, memory that is kept.

Nothing heavy is imported here, so that ``tool.py -h`` answers at once.
"""

import ctypes
import os
import re
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from mmyolox.compat import PACKAGES, describe_missing
from mmyolox.errors import UserError, message_of_worker, take_any_text

STARTED = time.monotonic()
"""When this module was imported: the start of a tool, in seconds of ``time.monotonic``."""

INTERRUPTED = 130
"""Exit status of a process stopped by Ctrl-C, as shells report it (128 + SIGINT)."""

CLOSED = 141
"""Exit status of a process whose output was closed, as by ``| head`` (128 + SIGPIPE)."""

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


_SHORTAGES = {
    r'DataLoader worker .*signal: (Killed|Bus)|unable to (open|write to).*torch_|Cannot allocate memory': (
        'a data worker was stopped, most often for want of memory; lower train_dataloader.num_workers or the '
        'batch size (train_batch_size_per_gpu)'
    ),
    r'DataLoader worker .*(killed|exited)': (
        'a data worker ended before its work was done, by sys.exit or a fault in what it runs; look for what '
        'it says, above, or have it in full by train_dataloader.num_workers=0'
    ),
    r'DataLoader timed out': (
        'a data worker gave nothing within the timeout of its loader; look for what it waits for '
        '(a network folder, a lock), or raise train_dataloader.timeout'
    ),
    r"MemoryError|Unable to allocate|Insufficient memory|can't allocate memory|not enough memory": (
        'the memory of the machine does not suffice; lower train_dataloader.num_workers, the batch size '
        '(train_batch_size_per_gpu) or img_scale'
    ),
    r'out of memory': (
        'the memory does not suffice; lower the batch size (train_batch_size_per_gpu) or img_scale, or train '
        'with --amp'
    ),
    r'EADDRINUSE|address already in use': (
        'the port of this training is taken, perhaps by another one; choose one (--master-port of '
        'torchrun, PORT of the scripts, MASTER_PORT)'
    ),
    r'client socket has|Ping failed': (
        'the first process of this training is not found; look whether it runs, and whether MASTER_ADDR and '
        'MASTER_PORT are its address'
    ),
    r'waiting for clients': (
        'other processes of this training did not come; start as many as WORLD_SIZE says, with the same '
        'MASTER_ADDR and MASTER_PORT'
    ),
    r'invalid device ordinal': 'there are more processes than GPUs on this machine; start fewer',
    r'gloo/.*\.cc:\d+\]|connectFullMesh failed|failed to recv, got|server shutdown|wait timeout after': (
        'another process of this training has ended or does not answer; look for its error, above or in its '
        'own log, then go on by --resume'
    ),
}
"""What the libraries say of a shortage, or a process that is gone, and what to do; the first one counts."""


def run_tool(main: Callable[[], int | None], failed: int = 1) -> None:
    """Runs a tool's ``main`` and exits with its status; never returns.

    A :class:`UserError`, a shortage of memory, or a package that mmyolox needs and is absent, is printed as
    one line ``error: ...`` on stderr and gives the status ``failed``; so is that another process of a
    training is gone, or that the output takes no more. Ctrl-C gives status 130 and what it says, an output
    that is closed, as by ``| head``, 141 and nothing. Other exceptions, our own faults, keep their traceback.
    SIGTERM ends the process at once, by Python's default: a handler would wait for a call to another process.

    Args:
        main: What parses the arguments and does the work; returns an exit status, or None for success.
        failed: The status of ``error: ...``; another one than 1 for a tool that says something else by 1.
    """
    # Set before torch is imported: its idle threads sleep. (Spinning made a training step five times slower.)
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    keep_freed_memory()
    take_any_text(sys.stdout)
    try:
        try:
            sys.exit(_status_of(main, failed))
        finally:
            if sys.stdout is not None:  # Python would write what is left when it ends, and tell of it badly
                sys.stdout.flush()
    except OSError as error:
        if sys.stdout is None or not takes_no_more(sys.stdout):
            raise
        drop_output(sys.stdout)
        if isinstance(error, BrokenPipeError):
            sys.exit(CLOSED)
        print(f'error: the output cannot be written: {error.strerror}', file=sys.stderr)
        sys.exit(failed)


def takes_no_more(stream: IO[str]) -> bool:
    """Whether an output is closed at its other end, or does not take what is left in its buffer.

    Args:
        stream: The output.
    """
    try:
        stream.flush()
    except OSError:
        return True
    if not hasattr(select, 'poll'):  # on Windows
        return False
    # Without a buffer, as of PYTHONUNBUFFERED, nothing is left.
    poll = select.poll()
    with suppress(OSError, ValueError):  # no file
        poll.register(stream, 0)
    return bool(poll.poll(0))


def drop_output(stream: IO[str]) -> None:
    """Has an output go nowhere, with what is left in its buffer when Python ends."""
    with suppress(OSError), open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _status_of(main: Callable[[], int | None], failed: int) -> int | None:
    """The exit status of a tool, after the line that tells why it failed; other errors pass."""
    try:
        return call_until_interrupted(main)
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or 'error: interrupted', file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        reason = describe_missing()
    except Exception as error:  # OpenCV's is no RuntimeError
        reason = advice_on(error)
        if not reason:
            raise
    print(f'error: {reason}', file=sys.stderr)
    return failed


def call_until_interrupted(main: Callable[[], int | None]) -> int | None:
    """Calls ``main``; an error that took the place of Ctrl-C is Ctrl-C again.

    MMEngine says of any interruption while it formats a config, as for each checkpoint, that its syntax is
    wrong.

    Raises:
        KeyboardInterrupt: The error, or what was handled when it was raised, is this.
    """
    try:
        return main()
    except Exception as error:
        before: BaseException | None = error
        while before is not None:
            if isinstance(before, KeyboardInterrupt):
                raise before from None
            before = before.__cause__ or before.__context__
        raise


def advice_on(error: Exception) -> str:
    """What to do about a shortage, or a process that is gone, and what the library said; else ``''``."""
    reason = reason_of(error)
    advice = next((advice for pattern, advice in _SHORTAGES.items() if re.search(pattern, reason)), None)
    return f'{advice} ({reason})' if advice else ''


def reason_of(error: BaseException) -> str:
    """The first line of what an error says; for a data worker that is gone, how it ended if that is known."""
    reason = message_of_worker(str(error)).strip().partition('\n')[0] or type(error).__name__
    cause = error.__cause__ if reason.startswith('DataLoader worker') else None
    return reason_of(cause) if isinstance(cause, RuntimeError) else reason


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed for the next allocation.

    By default glibc takes large blocks from the kernel and returns them when freed. Every temporary of a
    training step then costs a page fault for each of its 4 kB. With this, a process keeps the most that
    it ever used until it ends. Forked data workers inherit it, programs started anew find it in their
    environment.

    Nothing is done on systems without glibc, under another allocator (``LD_PRELOAD``), or when the user has
    set ``MALLOC_...`` or ``GLIBC_TUNABLES`` variables.

    Returns:
        Whether it was done.
    """
    is_glibc = 'CS_GNU_LIBC_VERSION' in getattr(os, 'confstr_names', {})
    is_chosen = any(name.startswith('MALLOC_') and name.endswith('_') for name in os.environ)
    is_tuned = 'malloc' in os.environ.get('GLIBC_TUNABLES', '') + os.environ.get('LD_PRELOAD', '')
    if not is_glibc or is_chosen or is_tuned:
        return False
    os.environ.update(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='-1')
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, -1))

"""What every command-line tool does alike: errors in one line, memory that is kept, ``--cfg-options``.

Nothing heavy is imported here, so that ``tool.py -h`` answers at once.
"""

import argparse
import ctypes
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mmyolox.compat import PACKAGES, describe_missing
from mmyolox.errors import UserError, message_of_worker, take_any_text

STARTED = time.monotonic()
"""When this module was imported: the start of a tool, in seconds of ``time.monotonic``."""

INTERRUPTED = 130
"""Exit status of a process stopped by Ctrl-C, as shells report it (128 + SIGINT)."""

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


def run_tool(main: Callable[[], int | None]) -> None:
    """Runs a tool's ``main`` and exits with its status; never returns.

    A :class:`UserError`, a shortage of memory, or a package that mmyolox needs and is absent, is printed as
    one line ``error: ...`` on stderr and gives status 1; so is that another process of a training is gone.
    Ctrl-C gives status 130 and what it says. Other exceptions, our own faults, keep their traceback. SIGTERM
    ends the process at once, by Python's default: a handler would wait for a call to another process.

    Args:
        main: What parses the arguments and does the work; returns an exit status, or None for success.
    """
    # Set before torch is imported: its idle threads sleep. (Spinning made a training step five times slower.)
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    keep_freed_memory()
    take_any_text(sys.stdout)
    try:
        status = call_until_interrupted(main)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        sys.exit(f'error: {describe_missing()}')
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or 'error: interrupted', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:  # OpenCV's is no RuntimeError
        advice = advice_on(error)
        if not advice:
            raise
        sys.exit(f'error: {advice}')
    sys.exit(status)


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


class OptionText(str):
    """The value of an option as it was typed: what it means depends on what it stands for."""


class CfgOptionsAction(argparse.Action):
    """Collects ``KEY=VALUE`` arguments in a dict of :class:`OptionText`.

    The option may be given several times; later values of a key win.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Stores the parsed pairs under ``dest``; a malformed part ends in argparse's usage error."""
        options = dict(getattr(namespace, self.dest) or {})
        for argument in values or []:
            key, equals, text = argument.partition('=')
            if not key or not equals:
                parser.error(f'{option_string} takes KEY=VALUE, got {argument!r}')
            options[key] = OptionText(text)
        setattr(namespace, self.dest, options)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options KEY=VALUE [KEY=VALUE ...]`` to a parser: ``args.cfg_options``, a dict or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptionsAction,
        metavar='KEY=VALUE',
        help='change values of the config, e.g. max_epochs=50 data_root=/data/ '
        'train_dataloader.batch_size=4; lists: key=a,b or key=[a,b], tuples: key="(a,b)"',
    )


def add_unsafe_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--allow-unsafe-checkpoint`` to a parser."""
    parser.add_argument(
        '--allow-unsafe-checkpoint',
        action='store_true',
        help='load a checkpoint file that holds more than weights; it can run code, so trust its origin',
    )


def add_verbose_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--verbose`` to a parser."""
    parser.add_argument('--verbose', action='store_true', help='print all of the log')


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Adds what a training begins with to a parser."""
    parser.add_argument(
        '--load-from',
        metavar='CHECKPOINT',
        help='start from these weights: a file, a web address, or a name such as yolox_s',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 where the device has it, else float16 with a scaled loss',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size over auto_scale_lr.base_batch_size',
    )


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """Adds what training and testing have in common to a parser."""
    parser.add_argument('--work-dir', help='where logs and results go; default: work_dirs/<config name>')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how processes are started',
    )
    add_verbose_option(parser)
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    add_unsafe_option(parser)

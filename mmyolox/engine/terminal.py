"""What a person sees of a tool: warnings, what is to be shown, and a line that lives; the log has all."""

import logging
import os
import re
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mmengine.logging import MMLogger
from mmengine.logging.logger import FilterDuplicateWarning, MMFormatter
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from mmyolox.checkpoints.load import latest_checkpoint
from mmyolox.errors import one_line, printable
from mmyolox.utils.cli import drop_output

NOISE = (
    (r'"FileClient" will be deprecated in future', 'mmengine'),
    # AccumulationHook ends groups of batches with the epoch.
    (r'Resumed iteration number is not divisible by', 'mmengine'),
    (
        r'Gradient accumulative may slightly decrease performance',
        'mmengine',
    ),  # who asked for it has read that
    (r'\S+ is skipped since its requires_grad=False', 'mmengine'),  # the header says what is frozen
    (r'Please make sure that the mlflow server is running', 'mmengine'),  # it may be a file
    (r'"HardDiskBackend" is the alias of "LocalBackend"', 'mmengine'),
)
"""Warnings in the log that a user can do nothing about: how they begin, and the package that writes them."""

PYTHON_NOISE = (
    # The optimizer steps after the first batch only where it is to step after each.
    (r'Detected call of `scheduler\.step\(\)` before `optimizer\.step\(\)`', UserWarning, r'mmengine\.'),
    (r'`torch\.cuda\.amp\.(GradScaler|autocast)\(args\.\.\.\)` is deprecated', FutureWarning, r'mmengine\.'),
    (r'`broadcast_buffers` is deprecated', FutureWarning, r'mmengine\.model\.wrappers'),
    # The header says how many there are of both.
    (r'This DataLoader will create \d+ worker process', UserWarning, r'torch\.utils\.data\.dataloader'),
    (r'Setting (OMP|MKL)_NUM_THREADS environment variable', UserWarning, r'mmengine\.utils\.dl_utils'),
)
"""The same of Python's warnings: how they begin, their kind and the module that gives them."""


class Terminal(logging.Handler):
    """The handler of MMEngine's loggers that writes to the terminal, and what hooks draw there.

    Of the log it shows warnings and errors, and the records of :data:`~mmyolox.errors.SHOWN`. The last line
    may live: what is printed goes above it. It is one line, and drawn by no thread, so that data workers,
    which are forks of this process, can print as well. Where the output is no terminal nothing lives.

    Args:
        verbose: Whether all of the log is shown, as MMEngine does.
        console: Where to write; by default to the standard output.
    """

    def __init__(self, verbose: bool = False, console: Console | None = None) -> None:
        super().__init__()
        self.verbose = verbose
        self.console = console or Console(highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self.addFilter(FilterDuplicateWarning())
        self.setFormatter(MMFormatter(color=False, datefmt='%m/%d %H:%M:%S'))

    @property
    def stream(self) -> IO[str]:
        """Where it writes to: MMEngine's ``MLflowVisBackend`` asks every handler, to open those closed."""
        return self.console.file

    @property
    def is_live(self) -> bool:
        """Whether a line can live: not in a file or a pipe, nor between the lines of the whole log."""
        return self.console.is_terminal and not self.console.is_dumb_terminal and not self.verbose

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets pass what a person is to see, each warning once.

        Args:
            record: What was logged.
        """
        message = record.getMessage()
        parts = Path(record.pathname).parts
        is_noise = any(re.match(begin, message) and package in parts for begin, package in NOISE)
        is_wanted = record.levelno >= logging.WARNING or getattr(record, 'is_shown', False)
        if not self.verbose and (is_noise or not is_wanted):
            return False
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line of the log.

        Args:
            record: What was logged.
        """
        try:
            if self.verbose:
                self.print(self.format(record))
            elif record.levelno >= logging.WARNING:
                self.print(f'{record.levelname.lower()}: {record.getMessage()}', 'yellow')
            else:
                self.print(record.getMessage())
        except Exception:  # as all handlers: the work goes on
            self.handleError(record)

    def print(self, text: str = '', style: str = '') -> None:
        """Writes lines, above the one that lives.

        Args:
            text: The lines; they are not broken, and nothing in them is taken for markup.
            style: Their colour or weight, as ``rich`` names it.
        """
        with self._going_on():
            self.console.print(Text(printable(text), style, end=''), soft_wrap=True)

    def print_row(self, name: str, text: str) -> None:
        """Writes a line of a header, which goes on below its beginning where the terminal is too narrow.

        Args:
            name: What the line is about.
            text: What it says.
        """
        begin = f'  {name:<9} '
        line = begin + text
        if self.console.is_terminal:
            line = textwrap.fill(
                text,
                max(self.console.width, 2 * len(begin)),
                initial_indent=begin,
                subsequent_indent=' ' * len(begin),
                break_long_words=False,  # paths can be copied
                break_on_hyphens=False,
            )
        self.print(line)

    def draw(self, line: RenderableType) -> None:
        """Draws the line that lives, in the place of the one before.

        Args:
            line: What it shows; no more than a line of the console.
        """
        with self._going_on():
            if self._live is None:
                self._live = Live(console=self.console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(line, refresh=True)

    def clear(self) -> None:
        """Removes the line that lives."""
        live, self._live = self._live, None
        if live is not None:
            with self._going_on():
                live.stop()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Has nothing more printed once the output takes no line of the block: no training ends with it."""
        try:
            yield
        except (OSError, SystemExit) as error:  # rich ends the process where a pipe is closed
            self.console.quiet = True
            reason = error.__context__ if isinstance(error, SystemExit) else error
            drop_output(self.console.file)
            warning = f'warning: no more is printed ({reason}); the work goes on, and the log has all'
            with suppress(OSError):  # it may be gone as well
                print(warning, file=sys.stderr)


def use_terminal(verbose: bool = False, is_first: bool = True, console: Console | None = None) -> Terminal:
    """Has this process show on its terminal what a person wants to see, as the tools do.

    MMEngine's loggers of this process, that of a :class:`~mmyolox.engine.runner.YOLOXRunner` that is built
    afterwards included, write to a :class:`Terminal` in place of the stream that they write to.

    Args:
        verbose: Whether to show all of the log.
        is_first: Whether this is the only process, or the one that speaks for all: others show errors alone.
        console: Where to write; by default to the standard output, which some tools keep for what they print.
    """
    terminal = Terminal(verbose, console)
    if not is_first:
        terminal.setLevel(logging.ERROR)
    attach(terminal, MMLogger.get_instance('mmengine'))
    if not verbose:
        for begin, category, module in PYTHON_NOISE:
            warnings.filterwarnings('ignore', begin, category, module)
    return terminal


def terminal_of(logger: logging.Logger) -> Terminal | None:
    """The terminal that a logger writes to, None where that is an ordinary stream.

    Args:
        logger: The logger.
    """
    return next((handler for handler in logger.handlers if isinstance(handler, Terminal)), None)


def attach(terminal: Terminal, logger: logging.Logger) -> None:
    """Puts a terminal in the place of the streams that a logger writes to; its files stay.

    Args:
        terminal: The terminal; it shows no more than the streams' levels let pass.
        logger: The logger.
    """
    streams = [
        handler
        for handler in logger.handlers
        if isinstance(handler, Terminal) or type(handler) is logging.StreamHandler
    ]
    for stream in streams:
        terminal.setLevel(max(terminal.level, stream.level))
        logger.removeHandler(stream)
    logger.addHandler(terminal)


def command_line(*more: str, without: str = '') -> str:
    """The command that started this process, as it can be typed again.

    Args:
        *more: What to add.
        without: An option to leave out, with its value if it has one.
    """
    words, is_value = [], False
    for word in sys.argv[1:]:
        is_left_out = word.split('=')[0] == without or (is_value and not word.startswith('-'))
        is_value = word == without
        if not is_left_out:
            words.append(word)
    program = sys.argv[0]
    if program.endswith('.py'):
        program = f'python {shlex.quote(program)}'
    return one_line(' '.join([program, *map(shlex.quote, [*words, *more])]))


def shown_path(path: str | Path) -> str:
    """A path as a person at this place would type it: relative if it lies below.

    Args:
        path: The path.
    """
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def next_command(word: str, tool: str, *args: str) -> str:
    """The command of another tool, called as this process was.

    Args:
        word: What it is behind ``mmyolox``.
        tool: Its file beside that of this process.
        *args: Its arguments.
    """
    program = Path(sys.argv[0])
    if program.suffix == '.py' and (program.parent / tool).is_file():
        command = f'python {shlex.quote(str(program.parent / tool))}'
    else:
        command = f'mmyolox {word}'
    return f'{command} {shlex.join(args)}'


@contextmanager
def resumable(work_dir: str | Path, launcher: str = 'none') -> Iterator[None]:
    """Has the ``KeyboardInterrupt`` of a training in the block say how that goes on.

    Args:
        work_dir: Its folder.
        launcher: What started its processes.
    """
    try:
        yield
    except KeyboardInterrupt:
        latest = latest_checkpoint(work_dir)
        how = command_line('--resume', without='--resume')
        if launcher != 'none':
            how = f'start the processes as before, with --resume: {how}'
        said = 'there is no checkpoint yet: the same command begins anew'
        if latest is not None:
            said = f'to go on from {latest.name}: {how}'
        raise KeyboardInterrupt(f'\nstopped; {said}') from None

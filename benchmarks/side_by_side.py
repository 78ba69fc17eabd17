"""Runs pieces of work side by side, each in its own process and environment, and prints what they took.

The benchmark starts a :class:`Worker` for each contestant; the worker's script calls :func:`serve`. They
speak JSON, a line at a time. One worker computes while the others wait, and runs take turns, so that a slow
moment of the machine hits all alike. Only the standard library is used here: the peers' environments have no
more in common.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Key = TypeVar('Key', bound=Hashable)
Result = TypeVar('Result')

KEEP_MEMORY = dict(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='100000000000')
"""Environment that has glibc keep freed memory for the next use, instead of handing pages back."""


class WorkerError(RuntimeError):
    """What a worker was asked for failed over there; the message is its exception in one line."""


class Worker:
    """A process that answers requests.

    Args:
        python: its interpreter.
        script: a file that calls :func:`serve`.
        *args: of the script.
        threads: threads of OpenMP and so of PyTorch; idle ones sleep.
        env: environment variables on top of this process's.
    """

    def __init__(
        self,
        python: str | Path,
        script: Path,
        *args: str,
        threads: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._log = tempfile.NamedTemporaryFile(mode='w+', suffix='.log')  # noqa: SIM115 - lives with self
        settings = dict(OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY='passive', **(env or {}))
        self._process = subprocess.Popen(
            [str(python), str(script), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **settings},
        )

    def ask(self, **request: Any) -> Any:
        """Sends a request and waits for the answer.

        Raises:
            WorkerError: the request failed in the worker, which is ready for the next one.
            RuntimeError: the worker died; the message is the end of its log.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f'{self._process.args} died:\n{Path(self._log.name).read_text()[-3000:]}')
        answer = json.loads(line)
        if 'error' in answer:
            raise WorkerError(answer['error'])
        return answer['value']

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait()


def serve(answer: Callable[..., Any]) -> None:
    """Answers requests until the input ends; whatever else the process prints goes to its log.

    Args:
        answer: called with a request's fields; returns what JSON can hold.
    """
    with os.fdopen(os.dup(1), 'w') as replies:
        os.dup2(2, 1)
        for line in sys.stdin:
            try:
                reply = dict(value=answer(**json.loads(line)))
            except Exception as error:  # any failure of a peer is a finding
                text = (str(error) or repr(error)).strip().splitlines()[-1]
                reply = dict(error=f'{type(error).__name__}: {text}'[:200])
            print(json.dumps(reply), file=replies, flush=True)


def take_turns(
    runs: Mapping[Key, Callable[[], Result]], repeats: int, warmup: int = 1
) -> dict[Key, list[Result]]:
    """Calls each of ``runs`` in turn, ``warmup`` + ``repeats`` times; what the last ``repeats`` returned."""
    rounds = [{key: run() for key, run in runs.items()} for _ in range(warmup + repeats)][warmup:]
    return {key: [results[key] for results in rounds] for key in runs}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up: the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])])
    return '\n'.join(f'| {" | ".join(_align(cells, widths))} |' for cells in lines)


def _align(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return [cells[0].ljust(widths[0]), *rest]


def add_peer(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds the option ``--NAME PYTHON``, a peer's interpreter."""
    parser.add_argument(
        f'--{name}',
        type=Path,
        default=Path('.venv-peers', name, 'bin', 'python'),
        metavar='PYTHON',
        help=f"interpreter of {name}'s environment, see make_env.sh (default: %(default)s)",
    )


def check_peers(parser: argparse.ArgumentParser, args: argparse.Namespace, *names: str) -> None:
    """Ends with one line if a peer's interpreter is not there."""
    for name in names:
        if not getattr(args, name).exists():
            parser.error(f'{getattr(args, name)} is not there: run benchmarks/make_env.sh {name}')

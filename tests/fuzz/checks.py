"""What every target of the fuzz shares: a case is done, refused in a line, or a fault."""

import gc
import json
import logging
import os
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from mmyolox.datasets.canvas.images import UndecodableImageError
from mmyolox.errors import UserError

PATIENCE = 5.0
"""Seconds that a case may take."""

LONGEST_MESSAGE = 2010
ROOT = str(Path(__file__).parents[2])
SCRATCH = '/dev/shm' if os.path.isdir('/dev/shm') else None
"""Memory, where there is such a folder: a case makes up to ten files."""


@dataclass(frozen=True)
class Target:
    """One reader, and what it is fed.

    Attributes:
        cases: The cases, made by hypothesis.
        run: What reads a case, in an empty folder of its own. It raises AssertionError where what was read is
            not what was written.
        share: How many of 100,000 cases are of this target.
    """

    cases: SearchStrategy[Any]
    run: Callable[[Any, Path], object]
    share: int


@dataclass
class Tally:
    """What became of the cases of a target.

    Attributes:
        cases: How many there were.
        refused: Those that ended in a UserError of one line.
        slowest: The seconds of the slowest.
        faults: How often each fault was seen.
        examples: A case for each fault.
    """

    cases: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def as_json(self, more: dict[str, int]) -> str:
        """What stands here and in ``more``."""
        return json.dumps(vars(self) | more)


class HangError(BaseException):
    """A case takes too long; no ``except Exception`` stops it."""


def _hang(*_: object) -> None:
    raise HangError


@contextmanager
def watched():
    """Stops what takes longer than ``PATIENCE``."""
    previous = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def fault_of(target: Target, case: Any) -> tuple[bool, str | None]:
    """Runs a case: whether it was refused, and what is wrong, None if nothing is."""
    with tempfile.TemporaryDirectory(prefix='fuzz', dir=SCRATCH) as folder:
        try:
            with watched():
                target.run(case, Path(folder))
        except (UserError, UndecodableImageError) as error:
            message = str(error)
            if len(message.splitlines()) != 1 or len(message) > LONGEST_MESSAGE:
                return True, f'message of {len(message.splitlines())} lines, {len(message)} characters'
            return True, None
        except HangError as error:
            return False, f'hang in {_place(error)}'
        except Exception as error:
            return False, f'{type(error).__name__} in {_place(error)}'
    return False, None


def _place(error: BaseException) -> str:
    trace = extract_tb(error.__traceback__)
    frames = [frame for frame in trace if frame.filename.startswith(ROOT) and '/tests/' not in frame.filename]
    frames = frames or trace
    return f'{Path(frames[-1].filename).name}:{frames[-1].lineno}'


def fuzz(target: Target, count: int, number: int, tally: Tally) -> None:
    """Runs ``count`` cases, the same ones for the same ``number``, and adds them up."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def one(case):
        begin = time.monotonic()
        refused, fault = fault_of(target, case)
        tally.slowest = max(tally.slowest, time.monotonic() - begin)
        tally.cases += 1
        tally.refused += refused
        if fault:
            tally.faults[fault] += 1
            tally.examples.setdefault(fault, repr(case)[:4000])

    # MMEngine collects garbage for each data set: a quarter of a second with all that is imported by now.
    gc.collect()
    gc.freeze()
    one()
    gc.unfreeze()


def quiet() -> None:
    """Has no logger write anything."""
    logging.disable(logging.CRITICAL)


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

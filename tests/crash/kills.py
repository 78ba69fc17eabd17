"""Trainings that are killed, and go on."""

import random
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.crash.trainings import LostError, Tool, check, read_moments

Case = tuple[str, Callable[[Path], None]]
"""A title, and what is to be done in an empty folder; it raises a :class:`LostError`."""

NAMED = (
    r'write epoch_',
    r'write best_',
    r'validation',
    r'mode switch',
    r'before validation',
    r'written|remove',
)
"""The kinds of moments at which trainings are killed."""


def kill_cases(config: Path, straight: Path, named: int, anywhere: int, seed: str) -> Iterator[Case]:
    """Kills at moments that a training comes to, one of each kind in turn, and at any other time.

    Args:
        config: The training.
        straight: The folder of one that nobody disturbed.
        named: The number of kills at moments.
        anywhere: The number of kills at any time; two of each training, and one of the last if it is odd.
        seed: What the choice depends on.
    """
    draw = random.Random(seed)
    moments = list(dict.fromkeys(read_moments(straight)))
    kinds = [[moment for moment in moments if re.match(kind, moment)] for kind in NAMED]
    for kind in kinds:
        draw.shuffle(kind)
    for index in range(named):
        kind = kinds[index % len(kinds)]
        moment = kind[index // len(kinds) % len(kind)]
        yield f'at "{moment}"', lambda folder, moment=moment: at_moment(config, straight, folder, moment)
    count = len(read_moments(straight))
    while anywhere > 0:
        whens = sorted(draw.uniform(0, count - 1) for _ in range(min(2, anywhere)))
        anywhere -= len(whens)
        shown = ' and '.join(f'{when / count:.0%}' for when in whens)
        yield (
            f'at {shown} of the way',
            lambda folder, whens=whens: anywhere_in(config, straight, folder, whens),
        )


def at_moment(config: Path, straight: Path, folder: Path, moment: str) -> None:
    """Kills a training at a moment, has it go on, and compares it with the undisturbed one."""
    tool = Tool('train.py', config, '--work-dir', folder, CRASH_AT=moment)
    tool.finish()
    if tool.process.returncode != -signal.SIGKILL:
        raise LostError(f'"{moment}" did not come: status {tool.process.returncode}')
    Tool('train.py', config, '--work-dir', folder, '--resume').succeed()
    check(folder, straight)


def anywhere_in(config: Path, straight: Path, folder: Path, whens: list[float]) -> None:
    """Kills a training, once or again and again, at times that are given as a number of moments."""
    for when in whens:
        tool = Tool('train.py', config, '--work-dir', folder, '--resume')
        tool.wait_for(folder, when)
        tool.process.kill()
        output = tool.finish()
        if tool.process.returncode != -signal.SIGKILL:
            raise LostError(f'ended before the kill: {output[-500:]}')
    Tool('train.py', config, '--work-dir', folder, '--resume').succeed()
    check(folder, straight)

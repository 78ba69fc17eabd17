"""Trainings of two processes under torchrun, which starts them anew when one is killed."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.kills import Case
from tests.crash.trainings import LostError, Tool, check, read_moments

TWO = ('--nproc-per-node=2', '--max-restarts=3')
JOINED = ('--launcher', 'pytorch')


def restart_cases(config: Path, straight: Path, count: int, seed: str) -> Iterator[Case]:
    """One of the two processes is killed at any time; in every third training again after the restart.

    Args:
        config: The training.
        straight: The folder of one of two processes that nobody disturbed.
        count: The number of trainings.
        seed: What the choice depends on.
    """
    draw = random.Random(seed)
    moments = len(read_moments(straight))
    for index in range(count):
        kills = [(draw.uniform(0, moments - 1), draw.randrange(2)) for _ in range(2 if index % 3 == 2 else 1)]
        kills.sort()
        shown = ' and '.join(f'rank {rank} at {when / moments:.0%}' for when, rank in kills)
        yield shown, lambda folder, kills=kills: restarted(config, straight, folder, kills)


def restarted(config: Path, straight: Path, folder: Path, kills: list[tuple[float, int]]) -> None:
    """Kills processes of a training by the number of moments and the rank, and compares what comes of it."""
    tool = Tool('train.py', config, '--work-dir', folder, *JOINED, torchrun=TWO)
    for restart, (when, rank) in enumerate(kills):
        tool.wait_for(folder, when)
        os.kill(find_rank(tool, rank, restart), signal.SIGKILL)
    output = tool.succeed()
    if f'Process {kills[0][1]}' not in output and 'SIGKILL' not in output and 'exitcode: -9' not in output:
        raise LostError('torchrun saw no process die')
    check(folder, straight)


def find_rank(tool: Tool, rank: int, restart: int) -> int:
    """The process id of a rank, as soon as it was started for the given time."""
    wanted = {f'RANK={rank}', f'TORCHELASTIC_RESTART_COUNT={restart}'}
    while tool.process.poll() is None:
        for child in Path(f'/proc/{tool.process.pid}/task/{tool.process.pid}/children').read_text().split():
            try:
                environment = Path(f'/proc/{child}/environ').read_bytes().decode(errors='replace').split('\0')
            except OSError:
                continue  # it has just ended
            if wanted.issubset(environment):
                return int(child)
        time.sleep(0.05)
    raise LostError(f'torchrun ended before rank {rank} could be killed: {tool.finish()[-500:]}')

"""Functions run by several processes that are joined by gloo."""

import multiprocessing
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed

WAIT = 60


def in_processes(function: Callable[[int], Any], count: int) -> list[Any]:
    """What a function returns in each of several processes, which are forks of this one.

    Args:
        function: It is given its rank; what it returns is pickled.
        count: The number of processes.
    """
    fork = multiprocessing.get_context('fork')
    with tempfile.TemporaryDirectory() as folder:
        pipes = [fork.Pipe(duplex=False) for _ in range(count)]

        def run(rank: int) -> None:
            torch.distributed.init_process_group(
                'gloo',
                init_method=f'file://{Path(folder, "store")}',
                rank=rank,
                world_size=count,
                timeout=timedelta(seconds=WAIT),
            )
            try:
                pipes[rank][1].send((True, function(rank)))
            except BaseException as error:
                pipes[rank][1].send((False, error))

        processes = [fork.Process(target=run, args=(rank,)) for rank in range(count)]
        for process in processes:
            process.start()
        answers = [receiver.recv() if receiver.poll(WAIT) else None for receiver, _ in pipes]
        for process in processes:
            process.join(WAIT)
            process.kill()
    assert None not in answers
    for is_good, answer in answers:
        if not is_good:
            raise answer
    return [answer for _, answer in answers]

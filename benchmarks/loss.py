"""Assignment and losses of ours beside MMYOLO's and MMDetection's on the CPU: time and memory.

    benchmarks/make_env.sh mmyolo     # once; brings MMDetection too
    python benchmarks/loss.py

Forward and backward of everything after the head's towers, in float32, on the same random outputs of an
80-class head at 640 x 640 and the same boxes. Runs take turns, a process each; times are medians. The losses
must agree to a thousandth. Peak memory is that of all tensors made on the way, the gradients of the outputs
among them.

There is a table for processes as they are started ("default") and one where glibc keeps freed memory for the
next use ("kept"), which our tools ask for.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from side_by_side import KEEP_MEMORY, Worker, add_peer, check_peers, table, take_turns

PEER = Path(__file__).with_name('loss_peer.py')
CASES = [(8, 12), (8, 100), (32, 12), (32, 100)]
TOLERANCE = 1e-3
BATCHES, OBJECTS = (1, 2, 4, 8, 16, 32), (1, 12, 50, 100, 200)  # of the plot
Times = dict[str, float]


def start(who: str, memory: str, args: argparse.Namespace) -> Worker:
    """A contestant's process."""
    python = sys.executable if who == 'ours' else args.mmyolo
    return Worker(python, PEER, who, threads=args.threads, env=KEEP_MEMORY if memory == 'kept' else {})


def measure(workers: dict[str, Worker], batch: int, objects: int, args: argparse.Namespace) -> Times:
    """Median milliseconds of each contestant in one case."""
    for worker in workers.values():
        worker.ask(action='build', batch=batch, objects=objects, side=args.side)
    found = take_turns(
        {who: partial(worker.ask, action='run') for who, worker in workers.items()}, args.repeats
    )
    return {who: 1000 * median(seconds) for who, seconds in found.items()}


def check(workers: dict[str, Worker]) -> tuple[dict[str, float], bool]:
    """Peak megabytes of each contestant in its current case, and whether all have our losses."""
    found = {who: worker.ask(action='check') for who, worker in workers.items()}
    peaks = {who: losses.pop('peak') / 1e6 for who, losses in found.items()}
    mine = found['ours']
    is_equal = all(
        losses.keys() == mine.keys() and all(abs(losses[k] / mine[k] - 1) < TOLERANCE for k in mine)
        for losses in found.values()
    )
    return peaks, is_equal


def compare(memory: str, args: argparse.Namespace) -> str:
    """The table of all cases under one setting of the memory."""
    workers = {who: start(who, memory, args) for who in ('ours', 'mmyolo', 'mmdet')}
    rows = []
    for batch, objects in CASES:
        times = measure(workers, batch, objects, args)
        peaks, is_equal = check(workers)
        rows.append(
            [
                f'{batch} x {objects}',
                *(f'{times[who]:.0f}' for who in workers),
                *(f'{times[who] / times["ours"]:.1f}' for who in ('mmyolo', 'mmdet')),
                *(f'{peaks[who]:.0f}' for who in workers),
                f'{peaks["mmdet"] / peaks["ours"]:.1f}',
                'yes' if is_equal else 'NO',
            ]
        )
    for worker in workers.values():
        worker.close()
    header = [
        f'images x boxes, memory {memory}',
        'ours ms',
        'mmyolo ms',
        'mmdet ms',
        'mmyolo / ours',
        'mmdet / ours',
    ]
    return table([*header, 'ours MB', 'mmyolo MB', 'mmdet MB', 'mmdet / ours', 'losses equal'], rows)


def plot_growth(path: Path, args: argparse.Namespace) -> None:
    """Draws the time of ours and MMDetection's against the batch size and against the boxes of an image."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    workers = {who: start(who, 'kept', args) for who in ('ours', 'mmdet')}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout='constrained')
    by_batch = [measure(workers, batch, 12, args) for batch in BATCHES]
    by_objects = [measure(workers, 8, objects, args) for objects in OBJECTS]
    draw(panels[0], 'images, 12 boxes each', BATCHES, by_batch)
    draw(panels[1], 'boxes an image, 8 images', OBJECTS, by_objects)
    panels[0].set_ylabel('assignment + losses, ms')
    panels[0].legend()
    figure.savefig(path, dpi=120)
    for worker in workers.values():
        worker.close()


def draw(panel, title: str, values: Sequence[int], times: Sequence[Times]) -> None:  # type: ignore[no-untyped-def]
    """One panel: a line a contestant, both axes logarithmic."""
    for who in times[0]:
        panel.plot(values, [found[who] for found in times], marker='o', label=who)
    panel.set(xscale='log', yscale='log', xlabel=title)
    panel.set_xticks(values, [str(value) for value in values])
    panel.minorticks_off()
    panel.grid(alpha=0.3)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description="our assignment and losses beside MMYOLO's and MMDetection's"
    )
    parser.add_argument('--memory', choices=['default', 'kept'], help='only this table (default: both)')
    parser.add_argument('--side', type=int, default=640)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument(
        '--growth', type=Path, metavar='PNG', help='draw how the time grows, instead of the tables'
    )
    add_peer(parser, 'mmyolo')
    args = parser.parse_args()
    check_peers(parser, args, 'mmyolo')
    if args.growth:
        plot_growth(args.growth, args)
        return
    for memory in [args.memory] if args.memory else ['default', 'kept']:
        print(compare(memory, args), end='\n\n', flush=True)


if __name__ == '__main__':
    main()

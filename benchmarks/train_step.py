"""A whole training step of ours beside MMYOLO's on the CPU: YOLOX-s, batch 8, 640 x 640, 12 boxes an image.

    benchmarks/make_env.sh mmyolo     # once
    python benchmarks/train_step.py

Forward, assignment and loss, backward, optimizer (SGD with Nesterov momentum, as published) and moving
average, from both projects' own config of the recipe, with the same weights and the same batch; in float32,
and under bfloat16 autocast, which MMYOLO can only be given from outside. Steps take turns, a process each;
times are medians. The losses of the first step are printed: they must agree.

Memory freed by one step is kept by glibc for the next ("kept") in our processes, as our tools do; MMYOLO is
measured both as it is ("default") and with the same help.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from side_by_side import KEEP_MEMORY, Worker, WorkerError, add_peer, check_peers, table, take_turns

PEER = Path(__file__).with_name('train_step_peer.py')
PARTS = ('forward', 'loss', 'backward', 'optimizer', 'EMA')
CONTESTANTS = [('ours', 'kept'), ('mmyolo', 'kept'), ('mmyolo', 'default')]
RATIOS = [  # ours in bf16?, MMYOLO in bf16?
    ('fp32 / fp32', False, False),
    ('bf16 / bf16', True, True),
    ('bf16 / fp32', True, False),
]
Key = tuple[str, str, bool]
Medians = dict[Key, dict[str, float]]


def measure(args: argparse.Namespace, folder: str) -> tuple[Medians, dict[Key, float]]:
    """Seconds of the parts of a step of all contestants, and the loss of the first step."""
    workers = {
        (who, memory): Worker(
            sys.executable if who == 'ours' else args.mmyolo,
            PEER,
            who,
            threads=args.threads,
            env=KEEP_MEMORY if memory == 'kept' else {},
        )
        for who, memory in CONTESTANTS
    }
    settings = {name: getattr(args, name) for name in ('threads', 'batch', 'objects', 'side', 'config')}
    runs = {}
    for (who, memory), worker in workers.items():
        for amp in (False, True):
            try:
                worker.ask(action='build', amp=amp, weights=f'{folder}/weights.pth', **settings)
            except WorkerError as error:
                print(f'{who}, {"bf16" if amp else "fp32"}: {error}')
                continue
            runs[who, memory, amp] = partial(worker.ask, action='run', amp=amp)
    first = {key: run()['value'] for key, run in runs.items()}
    found = take_turns(runs, args.repeats)
    for worker in workers.values():
        worker.close()
    return {key: medians(steps) for key, steps in found.items()}, first


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    """Median milliseconds of the parts and of the whole step."""
    parts = {name: 1000 * median(step[name] for step in steps) for name in PARTS}
    return dict(parts, step=1000 * median(sum(step[name] for name in PARTS) for step in steps))


def times_table(times: Medians, losses: dict[Key, float]) -> str:
    """The parts of every contestant's step."""
    rows = [
        [
            f'{who}, {"bf16" if amp else "fp32"}, memory {memory}',
            *(f'{parts[name]:.0f}' for name in (*PARTS, 'step')),
            f'{losses[who, memory, amp]:.4f}',
        ]
        for (who, memory, amp), parts in times.items()
    ]
    return table(['ms', *PARTS, 'step', 'first loss'], rows)


def ratios_table(times: Medians) -> str:
    """How many times as long MMYOLO's step takes."""
    rows = []
    for what, our_amp, their_amp in RATIOS:
        whole = [times.get(key, {}).get('step') for key in keys(our_amp, their_amp)]
        ours, kept, default = whole
        rows.append(
            [what, *(f'{theirs / ours:.2f}' if ours and theirs else '-' for theirs in (kept, default))]
        )
    return table(['MMYOLO / ours', 'both keep memory', 'each as started'], rows)


def keys(our_amp: bool, their_amp: bool) -> list[Key]:
    """The measurements that a row of ratios needs, in the order of the contestants."""
    return [(who, memory, our_amp if who == 'ours' else their_amp) for who, memory in CONTESTANTS]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="our training step beside MMYOLO's")
    parser.add_argument(
        '--config', default='yolox_s_fast_8xb8-300e_coco', help='a name that both projects know'
    )
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--objects', type=int, default=12, help='boxes an image (default: %(default)s)')
    parser.add_argument('--side', type=int, default=640)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=7)
    add_peer(parser, 'mmyolo')
    args = parser.parse_args()
    check_peers(parser, args, 'mmyolo')
    with tempfile.TemporaryDirectory() as folder:
        times, losses = measure(args, folder)
    print(times_table(times, losses), ratios_table(times), sep='\n\n')


if __name__ == '__main__':
    main()

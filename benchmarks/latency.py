"""Latency of exported models on the CPU, batch 1: our runtimes beside Megvii's YOLOX 0.3.0 and its own ONNX.

    benchmarks/make_env.sh megvii     # once
    python benchmarks/latency.py [--models s nano] [--images photos/] [--weights yolox_nano.pth]

"network" goes from the prepared canvas (float32 planes for exported files) to the raw outputs; "boxes" from
there to detections after class-wise NMS, at the score threshold of Megvii's demo (0.1) and of its evaluation
(0.01). Both ONNX files run in ONNX Runtime with the same threads: ours is made by our export tool's code,
Megvii's as its ``tools/export_onnx.py`` does. Megvii's boxes come from its NumPy functions
(``demo_postprocess``, class-aware ``multiclass_nms``), for its PyTorch model from ``postprocess`` with
OpenCV's C++ NMS in torchvision's place.

All have the same weights and image and take turns, each side in its own process; times are medians. Random
weights, the default, give as many candidates as trained ones on photographs.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from inference import make_inputs
from side_by_side import KEEP_MEMORY, Worker, add_peer, check_peers, table, take_turns

PEER = Path(__file__).with_name('latency_peer.py')
THRESHOLDS = (0.1, 0.01)
SIDES = dict(nano=416, tiny=416)
TOLERANCE = 1e-3
Parts = dict[str, float]  # network and boxes at each threshold -> seconds
Times = dict[tuple[str, str], list[Parts]]  # who, variant -> a measurement each round


def measure(args: argparse.Namespace, model: str, folder: Path) -> tuple[Times, str]:
    """Measurements of all variants of a model, and how far the two ONNX files' outputs are apart."""
    side = SIDES.get(model, 640)
    np.save(folder / 'inputs.npy', make_inputs(args.images, args.calibration, side))
    settings = dict(
        folder=str(folder), model=model, weights=args.weights and str(args.weights), threads=args.threads
    )
    workers = {
        who: Worker(python, PEER, who, threads=args.threads, env=KEEP_MEMORY)
        for who, python in dict(megvii=args.megvii, ours=sys.executable).items()
    }
    # Megvii's first: it makes the weights for both.
    variants = {who: worker.ask(action='build', **settings) for who, worker in workers.items()}
    runs = {
        (who, variant): partial(worker.ask, action='run', variant=variant)
        for who, worker in workers.items()
        for variant in variants[who]
    }
    times = take_turns(runs, args.repeats, warmup=3)
    difference = workers['ours'].ask(action='compare')
    for worker in workers.values():
        worker.close()
    verdict = 'equal' if difference <= TOLERANCE else 'NOT EQUAL'
    return times, f'raw outputs of the two ONNX files are {verdict}: {difference:.1e} x (1 + |value|) at most'


def rows(model: str, times: Times) -> list[list[str]]:
    """The table's rows of a model: milliseconds, and Megvii's ONNX in ONNX Runtime as a multiple of each.

    Both are medians over the rounds, of ratios within a round: a slow minute hits both sides of one.
    """
    peer = times['megvii', 'ONNX Runtime']
    columns = [*((part,) for part in peer[0]), ('network', f'boxes {THRESHOLDS[0]}')]
    return [
        [
            f'{model}, {who}: {variant}',
            *(f'{1000 * median(one[part] for one in rounds):.2f}' for part in peer[0]),
            *(f'{ratio(peer, rounds, column):.2f}' for column in columns),
        ]
        for (who, variant), rounds in times.items()
    ]


def ratio(peer: list[Parts], rounds: list[Parts], parts: tuple[str, ...]) -> float:
    """How many times as fast as the peer some parts together are, in the median of the rounds."""
    return median(
        sum(map(theirs.get, parts)) / sum(map(ours.get, parts))
        for theirs, ours in zip(peer, rounds, strict=True)
    )


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="latency of our exported models beside Megvii's")
    parser.add_argument(
        '--models', nargs='+', default=['s', 'nano'], choices=('nano', 'tiny', 's', 'm', 'l', 'x')
    )
    parser.add_argument(
        '--weights', type=Path, help="a checkpoint of Megvii's, for one model (default: random)"
    )
    parser.add_argument('--images', type=Path, help='a folder of photographs (default: made images)')
    parser.add_argument('--calibration', type=int, default=64, help='images for int8 (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=30)
    add_peer(parser, 'megvii')
    args = parser.parse_args()
    check_peers(parser, args, 'megvii')
    if args.weights and len(args.models) > 1:
        parser.error('--weights are of one model: name it with --models')
    return args


def main() -> None:
    """Measures and prints."""
    args = parse_args()
    parts = ['network', *(f'boxes {threshold}' for threshold in THRESHOLDS)]
    lines, notes = [], []
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            times, note = measure(args, model, Path(folder))
        lines += rows(model, times)
        notes.append(f'{model}: {note}')
    header = ['ms', *parts, *(f'x {part}' for part in parts), 'x both']
    print(
        table(header, lines),
        '',
        "x: times as fast as Megvii's ONNX in ONNX Runtime, in the median of the rounds",
        'both: network and boxes 0.1',
        *notes,
        sep='\n',
    )


if __name__ == '__main__':
    main()

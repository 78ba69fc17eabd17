"""Our eager inference beside Megvii's YOLOX 0.3.0 on the CPU: YOLOX-s, 640 x 640, same weights and images.

    benchmarks/make_env.sh megvii     # once
    python benchmarks/inference.py [--images photos/] [--weights yolox_s.pth]

"network" goes from pixels on a canvas to the network's outputs (with sigmoids and decoding in Megvii's),
"boxes" on to detections after class-wise NMS, one class a box. Ours is as ``init_detector`` makes it: norms
folded, channels last; also in bfloat16 where the CPU has it. Megvii's is measured as it starts and "fused",
an option of its tools. OpenCV's C++ NMS stands in for torchvision's in Megvii's postprocessing.

All run in turn, each in its own process; times are medians. Each is measured as it is ("default") and with
glibc told to keep freed memory ("kept"), which our tools do at their start; "as started" is then ours kept
beside Megvii's as it is. Random weights, the default, give as many candidates as trained ones on photographs.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from side_by_side import KEEP_MEMORY, Worker, add_peer, check_peers, table, take_turns

PEER = Path(__file__).with_name('inference_peer.py')
MEMORY: dict[str, dict[str, str]] = dict(default={}, kept=KEEP_MEMORY)
PAIRS = {'default': ('default', 'default'), 'kept': ('kept', 'kept'), 'as started': ('kept', 'default')}
PARTS = ('network', 'boxes')
TOLERANCE = 1e-3
Medians = dict[tuple[str, str, str, int], dict[str, float]]  # who, variant, memory, batch size -> part -> ms


def make_inputs(folder: Path | None, count: int, side: int) -> NDArray[np.uint8]:
    """Letterboxed images (B, side, side, 3) BGR: those of a folder, or smooth random ones."""
    import cv2

    from mmyolox.datasets.canvas.images import read_image

    paths = (
        sorted(path for path in folder.rglob('*') if path.suffix.lower() in ('.jpg', '.png'))
        if folder
        else []
    )
    rng = np.random.default_rng(0)
    inputs = np.full((count, side, side, 3), 114, np.uint8)
    for number, canvas in enumerate(inputs):
        if folder:
            pixels = read_image(str(paths[number % len(paths)]))
        else:
            coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            pixels = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        scale = side / max(pixels.shape[:2])
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels[:side, :side]
    return inputs


def start(
    args: argparse.Namespace, folder: Path
) -> tuple[dict[tuple[str, str], Worker], dict[str, list[str]]]:
    """The processes by contestant and memory, with their models, and the names of each contestant's."""
    np.save(folder / 'inputs.npy', make_inputs(args.images, max(args.batch_sizes), args.side))
    pythons = dict(megvii=args.megvii, ours=sys.executable)  # Megvii's makes the weights for both
    settings = dict(
        folder=str(folder),
        model=args.model,
        weights=args.weights and str(args.weights),
        threads=args.threads,
    )
    workers = {
        (who, memory): Worker(python, PEER, who, threads=args.threads, env=env)
        for who, python in pythons.items()
        for memory, env in MEMORY.items()
    }
    return workers, {who: worker.ask(action='build', **settings) for (who, _), worker in workers.items()}


def measure(
    workers: dict[tuple[str, str], Worker], variants: dict[str, list[str]], sizes: list[int], repeats: int
) -> Medians:
    """Median milliseconds of every contestant; batches of one are repeated four times as often."""
    times: Medians = {}
    for size in sizes:
        runs = {
            (who, variant, memory, size): partial(worker.ask, action='run', variant=variant, batch_size=size)
            for (who, memory), worker in workers.items()
            for variant in variants[who]
        }
        for key, seconds in take_turns(runs, repeats if size > 1 else 4 * repeats).items():
            times[key] = {part: 1000 * median(run[part] for run in seconds) for part in PARTS}
    return times


def times_table(times: Medians, sizes: list[int]) -> str:
    """Milliseconds a batch, and how many times as long Megvii's takes as ours in float32."""
    columns = [('ours', 'float32'), ('ours', 'bfloat16'), ('megvii', 'default'), ('megvii', 'fused')]
    rows = []
    for size in sizes:
        for part in PARTS:
            for name, memories in PAIRS.items():
                row = [
                    times.get((who, variant, memories[who == 'megvii'], size), {}).get(part)
                    for who, variant in columns
                ]
                ours, _, plain, fused = row
                ratios = [f'{theirs / ours:.2f}' for theirs in (plain, fused) if ours and theirs]
                shown = [f'{value:.1f}' if value else '-' for value in row]
                rows.append([f'batch {size}, {part}', name, *shown, *ratios])
    header = ['ms', 'memory', 'ours', 'ours bf16', 'Megvii', 'Megvii fused', 'Megvii/ours', 'fused/ours']
    return table(header, rows)


def check_equal(workers: dict[tuple[str, str], Worker]) -> str:
    """Compares the outputs for an image; a line that says how far they are apart."""
    workers['megvii', 'kept'].ask(action='save')
    difference = workers['ours', 'kept'].ask(action='compare')
    verdict = 'equal' if difference <= TOLERANCE else 'NOT EQUAL'
    return (
        f'outputs are {verdict}: boxes (pixels) and scores differ by {difference:.1e} x (1 + |value|) at most'
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="our inference beside Megvii's")
    parser.add_argument('--model', default='s', choices=('nano', 'tiny', 's', 'm', 'l', 'x'))
    parser.add_argument('--weights', type=Path, help="a checkpoint of Megvii's (default: random weights)")
    parser.add_argument('--images', type=Path, help='a folder of photographs (default: made images)')
    parser.add_argument('--side', type=int, default=640, help="of the network's square input")
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 32])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    add_peer(parser, 'megvii')
    args = parser.parse_args()
    check_peers(parser, args, 'megvii')
    with tempfile.TemporaryDirectory() as folder:
        workers, variants = start(args, Path(folder))
        equality = check_equal(workers)
        times = measure(workers, variants, args.batch_sizes, args.repeats)
        for worker in workers.values():
            worker.close()
    print(times_table(times, args.batch_sizes), equality, sep='\n\n')


if __name__ == '__main__':
    main()

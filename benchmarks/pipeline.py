"""Our data pipelines beside MMYOLO's and Megvii's: samples a second on one core, at 640 x 640.

    benchmarks/make_env.sh mmyolo; benchmarks/make_env.sh megvii     # once
    python benchmarks/pipeline.py [--data-root path/to/coco] [--growth plot.png]

Every contestant runs in its own process on one thread, without data loader workers, on the same images, which
the operating system has in memory. Blocks of samples take turns; rates are medians over blocks. Each is
measured as it is ("default") and with glibc told to keep freed memory ("kept"), which our tools do at their
start; "as started" is then ours kept beside the others as they are.

MMYOLO's mosaic and mixup have an option ``use_cached``. With it the YOLOX pipeline does not train: the mosaic
passes its first images on unmixed to an affine step that takes off the mosaic's border, so that a batch
cannot be stacked. Its fastest working pipeline is therefore the uncached one; the cached one is measured from
the first whole mosaic on, and what its data loader says is printed below the table. Our cached config leaves
colours and flips to the device: one row counts them too, done here by the CPU for every eight samples, with
the draws of another iteration each time.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from sys import executable
from typing import Any

from side_by_side import KEEP_MEMORY, Worker, WorkerError, add_peer, check_peers, table, take_turns

PEER = Path(__file__).with_name('pipeline_peer.py')
MEMORY: dict[str, dict[str, str]] = dict(default={}, kept=KEEP_MEMORY)
PAIRS = {'default': ('default', 'default'), 'kept': ('kept', 'kept'), 'as started': ('kept', 'default')}
ROWS = [  # what, our case, MMYOLO's, Megvii's
    ('stage 1, five images read', 'stage1', 'stage1', 'stage1'),
    ('ours cached, MMYOLO not', 'cached', 'stage1', None),
    ('the same with the part of the device', 'cached_whole', 'stage1', None),
    ('both cached, though its own fails to train', 'cached', 'cached', None),
    ('stage 2, nothing mixed', 'stage2', 'stage2', 'stage2'),
    ('test', 'test', 'test', 'test'),
]
SIDES = (320, 480, 640, 960)
WORKERS = (0, 1, 2)


@contextmanager
def images(data_root: Path | None) -> Iterator[Path]:
    """The folder of images; a made one for as long as it is needed, if none is given."""
    if data_root:
        yield data_root.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder))
        yield Path(folder)


def make_images(root: Path, count: int = 80) -> None:
    """Writes JPEGs of 640 x 480 with texture and edges (about 100 kB each) and their COCO file."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    (root / 'train2017').mkdir()
    annotations: list[dict[str, Any]] = []
    for image_id in range(1, count + 1):
        smooth = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (640, 480))
        image = np.clip(smooth + rng.normal(scale=8, size=smooth.shape), 0, 255).astype(np.uint8)
        for _ in range(7):
            size, corner = rng.integers(10, 240, 2), rng.integers(0, 400, 2)
            x, y, w, h = (int(value) for value in (*corner, *np.minimum(size, (640, 480) - corner)))
            image[y : y + h, x : x + w] //= 2
            box = dict(bbox=[x, y, w, h], area=w * h, iscrowd=0, category_id=int(rng.integers(1, 81)))
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, **box))
        content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        (root / 'train2017' / f'{image_id:012}.jpg').write_bytes(content.tobytes())
    sizes = dict(width=640, height=480)
    file = dict(
        images=[dict(id=i, file_name=f'{i:012}.jpg', **sizes) for i in range(1, count + 1)],
        annotations=annotations,
        categories=[dict(id=number, name=f'class {number}') for number in range(1, 81)],
    )
    (root / 'annotations').mkdir()
    (root / 'annotations' / 'instances_train2017.json').write_text(json.dumps(file))


class Race:
    """The contestants' processes, one for each way to treat memory."""

    def __init__(self, args: argparse.Namespace, root: Path) -> None:
        pythons = dict(ours=executable, mmyolo=args.mmyolo, megvii=args.megvii)
        configs = dict(plain=args.config, cached=args.cached_config)
        self.common = dict(data_root=str(root), configs=configs)
        self.failures: dict[tuple[str, str], str] = {}
        self.workers = {
            (who, memory): Worker(python, PEER, who, env=env)
            for who, python in pythons.items()
            if Path(python).exists()
            for memory, env in MEMORY.items()
        }

    def rate(self, who: str, memory: str, case: str, **request: Any) -> float:
        """Samples a second of one run; NaN, and a note, if it fails."""
        try:
            return self.workers[who, memory].ask(case=case, **self.common, **request)
        except WorkerError as error:
            self.failures[who, case] = str(error)
            return float('nan')

    def median_rates(self, runs: dict[Any, Callable[[], float]], repeats: int) -> dict[Any, float]:
        """The median rate of each run; runs that fail once are given up."""
        first = take_turns(runs, repeats=1, warmup=1)
        working = {key: run for key, run in runs.items() if first[key][0] == first[key][0]}
        return {key: median(rates) for key, rates in take_turns(working, repeats, warmup=0).items()}

    def close(self) -> None:
        """Ends the processes."""
        for worker in self.workers.values():
            worker.close()


def compare(race: Race, args: argparse.Namespace) -> str:
    """Measures all cases; the table."""
    block = dict(action='block', side=640, seed=0, count=args.block)
    cases = {
        (who, case) for _, *row in ROWS for who, case in zip(('ours', 'mmyolo', 'megvii'), row, strict=True)
    }
    runs = {
        (who, memory, case): partial(race.rate, who, memory, case, **block)
        for who, memory in race.workers
        for case in sorted(case for contestant, case in cases if contestant == who and case)
    }
    rates = race.median_rates(runs, args.repeats)
    rows = [
        [
            what,
            memory,
            *(f'{rate:.1f}' if rate else '-' for rate in (ours, theirs, megvii)),
            f'{ours / theirs:.2f}' if ours and theirs else '-',
        ]
        for what, our_case, case, megvii_case in ROWS
        for memory, (our_memory, their_memory) in PAIRS.items()
        for ours in [rates.get(('ours', our_memory, our_case))]
        for theirs in [rates.get(('mmyolo', their_memory, case))]
        for megvii in [rates.get(('megvii', their_memory, megvii_case))]
    ]
    race.rate('mmyolo', 'default', 'cached', action='loader', side=640, workers=0, batches=1)
    notes = [f'{who}, {case}: {error}' for (who, case), error in sorted(race.failures.items())]
    return '\n'.join(
        [table(['samples/s', 'memory', 'ours', 'MMYOLO', 'Megvii', 'ours/MMYOLO'], rows), *notes]
    )


def plot_growth(race: Race, args: argparse.Namespace) -> str:
    """Measures rates against workers and against image size; writes the plot, returns the table."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    lines = {'ours': ('ours', 'stage1'), 'ours, cached': ('ours', 'cached'), 'MMYOLO': ('mmyolo', 'stage1')}
    block = dict(action='block', seed=0, count=args.block)
    loader = dict(action='loader', side=640, batches=args.block // 8)
    runs = {
        (axis, name, value): partial(race.rate, who, 'kept', case, **common, **{key: value})
        for name, (who, case) in lines.items()
        for axis, key, values, common in (
            ('image size', 'side', SIDES, block),
            ('workers', 'workers', WORKERS, loader),
        )
        for value in values
    }
    rates = race.median_rates(runs, max(3, args.repeats // 2))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout='constrained')
    rows = []
    for axes_, axis, values in zip(axes, ('workers', 'image size'), (WORKERS, SIDES), strict=True):
        for name in lines:
            found = [rates.get((axis, name, value)) for value in values]
            axes_.plot(values, [rate or float('nan') for rate in found], marker='o', label=name)
            rows += [
                [f'{axis} {value}, {name}', f'{rate:.1f}']
                for value, rate in zip(values, found, strict=True)
                if rate
            ]
        axes_.set(xlabel=axis, ylabel='samples/s', xticks=values, ylim=(0, None))
    axes[0].legend()
    figure.savefig(args.growth, dpi=120)
    return table(['stage 1, memory kept', 'samples/s'], rows)


def main() -> None:
    """Measures, prints, plots."""
    parser = argparse.ArgumentParser(description='our data pipelines beside the peers')
    parser.add_argument(
        '--data-root',
        type=Path,
        help="in COCO's layout: annotations/instances_train2017.json and train2017/ (default: made images)",
    )
    parser.add_argument('--config', default='yolox_s_fast_8xb8-300e_coco')
    parser.add_argument('--cached-config', default='yolox_s_fast_8xb8-300e-cached_coco')
    parser.add_argument('--block', type=int, default=64, help='samples in a block (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=7, help='blocks of each case (default: %(default)s)')
    parser.add_argument(
        '--growth', type=Path, metavar='PNG', help='plot rates against workers and image size'
    )
    add_peer(parser, 'mmyolo')
    add_peer(parser, 'megvii')
    args = parser.parse_args()
    check_peers(parser, args, 'mmyolo')
    with images(args.data_root) as root:
        race = Race(args, root)
        print(plot_growth(race, args) if args.growth else compare(race, args))
        race.close()


if __name__ == '__main__':
    main()

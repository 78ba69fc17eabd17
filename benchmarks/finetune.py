"""Fine-tuning a small real data set on the CPU: wall time to a model of AP 0.50, ours and the peers.

    benchmarks/make_env.sh mmyolo; benchmarks/make_env.sh megvii     # once
    python benchmarks/finetune.py --data path/to/bccd --weights yolox_nano_coco_megvii.pth

``--data`` is in Pascal VOC's layout with the splits ``trainval`` (trained on) and ``test`` (evaluated);
``--weights`` are Megvii's official YOLOX-nano. All start from them, with batch 8, 416 pixels, multi-scale 320
to 512, AdamW and the same number of compute threads and data workers; the learning rate (the peers' 4e-3,
ours that of our fine-tuning recipe) warms up for one epoch and falls to 5% over the length of the training;
the last 30% of the epochs have no mosaic. Each gets the shortest training that reaches the target: lengths
are tried in rising order, unless ``--epochs`` says which to take. The clock runs from the start of the
process to its end: imports, training and one evaluation. Converting data and weights comes before. The AP is
pycocotools', of the detections that each leaves behind.

MMYOLO is started with the weights that its own converter makes. Megvii's trainer needs CUDA: see
``finetune_megvii.py``.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from side_by_side import add_peer, check_peers, table

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / 'tools'
CONTESTANTS = ('ours', 'mmyolo', 'megvii')
LEARNING_RATES = dict(adamw=4e-3, published=0.01 * 8 / 64)
SIZES = (320, 512)  # pixels, of multi-scale training


class Track:
    """The data and weights that all start from, and how each is started."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.folder: Path = args.work_dir.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / 'data'
        threads = str(args.threads)
        self.env = {**os.environ, 'OMP_NUM_THREADS': threads, 'OMP_WAIT_POLICY': 'passive'}

    def prepare(self) -> None:
        """Converts the data and, for each contestant, the weights; not timed."""
        convert = TOOLS / 'dataset_converters' / 'voc2coco.py'
        splits = ['--train', 'trainval', '--val', 'test', '--splits']
        self.call([sys.executable, convert, self.args.data, self.data, *splits], 'convert_data')
        for name in ('train2017', 'val2017'):  # Megvii's names for the folders of images
            link = self.data / name
            if not link.is_symlink():
                link.symlink_to('images')
        weights = self.args.weights.resolve()
        ours = TOOLS / 'model_converters' / 'convert_checkpoint.py'
        if 'ours' in self.args.who:
            self.call([sys.executable, ours, weights, self.folder / 'ours.pth'], 'convert_ours')
        if 'mmyolo' in self.args.who:
            script = HERE / 'finetune_mmyolo.py'
            self.call(
                [self.args.mmyolo, script, 'convert', weights, self.folder / 'mmyolo.pth'], 'convert_mmyolo'
            )
        categories = json.loads((self.data / 'annotations' / 'train.json').read_text())['categories']
        self.classes = [category['name'] for category in categories]

    def run(self, who: str, epochs: int) -> tuple[float, float]:
        """Trains once: seconds, and the AP on the validation images."""
        work_dir = self.folder / f'{who}_{epochs}'
        work_dir.mkdir(exist_ok=True)
        results = work_dir / 'detections'
        command = self.our_command if who == 'ours' else self.peer_command
        arguments = command(who, epochs, work_dir, results)
        start = time.perf_counter()
        self.call(arguments, f'{who}_{epochs}')
        return time.perf_counter() - start, self.average_precision(Path(f'{results}.bbox.json'))

    def our_command(self, who: str, epochs: int, work_dir: Path, results: Path) -> list[Any]:
        """Our tool, as in the README."""
        workers = self.args.workers
        options = dict(
            data_root=self.data,
            max_epochs=epochs,
            num_last_epochs=last_epochs(epochs),
            val_interval=epochs,
            train_num_workers=workers,
            val_num_workers=workers,
        )
        config = ['yolox_nano_fast_1xb8-50e_custom', '--load-from', self.folder / f'{who}.pth']
        pairs = [f'{key}={value}' for key, value in options.items()]
        pairs += [f'val_evaluator.outfile_prefix={results}', *self.args.our_options]
        amp = ['--amp'] if self.args.amp else []
        train = TOOLS / 'train.py'
        return [sys.executable, train, *config, *amp, '--work-dir', work_dir, '--cfg-options', *pairs]

    def peer_command(self, who: str, epochs: int, work_dir: Path, results: Path) -> list[Any]:
        """A peer's script, with the settings in a file."""
        weights = self.args.weights.resolve() if who == 'megvii' else self.folder / 'mmyolo.pth'
        settings = dict(
            data=str(self.data),
            weights=str(weights),
            work_dir=str(work_dir),
            results=str(results),
            classes=self.classes,
            epochs=epochs,
            last_epochs=last_epochs(epochs),
            batch=8,
            workers=self.args.workers,
            sizes=SIZES,
            recipe=self.args.peer_recipe,
            lr=LEARNING_RATES[self.args.peer_recipe],
        )
        path = work_dir / 'settings.json'
        path.write_text(json.dumps(settings))
        action = ['train'] if who == 'mmyolo' else []
        return [getattr(self.args, who), HERE / f'finetune_{who}.py', *action, path]

    def call(self, command: Sequence[Any], name: str) -> None:
        """Runs a command; what it prints goes to a file, whose end is shown if it fails."""
        log = self.folder / f'{name}.log'
        with log.open('w') as output:
            done = subprocess.run(list(map(str, command)), stdout=output, stderr=output, env=self.env)
        if done.returncode:
            raise SystemExit(f'{" ".join(map(str, command))} failed, see {log}:\n{log.read_text()[-2000:]}')

    def average_precision(self, results: Path) -> float:
        """COCO's AP of a file of detections; 0 if it is empty."""
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        detections = json.loads(results.read_text())
        if not detections:
            return 0.0
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(self.data / 'annotations' / 'val.json'))
            evaluation = COCOeval(truth, truth.loadRes(detections), 'bbox')
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return float(evaluation.stats[0])


def last_epochs(epochs: int) -> int:
    """The epochs without mosaic."""
    return max(1, round(0.3 * epochs))


def search(track: Track, who: str) -> float | None:
    """Tries the lengths for one contestant and prints each; the seconds of the first that is good enough."""
    lengths = track.args.epochs.get(who, track.args.lengths)
    for epochs in lengths:
        seconds, precision = track.run(who, epochs)
        print(f'{who:8}{epochs:4} epochs {seconds:8.1f} s  AP {precision:.3f}', flush=True)
        if precision >= track.args.target:
            return seconds
    return None


def length(text: str) -> int:
    """Checks a number of epochs: one to warm up, one to fall, one without mosaic."""
    epochs = int(text)
    if epochs < 3:
        raise argparse.ArgumentTypeError('needs at least 3 epochs')
    return epochs


def given_length(text: str) -> tuple[str, list[int]]:
    """Reads ``NAME=EPOCHS``."""
    name, _, epochs = text.partition('=')
    if name not in CONTESTANTS:
        raise argparse.ArgumentTypeError(f'{name!r} is none of {", ".join(CONTESTANTS)}')
    return name, [length(epochs)]


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='wall time of a fine-tuning to AP 0.50')
    parser.add_argument('--data', type=Path, required=True, help="BCCD in Pascal VOC's layout")
    parser.add_argument('--weights', type=Path, required=True, help="Megvii's yolox_nano.pth")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs', 'finetune_benchmark'))
    parser.add_argument('--who', nargs='+', default=CONTESTANTS, choices=CONTESTANTS)
    parser.add_argument('--target', type=float, default=0.5, help='AP to reach (default: %(default)s)')
    parser.add_argument('--lengths', nargs='+', type=length, default=[3, 5, 8, 12, 20, 30], metavar='EPOCHS')
    parser.add_argument(
        '--epochs', nargs='+', type=given_length, default=[], metavar='NAME=N', help='one length, no search'
    )
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--amp', action='store_true', help='ours with --amp')
    parser.add_argument(
        '--our-options', nargs='+', default=[], metavar='KEY=VALUE', help='more config options'
    )
    parser.add_argument(
        '--peer-recipe',
        choices=LEARNING_RATES,
        default='adamw',
        help="the peers' optimizer: ours, or their SGD",
    )
    add_peer(parser, 'mmyolo')
    add_peer(parser, 'megvii')
    args = parser.parse_args()
    args.epochs = dict(args.epochs)
    check_peers(parser, args, *(name for name in args.who if name != 'ours'))
    return args


def main() -> None:
    """Races and prints."""
    args = parse_args()
    track = Track(args)
    track.prepare()
    times = {who: search(track, who) for who in args.who}
    ours = times.get('ours')
    rows = [
        [
            who,
            f'{seconds:.1f}' if seconds else 'not reached',
            f'{seconds / ours:.2f}' if seconds and ours else '-',
        ]
        for who, seconds in times.items()
    ]
    print('', table([f's to AP {args.target}', 'wall time', 'times ours'], rows), sep='\n')


if __name__ == '__main__':
    main()

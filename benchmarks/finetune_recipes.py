"""The AP of fine-tuning recipes on small real data sets, over several seeds.

    python benchmarks/finetune_recipes.py --weights yolox_nano.pth --data path/to/bccd path/to/raccoon

Each of ``--data`` is a folder in our layout: ``annotations/train.json``, ``annotations/val.json`` and
``images/``. A recipe is the default one with other options (``RECIPES``, and those that ``--recipe`` adds),
or one for COCO with its schedule cut to the same epochs (``PUBLISHED``). All train nano at 416 pixels for 20
epochs, the last 6 without mosaic, in batches of 8, and validate once, at the end. Decoded images are kept in
memory.

Every training has a folder of its own in ``--work-dir``. One that is finished is not run again and one that
was stopped goes on, so that the same command continues, and one with more seeds, recipes or data runs what is
new. The table that is printed has the mean and the standard deviation over the seeds.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

from side_by_side import table

TRAIN = Path(__file__).resolve().parents[1] / 'tools' / 'train.py'
FINETUNE = 'yolox_nano_fast_1xb8-50e_custom'
EPOCHS, LAST_EPOCHS = 20, 6
MOSAIC, AFFINE = (f'train_dataloader.dataset.pipeline.{step}' for step in (2, 3))
CORNER = [f'{AFFINE}.anchor=(0.0,0.0)']
TURNED = [f'{AFFINE}.max_rotate_degree=10.0', f'{AFFINE}.max_shear_degree=2.0']
FLOOR = [f'param_scheduler.num_last_epochs={LAST_EPOCHS}']
ONE_RATE = 'optim_wrapper.paramwise_cfg.pixel_lr_mult=1.0'
ONE_RATE_RECIPES = {
    'one rate for all layers': [],
    'mosaics about the corner': CORNER,
    'turned by up to 10 degrees, sheared by 2': TURNED,
    'lowest rate in the last epochs': FLOOR,
    'all three': [*CORNER, *TURNED, *FLOOR],
    'norms left folded': ['default_hooks.folded_norms=None'],
    'all three, norms left folded': [*CORNER, *TURNED, *FLOOR, 'default_hooks.folded_norms=None'],
    'scales 0.8 to 1.2': [f'{AFFINE}.scaling_ratio_range=(0.8,1.2)'],
    'scales 0.3 to 2': [f'{AFFINE}.scaling_ratio_range=(0.3,2.0)'],
    'a mosaic half of the time': [f'{MOSAIC}.prob=0.5'],
    'moving average of 100 steps': ['default_hooks.ema.momentum=1e-2'],
    'moving average of 1000 steps': ['default_hooks.ema.momentum=1e-3'],
    'rate 1e-3': ['base_lr=1e-3'],
    'rate 4e-3': ['base_lr=4e-3'],
    'the last 2 epochs without mosaic': ['num_last_epochs=2'],
    'the last 10 epochs without mosaic': ['num_last_epochs=10'],
}
RECIPES = {
    'default': [],
    'frozen stem': ['model.backbone.frozen_stages=0'],
    'the first convolution at a tenth of the rate': ['optim_wrapper.paramwise_cfg.pixel_lr_mult=0.1'],
    **{name: [ONE_RATE, *options] for name, options in ONE_RATE_RECIPES.items()},
}
"""Options of the fine-tuning config."""

NANO = ['deepen_factor=0.33', 'widen_factor=0.25', 'use_depthwise=True']
PUBLISHED = {
    "Megvii's for COCO": ('yolox_nano_fast_8xb8-300e_coco', []),
    "SuperGradients' for COCO": ('yolox_nano_fast_8xb16-300e-supergradients_coco', []),
    "MindYOLO's for COCO": (
        'yolox_s_fast_8xb8-300e-mindyolo_coco',
        [
            *(f'model.{part}.{option}' for part in ('backbone', 'neck') for option in NANO),
            *(f'model.bbox_head.head_module.{option}' for option in NANO[1:]),
        ],
    ),
}
"""Configs for COCO, and options that make their model nano. Their rate is ``COCO_RATE``: that for batches of
64, since one for batches of 8 learns next to nothing in so few steps."""
COCO_RATE = 0.01


class Figures(NamedTuple):
    """What a training came to.

    Attributes:
        ap: COCO's AP after the last epoch.
        ap50: That at an overlap of one half.
        step: Seconds an iteration, the median.
    """

    ap: float
    ap50: float
    step: float


def read_figures(folder: Path) -> Figures | None:
    """The figures of the training in a folder, from its logs; None if it is not finished."""
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    entries = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    results = [entry for entry in entries if 'coco/bbox_mAP' in entry]
    if not results:
        return None
    steps = [entry['time'] for entry in entries if 'loss' in entry]
    return Figures(results[-1]['coco/bbox_mAP'], results[-1]['coco/bbox_mAP_50'], median(steps))


def coco_options(data: Path) -> list[str]:
    """What makes a config for COCO one for the data."""
    categories = json.loads((data / 'annotations/val.json').read_text())['categories']
    names = json.dumps([category['name'] for category in categories])
    return [
        *(f'{split}_ann_file=annotations/{split}.json' for split in ('train', 'val')),
        *(f'{split}_img_prefix=images/' for split in ('train', 'val')),
        *(f'{split}_dataloader.dataset.metainfo.classes={names}' for split in ('train', 'val')),
        f'model.bbox_head.head_module.num_classes={len(categories)}',
        'img_scale=(416,416)',
        'train_batch_size_per_gpu=8',
        f'base_lr={COCO_RATE}',
    ]


def train_options(args: argparse.Namespace, data: Path, recipe: str, seed: int) -> tuple[str, list[str]]:
    """The config of a recipe and all its options."""
    if recipe in PUBLISHED:
        config, own = PUBLISHED[recipe]
        own = [*coco_options(data), *own]
    else:
        config, own = FINETUNE, args.recipes[recipe]
    shared = dict(
        data_root=data,
        max_epochs=EPOCHS,
        num_last_epochs=LAST_EPOCHS,
        val_interval=EPOCHS,
        train_num_workers=args.workers,
        val_num_workers=args.workers,
    )
    pairs = [f'{key}={value}' for key, value in shared.items()]
    pairs += [f'randomness.seed={seed}', 'train_dataloader.dataset.image_cache=ram']
    return config, [*pairs, *own]


def train(args: argparse.Namespace, data: Path, recipe: str, seed: int) -> Figures:
    """Trains in a folder of its own, unless that was done, and prints the figures."""
    folder = args.work_dir / data.name / recipe.replace(' ', '_') / str(seed)
    figures = read_figures(folder)
    if figures is None:
        config, options = train_options(args, data, recipe, seed)
        command = [
            sys.executable,
            TRAIN,
            config,
            '--load-from',
            args.weights,
            '--work-dir',
            folder,
            '--resume',
        ]
        command += [*(['--amp'] if args.amp else []), '--cfg-options', *options]
        folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, 'OMP_NUM_THREADS': str(args.threads)}
        with (folder / 'output.txt').open('w') as output:
            done = subprocess.run(list(map(str, command)), stdout=output, stderr=output, env=env)
        figures = read_figures(folder)
        if done.returncode or figures is None:
            raise SystemExit(f'{" ".join(map(str, command))} failed, see {output.name}')
    print(f'{data.name}, {recipe}, seed {seed}: AP {figures.ap:.3f}, AP50 {figures.ap50:.3f}', flush=True)
    return figures


def show(values: list[float]) -> str:
    """The mean, and the standard deviation where it can be told."""
    spread = f' ± {stdev(values):.3f}' if len(values) > 1 else ''
    return f'{mean(values):.3f}{spread}'


def given_recipe(text: str) -> tuple[str, list[str]]:
    """Reads ``NAME:KEY=VALUE KEY=VALUE ...``."""
    name, _, options = text.partition(':')
    return name, options.split()


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='AP of fine-tuning recipes')
    parser.add_argument('--data', type=Path, nargs='+', required=True, help='folders, as for data_root')
    parser.add_argument('--weights', type=Path, required=True, help='those of YOLOX-nano')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs', 'finetune_recipes'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='these recipes (default: all)')
    parser.add_argument(
        '--recipe',
        type=given_recipe,
        action='append',
        default=[],
        metavar='"NAME:KEY=VALUE ..."',
        help='one more recipe: options on top of the default',
    )
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2, help='of each (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='of each, for data (default: %(default)s)')
    args = parser.parse_args()
    args.recipes = RECIPES | dict(args.recipe)
    args.only = args.only or [*args.recipes, *PUBLISHED]
    unknown = set(args.only) - set(args.recipes) - set(PUBLISHED)
    if unknown:
        names = ', '.join([*args.recipes, *PUBLISHED])
        parser.error(f'--only: {", ".join(sorted(unknown))} is none of {names}')
    return args


def main() -> None:
    """Trains what is not trained yet and prints the table."""
    args = parse_args()
    runs = list(product(args.data, args.only, args.seeds))
    with ThreadPoolExecutor(args.jobs) as pool:
        results = dict(zip(runs, pool.map(lambda run: train(args, *run), runs), strict=True))
    header = ['recipe']
    for data in args.data:
        header += [f'{data.name}: AP', 'AP50', 's a step']
    rows = []
    for name in args.only:
        row = [name]
        for data in args.data:
            ap, ap50, step = zip(*(results[data, name, seed] for seed in args.seeds), strict=True)
            row += [show(list(ap)), show(list(ap50)), f'{median(step):.2f}']
        rows.append(row)
    print('', table(header, rows), sep='\n')


if __name__ == '__main__':
    main()

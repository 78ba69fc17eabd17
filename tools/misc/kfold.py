"""Trains on all folds of a data set but one, for each of k, and tells mean and spread.

    mmyolox kfold yolox_s --folds 5 --load-from yolox_s --cfg-options data_root=my_data

All images but those of a test split are dealt to k folds. Of each training, a process that does what
`mmyolox train` does, one fold is the validation. The same command goes on where it was stopped.
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmyolox.errors import UserError
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_start_options, add_unsafe_option
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from fold_data import Division
    from fold_figures import FoldResult
    from mmengine.config import Config

RECORD = 'kfold.json'
GRACE = 30
"""The seconds that a training has to end after Ctrl-C."""
TERMINATED = 143
"""Exit status of a process stopped by SIGTERM, as shells report it (128 + SIGTERM)."""


def parse_args() -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'config', help='a config file, or the name of one of ours; of a model, as yolox_s: to fine-tune it'
    )
    parser.add_argument('--folds', type=int, default=5, help='how many there are; default: 5')
    parser.add_argument('--seed', type=int, default=0, help='another one deals the images anew; default: 0')
    parser.add_argument('--work-dir', help='where all goes; default: work_dirs/<config name>_kfold')
    parser.add_argument('--verbose', action='store_true', help='print all of the logs')
    add_start_options(parser)
    add_unsafe_option(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def options_of_training(args: argparse.Namespace) -> list[str]:
    """The options that each training gets as they were given."""
    flags = ('amp', 'auto_scale_lr', 'allow_unsafe_checkpoint')
    options = [f'--{flag.replace("_", "-")}' for flag in flags if getattr(args, flag)]
    return [*options, *(['--load-from', args.load_from] if args.load_from else [])]


def share(cfg: 'Config', division: 'Division', folder: Path) -> Path:
    """Writes what the trainings share.

    Args:
        cfg: The config; it is made that of the first fold, in place.
        division: The images.
        folder: The folder.

    Returns:
        The file of the config.

    Raises:
        UserError: The folder has trainings of other images or settings.
    """
    from mmyolox.files import atomic_write, read_text

    annotations, config = folder / 'annotations.json', folder / Path(cfg.filename).name
    division.apply(cfg, annotations)
    has_begun = any(folder.glob('fold_*/*.pth'))
    for path, text in {annotations: json.dumps(division.content), config: cfg.pretty_text}.items():
        if path.is_file() and read_text(path) == text:
            continue
        if has_begun:
            raise UserError(
                f'{folder} has trainings of other images or settings than {path.name} would have now: repeat '
                'the command that they were begun by, or name another folder by --work-dir'
            )
        with atomic_write(path) as part:
            part.write_text(text, encoding='utf-8')
    return config


def train(config: Path, folder: Path, index: int, options: list[str]) -> None:
    """Trains on all folds but one, from where a training in the folder was stopped, if there is one.

    Args:
        config: The file of the config.
        folder: Where the training goes.
        index: The fold that is the validation, from 0.
        options: Further options of the training.

    Raises:
        UserError: It fails.
    """
    chosen = [f'{split}_dataloader.dataset.fold.index={index}' for split in ('train', 'val')]
    command = [sys.executable, '-m', 'mmyolox', 'train', str(config), '--work-dir', str(folder), '--resume']
    earlier = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    # Its output is ours. So is Ctrl-C, at which it says how far it is; SIGTERM is for us alone.
    process = subprocess.Popen([*command, *options, '--cfg-options', *chosen])
    try:
        status = process.wait()
    except SystemExit:
        process.terminate()
        raise
    except KeyboardInterrupt:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.terminate()
        print(f'stopped in fold {index + 1}; the same command goes on', file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, earlier)
    if status:
        logs = sorted(folder.glob('*/*.log'))
        raise UserError(
            f'the training of fold {index + 1} ended with status {status}; see above, and '
            f'{logs[-1] if logs else folder}; the same command goes on'
        )


def trained(record: Path) -> 'dict[int, FoldResult]':
    """The results of the folds that are recorded, and whose checkpoints are there, by number.

    Raises:
        UserError: The record cannot be read.
    """
    from fold_figures import FoldResult

    if not record.is_file():
        return {}
    try:
        results = [FoldResult(**one) for one in json.loads(record.read_bytes())['folds']]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{record} is no record of ours ({error!r}): remove it') from None
    return {one.fold: one for one in results if Path(record.parent, one.checkpoint).is_file()}


def main() -> None:
    """Deals the images, trains on each fold, and tells what came of it."""
    args = parse_args()
    from fold_data import Division
    from fold_figures import Summary, read_result
    from mmengine.registry import init_default_scope

    from mmyolox.config import load_config, require
    from mmyolox.config.find import find_config
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.engine.work_dir import claim
    from mmyolox.files import atomic_write, writing

    use_terminal(args.verbose)
    for name in ('fold_count', 'fold_index', 'fold_seed'):
        if name in (args.cfg_options or {}):
            raise UserError(f'{name} has no effect on a k-fold: --folds and --seed say how images are dealt')
    cfg = load_config(find_config(args.config, 'custom'), args.cfg_options)
    require(cfg, 'model', 'train_dataloader', 'val_dataloader', 'val_evaluator')
    init_default_scope(cfg.get('default_scope', 'mmyolox'))
    options = options_of_training(args)
    cfg.kfold_options = options  # kept with the config, so that no other ones go on
    folder = Path(args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(cfg.filename).stem}_kfold')
    division = Division.of(cfg, args.folds, args.seed)
    with writing(folder), claim(folder):
        config = share(cfg, division, folder)
        print(f'{cfg.data_layout}; to {folder}', flush=True)
        results = trained(folder / RECORD)
        for number in range(1, args.folds + 1):
            if number not in results:
                print(f'fold {number} of {args.folds}', flush=True)
                place = folder / f'fold_{number}'
                train(config, place, number - 1, [*options, *['--verbose'] * args.verbose])
                images = len(division.held_out(number - 1))
                results[number] = read_result(place, number, images)
            print(f'fold {number} of {args.folds}: {results[number].line()}', flush=True)
            summary = Summary([results[one] for one in sorted(results)], division.objects())
            with atomic_write(folder / RECORD) as part:
                part.write_text(json.dumps(summary.to_dict(), indent=1), encoding='utf-8')
        for line in summary.lines():
            print(line)
        summary.plot(folder / 'kfold.png', folder.name)
        print(f'written to {folder / RECORD} and kfold.png')


if __name__ == '__main__':
    run_tool(main)

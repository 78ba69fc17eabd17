"""Evaluates a checkpoint on the test data of a config.

    mmyolox test work_dirs/yolox_s_fast_1xb8-50e_custom/epoch_50.pth
    mmyolox test yolox_s epoch_50.pth --cfg-options data_root=other_data/

Without a config, or with the name of the model alone, it is the one that the training saved beside its
checkpoints, with its data. Where that is not there, or ``data_root`` names other data, it is the config of
ours that the checkpoint was trained with, and without a record the one of ours that fits the weights.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmyolox.errors import UserError, one_line
from mmyolox.tool_parser import ToolParser, add_cfg_options, add_launch_options
from mmyolox.utils.cli import run_tool

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0], split='val')
    parser.add_argument(
        'config',
        nargs='?',
        help='a config file, or the name of one of ours; default, and of a model, as yolox_s: the one '
        'that the checkpoint was trained with, else that for COCO',
    )
    parser.add_argument('checkpoint', help='the checkpoint file, its web address, or a name such as yolox_s')
    parser.add_argument(
        '--out',
        help='keep the detections: found.json makes found.bbox.json (COCO results), and of a pose model '
        'found.keypoints.json; found.pkl is a pickle',
    )
    parser.add_argument('--show-dir', help='keep pictures with ground truth and detections in this folder')
    parser.add_argument('--tta', action='store_true', help='several sizes and mirrored views of each image')
    add_cfg_options(parser)
    add_launch_options(parser)
    return parser.parse_intermixed_args(argv)


def choose_config(
    args: argparse.Namespace, content: Mapping[str, Any], recorded: Mapping[str, Any]
) -> tuple[str | Path, dict[str, Any]]:
    """The config to evaluate by, and the options for it.

    Args:
        args: The command line.
        content: What the checkpoint file holds.
        recorded: What it says of its data and its training.

    Raises:
        UserError: No config is named, and none of ours fits the weights.
    """
    from mmyolox.checkpoints.convert import state_dict_of
    from mmyolox.checkpoints.recognise import config_for, recognise
    from mmyolox.config.find import find_saved_config, is_of_model, own_configs

    recipe, options = recorded.get('recipe', ''), args.cfg_options or {}
    if args.config is None or is_of_model(recipe, args.config):
        saved = find_saved_config(args.checkpoint, recipe)
        if saved and 'data_root' not in options:
            return saved, options
    if args.config is not None:
        return args.config, options
    if any(path.stem == recipe for path in own_configs()):
        return recipe, options
    try:
        config, needed = config_for(recognise(state_dict_of(content, args.checkpoint)), recorded)
    except UserError as error:
        raise UserError(f'checkpoint {args.checkpoint}: {error}; give the config before it') from error
    return config, needed | options


def check_outputs(args: argparse.Namespace) -> None:
    """Raises a ``UserError`` if ``--out`` or ``--show-dir`` cannot be written, before anything is read."""
    from mmyolox.engine.launch import is_first_process
    from mmyolox.files import check_folder, check_target

    if args.out and Path(args.out).suffix not in ('.json', '.pkl'):
        raise UserError(f'--out {args.out}: the name must end in .json or .pkl')
    if not is_first_process(args.launcher):
        return
    if args.out:
        check_target(args.out)
    if args.show_dir:
        check_folder(args.show_dir)


def use_tta(cfg: 'Config') -> None:
    """Puts the model and the data into test-time augmentation, in place."""
    from mmyolox.config import require
    from mmyolox.config.check import check_channels

    require(cfg, 'tta_model', 'tta_pipeline')
    check_channels(cfg, ['tta_pipeline'])
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.test_dataloader.collate_fn = dict(type='tta_collate')


def keep_detections(cfg: 'Config', path: str) -> None:
    """Makes the evaluation also write the detections to ``path``, in place."""
    if Path(path).suffix == '.json':
        # The metric appends `.bbox.json` to its prefix.
        cfg.test_evaluator.outfile_prefix = str(Path(path).with_suffix(''))
    else:
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='mmyolox.DetectionsFile', out_file_path=path)]


def detection_files(path: str | None) -> list[Path]:
    """The files that ``--out`` has made, see :func:`keep_detections`."""
    if path is None or Path(path).suffix == '.pkl':
        return [Path(path)] if path else []
    files = (Path(path).with_suffix(f'.{kind}.json') for kind in ('bbox', 'keypoints'))
    return [file for file in files if file.exists()]


def draw_detections(cfg: 'Config', folder: str) -> None:
    """Makes the test also draw pictures into ``folder``, in place."""
    from mmengine.visualization import Visualizer

    from mmyolox.registry import VISUALIZERS

    name = cfg.visualizer.type
    if VISUALIZERS.get(name).add_datasample is Visualizer.add_datasample:
        raise UserError(
            f'--show-dir: visualizer.type={name} draws nothing; '
            'add --cfg-options visualizer.type=YOLOXVisualizer'
        )
    cfg.default_hooks.visualization = dict(type='DetectionPicturesHook', out_dir=folder)


def main() -> None:
    """Reads the config, checks it, evaluates."""
    args = parse_args()
    check_outputs(args)
    from mmengine.runner import CheckpointLoader

    from mmyolox.checkpoints.load import use_safe_loading
    from mmyolox.checkpoints.record import recorded_values
    from mmyolox.config import load_config, require
    from mmyolox.config.check import check_channels
    from mmyolox.config.options import warn_of_validation_options
    from mmyolox.engine.launch import build_runner, is_first_process, prepare
    from mmyolox.engine.terminal import use_terminal
    from mmyolox.files import writing

    use_terminal(args.verbose, is_first_process(args.launcher))
    warn_of_validation_options(args.cfg_options or ())
    use_safe_loading(args.allow_unsafe_checkpoint)
    content = CheckpointLoader.load_checkpoint(args.checkpoint, 'cpu', logger='silent')
    recorded = recorded_values(content, args.checkpoint)
    config, options = choose_config(args, content, recorded)
    cfg = load_config(config, options, recorded)
    require(cfg, 'model', 'test_dataloader', 'test_evaluator')
    check_channels(cfg, ['test_dataloader'])
    prepare(cfg, args)
    use_safe_loading(args.allow_unsafe_checkpoint, {args.checkpoint: content})  # the Runner reads it no more
    cfg.load_from = args.checkpoint
    if args.tta:
        use_tta(cfg)
    if args.out:
        keep_detections(cfg, args.out)
    if args.show_dir:
        draw_detections(cfg, args.show_dir)
    with writing(cfg.work_dir):
        build_runner(cfg).test()
    if is_first_process(args.launcher):
        for what, paths in (('detections', detection_files(args.out)), ('pictures', [args.show_dir])):
            for path in filter(None, paths):
                print(f'{what}: {one_line(str(path))}')


if __name__ == '__main__':
    run_tool(main)

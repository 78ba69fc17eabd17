"""Trains a detector.

mmyolox train yolox_s --load-from yolox_s --cfg-options data_root=my_data/
"""

import argparse
import os
from contextlib import nullcontext

from mmyolox.tool_parser import ToolParser, add_cfg_options, add_launch_options, add_start_options
from mmyolox.utils.cli import run_tool


def parse_args() -> argparse.Namespace:
    """Reads the command line; nothing heavy is imported yet."""
    parser = ToolParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument(
        'config', help='a config file, or the name of one of ours; of a model, as yolox_s: to fine-tune it'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from a checkpoint; without a file, from the latest one in the work dir',
    )
    add_start_options(parser)
    add_cfg_options(parser)
    add_launch_options(parser)
    return parser.parse_args()


def main() -> None:
    """Reads the config, checks it, trains."""
    args = parse_args()
    from mmengine.runner import CheckpointLoader

    from mmyolox.checkpoints.convert import state_dict_of
    from mmyolox.checkpoints.load import use_safe_loading
    from mmyolox.checkpoints.record import read_record
    from mmyolox.config import load_config, require
    from mmyolox.config.check import check_channels
    from mmyolox.config.find import find_config
    from mmyolox.config.recorded import follow_start
    from mmyolox.engine.batch_size import settle_batch_size
    from mmyolox.engine.launch import build_runner, enable_amp, enable_lr_scaling, is_first_process, prepare
    from mmyolox.engine.terminal import resumable, use_terminal
    from mmyolox.engine.work_dir import claim, set_start
    from mmyolox.errors import SHOWN
    from mmyolox.files import writing

    use_terminal(args.verbose, is_first_process(args.launcher))
    cfg = load_config(find_config(args.config, 'custom'), args.cfg_options)
    require(cfg, 'model', 'train_dataloader')
    check_channels(cfg)
    prepare(cfg, args)
    with writing(cfg.work_dir), claim(cfg.work_dir) if is_first_process(args.launcher) else nullcontext():
        is_restart = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') != '0'  # by torchrun --max-restarts
        set_start(cfg, args.load_from, 'auto' if is_restart else args.resume)
        source, meta = cfg.get('load_from'), None
        if source:  # one that cannot be read is told before the pages that a Runner logs
            content = CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent')
            record = read_record(content, state_dict_of(content, source), source)
            follow_start(cfg, record.normalisation, args.cfg_options or {})
            if not cfg.resume:
                use_safe_loading(args.allow_unsafe_checkpoint, {source: content})
            meta = content.get('meta') if cfg.resume else None
            del content
        if args.amp:
            enable_amp(cfg)
        if args.auto_scale_lr:
            enable_lr_scaling(cfg)
        decided = settle_batch_size(cfg, meta, int(os.environ['LOCAL_RANK']))
        with resumable(cfg.work_dir, args.launcher):
            runner = build_runner(cfg)
            if decided:
                runner.logger.info(decided, extra=SHOWN)
            runner.train()


if __name__ == '__main__':
    run_tool(main)

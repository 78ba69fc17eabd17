"""From a checked config to a Runner: distributed launching on any device, mixed precision, checkpoints."""

import argparse
import os
from pathlib import Path

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .checkpoint import use_safe_loading
from .errors import UserError


def prepare(cfg: Config, args: argparse.Namespace) -> None:
    """Completes a config, in place, with the options of :func:`mmyolox.utils.cli.add_launch_options`.

    On a machine without an accelerator the processes of ``--launcher pytorch`` are joined by gloo here,
    because MMEngine's own set-up asks for a CUDA device.

    Raises:
        UserError: the launcher needs a device that is not there.
    """
    use_safe_loading(args.allow_unsafe_checkpoint)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(cfg.filename).stem))
    if args.launcher == 'none' or get_device() != 'cpu':
        return
    if args.launcher != 'pytorch':
        raise UserError(f'--launcher {args.launcher} needs an accelerator; on the CPU use --launcher pytorch')
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)


def enable_amp(cfg: Config) -> None:
    """Turns on mixed precision, in place.

    Raises:
        UserError: the device has none, or the config's optimizer wrapper is one of its own.
    """
    if get_device() == 'cpu':
        raise UserError('--amp needs an accelerator (CUDA, NPU, ...); train without it on the CPU')
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp cannot be combined with optim_wrapper.type={kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def build_runner(cfg: Config) -> Runner:
    """Builds MMEngine's Runner, or the one that ``runner_type`` names."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)

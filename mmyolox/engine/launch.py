"""From a checked config to a Runner: distributed launching on any device, mixed precision, checkpoints."""

import argparse
import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import (
    get_device,
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mmyolox.checkpoints.load import use_safe_loading
from mmyolox.config.components import find_component
from mmyolox.config.mmdet_parts import check_batches
from mmyolox.config.training import check_compilation, check_groups
from mmyolox.errors import UserError
from mmyolox.utils.devices import has_bfloat16

from .runner import YOLOXRunner


def prepare(cfg: Config, args: argparse.Namespace) -> None:
    """Completes a config, in place, with the options of :func:`mmyolox.tool_parser.add_launch_options`.

    On a machine without an accelerator the processes are joined by gloo here, because MMEngine's own set-up
    asks for a CUDA device.

    Raises:
        UserError: The launcher did not start this process, or a process is to wait for no time.
    """
    use_safe_loading(args.allow_unsafe_checkpoint)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if (args.cfg_options or {}).get('launcher', args.launcher) != args.launcher:
        raise UserError(f'config option launcher={cfg.launcher}: the option is --launcher {cfg.launcher}')
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(cfg.filename).stem))
    timeout = waiting_time(cfg)
    if args.launcher == 'none':
        if 'TORCHELASTIC_RUN_ID' in os.environ and os.environ['WORLD_SIZE'] != '1':
            raise UserError(
                f'torchrun started {os.environ["WORLD_SIZE"]} processes, which would each do all the work: '
                'add --launcher pytorch'
            )
        return
    check_launcher(args.launcher)
    if args.launcher != 'pytorch':
        set_rank(args.launcher)
    if get_device() != 'cpu':
        return
    # Processes that one torchrun starts anew find its store of the first start, with the addresses of the
    # dead in it. Those of several find a new one, and each has a count of its own.
    is_kept = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True'
    restart = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') if is_kept else '0'
    rank, world_size = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
    address = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])
    store = PrefixStore(
        f'start {restart}', TCPStore(*address, world_size, rank == 0 and not is_kept, timeout)
    )
    torch.distributed.init_process_group(
        'gloo', timeout=timeout, store=store, rank=rank, world_size=world_size
    )
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = wrapper | (cfg.get('model_wrapper_cfg') or {}) | dict(device_ids=None)


_VARIABLES = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'MASTER_PORT', 'MASTER_ADDR'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK', 'MASTER_ADDR'),
)
"""What a launcher tells a process, as MMEngine reads it: first its number and that of all processes."""
_STARTERS = dict(
    pytorch='torchrun or tools/dist_train.sh', slurm='srun or tools/slurm_train.sh', mpi='mpirun'
)


def check_launcher(launcher: str) -> None:
    """Checks what a launcher says to this process in the environment.

    Args:
        launcher: ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        UserError: A variable is absent or wrong.
    """
    for name in _VARIABLES[launcher]:
        value = os.environ.get(name)
        if not value:
            raise UserError(
                f'--launcher {launcher}: {name} is not set in the environment; start the processes by '
                f'{_STARTERS[launcher]}, or leave --launcher out for one process'
            )
        is_text = name in ('MASTER_ADDR', 'SLURM_NODELIST')
        if not is_text and not (value.isdecimal() and int(value) < 65536):
            raise UserError(
                f'--launcher {launcher}: {name}={value} in the environment is no number below 65536'
            )
    rank, size = _VARIABLES[launcher][:2]
    if int(os.environ[rank]) >= int(os.environ[size]):
        raise UserError(
            f'--launcher {launcher}: {rank}={os.environ[rank]} in the environment must be below '
            f'{size}={os.environ[size]}'
        )


def set_rank(launcher: str) -> None:
    """Sets the variables of torchrun, which PyTorch reads, by those of another launcher, as MMEngine does.

    MMEngine does so later, when the batch size was tried on the device, and takes what a cluster without
    ``scontrol`` answers for an address.

    Args:
        launcher: ``slurm`` or ``mpi``, whose variables are there.

    Raises:
        UserError: The address of the first process is not known.
    """
    rank, size = _VARIABLES[launcher][:2]
    local = dict(slurm='SLURM_LOCALID', mpi='OMPI_COMM_WORLD_LOCAL_RANK')[launcher]
    os.environ.update(RANK=os.environ[rank], WORLD_SIZE=os.environ[size])
    if local in os.environ:
        os.environ['LOCAL_RANK'] = os.environ[local]
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' in os.environ:
        return
    nodes = os.environ['SLURM_NODELIST']
    command = ['scontrol', 'show', 'hostnames', nodes]
    listed = subprocess.run(command, capture_output=True, text=True) if shutil.which(command[0]) else None
    if listed is not None and listed.returncode == 0 and listed.stdout.strip():
        os.environ['MASTER_ADDR'] = listed.stdout.split()[0]
    elif re.search(r'[\[,]', nodes):
        raise UserError(
            f'--launcher {launcher}: scontrol does not tell the first of the nodes {nodes}; set MASTER_ADDR '
            'to its address'
        )
    else:
        os.environ['MASTER_ADDR'] = nodes


def waiting_time(cfg: Config) -> timedelta:
    """How long a process waits for the others: ``env_cfg.dist_cfg.timeout``, by default ten minutes.

    Raises:
        UserError: It is no number of seconds above 0.
    """
    seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout', 600)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise UserError(f'config key env_cfg.dist_cfg.timeout={seconds!r}: a number of seconds is needed')
    return timedelta(seconds=seconds)


def enable_amp(cfg: Config) -> None:
    """Turns on mixed precision, in place: bfloat16 where the device computes in it, else scaled float16.

    A config that names one of the two wrappers itself is left as it is.

    Raises:
        UserError: The device has neither, or the config's optimizer wrapper is one of its own.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper in ('AutocastOptimWrapper', 'AmpOptimWrapper'):
        return
    if wrapper != 'OptimWrapper':
        raise UserError(f'--amp cannot be combined with optim_wrapper.type={wrapper}')
    device = get_device()
    if has_bfloat16(torch.device(device)):
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    elif is_cuda_available() or is_npu_available() or is_mlu_available() or is_musa_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')
    else:
        raise UserError(
            f'--amp: this device ({device}) computes neither in bfloat16 nor in float16; leave it out'
        )


def enable_lr_scaling(cfg: Config) -> None:
    """Has the learning rate scaled by the total batch size, in place.

    Raises:
        UserError: The config does not say which batch size its rate is for.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UserError(
            '--auto-scale-lr: the config must have auto_scale_lr=dict(base_batch_size=...), the total batch '
            'size that its learning rate is for'
        )
    cfg.auto_scale_lr.enable = True


def is_first_process(launcher: str) -> bool:
    """Whether this process is the only one of a run, or the one that writes its files.

    The launchers say so in the environment, before the processes are joined.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
    """
    return launcher == 'none' or os.environ.get(_VARIABLES[launcher][0], '0') == '0'


def build_runner(cfg: Config) -> Runner:
    """Builds our Runner, or the one that ``runner_type`` names.

    Raises:
        UserError: There is no such Runner, or the config does not tell it enough.
    """
    name = cfg.get('runner_type', 'Runner')
    runner = find_component(name, 'mmengine', 'runner_type') if isinstance(name, str) else name
    if not hasattr(runner, 'from_cfg'):
        raise UserError(f'config key runner_type={name!r}: it must be the name of a Runner')
    check_groups(cfg)
    check_compilation(cfg)
    check_batches(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else YOLOXRunner.from_cfg(cfg)

"""Short trainings of a small nano in processes of their own, as a user starts them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.integration.forking import TIMEOUT, run_forked

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/yolox/yolox_nano_fast_1xb8-50e_custom.py'

data_root = '{data}'
img_scale = (64, 64)
max_epochs = 4
num_last_epochs = 2
val_interval = 10
train_batch_size_per_gpu = 4
train_num_workers = 1
val_num_workers = 0
custom_imports = dict(imports=['recorder'])
resize = dict(type='YOLOXBatchSyncRandomResize', ratio_range=(0.5, 1.5), interval=2)
model = dict(
    data_preprocessor=dict(batch_augments=[resize]),
    bbox_head=dict(head_module=dict(feat_channels=64, stacked_convs=1)),
)
default_hooks = dict(
    checkpoint=dict(interval=1, save_best=None, max_keep_ckpts=9),
    curves=None,  # half a second each
    report=None,
    recorder=dict(type='Recorder'),
)
"""

ONE_EPOCH = ['max_epochs=1', 'num_last_epochs=2', 'warmup_epochs=0']
"""Options of a training that is in its last epochs from the start."""


def write_config(folder: Path, data: Path) -> Path:
    """Writes a config that fits a 64-pixel nano to ``data``."""
    path = folder / 'tiny.py'
    path.write_text(CONFIG.format(root=ROOT, data=data))
    return path


def run_tool(
    *args: object, processes: int = 1, restarts: int = 0, imported: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs ``tools/<args[0]>`` with one thread a process; with ``processes`` > 1 under torchrun.

    One process is a fork of another that has imported the packages, unless not ``imported``.
    """
    script, *rest = map(str, args)
    command = [str(ROOT / 'tools' / script), *rest]
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    if processes == 1 and imported:
        with tempfile.TemporaryDirectory() as folder:
            return run_forked(command, paths, Path(folder))
    launcher = [sys.executable]
    if processes > 1:
        launcher += ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
        launcher += [f'--max-restarts={restarts}']
        command += ['--launcher', 'pytorch']
    env = {**os.environ, 'PYTHONPATH': paths, 'OMP_NUM_THREADS': '1'}
    command = [*launcher, *command]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def succeed(result: subprocess.CompletedProcess) -> str:
    """The output of a run that must have succeeded."""
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def read_record(work_dir: Path, rank: int = 0) -> list[dict]:
    """What the recorder wrote, one dict an iteration."""
    return [json.loads(line) for line in (work_dir / f'record_rank{rank}.jsonl').read_text().splitlines()]


def read_log(work_dir: Path) -> str:
    """The log of the only run of a work dir."""
    (path,) = work_dir.glob('*/*.log')
    return path.read_text(encoding='utf-8')


def load(path: Path) -> dict:
    """A checkpoint of our own runs."""
    return torch.load(path, map_location='cpu', weights_only=False)


def largest_difference(a: dict, b: dict) -> float:
    """The largest absolute difference between two state dicts of the same keys."""
    assert a.keys() == b.keys()
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


def check_as_one_process(one: Path, two: Path) -> None:
    """Checks that two processes saw the images, and have the losses and weights, that one process has.

    Args:
        one: The work dir of the one, which recorded four iterations.
        two: That of the two.
    """
    singles = read_record(one)
    pairs = list(zip(read_record(two, 0), read_record(two, 1), strict=True))
    assert len(singles) == len(pairs) == 4
    for single, pair in zip(singles, pairs, strict=True):
        assert sorted(single['images']) == sorted(pair[0]['images'] + pair[1]['images'])
        for name, value in single['losses'].items():
            mean = np.mean([rank['losses'][name] for rank in pair])
            assert mean == pytest.approx(value, rel=1e-5, abs=1e-5), name
    expected, actual = load(one / 'epoch_2.pth'), load(two / 'epoch_2.pth')
    assert largest_difference(expected['state_dict'], actual['state_dict']) < 1e-5

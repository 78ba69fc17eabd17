"""`slurm_train.sh` with stand-ins for Slurm's own programs: two nodes do what one process does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.integration.forking import TIMEOUT
from tests.integration.runs import ROOT, check_as_one_process, run_tool, succeed
from tests.integration.test_distributed import FROZEN

STAND_INS = Path(__file__).parent / 'slurm'


def run_slurm(
    config: Path, work_dir: Path, *options: str, **variables: object
) -> subprocess.CompletedProcess:
    """Runs ``slurm_train.sh`` on the stand-ins, one task a node."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = dict(
        PATH=f'{STAND_INS}{os.pathsep}{os.environ["PATH"]}',
        PYTHON=sys.executable,
        PYTHONPATH=f'{ROOT}{os.pathsep}{Path(__file__).parent}',
        OMP_NUM_THREADS='1',
        GPUS='2',
        GPUS_PER_NODE='1',
        MASTER_PORT=str(port),
    )
    args = [ROOT / 'tools/slurm_train.sh', 'part', 'job', config, work_dir, *options]
    return subprocess.run(
        list(map(str, args)),
        env={**os.environ, **env, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_two_nodes_train_like_one_process(config, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    options = ['--cfg-options', *FROZEN]
    succeed(run_tool('train.py', config, '--work-dir', one, *options, 'train_batch_size_per_gpu=8'))
    output = succeed(run_slurm(config, two, *options, 'train_batch_size_per_gpu=4'))
    check_as_one_process(one, two)
    assert output.count('trained 2 epochs') == 1  # only the first one prints


def test_nodes_whose_address_is_not_told_are_named(config, tmp_path):
    (tmp_path / 'scontrol').write_text('#!/bin/sh\nexit 1\n')
    (tmp_path / 'scontrol').chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(STAND_INS), os.environ['PATH']])
    failed = run_slurm(config, tmp_path / 'run', PATH=path)
    assert failed.returncode == 1
    lines = [line for line in failed.stderr.splitlines() if line.startswith('error')]
    assert lines
    assert 'scontrol does not tell the first of the nodes node[1-2]; set MASTER_ADDR' in lines[0]
    assert 'Traceback' not in failed.stderr

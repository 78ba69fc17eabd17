"""What the launch scripts run, with stand-ins for the interpreter and for srun; what mim needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
STAND_IN = '#!/bin/sh\nprintf "%s\\n" "$(basename "$0")" "$@"\n'

pytestmark = pytest.mark.skipif(shutil.which('bash') is None, reason='needs bash')


def run_script(name: str, args: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a launch script from ``cwd``; its command comes back on stdout, an argument a line."""
    for command in ('python', 'srun', 'python-of-mine'):
        (cwd / command).write_text(STAND_IN)
        (cwd / command).chmod(0o755)
    env = {'PATH': f'{cwd}{os.pathsep}{os.environ["PATH"]}', **variables}
    return subprocess.run([TOOLS / name, *args], cwd=cwd, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ('name', 'args', 'expected'),
    [
        ('dist_train.sh', ['a b.py', '2'], ['train.py', 'a b.py', '--launcher', 'pytorch']),
        ('dist_train.sh', ['a.py', '2', '--amp'], ['train.py', 'a.py', '--launcher', 'pytorch', '--amp']),
        (
            'dist_test.sh',
            ['a.py', 'c.pth', '2', '--tta'],
            ['test.py', 'a.py', 'c.pth', '--launcher', 'pytorch', '--tta'],
        ),
    ],
)
def test_dist_scripts(name: str, args: list[str], expected: list[str], tmp_path: Path) -> None:
    lines = run_script(name, args, tmp_path).stdout.splitlines()
    assert lines == [
        'python', '-m', 'torch.distributed.run', '--nnodes=1', '--nproc-per-node=2', '--node-rank=0',
        '--master-addr=127.0.0.1', '--master-port=29500', f'{TOOLS}/{expected[0]}', *expected[1:],
    ]  # fmt: skip


NODES = dict(NNODES='3', NODE_RANK='1', MASTER_ADDR='host', PORT='5', PYTHON='python-of-mine')


def test_a_test_on_several_nodes(tmp_path: Path) -> None:
    lines = run_script('dist_test.sh', ['a.py', 'b', '2'], tmp_path, **NODES).stdout.splitlines()
    assert lines[0] == 'python-of-mine'
    assert {'--nnodes=3', '--node-rank=1', '--master-addr=host', '--master-port=5'} < set(lines)


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [
        (dict(), ['--rdzv-conf=is_host=false,join_timeout=1800', '--max-restarts=3']),
        (
            dict(NODE_RANK='0', MAX_RESTARTS='9', JOIN_TIMEOUT='60', LOCAL_ADDR='10.0.0.1'),
            ['--rdzv-conf=is_host=true,join_timeout=60', '--max-restarts=9', '--local-addr=10.0.0.1'],
        ),
    ],
)
def test_a_training_on_several_nodes(variables: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    lines = run_script('dist_train.sh', ['a.py', '2'], tmp_path, **NODES | variables).stdout.splitlines()
    assert lines == [
        'python-of-mine', '-m', 'torch.distributed.run', '--nnodes=3', '--nproc-per-node=2',
        '--rdzv-backend=c10d',
        '--rdzv-id=5', '--rdzv-endpoint=host:5', *expected, f'{TOOLS}/train.py', 'a.py', '--launcher',
        'pytorch',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('slurm_train.sh', ['train.py', 'a.py', '--work-dir', 'b', '--launcher', 'slurm', '--amp']),
        ('slurm_test.sh', ['test.py', 'a.py', 'b', '--launcher', 'slurm', '--amp']),
    ],
)
def test_slurm_scripts(name: str, expected: list[str], tmp_path: Path) -> None:
    variables = dict(GPUS='16', CPUS_PER_TASK='3', SRUN_ARGS='--time=9 --exclusive')
    args = ['part', 'job', 'a.py', 'b', '--amp']
    lines = run_script(name, args, tmp_path, **variables).stdout.splitlines()
    assert lines == [
        'srun', '--partition=part', '--job-name=job', '--gres=gpu:8', '--ntasks=16', '--ntasks-per-node=8',
        '--cpus-per-task=3', '--kill-on-bad-exit=1', '--time=9', '--exclusive',
        'python', '-u', f'{TOOLS}/{expected[0]}', *expected[1:],
    ]  # fmt: skip


def test_slurm_uses_no_more_gpus_of_a_node_than_there_are(tmp_path: Path) -> None:
    lines = run_script('slurm_train.sh', ['p', 'j', 'a.py', 'b'], tmp_path, GPUS='2').stdout.splitlines()
    assert {'--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2'} < set(lines)


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_scripts_show_their_usage(name: str, tmp_path: Path) -> None:
    result = run_script(name, ['a.py'], tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith('usage:')
    assert not result.stdout


def test_help_of_train_names_no_gpus_option() -> None:
    """`mim train` adds `--gpus` or `--device` to its command where the tool's help holds the first."""
    command = [sys.executable, TOOLS / 'train.py', '-h']
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '--gpus' not in result.stdout

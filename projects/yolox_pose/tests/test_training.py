"""Two processes on the CPU learn what one does, whoever has people or labelled keypoints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmyolox.projects.yolox_pose.tests.step import CASES

POSE = ('loss_kpt', 'loss_vis')


def run(folder, processes):
    """What each process found."""
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
    script = str(Path(__file__).with_name('step.py'))
    command = [sys.executable, *(launcher if processes > 1 else []), script, str(folder)]
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return [torch.load(folder / f'rank{rank}_of{processes}.pth') for rank in range(processes)]


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """One process with the whole batch, and two with half of it each."""
    folder = tmp_path_factory.mktemp('pose_steps')
    return run(folder, 1)[0], run(folder, 2)


@pytest.mark.parametrize('case', CASES)
def test_every_parameter_gets_the_same_finite_gradient_everywhere(runs, case):
    ranks = [runs[0][case], *(rank[case] for rank in runs[1])]
    for rank in ranks:
        assert all(bool(loss.isfinite()) for loss in rank['losses'].values())
        assert all(grad is not None and bool(grad.isfinite().all()) for grad in rank['grads'].values())
    for name, grad in ranks[1]['grads'].items():
        assert torch.equal(ranks[2]['grads'][name], grad)


# Without any person the objectness is divided by one, not by no positives, on one process as on two.
@pytest.mark.parametrize('case', [case for case in CASES if case != 'people_nowhere'])
def test_two_processes_learn_what_one_does(runs, case):
    one, two = runs[0][case], [rank[case] for rank in runs[1]]
    for name, loss in one['losses'].items():
        mean = sum(float(rank['losses'][name]) for rank in two) / 2
        assert mean == pytest.approx(float(loss), rel=1e-5, abs=1e-6), name
    largest = max(float(grad.abs().max()) for grad in one['grads'].values())
    assert largest > 0
    for name, grad in one['grads'].items():
        for rank in two:
            assert torch.allclose(rank['grads'][name], grad, rtol=0, atol=1e-5 * largest), name


@pytest.mark.parametrize(
    ('case', 'learning'),
    [
        ('mixed', [True, True]),
        ('labelled_on_one', [True, False]),
        ('people_on_one', [True, False]),
        ('labelled_nowhere', [False, False]),
        ('people_nowhere', [False, False]),
    ],
)
def test_keypoints_are_learned_where_they_are_labelled(runs, case, learning):
    for rank, learns in zip(runs[1], learning, strict=True):
        assert [float(rank[case]['losses'][name]) > 0 for name in POSE] == [learns] * 2

"""Matching and losses on a fake accelerator: nothing waits for a value or leaves the device, few kernels."""

from pathlib import Path
from runpy import run_path

import pytest
import torch

from tests.accelerator.conftest import fake_steps

BUDGET, COMPILED = 350, 80
"""Kernels of matching and losses, forward and backward: launching so many takes some 2 ms."""
CASES = {
    'one': ('yolox_nano', 1, 1, 0, None),
    'small': ('yolox_nano', 8, 20, 0, None),
    'crowded': ('yolox_nano', 32, 100, 0, None),
    'ignored': ('yolox_nano', 32, 100, 2, None),
    'bfloat16': ('yolox_nano', 32, 100, 2, 'bfloat16'),
    'float16': ('yolox_s', 32, 100, 2, 'float16'),
}


@pytest.fixture(scope='module')
def steps():
    """The steps of all cases, by name."""
    return dict(zip(CASES, fake_steps('matching', CASES.values()), strict=True))


@pytest.mark.parametrize('case', CASES)
def test_few_kernels_are_sent(steps, case):
    assert 0 < sum(steps[case]['kernels'].values()) <= BUDGET, steps[case]['kernels']


@pytest.mark.parametrize('case', CASES)
def test_nothing_leaves_the_device(steps, case):
    assert steps[case]['devices'] == ['fake']


def test_kernels_do_not_grow_with_the_batch_and_its_boxes(steps):
    assert steps['small']['kernels'] == steps['crowded']['kernels']


@pytest.mark.slow
def test_few_kernels_are_compiled(monkeypatch):
    folder = Path(__file__).parents[2] / 'benchmarks'
    monkeypatch.syspath_prepend(folder)
    count = run_path(str(folder / 'launches.py'))['compiled']('yolox_nano_fast_8xb8-300e_coco', 4, 20)
    torch._dynamo.reset()
    assert 0 < count <= COMPILED

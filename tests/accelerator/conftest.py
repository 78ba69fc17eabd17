"""Runs on devices that PyTorch can only be told of once: in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def outcomes(module, cases, *args):
    """What a module of this folder prints for its cases."""
    command = [sys.executable, '-m', f'tests.accelerator.{module}', *args, *map(json.dumps, cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return list(map(json.loads, done.stdout.splitlines()[-len(cases) :]))


def fake_steps(kind, cases):
    """The outcomes of steps on a fake device, see :mod:`.fake_steps`."""
    return outcomes('fake_steps', cases, kind)

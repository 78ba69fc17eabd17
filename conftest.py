"""What all tests share."""

from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

import mmyolox  # noqa: F401  stands in for mmcv's compiled ops; has to come before mmdet

# The tensors are small: threads would wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir:
    """Takes packages for plain folders.

    Else pytest imports the projects by where they lie, ``projects.x`` beside the installed
    ``mmyolox.projects.x``, and everything in them is registered twice.
    """
    return pytest.Dir.from_parent(parent, path=path)


@pytest.fixture(autouse=True)
def clean_globals():
    """Every test begins in the scope of mmyolox and without the globals of MMEngine runs before it."""
    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    DefaultScope.get_instance('tests', scope_name='mmyolox')

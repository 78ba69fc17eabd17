"""What all tests share."""

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

import mmyolox  # noqa: F401  stands in for mmcv's compiled ops; has to come before mmdet

# The tensors are small: threads would wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def clean_globals():
    """Every test begins in the scope of mmyolox and without the globals of MMEngine runs before it."""
    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    DefaultScope.get_instance('tests', scope_name='mmyolox')

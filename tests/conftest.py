"""What all tests share."""

import pytest
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def clean_globals():
    """Every test begins in the scope of mmyolox and without the globals of MMEngine runs before it."""
    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    DefaultScope.get_instance('tests', scope_name='mmyolox')

"""What all tests share."""

import gc
import sys

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

import mmyolox  # stands in for mmcv's compiled ops; has to come before mmdet
import mmyolox.projects.yolox_pose
from mmyolox.engine.terminal import terminal_of

# The tensors are small: threads would wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)

# pytest names the tests of projects by where they lie and imports the packages above them by that name: the
# installed ones, or everything in them would be registered twice.
sys.modules['projects'] = mmyolox.projects
sys.modules['projects.yolox_pose'] = mmyolox.projects.yolox_pose


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests of a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))


def pytest_collection_finish() -> None:
    """Takes what the tests' modules import out of the garbage collector.

    MMEngine collects with each data set that it opens: a third of a second, nine tenths of the test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def own_cache(tmp_path_factory):
    """What the tests keep for later starts stays theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMYOLOX_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(autouse=True)
def clean_globals():
    """Every test begins in the scope of mmyolox and without the globals of MMEngine runs before it."""
    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    for name, logger in list(MMLogger._instance_dict.items()):
        if terminal_of(logger) is not None:  # a tool was run in a test
            del MMLogger._instance_dict[name]
    DefaultScope.get_instance('tests', scope_name='mmyolox')

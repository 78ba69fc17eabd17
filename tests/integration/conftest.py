"""Data for the integration tests, made once."""

import pytest

from tests.integration.runs import ONE_EPOCH, run_tool, succeed, write_config


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A COCO-format data set of 16 training and 5 validation images of 64 pixels."""
    folder = tmp_path_factory.mktemp('shapes')
    args = ['--train', 16, '--val', 5, '--size', 64, '--shapes', 1, 3]
    succeed(run_tool('dataset_converters/make_shapes.py', folder, *args))
    return folder


@pytest.fixture
def config(tmp_path, shapes):
    """A config file for it."""
    return write_config(tmp_path, shapes)


@pytest.fixture(scope='session')
def straight(tmp_path_factory, shapes):
    """The work directory of a whole training of 4 epochs, in an interpreter of its own."""
    work_dir = tmp_path_factory.mktemp('straight')
    config = write_config(work_dir, shapes)
    succeed(run_tool('train.py', config, '--work-dir', work_dir, imported=False))
    return work_dir


@pytest.fixture(scope='session')
def one_epoch(tmp_path_factory, shapes):
    """The work directory of a training of one epoch without warm-up, shorter than the last epochs."""
    work_dir = tmp_path_factory.mktemp('one_epoch')
    config = write_config(work_dir, shapes)
    succeed(run_tool('train.py', config, '--work-dir', work_dir, '--cfg-options', *ONE_EPOCH))
    return work_dir

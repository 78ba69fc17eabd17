"""Data for the integration tests, made once."""

import pytest

from tests.integration.runs import run_tool, succeed, write_config


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

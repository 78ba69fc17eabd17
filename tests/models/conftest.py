"""What the tests of the models share."""

import importlib
from pathlib import Path

import pytest


@pytest.fixture
def live_bytes(monkeypatch):
    """The benchmarks' tracker of memory, a class."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'benchmarks')
    return importlib.import_module('live_bytes').LiveBytes

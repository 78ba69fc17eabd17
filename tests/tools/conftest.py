import sys
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Runs a loaded tool's ``main`` with command-line arguments and returns what it printed."""

    def call(tool: ModuleType, *args: object) -> str:
        monkeypatch.setattr(sys, 'argv', [tool.__name__, *map(str, args)])
        tool.main()
        return capsys.readouterr().out

    return call

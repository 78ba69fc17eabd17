"""Tools are scripts outside any package: they are loaded by path and run with arguments."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


def load_tool(name: str) -> ModuleType:
    """Loads ``tools/<name>`` as a module, with its folder on the path as when Python runs the script."""
    path = TOOLS / name
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Runs a loaded tool's ``main`` with command-line arguments and returns what it printed."""

    def call(tool: ModuleType, *args: object) -> str:
        monkeypatch.setattr(sys, 'argv', [tool.__name__, *map(str, args)])
        tool.main()
        return capsys.readouterr().out

    return call

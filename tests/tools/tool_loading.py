"""Tools are scripts outside any package: tests load them by path."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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

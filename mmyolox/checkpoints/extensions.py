"""What installed projects add to the conversion of weights; the core names none of them."""

import functools
import importlib.util
import pkgutil

PROJECTS = f'{__package__.partition(".")[0]}.projects'


@functools.cache
def load_projects() -> None:
    """Imports the module ``checkpoints`` of every project that has one."""
    for project in pkgutil.iter_modules(importlib.import_module(PROJECTS).__path__, f'{PROJECTS}.'):
        module = f'{project.name}.checkpoints'
        if importlib.util.find_spec(module):
            importlib.import_module(module)

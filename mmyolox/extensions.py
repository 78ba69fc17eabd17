"""What other packages add to mmyolox, which knows none of them: entry points of group ``mmyolox.extensions``.

A package names a module of its own, in its ``setup.cfg`` (or under ``[project.entry-points]`` of its
``pyproject.toml``)::

    [options.entry_points]
    mmyolox.extensions =
        my_project = my_package.my_project.extension

That module is imported when weights are named or recognised, a file is opened for prediction or a format is
looked up. It registers what the project adds: sources of weights, published weights, families of models,
formats of exported files, kinds of keypoints. The folder ``configs`` beside it holds configs that all tools
find by their bare names; of an installed wheel, the folder's copy in ``.mim``.
"""

import functools
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from .compat import PACKAGES
from .errors import UserError

GROUP = 'mmyolox.extensions'


@functools.cache
def load_extensions() -> None:
    """Imports the module of every installed extension.

    Raises:
        UserError: One cannot be imported; weights and exported files could be taken for others without it.
        ModuleNotFoundError: A package is absent that mmyolox needs too.
    """
    for extension in entry_points(group=GROUP):
        try:
            extension.load()
        except Exception as error:  # another package's code: it can fail in any way
            if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
                raise  # the package of the extension is not at fault
            raise _broken(extension, error) from error


def config_folders() -> list[Path]:
    """The folders with the configs of all installed extensions, whose modules are not imported for it.

    Raises:
        UserError: The package of an extension is broken.
    """
    folders: list[Path] = []
    for extension in entry_points(group=GROUP):
        top, *inner = extension.module.split('.')[:-1] or ['']
        try:
            folders += [Path(location, 'configs') for location in _locations('.'.join([top, *inner]))]
            folders += [Path(location, '.mim', *inner, 'configs') for location in _locations(top)]
        except Exception as error:  # the packages around the module are imported
            raise _broken(extension, error) from error
    return [folder for folder in folders if folder.is_dir()]


def _locations(package: str) -> list[str]:
    """The folders of a package; none for a module outside of any."""
    spec = find_spec(package) if package else None
    return list(spec.submodule_search_locations or ()) if spec else []


def _broken(extension: EntryPoint, error: Exception) -> UserError:
    reason = f'{type(error).__name__}: {error}'.partition('\n')[0]
    return UserError(
        f'extension {extension.name} ({extension.value}) cannot be imported: {reason}; '
        'mend or uninstall the package that it is of'
    )

"""Finding config files: by path, by bare name, and as a base in another package."""

import difflib
from pathlib import Path

from mmengine.config import Config

from mmyolox.errors import UserError

_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def find_config(name: str) -> Path:
    """Find a config by its path, or one of ours by its name.

    Args:
        name: The path of a file; or, for the configs that come with mmyolox, a file name or the end of a
            path (``yolox_s_fast_8xb8-300e_coco``, ``yolox/yolox_s_fast_8xb8-300e_coco.py``).

    Returns:
        The absolute path.

    Raises:
        UserError: There is no such file, or several of ours have the name.
    """
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(f'config {name} must end in one of {", ".join(_SUFFIXES)}')
        return path.resolve()
    ending = path.parts if path.suffix in _SUFFIXES else (*path.parts[:-1], f'{path.name}.py')
    ours = _own_configs()
    found = [config for config in ours if config.parts[-len(ending) :] == ending]
    if len(found) > 1:
        raise UserError(
            f'config {name} could be any of {", ".join(map(str, found))}; give one of these paths'
        )
    if not found:
        names = [config.stem for config in ours if '_base_' not in config.parts]
        close = difflib.get_close_matches(path.stem, names, n=3, cutoff=0.5)
        hint = f'; did you mean {", ".join(close)}?' if close else ''
        raise UserError(f'config {name} does not exist, as a file or as a config of mmyolox{hint}')
    return found[0]


def find_base(entry: str, child: Path) -> tuple[Path, str | None]:
    """Find the file that an entry of ``_base_`` means.

    Args:
        entry: A path relative to the child, or ``package::path``.
        child: The file that the entry stands in.

    Returns:
        The absolute path and the package it was named with, if any.

    Raises:
        UserError: The package is unknown, is not installed, or has no such config.
    """
    package, separator, name = entry.partition('::')
    if separator and package == 'mmyolox':  # MMEngine knows only the packages of OpenMMLab by name
        return find_config(name), package
    try:
        path, scope = Config._get_cfg_path(entry, str(child))
    except (ImportError, AssertionError, ValueError, FileNotFoundError) as error:
        raise UserError(f'config {child}: base {entry!r} cannot be found: {error}') from error
    return Path(path).resolve(), scope


def _own_configs() -> list[Path]:
    """All configs that come with mmyolox: in the installed package, else in the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / '.mim'
    root = installed if (installed / 'configs').is_dir() else package.parent
    folders = [root / 'configs', *root.glob('projects/*/configs')]
    return sorted({file.resolve() for folder in folders for file in folder.rglob('*.py')})

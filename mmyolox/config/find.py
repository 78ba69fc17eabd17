"""Finding config files: by path, by name, by the size of a model, and as a ``_base_``."""

from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config

from mmyolox.errors import UserError, did_you_mean
from mmyolox.extensions import config_folders
from mmyolox.files import assets_folder

from .elsewhere import hint_of_model, hint_of_package

_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def find_config(name: str, data: str = 'coco') -> Path:
    """Finds a config by its path, or one of ours by its name.

    Args:
        name: The path of a file; or, for the configs that come with mmyolox, a file name or the end of a
            path (``yolox_s_fast_8xb8-300e_coco``, ``yolox/yolox_s_fast_8xb8-300e_coco.py``), with or
            without ``mmyolox::`` before it; or only a model (``yolox_s``).
        data: What the config of a model is for, the last word of its name: ``coco``, or ``custom`` for
            fine-tuning on one's own data. Of several, the one with the shortest name is meant: variants of a
            recipe have longer ones.

    Returns:
        The absolute path.

    Raises:
        UserError: There is no such file, or several of ours have the name.
    """
    path = Path(name.removeprefix('mmyolox::')).expanduser()
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UserError(f'config {name} must end in one of {", ".join(_SUFFIXES)}')
        return path.resolve()
    ending = path.parts if path.suffix in _SUFFIXES else (*path.parts[:-1], f'{path.name}.py')
    ours = own_configs()
    leaves = [config for config in ours if '_base_' not in config.parts]
    if len(ending) > 1:
        matching = [config for config in ours if config.parts[-len(ending) :] == ending]
    else:
        matching = [config for config in leaves if config.name == ending[0]] or _configs_of_model(
            path.name, data, leaves
        )
    if len(matching) > 1:
        raise UserError(
            f'config {name} could be any of {", ".join(map(str, matching))}; give one of these paths'
        )
    if not matching:
        models = {'_'.join(config.stem.split('_')[:2]) for config in leaves}
        near = did_you_mean(path.stem, models | {config.stem for config in leaves})
        hint = hint_of_model(path.name, models) or near
        if not config_folders():
            hint += '; an older installation does not know the configs of projects: install mmyolox again'
        raise UserError(f'config {name} does not exist, as a file or as a config of mmyolox{hint}')
    return matching[0]


def _configs_of_model(model: str, data: str, configs: Iterable[Path]) -> list[Path]:
    """The configs of a model for some data that have the shortest name: one, or several that are equal."""
    fitting = [path for path in configs if is_of_model(path.stem, model) and path.stem.endswith(f'_{data}')]
    shortest = min((len(path.name) for path in fitting), default=0)
    return [path for path in fitting if len(path.name) == shortest]


def is_of_model(config: str, model: str) -> bool:
    """Whether a config, by its name, is one of a model; ``-`` and ``_``, upper and lower case are the same.

    Args:
        config: The name of the config, such as ``yolox_s_fast_8xb8-300e_coco``.
        model: The name of the model, such as ``yolox_s`` or ``YOLOX-S``.
    """
    return config.lower().replace('-', '_').startswith(f'{model}_'.lower().replace('-', '_'))


def find_recorded_config(name: str, recipe: str) -> Path:
    """Finds a config as :func:`find_config`; of a model, that which a checkpoint was trained with.

    So that ``test yolox_s CHECKPOINT`` evaluates a fine-tuned model by the config that fine-tuned it.

    Args:
        name: As of :func:`find_config`.
        recipe: The name of the config that the checkpoint records. One that is not of this model, or none of
            ours, changes nothing.
    """
    is_ours = is_of_model(recipe, name) and any(path.stem == recipe for path in own_configs())
    return find_config(recipe if is_ours else name)


def find_saved_config(checkpoint: str, recipe: str) -> Path | None:
    """Finds the config that a training saved beside its checkpoints, as it was used, data set included.

    Args:
        checkpoint: The path of the checkpoint; a web address or a name has nothing beside it.
        recipe: The name of the config that the checkpoint records.

    Returns:
        The file; None if there is none.
    """
    path = Path(checkpoint).with_name(f'{Path(recipe).name}.py')
    return path if recipe and path.is_file() else None


def find_base(entry: str, child: Path) -> tuple[Path, str | None]:
    """Finds the file that an entry of ``_base_`` means.

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
        hint = hint_of_package(package)
        raise UserError(f'config {child}: base {entry!r} cannot be found: {error}{hint}') from error
    return Path(path).resolve(), scope


def own_configs() -> list[Path]:
    """All configs of mmyolox, in the installed package or else in the repository, and of its extensions."""
    folders = [assets_folder() / 'configs', *config_folders()]
    return sorted({file.resolve() for folder in folders for file in folder.rglob('*.py')})

"""Finding the class or function that a ``type`` in a config names, without building anything."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from mmyolox.errors import UserError

_KINDS = tuple(name for name, value in vars(mmengine_registry).items() if isinstance(value, Registry))

INSTALL_COMMANDS: dict[str, str] = {}
"""How to install the packages that configs may name, for who lacks them; projects add what they work with."""

_DATA = ('DATASETS', 'TRANSFORMS', 'DATA_SAMPLERS', 'FUNCTIONS')
_KINDS_OF = {
    'model': ('MODELS', 'TASK_UTILS', 'WEIGHT_INITIALIZERS'),
    'tta_model': ('MODELS',),
    'tta_pipeline': ('TRANSFORMS',),
    'train_dataloader': _DATA,
    'val_dataloader': _DATA,
    'test_dataloader': _DATA,
    'val_evaluator': ('METRICS', 'EVALUATOR'),
    'test_evaluator': ('METRICS', 'EVALUATOR'),
    'optim_wrapper': ('OPTIM_WRAPPERS', 'OPTIMIZERS', 'OPTIM_WRAPPER_CONSTRUCTORS'),
    'param_scheduler': ('PARAM_SCHEDULERS',),
    'default_hooks': ('HOOKS', 'TRANSFORMS'),
    'custom_hooks': ('HOOKS', 'TRANSFORMS'),
    'visualizer': ('VISUALIZERS', 'VISBACKENDS'),
    'log_processor': ('LOG_PROCESSORS',),
}


def find_component(name: str, scope: str, path: str) -> Callable[..., Any]:
    """Find what a ``type`` names.

    Args:
        name: ``YOLOXHead``, ``mmdet.YOLOXHead``, or a full path as ``mmengine.model.BaseModel``.
        scope: The package whose registries are searched, before MMEngine's, for a name without a prefix.
        path: The config key that the dict stands under; its first part says where to search first.

    Returns:
        The class or function. Where it would be built in another registry than the one it is in, MMEngine
        itself will say so.

    Raises:
        UserError: There is no such component, or its package cannot be imported.
    """
    package, dot, bare = name.partition('.')
    if not dot:
        package, bare = scope, name
    with_root = not dot or package == 'mmengine'
    first = _KINDS_OF.get(path.split('.')[0], ('LOOPS',))
    for registry in _registries(package, [*first, *_KINDS], path, with_root):
        if bare in registry.module_dict:
            return registry.module_dict[bare]
    component: Callable[..., Any] | None = get_object_from_string(name) if dot else None
    if component is None:
        known = [key for one in _registries(package, first, path, with_root) for key in one.module_dict]
        prefix = name.removesuffix(bare)
        raise UserError(f'config key {path}.type: there is no {name}{suggestion(bare, known, prefix)}')
    return component


def suggestion(word: str, known: Iterable[str], prefix: str = '', cutoff: float = 0.6) -> str:
    """The end of an error message: the known words nearest to one that is not, or nothing."""
    close = difflib.get_close_matches(word, sorted(set(known)), n=2, cutoff=cutoff)
    return f'; did you mean {" or ".join(prefix + one for one in close)}?' if close else ''


def _registries(package: str, kinds: Iterable[str], path: str, with_root: bool) -> Iterator[Registry]:
    """The package's registries of these kinds, each followed by MMEngine's, with their modules imported."""
    if find_spec(package) is None:
        command = f' ({INSTALL_COMMANDS[package]})' if package in INSTALL_COMMANDS else ''
        raise UserError(f'config key {path}.type: the package {package} is not installed{command}')
    try:
        if find_spec(f'{package}.registry'):
            import_module(f'{package}.registry')
        for kind in dict.fromkeys(kinds):
            root = getattr(mmengine_registry, kind)
            own = [child for name, child in root.children.items() if name == package]
            for registry in own + [root] * with_root:
                registry.import_from_location()
                yield registry
    except (ImportError, AssertionError) as error:  # OpenMMLab's packages assert each other's versions
        raise UserError(f'config key {path}.type: {package} cannot be imported: {error}') from error

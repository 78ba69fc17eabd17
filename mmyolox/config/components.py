"""The class or function that a ``type`` in a config names, and the keywords it takes; nothing is built."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from mmyolox.compat import without_printed_noise
from mmyolox.errors import UserError, did_you_mean

from .elsewhere import hint_of_package, hint_of_type

REGISTRY_NAMES = tuple(name for name, value in vars(mmengine_registry).items() if isinstance(value, Registry))

INSTALL_COMMANDS: dict[str, str] = {}
"""How to install the packages that configs may name, for who lacks them; projects add what they work with."""

TYPE_NAMES = ('type', 'ema_type', 'constructor')
"""The keys of a dict whose values name components."""

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

_DATA = ('DATASETS', 'TRANSFORMS', 'DATA_SAMPLERS', 'FUNCTIONS')
_REGISTRIES_OF = {
    'ema_type': ('MODELS',),
    'constructor': ('OPTIM_WRAPPER_CONSTRUCTORS',),
    'model': ('MODELS', 'TASK_UTILS', 'WEIGHT_INITIALIZERS'),
    'tta_model': ('MODELS',),
    'tta_pipeline': ('TRANSFORMS',),
    'train_pipeline_stage2': ('TRANSFORMS',),
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
    'runner_type': ('RUNNERS',),
    'model_wrapper_cfg': ('MODEL_WRAPPERS',),
}


def find_component(name: str, scope: str, key: str) -> Callable[..., Any]:
    """Finds what a ``type`` names.

    Args:
        name: The name of a class: ``YOLOXHead``, ``mmdet.YOLOXHead``, or a full path as
            ``mmengine.model.BaseModel``.
        scope: The package whose registries are searched, before MMEngine's, for a name without a prefix.
        key: The config key of the name; its last or its first part says where to search first.

    Returns:
        The class or function. Where it would be built in another registry than the one it is in, MMEngine
        itself will say so.

    Raises:
        UserError: There is no such component, or its package cannot be imported.
    """
    package, dot, bare = name.partition('.')
    if not dot:
        package, bare = scope, name
    parts = key.split('.')
    first = _REGISTRIES_OF.get(parts[-1]) or _REGISTRIES_OF.get(parts[0], ('LOOPS',))
    for registry in search_registries(package, [*first, *REGISTRY_NAMES], key):
        if bare in registry.module_dict:
            return registry.module_dict[bare]
    component: Callable[..., Any] | None = get_object_from_string(name) if dot else None
    if component is None:
        known = [one for part in search_registries(package, first, key) for one in part.module_dict]
        prefix = name.removesuffix(bare)
        hint = hint_of_type(bare) or did_you_mean(bare, known, prefix)
        raise UserError(f'config key {key}: there is no {name}{hint}')
    return component


def search_registries(package: str, names: Iterable[str], key: str) -> Iterator[Registry]:
    """The package's registries of some names, each followed by MMEngine's, with their modules imported.

    MMEngine searches its own too for a name with a prefix: ``mmdet.DetTTAModel`` is registered there.

    Args:
        package: Its import name.
        names: Of MMEngine's registries, as ``MODELS``.
        key: The config key that the search is for.

    Raises:
        UserError: The package is not installed, or cannot be imported.
    """
    # A package has no dot; `find_spec` would import what stands before it.
    if not package or '.' in package or find_spec(package) is None:
        command = f' ({INSTALL_COMMANDS[package]})' if package in INSTALL_COMMANDS else ''
        hint = hint_of_package(package)
        raise UserError(
            f'config key {key}: the package {package or repr(package)} is not installed{command}{hint}'
        )
    try:
        if find_spec(f'{package}.registry'):
            import_module(f'{package}.registry')
        for name in dict.fromkeys(names):
            root = getattr(mmengine_registry, name)
            own = [child for scope, child in root.children.items() if scope == package]
            for registry in [*own, root]:
                with without_printed_noise():
                    registry.import_from_location()
                yield registry
    except (ImportError, AssertionError) as error:  # OpenMMLab's packages assert each other's versions
        hint = hint_of_package(package)
        raise UserError(f'config key {key}: {package} cannot be imported: {error}{hint}') from error


def names_of_bases(component: Any) -> set[str]:
    """The names of a class and of all that it inherits from; none of what is no class."""
    return {base.__name__ for base in getattr(component, '__mro__', ())}


@cache
def accepted_parameters(component: Callable[..., Any]) -> frozenset[str] | None:
    """The names of all keyword arguments that a component takes.

    ``**kwargs`` of a class are followed up its bases, if ``__init__`` hands them to the next one.

    Args:
        component: A class, or a function.

    Returns:
        The names; None if it takes any name, or if that cannot be told.
    """
    if not inspect.isclass(component):
        names, keywords = _parameters(component)
        return None if keywords else frozenset(names)
    names = set()
    for base in component.__mro__:
        initializer = base.__dict__.get('__init__')
        if initializer is None:
            continue
        own, keywords = _parameters(initializer)
        names |= own
        if keywords is None:
            return frozenset(names - {'self'})
        popped, forwarded = _uses_of(initializer, keywords)
        names |= popped
        if not forwarded:
            return None
    return None


def _parameters(function: Callable[..., Any]) -> tuple[set[str], str | None]:
    """The names of a function's parameters, and that of its ``**kwargs`` (any, if it cannot be told)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set(), 'kwargs'
    keywords = [one.name for one in parameters if one.kind is inspect.Parameter.VAR_KEYWORD]
    return {one.name for one in parameters if one.kind in _NAMED}, keywords[0] if keywords else None


def _uses_of(initializer: Callable[..., Any], keywords: str) -> tuple[set[str], bool]:
    """The names that ``__init__`` takes out of its ``**kwargs``, and whether the rest goes to a base."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(initializer)))
    except (OSError, TypeError, SyntaxError):
        return set(), False
    popped: set[str] = set()
    forwarded = False
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr == '__init__':
            forwarded |= any(one.arg is None and _is_name(one.value, keywords) for one in call.keywords)
        elif call.func.attr in ('pop', 'get') and _is_name(call.func.value, keywords):
            popped |= {str(one.value) for one in call.args[:1] if isinstance(one, ast.Constant)}
    return popped, forwarded


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

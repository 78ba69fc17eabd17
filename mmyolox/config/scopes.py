"""The packages of types: what becomes of MMEngine's marks in the dicts of a ``package::`` base."""

from typing import Any

from mmengine.config import Config

from .components import REGISTRY_NAMES, TYPE_NAMES, search_registries

SCOPE = '_scope_'
"""MMEngine's key: the package in whose registries the types of a dict, and of all dicts in it, are found."""

_NOT_BUILT = ('collate_fn', 'worker_init_fn', 'visualizer')
"""Dicts whose ``type`` MMEngine or our tools look up by its name, without a registry's ``build``."""


def resolve_scopes(cfg: Config) -> None:
    """Leaves ``_scope_``, in place, only where a registry takes it and types are not found without it.

    Those are dicts of another package than the ``default_scope``. There, names that are looked up later than
    the dict is built, as an ``ema_type``, and those of dicts that no registry builds, become ``package.A``.

    Args:
        cfg: The config, complete.
    """
    default = cfg.get('default_scope') or 'mmengine'
    for key in cfg:
        _resolve(cfg[key], key, default, default)


def qualified_name(name: str, package: str, key: str) -> str:
    """The name with its package before it, if it is one of the package's own components.

    Args:
        name: Of a component, with or without a package.
        package: The package, which may not have it.
        key: The config key that the name stands under.
    """
    registries = search_registries(package, REGISTRY_NAMES, key)
    is_own = any(name in one.module_dict for one in registries if one.scope == package)
    return f'{package}.{name}' if is_own else name


def _resolve(node: Any, path: str, scope: str, default: str) -> None:
    """Resolves a value and what stands in it; ``scope`` is that of the dict around it."""
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            _resolve(item, f'{path}.{index}', scope, default)
    if not isinstance(node, dict):
        return
    marked = node.pop(SCOPE, None)
    scope = marked or scope
    is_built = path.rpartition('.')[2] not in _NOT_BUILT
    if scope != default:
        for key in TYPE_NAMES:
            if isinstance(node.get(key), str) and not (key == 'type' and is_built):
                node[key] = qualified_name(node[key], scope, f'{path}.{key}')
        if marked and is_built and 'type' in node:
            node[SCOPE] = scope
    for key, child in node.items():
        _resolve(child, f'{path}.{key}', scope, default)

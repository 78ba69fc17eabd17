"""Which keyword arguments a registered class or function takes, seen from outside."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


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
        return _closed(*_parameters(component))
    names: set[str] = set()
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


def _closed(names: set[str], keywords: str | None) -> frozenset[str] | None:
    return None if keywords else frozenset(names)


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

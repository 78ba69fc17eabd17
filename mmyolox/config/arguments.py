"""Whether the values of a config's dicts are of the types that their components say they take."""

import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union

from torch import Tensor

from mmyolox.errors import UserError

_PLAIN = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text', type(None): 'None'}
_LISTS = (list, tuple, Sequence, Collection, Iterable)
_NEVER_PLAIN = (dict, Mapping, Callable, Tensor)
_BUILT = ('mmyolox', 'mmengine', 'mmcv', 'torch.nn', 'torch.utils', 'torch.optim')
"""Where the classes are that are built from dicts, and never from text or a number."""
_CHECKED_PACKAGES = ('mmyolox', 'mmengine', 'mmcv', 'torch')
"""Where annotations are true; other packages' are often narrower than what the component takes."""


class FaultyValueError(UserError):
    """A value that may not stand at a key of a config.

    Args:
        key: The key.
        value: The value.
        reason: What may stand there.
    """

    def __init__(self, key: str, value: Any, reason: str) -> None:
        super().__init__(f'config key {key}={value!r}: {reason}')
        self.key, self.value, self.reason = key, value, reason

    def as_written(self, cfg: Mapping[str, Any], options: Mapping[str, Any]) -> 'FaultyValueError':
        """The same of the variable that the value came from, where that can be told.

        Args:
            cfg: The config, which has variables at its top level.
            options: The user's options.
        """
        name = self.key.rpartition('.')[2]
        given = [option for option, value in options.items() if repr(value) == repr(self.value)]
        if cfg.get(name) == self.value:
            given = [name]
        is_found = len(given) == 1 and self.key not in options
        return FaultyValueError(given[0], self.value, self.reason) if is_found else self


def check_arguments(node: Mapping[str, Any], path: str, component: Callable[..., Any]) -> None:
    """Checks the values of a dict against the annotations of the component that is built from it.

    Args:
        node: The dict.
        path: The config key that it stands under.
        component: A class or a function.

    Raises:
        UserError: A value is of another type.
    """
    if str(component.__module__).split('.')[0] in _CHECKED_PACKAGES:
        parameters = annotated_parameters(component)
        others = {
            key: value for key, value in node.items() if value is not parameters.get(key, (Any, ...))[1]
        }
        hints = {key: hint for key, (hint, _) in parameters.items()}
        check_values(others, path, hints, component.__name__)


def check_values(node: Mapping[str, Any], path: str, hints: Mapping[str, Any], owner: str) -> None:
    """Checks the values of a dict against type hints.

    A dict fits where anything may be built from it.

    Args:
        node: The dict.
        path: The config key that it stands under.
        hints: The type hints of keys.
        owner: What takes the values, as a message calls it.

    Raises:
        UserError: A value is of another type.
    """
    for key, value in node.items():
        for where, part, hint in parts_of(f'{path}.{key}'.lstrip('.'), value, hints.get(key, Any)):
            if not fits(part, hint):
                raise FaultyValueError(where, part, f'{owner} takes {described(hint)} there')


def parts_of(path: str, value: Any, hint: Any) -> Iterator[tuple[str, Any, Any]]:
    """A value with its hint; for a dict with a hint for what stands in it, its entries other than None."""
    dicts = [one for one in (hint, *typing.get_args(hint)) if typing.get_origin(one) is dict]
    hints = [typing.get_args(one)[1] for one in dicts if typing.get_args(one)]
    if not hints or not isinstance(value, dict):
        yield path, value, hint
        return
    for key, item in value.items():
        if item is not None:
            yield f'{path}.{key}', item, hints[0]


@cache
def annotated_parameters(component: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The type hint and the default of each parameter, also of those that ``**kwargs`` hand to a base.

    A default that is true, false or a number stands for a hint that is not there.
    """
    functions = [component]
    if inspect.isclass(component):
        functions = [base.__dict__['__init__'] for base in component.__mro__ if '__init__' in base.__dict__]
    found: dict[str, tuple[Any, Any]] = {}
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        for name, parameter in parameters.items():
            hint = parameter.annotation
            if isinstance(hint, str):
                try:
                    hint = eval(hint, getattr(function, '__globals__', {}))
                except (NameError, AttributeError, TypeError):  # what is imported for type checkers alone
                    hint = Any
            if hint is parameter.empty and isinstance(parameter.default, bool | int | float):
                hint = bool | None if isinstance(parameter.default, bool) else float | None
            found.setdefault(name, (hint, parameter.default))
    return found


def fits(value: Any, hint: Any) -> bool:
    """Whether a value out of a config may stand where a type hint is; in doubt it may.

    Lists stand for tuples, whole numbers for numbers.
    """
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if isinstance(value, dict):
        return origin not in (*_PLAIN, list, tuple, Sequence)
    if isinstance(value, list | tuple):
        if origin not in _LISTS:
            return origin not in (*_PLAIN, *_NEVER_PLAIN)
        if origin is tuple and parts[-1:] != (...,):
            return not parts or (len(parts) == len(value) and all(map(fits, value, parts)))
        return not parts or all(fits(item, parts[0]) for item in value)
    if type(value) in _PLAIN and str(getattr(origin, '__module__', '')).startswith(_BUILT):
        return False
    if type(value) not in _PLAIN or origin not in (*_PLAIN, *_LISTS, *_NEVER_PLAIN):
        return True
    return type(value) is origin or (type(value) is int and origin is float)


def described(hint: Any) -> str:
    """A type hint in words: ``a list of whole numbers or None``."""
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return ' or '.join(dict.fromkeys(map(described, parts)))
    if origin is Literal:
        return ' or '.join(map(repr, parts))
    if origin is tuple and parts and parts[-1] is not ...:
        return f'a list of {len(parts)} ({", ".join(map(described, parts))})'
    if origin in _LISTS:
        return f'a list, each entry {described(parts[0])}' if parts else 'a list'
    return _PLAIN.get(origin, getattr(origin, '__name__', str(origin)))

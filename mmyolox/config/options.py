"""Checking that the user's options, and the names in a config, reach something."""

from typing import Any

from mmengine.config import Config

from mmyolox.errors import UserError, did_you_mean

from .check import RUNNER_KEYS, TOOL_KEYS, walk

_ALIKE = 0.85
"""A variable that nothing reads and whose name is this much like one of MMEngine's is a typing error."""


def check_options(cfg: Config, options: dict[str, Any], read: set[str]) -> None:
    """Checks that each option changes something that is there.

    Args:
        cfg: The evaluated config, before dotted options are merged into it.
        options: The user's options.
        read: The variables that the config's files compute other values from.

    Raises:
        UserError: An option's name, or a step on the way to it, does not exist; or the option would change
            a variable without any effect, because its value is in use already or is not used at all.
    """
    for key in options:
        head, _, rest = key.partition('.')
        if head not in RUNNER_KEYS and head not in cfg:
            raise UserError(
                f'config option {key}: there is no {head}{did_you_mean(head, RUNNER_KEYS | set(cfg))}'
            )
        if head not in RUNNER_KEYS:
            _check_effect(cfg, key, options[key], read)
        if rest and head in cfg:
            _check_way(cfg[head], head, rest.split('.'), key)


def check_names(cfg: Config, read: set[str]) -> None:
    """Checks that no variable is one of MMEngine's names with a typing error.

    Raises:
        UserError: One is.
    """
    for name in sorted(set(cfg) - RUNNER_KEYS - read):
        hint = did_you_mean(name, RUNNER_KEYS - TOOL_KEYS, cutoff=_ALIKE)
        if hint:
            raise UserError(f'config {cfg.filename}: nothing reads {name}{hint}')


def _check_effect(cfg: Config, key: str, value: Any, read: set[str]) -> None:
    """Refuses to change a variable when nothing would follow.

    A variable is replaced at its source, so that a reader follows. A part of one (``train_pipeline.3.prob``)
    is changed when the readers have their copies already; in a dumped config there are copies only.
    """
    head, _, rest = key.partition('.')
    uses = [
        path
        for name in sorted(RUNNER_KEYS & set(cfg))
        for path, part in walk(cfg[name], name)
        if part == cfg[head] and (path.endswith(f'.{head}') or isinstance(part, dict | list))
    ]
    if rest or isinstance(cfg[head], dict):
        useless, why = bool(head in read or uses), 'is copied before it is changed'
    else:
        useless, why = head not in read and cfg[head] != value, 'is used by nothing'
    if useless:
        hint = f'; change {" and ".join(uses[:4])} instead' if uses else ''
        raise UserError(f'config option {key} has no effect: the variable {head} {why}{hint}')


def _check_way(node: Any, path: str, steps: list[str], key: str) -> None:
    """Checks that a dotted option's way through the config exists, up to its last step.

    A new key of a dict that describes a component is left to the check of components.
    """
    step, *rest = steps
    if isinstance(node, dict):
        is_list = bool(rest) and rest[0].isdigit()  # which would become a dict with a key '0'
        if step not in node and (not rest or ('type' in node and not is_list)):
            return
        known = [str(name) for name in node]
    elif isinstance(node, list | tuple):
        known = [str(index) for index in range(len(node))]
    else:
        known = []
    if step not in known:
        raise UserError(f'config option {key}: {path} has no {step}{did_you_mean(step, known)}')
    if rest:
        _check_way(
            node[int(step)] if isinstance(node, list | tuple) else node[step], f'{path}.{step}', rest, key
        )

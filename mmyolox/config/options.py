"""Checking that the user's options, and the names in a config, reach something."""

import copy
import logging
import math
from collections.abc import Collection, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmyolox.errors import UserError, did_you_mean
from mmyolox.tool_parser import OptionText

from .arguments import fits
from .check import AUTO, RUNNER_KEYS, TOOL_KEYS, child_of, value_at, walk
from .elsewhere import hint_of_variable
from .option_values import parse_option_value
from .values import data_variables
from .variables import ConfigFile

_KINDS: dict[Any, str] = {
    bool: 'true or false',
    float: 'a number',
    list: 'a list',
    str | None: 'text',
}
"""The types that options must have too."""

_CUSTOM_KEYS = 'optim_wrapper.paramwise_cfg.custom_keys'
"""The dict of settings for parts of a model; its keys are names of modules, with dots in them."""

_OF_VALIDATION = ('val_dataloader.', 'val_evaluator.', 'val_cfg.')
"""What the keys of the validation begin with; those of the test are the same with another first word."""

_ALIKE = 0.85
"""A variable that nothing reads and whose name is this much like one of MMEngine's is a typing error."""


def read_options(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Gives the options of a command line the types of what they replace.

    What is text in the config stays text, so that a folder may be called ``2024_05``. Only ``None`` is None,
    and what has brackets around it replaces a part of a dict as a list.

    Args:
        cfg: The evaluated config, without the options.
        options: The user's options; those of type :class:`~mmyolox.tool_parser.OptionText` are read.

    Raises:
        UserError: An option is of another type than what it replaces, or a number that is not finite.
    """
    values = {}
    for key, value in options.items():
        old = value_at(cfg, key)
        if isinstance(value, OptionText):
            bare = value.strip(' \'"')
            is_list = '.' in key and bare.startswith(('[', '('))
            is_text = isinstance(old, str) and bare != 'None' and not is_list
            try:
                values[key] = str(bare) if is_text else parse_option_value(bare)
            except ValueError as error:
                raise UserError(f'config option {key}={value}: {error}') from error
        else:
            values[key] = value
        if any(isinstance(part, float) and not math.isfinite(part) for _, part in walk(values[key], key)):
            raise UserError(
                f'config option {key}={value!s}: a number must be finite, since Python files, as which a '
                'run saves its config, have no name for others'
            )
        check_kind(cfg, key, values[key])
    return values


def check_kind(cfg: Config, key: str, value: Any) -> None:
    """Checks that an option is of the type of what it replaces, where no component says what it takes.

    Args:
        cfg: The config, without the option.
        key: The option's name.
        value: Its value; None is taken where it does not replace a variable.

    Raises:
        UserError: It is of another type.
    """
    if value == AUTO and key in ('train_batch_size_per_gpu', 'train_dataloader.batch_size'):
        return
    around, _, _ = key.rpartition('.')
    old, parent = value_at(cfg, key), value_at(cfg, around)
    if old is None or isinstance(old, dict) or 'type' in (parent or {}) or (around and value is None):
        return
    for hint, words in _KINDS.items():
        if fits(old, hint) and not fits(value, hint):
            example = f'"{old}"' if isinstance(old, list | tuple) else repr(old)  # as a shell takes it
            raise UserError(
                f'config option {key}={value!r} must be {words}, as in the config: {key}={example}'
            )
        if fits(old, hint):
            break
    if old and _has_dicts(old) and not _has_dicts(value):
        raise UserError(f'config option {key}={value!r} must be a list of dicts, as it is in the config')


def _has_dicts(value: Any) -> bool:
    """Whether a value is a list of dicts alone."""
    return isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value)


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Merges options into a config in place, as MMEngine's ``merge_from_dict`` does, and a little more.

    An option for the place behind the last of a list, or for a list that is not there, appends to it.

    Args:
        cfg: The config.
        options: The options, read and checked.

    Raises:
        UserError: An option does not fit.
    """
    for key, value in options.items():
        merged = {key: copy.deepcopy(value)}
        name, _, setting = key.removeprefix(f'{_CUSTOM_KEYS}.').rpartition('.')
        if key.startswith(f'{_CUSTOM_KEYS}.') and name:
            merged = {_CUSTOM_KEYS: {name: {setting: merged[key]}}}
        else:
            make_places(cfg, key)
        try:
            cfg.merge_from_dict(merged)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f'config option {key}={value!r} does not fit {cfg.filename}: {error}') from error


def make_places(cfg: Config, key: str) -> None:
    """Makes the dicts and lists, empty, that an option's way leads through and that are not there."""
    node: Any = cfg
    steps = key.split('.')
    for step, following in pairwise(steps):
        if child_of(node, step) is None:
            new: Any = [] if following.isdigit() else {}
            if isinstance(node, list) and step == str(len(node)):
                node.append(new)
            elif isinstance(node, dict | Config):
                node[step] = new
        node = child_of(node, step)


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
    made = {key.removesuffix('.type') for key in options if key.endswith('.type')}
    made |= {_CUSTOM_KEYS for key in options if key.startswith(_CUSTOM_KEYS)}
    for key in options:
        head, _, rest = key.partition('.')
        if head not in RUNNER_KEYS and head not in cfg:
            hint = hint_of_variable(head) or did_you_mean(head, RUNNER_KEYS | set(cfg))
            raise UserError(f'config option {key}: there is no {head}{hint}')
        if head not in RUNNER_KEYS:
            _check_effect(cfg, key, options[key], read)
        if rest and head in cfg:
            _check_way(cfg[head], head, rest.split('.'), key, made)


def warn_of_validation_options(options: Iterable[str]) -> None:
    """Warns of options that change a part of the validation where a test uses its own, a copy.

    Args:
        options: The names of the user's options; one that changes both is of a training and a test alike.
    """
    given = set(options)
    for key in sorted(given):
        of_test = f'test_{key.removeprefix("val_")}'
        if key.startswith(_OF_VALIDATION) and of_test not in given:
            line = f'config option {key} has no effect in a test; {of_test} has'
            print_log(line, 'current', logging.WARNING)


def check_names(cfg: Config, chain: ConfigFile, ours: Collection[Path], read: set[str]) -> None:
    """Checks that no variable is one of MMEngine's names mistyped, or does nothing over our configs.

    A file that builds on one of ours and assigns a variable means something by it, as does one that changes a
    variable of its base (``_base_.max_epochs = 5``). Names in capitals, and
    those that begin with an underscore, are left to the user's own code.

    Args:
        cfg: The evaluated config.
        chain: Its files.
        ours: The configs that come with mmyolox.
        read: The variables that other values are computed from, in these files or from the annotations.

    Raises:
        UserError: One is.
    """
    if any(file.path in ours for file in chain.files()):
        for file, name in chain.unread(read, RUNNER_KEYS | data_variables(cfg).keys()):
            if file.path in ours or name.startswith('_') or name.isupper():
                continue
            is_computed = name in read and name not in file.constants() and name in file.assigned()
            hint = '; it is computed, and only constants reach the files that are inherited from'
            if not is_computed:
                parts = (part for key in RUNNER_KEYS & set(cfg) for part, _ in walk(cfg[key], key))
                ways = sorted(part for part in parts if part.endswith(f'.{name}'))[:3]
                hint = hint_of_variable(name) or (f'; change {" and ".join(ways)} instead' if ways else '')
            hint = hint or did_you_mean(name, RUNNER_KEYS | set(cfg) - {name})
            raise UserError(f'config {file.path}: nothing reads the variable {name}{hint}')
    for file in chain.files():
        for name in sorted(file.only_changed_in_bases() - RUNNER_KEYS):
            raise UserError(
                f'config {file.path}: to change _base_.{name} has no effect, since what depends on it has '
                f'its value already; assign a new one: {name} = ...'
            )
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


def _check_way(node: Any, path: str, steps: list[str], key: str, made: set[str]) -> None:
    """Checks that a dotted option's way through the config exists, up to its last step.

    Dicts that another option gives a type are on their way, and those of settings for parts of a model. A new
    key of a dict that describes a component is left to the check of components.
    """
    step, *rest = steps
    here = f'{path}.{step}'
    if isinstance(node, dict):
        is_list = bool(rest) and rest[0].isdigit()
        if step not in node and (not rest or ('type' in node and not is_list)):
            return
        known = [str(name) for name in node]
    elif isinstance(node, list | tuple):
        known = [str(index) for index in range(len(node))]
        while f'{path}.{len(known)}' in made:
            known.append(str(len(known)))
    else:
        known = []
    is_made = any(f'{one}.'.startswith(f'{here}.') for one in made) and child_of(node, step) is None
    if is_made and (step in known or not isinstance(node, list | tuple)):
        return
    if step not in known:
        hint = did_you_mean(step, known)
        hint = hint or f'; a new part needs its type: {here}.type=...' * (rest == rest[-1:] != [])
        raise UserError(f'config option {key}: {path} has no {step}{hint}')
    if rest:
        _check_way(child_of(node, step), here, rest, key, made)

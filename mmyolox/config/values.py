"""Variables of a config whose values come from the training annotations: the classes, and others."""

import os.path as osp
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmyolox.datasets.coco_file import read_class_names
from mmyolox.datasets.layouts import FORMATS, Layout
from mmyolox.errors import UserError, first_few
from mmyolox.files import from_here

from .data_layout import GIVEN, OPEN, annotation_path
from .variables import ConfigFile

DATA_VARIABLES = 'data_variables'
"""The dict of further such variables: by name, the import path of a function of an annotation file's path."""


def value_sources(chain: ConfigFile) -> set[str]:
    """The variables that values from the data are computed from, beside those that the files read."""
    takes_classes = chain.assigns('classes') and chain.depth_of('classes') == float('inf')
    takes_file = takes_classes or chain.binds(DATA_VARIABLES)
    sources = {'data_root', 'train_ann_file'} if takes_file else set()
    return sources.union(GIVEN) if chain.binds(OPEN) else sources


def class_values(
    cfg: dict[str, Any], chain: ConfigFile, options: dict[str, Any], layout: Layout | None = None
) -> dict[str, Any]:
    """Works out what the variables ``classes`` and ``num_classes`` have to be.

    A config takes part when it has a variable ``classes``. If it is None, the names are those of the
    data set. ``num_classes`` follows their number, unless the file that gives the names, or one
    that inherits from it, or an option gives it too: then both must agree.

    Args:
        cfg: The evaluated config.
        chain: The files of the config.
        options: The user's options.
        layout: The data set, if it was recognised; else its classes are those of ``train_ann_file``.

    Returns:
        The new values of the two variables; empty when nothing is to change.

    Raises:
        UserError: The names cannot be read, or the two disagree.
    """
    if 'classes' not in cfg:
        return {}
    path = _annotation_path(cfg, layout)
    if cfg['classes'] is not None:
        if not isinstance(cfg['classes'], str | list | tuple):
            raise UserError(
                f'classes={cfg["classes"]!r} must be a list of names; their number is num_classes'
            )
        # `classes=cat` is one class, and a name may look like a number.
        given = (cfg['classes'],) if isinstance(cfg['classes'], str) else cfg['classes']
        names, source = _checked(tuple(map(str, given)), 'classes'), 'classes'
    elif layout is not None:
        names, source = FORMATS[layout.format].read_classes(layout), layout.describe()
    elif path is not None:
        if not osp.isfile(path):
            raise UserError(
                f'annotation file {from_here(path)} not found; set data_root and train_ann_file '
                '(or name the classes: --cfg-options classes=cat,dog)'
            )
        names, source = read_class_names(path), path
    else:
        return {}
    given_at = {
        name: -1 if options.get(name) is not None else chain.depth_of(name)
        for name in ('classes', 'num_classes')
    }
    follows = cfg.get('num_classes') is None or given_at['num_classes'] > given_at['classes']
    if not follows and cfg['num_classes'] != len(names):
        raise UserError(
            f'num_classes={cfg["num_classes"]}, but {source} has {len(names)} classes '
            f'({first_few(names, 5)}); leave num_classes out or mend it'
        )
    values = {'classes': names, 'num_classes': len(names)}
    return {name: value for name, value in values.items() if cfg.get(name, value) != value}


def data_values(cfg: dict[str, Any], layout: Layout | None = None) -> dict[str, Any]:
    """Works out what the variables that are named under ``data_variables`` have to be.

    Args:
        cfg: The evaluated config.
        layout: The data set, if it was recognised.

    Returns:
        The given values, which have to reach the files below the one that gives them, and for those that are
        None what their functions make of the training annotations, if the config or the layout names them.

    Raises:
        UserError: There is no such function, or it can do nothing with the file.
    """
    path = _annotation_path(cfg, layout)
    values = {}
    for name, import_path in data_variables(cfg).items():
        value = cfg.get(name)
        if value is None and path is not None:
            key = f'config key {DATA_VARIABLES}.{name}'
            try:
                function = get_object_from_string(import_path)
            except ImportError as error:
                raise UserError(f'{key}: {import_path} cannot be imported: {error}') from error
            if not callable(function):
                raise UserError(f'{key}: there is no function {import_path}')
            value = function(path)
        if value is not None:
            values[name] = value
    return values


def data_variables(cfg: Config | dict[str, Any]) -> dict[str, str]:
    """The functions under ``data_variables``, by the variable that each of them makes.

    Raises:
        UserError: It is no dict of import paths.
    """
    functions = cfg.get(DATA_VARIABLES) or {}
    if not isinstance(functions, dict) or not all(isinstance(path, str) for path in functions.values()):
        raise UserError(
            f'config key {DATA_VARIABLES}={functions!r}: it must be a dict of import paths of functions'
        )
    return functions


def recorded_values(cfg: Config, recorded: Mapping[str, Any], options: Collection[str]) -> dict[str, Any]:
    """The recorded values of variables that the config would read from the training annotations, or cut by.

    The fold that the training held out goes before that of the config's files, so that no image that was
    trained on is evaluated. It does not go before options.

    Args:
        cfg: The config with the user's options.
        recorded: What a checkpoint says, see :func:`.load.load_config`.
        options: The names of the user's options.
    """
    names = ['classes', *data_variables(cfg)]
    values = {
        name: recorded[name] for name in names if name in cfg and cfg[name] is None and recorded.get(name)
    }
    # The index of a part says nothing of parts of another number.
    fold = {} if 'fold_count' in options else recorded.get('trained_fold', {})
    variables = {f'fold_{name}': value for name, value in fold.items()}
    return values | {name: value for name, value in variables.items() if name in cfg and name not in options}


def _annotation_path(cfg: dict[str, Any], layout: Layout | None) -> str | None:
    """The file of the training annotations; None where nothing names one."""
    file, root = cfg.get('train_ann_file'), cfg.get('data_root') or ''
    for name, value in (('data_root', root), ('train_ann_file', file)):
        if not isinstance(value, str | None):
            raise UserError(f'config key {name}={value!r}: it must be a path')
    if layout is not None:
        file = layout.splits['train'].get('ann_file')
    return None if file is None else annotation_path(root, file)


def _checked(names: tuple[str, ...], source: str) -> tuple[str, ...]:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f'{source} names a class more than once: {", ".join(twice)}')
    return names

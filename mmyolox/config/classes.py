"""The class names of a config: from the annotation file, or as given, with ``num_classes`` to match."""

import json
import os.path as osp
from typing import Any

from mmyolox.errors import UserError

from .variables import ConfigFile


def class_values(cfg: dict[str, Any], chain: ConfigFile, options: dict[str, Any]) -> dict[str, Any]:
    """Work out what the variables ``classes`` and ``num_classes`` have to be.

    A config takes part when it has a variable ``classes``. If it is None, the names are those of the
    training annotations. ``num_classes`` follows their number, unless the file that gives the names, or one
    that inherits from it, or an option gives it too: then both must agree.

    Args:
        cfg: The evaluated config.
        chain: Its files.
        options: The user's options.

    Returns:
        The new values of the two variables; empty when nothing is to change.

    Raises:
        UserError: The names cannot be read, or the two disagree.
    """
    if 'classes' not in cfg:
        return {}
    path = annotation_path(cfg)
    if cfg['classes'] is not None:
        names, source = _as_names(cfg['classes']), 'classes'
    elif path is not None:
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
            f'num_classes={cfg["num_classes"]}, but {source} has {len(names)} classes ({brief(names)}); '
            'leave num_classes out or mend it'
        )
    values = {'classes': names, 'num_classes': len(names)}
    return {name: value for name, value in values.items() if cfg.get(name, value) != value}


def class_sources(chain: ConfigFile) -> set[str]:
    """The variables that the class names are computed from, beside those that the files read themselves."""
    if chain.assigns('classes') and chain.depth_of('classes') == float('inf'):
        return {'data_root', 'train_ann_file'}
    return set()


def annotation_path(cfg: dict[str, Any]) -> str | None:
    """The file that the variables ``data_root`` and ``train_ann_file`` name; None without the latter."""
    file = cfg.get('train_ann_file')
    return None if file is None else osp.join(cfg.get('data_root') or '', file)


def read_class_names(path: str) -> tuple[str, ...]:
    """Read the category names of a COCO annotation file, in the file's order.

    Args:
        path: A JSON file with a list ``categories`` of ``{"id": int, "name": str}``.

    Raises:
        UserError: The file is absent, is no JSON, or has no usable categories.
    """
    names = tuple(category['name'] for category in read_categories(path))
    if not names:
        raise UserError(f'annotation file {path} names no categories')
    return _checked(names, path)


def read_categories(path: str) -> list[dict[str, Any]]:
    """Read the categories of a COCO annotation file, each with a ``name``.

    Raises:
        UserError: The file is absent, is no JSON, or has no such list.
    """
    try:
        with open(path, encoding='utf-8') as file:
            categories = json.load(file)['categories']
        if all('name' in category for category in categories):
            return list(categories)
    except OSError as error:
        raise UserError(
            f'annotation file {path}: {error.strerror}; set data_root and train_ann_file '
            '(or name the classes: --cfg-options classes=cat,dog)'
        ) from error
    except ValueError as error:
        raise UserError(f'annotation file {path} is not valid JSON: {error}') from error
    except (KeyError, TypeError):
        pass
    raise UserError(f'annotation file {path} has no COCO categories with names')


def _as_names(classes: Any) -> tuple[str, ...]:
    """Names as given by hand: ``classes=cat`` is one class, and a name may look like a number."""
    names = (classes,) if isinstance(classes, str) else tuple(classes)
    return _checked(tuple(str(name) for name in names), 'classes')


def _checked(names: tuple[str, ...], source: str) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'{source} names a class more than once: {", ".join(twice)}')
    return names


def brief(names: tuple[str, ...]) -> str:
    """The first five names, for a message."""
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')

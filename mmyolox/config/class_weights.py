"""Weights of classes, given by their names."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmyolox.errors import UserError, did_you_mean, first_few

from .check import LOADERS, value_at

_KEY = 'class_weights'


def settle_class_weights(cfg: Config) -> None:
    """Puts ``model.bbox_head.class_weights`` that go by names into the order of the classes, in place.

    A class that is not named has the weight 1. On a command line: ``class_weights=cat:2,dog:0.5``.

    Args:
        cfg: The config, complete.

    Raises:
        UserError: There is no such class, it is not known which classes there are, one has no number or two,
            or all have 0.
    """
    given = value_at(cfg, f'model.bbox_head.{_KEY}')
    texts = [given] if isinstance(given, str) else given
    if isinstance(texts, list | tuple) and any(isinstance(text, str) for text in texts):
        texts = cfg.model.bbox_head[_KEY] = _by_names(cfg, given, texts)
    if isinstance(texts, list | tuple) and texts and not any(texts):
        raise UserError(f'{_KEY}={given!r}: one must be above 0, or no class is learnt')


def _by_names(cfg: Config, given: Any, texts: Sequence[Any]) -> list[float]:
    """The weights in the order of the classes."""
    classes = _classes(cfg)
    if not classes:
        raise UserError(
            f'{_KEY}={given!r} goes by names, and the config names no classes: add classes=[...], or give a '
            'list with a number a class'
        )
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = str(text).rpartition(':')
        try:
            weight = float(number)
        except ValueError:
            name = ''
        if not name:
            raise UserError(f'{_KEY}: {text!r} must be a name and a number, such as cat:2')
        if name not in classes:
            hint = did_you_mean(name, classes) or f'; there are {first_few(classes, 20)}'
            raise UserError(f'{_KEY}: there is no class {name!r}{hint}')
        if name in weights:
            raise UserError(f'{_KEY}: {name!r} stands there twice')
        weights[name] = weight
    return [weights.get(name, 1.0) for name in classes]


def _classes(cfg: Config) -> Sequence[str]:
    """The names of the classes in the config; empty where there are none."""
    places = ['classes', *(f'{loader}.dataset.metainfo.classes' for loader in LOADERS)]
    return next((names for names in (value_at(cfg, place) for place in places) if names), ())

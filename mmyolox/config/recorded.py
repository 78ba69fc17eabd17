"""What a checkpoint records of its images and its network, beside what a config says of them.

A checkpoint is right about itself: what a config file says gives way, which is told. What the user says by an
option stays, with a warning.
"""

import logging
from collections.abc import Collection, Mapping
from itertools import product
from math import isfinite
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.logging import print_log

from mmyolox.errors import UserError

from .check import argument, scope_at, value_at, walk
from .components import accepted_parameters, find_component

_PREPROCESSOR = 'model.data_preprocessor'
_DATASET = 'test_dataloader.dataset'
DEFAULT_SIZE = (640, 640)
"""Of a data set that is given none."""
_SIZE = 'img_scale'
"""The key of a data set, and the variable of our configs, that says the size."""
_PARTS = ('model.backbone', 'model.neck', 'model.bbox_head.head_module')
_UNTOLD = ('act_cfg', 'norm_cfg', 'spp_kernel_sizes')
"""What a part of a model takes, and no shape or value of its weights tells; of norms it is the epsilon."""
_EPSILON = 1e-5
"""Of a norm that is given none, as of mmcv."""


class Normalisation(NamedTuple):
    """What is done to the pixels of an image, as of ``YOLOXDataPreprocessor``.

    Attributes:
        mean: Per channel, in grey levels; None for none.
        std: As ``mean``.
        bgr_to_rgb: Whether the order of the channels is reversed first.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    bgr_to_rgb: bool = False

    def is_near(self, other: 'Normalisation') -> bool:
        """Whether numbers are of the same size, so that weights, which know no more, may be for both."""
        one, two = (sum(pixels.std or (1.0,)) / len(pixels.std or (1.0,)) for pixels in (self, other))
        return one / 2 < two < 2 * one

    def __str__(self) -> str:
        """The three as options of a config."""
        values = (None if numbers is None else list(numbers) for numbers in (self.mean, self.std))
        return 'mean={} std={} bgr_to_rgb={}'.format(*values, self.bgr_to_rgb).replace(', ', ',')


def normalisation(preprocessor: Mapping[str, Any]) -> Normalisation:
    """That of a preprocessor's config; means of 0 with deviations of 1 are none.

    Raises:
        TypeError, ValueError: It holds something else than numbers, or a deviation that none can be.
    """
    mean, std = (
        None if preprocessor.get(name) is None else tuple(map(float, preprocessor[name]))
        for name in ('mean', 'std')
    )
    if not all(isfinite(value) and value > 0 for value in std or ()):
        raise ValueError(f'std={list(std or ())}: numbers above 0 are needed')
    if not all(map(isfinite, mean or ())):
        raise ValueError(f'mean={list(mean or ())}: finite numbers are needed')
    is_none = not any(mean or ()) and all(value == 1 for value in std or ())
    return Normalisation(*(None, None) if is_none else (mean, std), bool(preprocessor.get('bgr_to_rgb')))


def follow_recorded_input(
    cfg: Config, recorded: Mapping[str, Any], options: Collection[str], plain: Config
) -> None:
    """Brings the size of test images, and what is done to pixels, to what a checkpoint records, in place.

    Args:
        cfg: The config with the user's options.
        recorded: ``img_scale`` (w, h), ``normalisation`` and ``guessed_normalisation`` are read, if they are
            there; the last, which the size of the weights tells, only where the config has no mean and std:
            others than these stay, with a warning.
        options: The names of the user's options.
        plain: The config without them.

    Raises:
        UserError: The config's mean and std are no numbers.
    """
    size, pixels = recorded.get(_SIZE), recorded.get('normalisation')
    here, there = _sizes(cfg), _sizes(plain)
    for path, value in here.items() if size else ():
        is_chosen = value != there.get(path) or _names(options, _SIZE, path)
        if value != size and _gives_way(path, value, f'{size}, which the checkpoint records', is_chosen):
            cfg.merge_from_dict({path: size})
    own, before = _normalisation(cfg), _normalisation(plain)
    origin = 'which the checkpoint records'
    is_guess = pixels is None
    if own and is_guess:
        guess = recorded.get('guessed_normalisation')
        pixels = None if guess is None or guess.is_near(own) else guess
        origin = 'which the checkpoint was trained with, as the size of its weights tells'
    if own in (None, pixels) or pixels is None:
        return
    chosen = _chosen(own, before or Normalisation(), options)
    if is_guess and (own.mean is not None or 'mean' in chosen):
        chosen = own._asdict()  # a guess tells no colours by themselves
    used = pixels._replace(**chosen)
    _gives_way(_PREPROCESSOR, own if used == pixels else used, f'{pixels}, {origin}', used != pixels)
    _set_pixels(cfg, used, chosen)


def follow_start(cfg: Config, pixels: Normalisation | None, options: Collection[str]) -> None:
    """Has a training do to pixels what the weights that it starts from, or goes on with, know, in place.

    A mean and a deviation of the config's own, or of an option, stay with its colours. Where it says only the
    latter (``bgr_to_rgb``), they stay, and the rest follows.

    Args:
        cfg: The config with the user's options.
        pixels: What was done in the training of the weights; None if nothing tells.
        options: The names of the user's options.

    Raises:
        UserError: The config's mean and std are no numbers.
    """
    own = _normalisation(cfg)
    if pixels in (None, Normalisation(), own) or own is None:
        return
    chosen = _chosen(own, Normalisation(), options)
    if 'mean' in chosen:
        return
    used = pixels._replace(**chosen)
    _set_pixels(cfg, used, chosen)
    print_log(
        f'{_PREPROCESSOR}: {used} is used, which the weights to start from were trained with', 'current'
    )


def network_settings(cfg: Config) -> dict[str, Any]:
    """What a config says of its network that weights do not tell.

    Two networks that differ in these alone have the same tensors, and other outputs.

    Args:
        cfg: The config of a model.

    Returns:
        A dict: key path -> activation (its dict), pooling windows (a list) or the epsilon of the norms, for
        each part of the model that takes such.
    """
    settings: dict[str, Any] = {}
    for path, name in product(_PARTS, _UNTOLD):
        value = argument(cfg, path, name)
        if isinstance(value, list | tuple):
            settings[f'{path}.{name}'] = list(value)
        elif isinstance(value, dict) and name == 'norm_cfg':
            settings[f'{path}.{name}.eps'] = value.get('eps', _EPSILON)
        elif isinstance(value, dict):
            layer = value.get('type')
            kind = layer.rpartition('.')[2] if isinstance(layer, str) else getattr(layer, '__name__', '')
            told = {key: item for key, item in value.items() if key not in ('inplace', '_scope_')}
            settings[f'{path}.{name}'] = told | dict(type=kind)
    return settings


def other_settings(recorded: Mapping[str, Any], cfg: Config) -> dict[str, tuple[Any, Any]]:
    """What :func:`network_settings` says of a config's network, where a recorded one has something else.

    Args:
        recorded: The settings of the other network; it may lack some, which then count as equal.
        cfg: The config.

    Returns:
        A dict: key path -> what is recorded, what the config says.
    """
    own = network_settings(cfg) if recorded else {}
    pairs = {path: (recorded.get(path, value), value) for path, value in own.items()}
    return {path: (theirs, value) for path, (theirs, value) in pairs.items() if theirs != value}


def follow_recorded_network(
    cfg: Config, recorded: Mapping[str, Any], options: Collection[str], plain: Config
) -> None:
    """Brings a config's network to the recorded settings of another one with the same tensors, in place.

    Args:
        cfg: The config with the user's options.
        recorded: The settings, as of :func:`network_settings`.
        options: The names of the user's options.
        plain: The config without them.
    """
    others = other_settings(recorded, cfg)
    before = network_settings(plain) if others else {}
    for path, (theirs, own) in others.items():
        is_chosen = own != before.get(path) or _names(options, path)
        if _gives_way(path, own, f'{theirs}, which the checkpoint records', is_chosen):
            part, _, name = path.removesuffix('.eps').rpartition('.')
            given = argument(cfg, part, name)
            value_at(cfg, part)[name] = {**given, 'eps': theirs} if path.endswith('.eps') else theirs


def warn_of_other_fold(cfg: Config, recorded: Mapping[str, Any]) -> None:
    """Warns where another part of the images is tested than the training of a checkpoint held out.

    Args:
        cfg: The config.
        recorded: ``trained_fold`` is read, if it is there.
    """
    trained = recorded.get('trained_fold', {})
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    for path, fold in walk(dataset, _DATASET) if trained else ():
        if not path.endswith('.fold') or not isinstance(fold, dict):
            continue
        own = {name: fold.get(name, 0) for name in trained}
        if own != trained:
            print_log(
                f'{path}: {own} is tested instead of {trained}, which the training held out: if the data is '
                'the same, there are images among them that were trained on',
                'current',
                logging.WARNING,
            )


def _chosen(own: Normalisation, before: Normalisation, options: Collection[str]) -> dict[str, Any]:
    """The values that the user says: those that differ from ``before``, and those that an option names."""
    chosen: dict[str, Any] = {}
    for names in (('mean', 'std'), ('bgr_to_rgb',)):  # a mean and a deviation belong together
        values = {name: getattr(own, name) for name in names}
        is_changed = any(value != getattr(before, name) for name, value in values.items())
        if is_changed or _names(options, *(f'{_PREPROCESSOR}.{name}' for name in names)):
            chosen |= values
    return chosen


def _set_pixels(cfg: Config, pixels: Normalisation, kept: Collection[str]) -> None:
    """Gives the model's preprocessor the values of ``pixels``, but those whose names are to be kept."""
    others = {name: value for name, value in pixels._asdict().items() if name not in kept}
    cfg.merge_from_dict({f'{_PREPROCESSOR}.{name}': value for name, value in others.items()})


def _gives_way(path: str, value: Any, other: str, is_chosen: bool) -> bool:
    """Tells what becomes of a config's value that contradicts a checkpoint; whether that is to be changed."""
    if is_chosen:
        print_log(f'{path}: {value} is used, as you say, instead of {other}', 'current', logging.WARNING)
    else:
        print_log(f'{path}: {value} of the config gives way to {other}', 'current')
    return not is_chosen


def _names(options: Collection[str], *paths: str) -> bool:
    """Whether an option is one of some values, a part of one, or a dict that holds one."""
    pairs = ((f'{option}.', f'{path}.') for option in options for path in paths)
    return any(option.startswith(path) or path.startswith(option) for option, path in pairs)


def _sizes(cfg: Config) -> dict[str, tuple[int, ...]]:
    """The sizes of the test data sets, by their key paths."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    sizes = {path: tuple(value) for path, value in walk(dataset, _DATASET) if path.endswith(f'.{_SIZE}')}
    if sizes or 'type' not in dataset:
        return sizes
    return {f'{_DATASET}.{_SIZE}': DEFAULT_SIZE} if _SIZE in _parameters(cfg, dataset, _DATASET) else {}


def _normalisation(cfg: Config) -> Normalisation | None:
    """That of the model; None for a model without a preprocessor, or with one that takes other arguments."""
    preprocessor = (cfg.get('model') or {}).get('data_preprocessor')
    if not preprocessor:
        return None
    if 'type' in preprocessor:
        parameters = _parameters(cfg, preprocessor, _PREPROCESSOR)
        if not parameters.issuperset(Normalisation._fields):
            return None
    try:
        return normalisation(preprocessor)
    except (TypeError, ValueError) as error:
        raise UserError(
            f'config key {_PREPROCESSOR}: mean and std must be lists of numbers, std above 0'
        ) from error


def _parameters(cfg: Config, described: Mapping[str, Any], path: str) -> frozenset[str]:
    """The names that the component takes which stands at a key path; none if it takes any."""
    component = described['type']
    if isinstance(component, str):
        component = find_component(component, scope_at(cfg, path), f'{path}.type')
    return accepted_parameters(component) or frozenset()

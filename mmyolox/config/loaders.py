"""What MMEngine takes without a word and would load or measure otherwise than a config reads."""

import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmyolox.errors import UserError

from .check import LOADERS, component_at, counts_iterations, value_at, walk
from .components import names_of_bases

_DATASET = re.compile(r'\w+_dataloader\.dataset(\.dataset|\.datasets\.\d+)*')
_EVALUATORS = ('val_evaluator', 'test_evaluator')
_ENDLESS = frozenset(('InfiniteSampler', 'MultiSourceSampler'))
"""Samplers of MMEngine and MMDetection that never come to the end of the images."""


def settle_modes(cfg: Config) -> None:
    """Puts our data sets that evaluate into test mode, in place, where the config does not say.

    Args:
        cfg: The config, complete.
    """
    for path, dataset in own_datasets(cfg):
        if not path.startswith('train'):
            dataset.setdefault('test_mode', True)


def check_loaders(cfg: Config) -> None:
    """Checks what loaders give, the modes of the data sets, and that evaluators measure something.

    Raises:
        UserError: Batches have no size, no sample is left, a sampler is none or never ends, two keys say
            whether to shuffle, a data set is in the mode of the other phase, or an evaluator has no metric.
    """
    for name in LOADERS:
        loader = cfg.get(name)
        if isinstance(loader, dict):
            check_sampler(cfg, name, loader)
            if loader.get('batch_size', 1) is None:
                raise UserError(f'config key {name}.batch_size=None: it must be a number, at least 1')
            indices = value_at(cfg, f'{name}.dataset.indices')
            if indices in (0, [], ()):
                raise UserError(f'config key {name}.dataset.indices={indices}: no sample would be left')
    for path, dataset in own_datasets(cfg):
        is_training = path.startswith('train')
        if bool(dataset.get('test_mode')) is is_training:
            why = 'boxes that nobody can learn would stay' if is_training else 'images would be left out'
            raise UserError(f'config key {path}.test_mode={is_training}: {why}; it must be {not is_training}')
    for name in _EVALUATORS:
        for path, value in walk(cfg.get(name), name):
            if path.rpartition('.')[2] in (name, 'metrics', 'metric_items') and value in ([], ()):
                split = name.partition('_')[0]
                raise UserError(
                    f'config key {path}={value!r} measures nothing: name a metric, or set '
                    f'{split}_dataloader, {split}_cfg and {split}_evaluator to None'
                )


def check_sampler(cfg: Config, name: str, loader: dict[str, Any]) -> None:
    """Checks the sampler of a loader.

    Args:
        cfg: The config.
        name: The config key of the loader.
        loader: The loader.

    Raises:
        UserError: It is none or never ends, or the loader says otherwise than it whether to shuffle.
    """
    is_training = name == 'train_dataloader'
    good = f"dict(type='{'SeededSampler' if is_training else 'DefaultSampler'}', shuffle={is_training})"
    sampler = loader.get('sampler', {})
    if not isinstance(sampler, dict):
        raise UserError(
            f'config key {name}.sampler={sampler!r}: nothing would shuffle the images or share them among '
            f'processes; it must be a dict, such as {good}'
        )
    shuffle = loader.get('shuffle')
    if shuffle or (shuffle is False and sampler.get('shuffle', True)):
        raise UserError(
            f'config key {name}.shuffle={shuffle}: the sampler says whether to shuffle; set '
            f'{name}.sampler.shuffle, and leave {name}.shuffle out'
        )
    is_endless = names_of_bases(component_at(cfg, f'{name}.sampler')) & _ENDLESS
    if is_endless and not (is_training and counts_iterations(cfg)):
        unit = 'an epoch' if is_training else 'an evaluation'
        raise UserError(
            f'config key {name}.sampler.type={sampler["type"]}: {unit} with it never ends; use {good}'
        )


def own_datasets(cfg: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our data sets, also those within others, with their config keys."""
    for name in LOADERS:
        for path, part in walk(cfg.get(name), name):
            if _DATASET.fullmatch(path) and 'DetectionDataset' in names_of_bases(component_at(cfg, path)):
                yield path, part

"""What a checkpoint records of the images that its model takes, and what the weights tell where it does not.

The record is plain data under ``meta['mmyolox']``: ``format``, ``recipe`` (the config's name), ``img_scale``
(width, height), ``channels``, ``mean``, ``std`` and ``bgr_to_rgb`` as of
:class:`~mmyolox.models.preprocessor.YOLOXDataPreprocessor`, and ``fold``, the part of the data that was held
out of the training. The classes are in ``meta['dataset_meta']``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor

from mmyolox.config.check import walk
from mmyolox.config.recorded import Normalisation, network_settings, normalisation
from mmyolox.datasets.base import detection_datasets
from mmyolox.datasets.splits import Fold
from mmyolox.deploy.letterbox import MAX_PIXELS
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.models.preprocessor import YOLOXDataPreprocessor

from .classes import recorded_data
from .convert import state_dict_of
from .match import bare_model

KEY = 'mmyolox'
"""Of the record in a checkpoint's ``meta``."""
FORMAT = 1

FOLD = ('count', 'index', 'seed')
"""What is recorded of a fold."""

GREY_LEVELS = Normalisation()
"""What YOLOX is trained with: BGR images from 0 to 255."""
IMAGENET = normalisation(dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True))
"""What YOLOX was trained with before Megvii's 0.1.1, and in forks of that time: normalised RGB images."""
UNIT = normalisation(dict(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True))
"""What some forks train with: RGB images from 0 to 1."""

_STEMS = ('backbone.stem.conv.', 'backbone.stem.0.')
_EPSILON = 1e-3
_PIXELS = ((0.02, GREY_LEVELS), (0.15, None), (0.8, IMAGENET), (float('inf'), UNIT))
"""What a model was trained on, for stems' weights, norm included, of up to such a mean size.

It is about 0.005 for grey levels up to 255, and larger by as much as the images' numbers are smaller: 0.3 to
0.5 for normalised ones, 1.3 and more for those from 0 to 1. Weights that were never trained have 0.05 to 0.1.
"""


@dataclass(frozen=True)
class InputRecord:
    """What is known of the images that the model of a checkpoint takes, and of its network.

    Attributes:
        recipe: The name of the config that it was trained with; empty if that is not recorded.
        img_scale: The network's input (w, h) in pixels, in the validation; None if not recorded.
        channels: Of the images; None if not recorded.
        normalisation: Of pixels; None if nothing tells.
        is_guess: Whether the weights tell the normalisation, and not a record.
        network: What weights do not tell of the network, as of
            :func:`~mmyolox.config.recorded.network_settings`; empty if that is not recorded.
        fold: ``count``, ``index`` and ``seed`` of the :class:`~mmyolox.datasets.splits.Fold` that the
            training held out of its data; empty if it held out none, or that is not recorded.
    """

    recipe: str = ''
    img_scale: tuple[int, int] | None = None
    channels: int | None = None
    normalisation: Normalisation | None = None
    is_guess: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)
    fold: Mapping[str, int] = field(default_factory=dict)

    def to_meta(self) -> dict[str, Any]:
        """What is written under ``meta['mmyolox']``."""
        return dict(
            format=FORMAT,
            recipe=self.recipe,
            img_scale=self.img_scale,
            channels=self.channels,
            network=dict(self.network),
            fold=dict(self.fold),
            **(self.normalisation._asdict() if self.normalisation else {}),
        )

    def config_values(self) -> dict[str, Any]:
        """What :func:`mmyolox.config.load_config` takes of it, beside what is recorded of the data."""
        values: dict[str, Any] = {}
        if self.recipe:
            values['recipe'] = self.recipe
        if self.img_scale is not None:
            values['img_scale'] = self.img_scale
        if self.network:
            values['network'] = self.network
        if self.fold:
            values['trained_fold'] = self.fold
        if self.normalisation is not None:
            values['guessed_normalisation' if self.is_guess else 'normalisation'] = self.normalisation
        return values


def record_of(runner: Runner) -> InputRecord:
    """The record of the model that is being trained."""
    model = bare_model(runner.model)
    loader = runner.train_dataloader if runner.val_loop is None else runner.val_dataloader
    datasets = detection_datasets(loader.dataset)
    preprocessor = model.data_preprocessor
    folds = (dataset.fold for dataset in detection_datasets(runner.train_dataloader.dataset) if dataset.fold)
    return InputRecord(
        Path(runner.cfg.filename or '').stem,
        next(((dataset.img_scale.width, dataset.img_scale.height) for dataset in datasets), None),
        model.input_channels if isinstance(model, YOLODetector) else None,
        preprocessor.normalisation if isinstance(preprocessor, YOLOXDataPreprocessor) else None,
        network=network_settings(runner.cfg),
        fold=next(({name: getattr(fold, name) for name in FOLD} for fold in folds), {}),
    )


def recorded_values(content: Mapping[str, Any], file: str) -> dict[str, Any]:
    """All that :func:`mmyolox.config.load_config` takes of what a checkpoint says.

    Args:
        content: What the file holds.
        file: Its name, for messages.

    Raises:
        UserError: As of :func:`.convert.state_dict_of`, :func:`.classes.recorded_data` and
            :func:`read_record`.
    """
    weights = state_dict_of(content, file)
    return recorded_data(content, weights, file) | read_record(content, weights, file).config_values()


def read_record(content: Mapping[str, Any], weights: Mapping[str, Tensor], file: str) -> InputRecord:
    """Reads the record of a checkpoint; without one, the weights tell what is done to the pixels.

    Args:
        content: What the file holds.
        weights: Its weights in our layout.
        file: Its name, for messages.

    Raises:
        UserError: The record is of a later version, or no record of ours.
    """
    meta = content.get('meta')
    stored = meta.get(KEY) if isinstance(meta, dict) else None
    if stored is None:
        pixels = trained_pixels(weights)
        return InputRecord(normalisation=pixels, is_guess=pixels is not None)
    known_format = stored.get('format') if isinstance(stored, dict) else None
    if isinstance(known_format, int) and known_format > FORMAT:
        raise UserError(
            f'checkpoint {file}: its record has format {known_format}, but this version of mmyolox knows '
            f'{FORMAT}: install a newer one'
        )
    try:
        size = None
        if stored['img_scale'] is not None:
            width, height = map(int, stored['img_scale'])
            size = width, height
            if min(size) < 1 or width * height > MAX_PIXELS:
                raise ValueError(f'img_scale={size}: needed are sides from 1, at most {MAX_PIXELS} pixels')
        network = dict(stored.get('network') or {})
        for path, value in walk(network, 'network'):
            if isinstance(value, int | float) and not isfinite(value):
                raise ValueError(f'{path}={value}: a finite number is needed')
        fold = {name: stored['fold'][name] for name in FOLD} if stored.get('fold') else {}
        if fold:
            Fold.of(dict(fold, held_out=True))
        return InputRecord(
            str(stored['recipe']),
            size,
            None if stored['channels'] is None else int(stored['channels']),
            normalisation(stored) if 'bgr_to_rgb' in stored else None,
            network=network,
            fold=fold,
        )
    except (KeyError, OverflowError, TypeError, UserError, ValueError) as error:
        raise UserError(f'checkpoint {file}: meta.{KEY} is no record of mmyolox ({error!r})') from error


def trained_pixels(weights: Mapping[str, Tensor]) -> Normalisation | None:
    """What the size of a trained model's weights tells of the images of three channels that it takes.

    It tells their mean and deviation. It does not tell the order of the colours: that is the usual one.

    Args:
        weights: In our layout.

    Returns:
        What the images are; None if that is not clear.
    """
    for stem in _STEMS:
        parts = [weights.get(f'{stem}{name}') for name in ('conv.weight', 'bn.weight', 'bn.running_var')]
        kernel, gamma, variance = parts
        if kernel is None or gamma is None or variance is None or kernel.ndim != 4:
            continue
        if kernel.shape[1] in (3, 12) and len(kernel) == len(gamma) == len(variance):
            scale = gamma.float() / torch.sqrt(variance.float() + _EPSILON)
            size = float((kernel.float() * scale[:, None, None, None]).abs().mean())
            return next((pixels for bound, pixels in _PIXELS if size <= bound), None)
    return None

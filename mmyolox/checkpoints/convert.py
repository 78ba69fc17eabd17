"""Bringing weights into our layout, and accounting for every tensor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmyolox.errors import UserError

from .load import weights_in, without_wrapper
from .recognise import Architecture, recognise
from .sources.base import Source, Translation, find_source, matching_sources
from .sources.openmmlab import is_ours

_COUNTER = '.num_batches_tracked'


@dataclass(frozen=True)
class Conversion:
    """What became of the tensors of a file.

    Attributes:
        source: The source that the weights come from.
        architecture: The recognised model.
        state_dict: The tensors that fit the model, under its names and in its order.
        used: A dict: our name -> the file's name, or names joined by ``', '``, that the tensor was made of.
        unused: A dict: the file's name -> why it has no place in the model.
        dropped: A dict: the file's name -> why no model needs it.
        missing: Our names of the tensors that the file does not give.
    """

    source: Source
    architecture: Architecture
    state_dict: dict[str, Tensor]
    used: dict[str, str]
    unused: dict[str, str]
    dropped: dict[str, str]
    missing: tuple[str, ...]

    @property
    def used_names(self) -> tuple[str, ...]:
        """The file's names of the tensors that are used, each once."""
        return _file_names(self.used.values())


def convert(tensors: Mapping[str, Tensor], source: str | None = None) -> Conversion:
    """Translates weights and checks them against the model that they make up.

    Counters of batch norm (``num_batches_tracked``), which files from before PyTorch 0.4.1 or from other
    frameworks lack and which do not change an output, count as 0 where they are absent.

    Args:
        tensors: A dict: the file's name, of which a leading ``module.`` is dropped -> tensor.
        source: The name of the source; None to recognise it.

    Raises:
        UserError: No source, or no YOLOX, is recognised; or tensors that are told by their position do not
            fit.
    """
    given = without_wrapper(tensors)
    origin = find_source(given, source)
    translation = origin.translate(given)
    architecture = recognise(translation.tensors)
    shapes = architecture.shapes()
    misfits = _misfits(origin, translation, shapes)
    fitting = {name: tensor for name, tensor in translation.tensors.items() if name not in misfits}
    fitting |= {name: torch.tensor(0) for name in shapes if name.endswith(_COUNTER) and name not in fitting}
    used = {name: file_name for name, file_name in translation.origins.items() if name not in misfits}
    accounted = {*_file_names(used.values()), *translation.dropped}
    reasons = translation.unused | {
        file_name: reason
        for name, reason in misfits.items()
        for file_name in _file_names([translation.origins.get(name, name)])
    }
    return Conversion(
        source=origin,
        architecture=architecture,
        state_dict={name: fitting[name] for name in shapes if name in fitting},
        used=used,
        unused={
            name: reasons.get(name, 'the source says nothing of it')
            for name in given
            if name not in accounted
        },
        dropped=translation.dropped,
        missing=tuple(name for name in shapes if name not in fitting),
    )


def state_dict_of(content: Mapping[str, Any], file: str) -> dict[str, Tensor]:
    """The weights of a checkpoint in our layout, for a model that may differ from theirs.

    Those of another framework (see :mod:`.sources`) are translated, and that is said.

    Args:
        content: What the file holds: the weights under ``state_dict``, or where other frameworks have them,
            or by themselves.
        file: The file's name, for messages.

    Returns:
        Our name -> tensor. What has no place keeps its name, and so do all of weights that no source knows.

    Raises:
        UserError: There are no weights, or they could be of several sources, or as of :func:`convert` where
            tensors are told by their position.
    """
    tensors, _ = weights_in(content, file)
    if is_ours(tensors) or not matching_sources(tensors):
        return tensors
    source = find_source(tensors)
    try:
        translation = source.translate(tensors)
        if source.by_position:
            _misfits(source, translation, recognise(translation.tensors).shapes())  # raises if there are any
    except UserError as error:
        raise UserError(f'{file}: {error}') from error
    print_log(f'checkpoint {file}: translated from the layout of {source.title}', 'current')
    return {name: tensors[name] for name in translation.unused} | translation.tensors


def _misfits(
    source: Source, translation: Translation, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """A dict: our name -> why that tensor has no place in the model.

    Raises:
        UserError: There is one, of a source that tells tensors by their position.
    """
    misfits: dict[str, str] = {}
    for name, tensor in translation.tensors.items():
        if name not in shapes:
            misfits[name] = 'the model has no such tensor'
        elif tensor.shape != shapes[name]:
            misfits[name] = f'shape {tuple(tensor.shape)}, the model has {shapes[name]}'
        elif not tensor.is_floating_point() and not name.endswith(_COUNTER):
            misfits[name] = f'{tensor.dtype}: quantised, or no weights'
    if source.by_position and misfits:
        name, reason = next(iter(misfits.items()))
        raise UserError(
            f'no {source.title}: {len(misfits)} of its tensors, which are told by their position, do not '
            f'fit, as {translation.origins[name]} ({reason})'
        )
    return misfits


def _file_names(origins: Iterable[str]) -> tuple[str, ...]:
    """The names in a file, each once, that tensors were made of."""
    return tuple(dict.fromkeys(name for origin in origins for name in origin.split(', ')))

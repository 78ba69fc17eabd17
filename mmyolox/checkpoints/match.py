"""Fitting weights to a model, and saying in a line what was used and what was not."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, takewhile

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from mmyolox.errors import UserError, first_few

from .classes import CLASS_LAYERS, ClassNames
from .load import without_wrapper
from .recognise import recognise
from .sources.openmmlab import is_ours

MOST = 0.5
"""A load that leaves more than this share of a model's tensors without a value is taken for a mistake."""

_HEAD = 'bbox_head.'
_LEVEL = re.compile(r'\.\d+(\.|$)')

_SHOWN_GROUPS = 4
_GROUP_DEPTH = 3


@dataclass
class LoadSummary:
    """What became of the tensors of a checkpoint and of a model; names are those of the state dicts.

    Attributes:
        used: The names in both, with the same shape.
        missing: The names in the model only. BatchNorm's ``num_batches_tracked``, which old files lack, is
            not counted.
        unexpected: The names in the file only.
        mismatched: The names in both with different shapes, as ``name (file's shape -> model's shape)``, or
            with whole numbers in the file where the model has none.
        other_classes: The names of the layers that are made for other classes, and are left out.
        classes: What the classes are called in the file and in the model.
        class_layers: The names of the class layers with a row for each of these classes.
        absent_parts: The outermost modules of the model of which the file has no tensor at all.
        held: What is known of the file's model, where it is another.
    """

    used: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    other_classes: list[str] = field(default_factory=list)
    classes: ClassNames = field(default_factory=ClassNames)
    class_layers: list[str] = field(default_factory=list)
    absent_parts: list[str] = field(default_factory=list)
    held: str = ''

    @property
    def complete(self) -> bool:
        """Whether every tensor of the model has a value from the file."""
        is_new = bool(self.class_layers and self.classes.new)
        return not (self.missing or self.mismatched or self.other_classes or is_new)

    @property
    def level(self) -> int:
        """How loud :meth:`describe` should be, of :mod:`logging`: a warning where tensors do not match.

        A model whose head has whole branches more, as a pose model has on a detector, is none.
        """
        return logging.WARNING if self._is_partial else logging.INFO

    @property
    def _is_partial(self) -> bool:
        return bool(self.mismatched or self.unexpected or (self.missing and not self._lacks_branches))

    @property
    def _lacks_branches(self) -> bool:
        """Whether all that is missing are whole branches of the head, not some level or layer of one."""
        branches = [part for part in self.absent_parts if part.startswith(_HEAD) and not _LEVEL.search(part)]
        return all(name.startswith(tuple(f'{branch}.' for branch in branches)) for name in self.missing)

    def describe(self) -> str:
        """A line with the counts, and where the names are that did not match."""
        total = len(self.used) + len(self.missing) + len(self.mismatched) + len(self.other_classes)
        is_partial = self._is_partial
        parts = [f'{len(self.used)} of {total} tensors of the model loaded']
        parts += [self.held] if self.held and is_partial else []
        parts += self._describe_classes()
        for names, what in (
            (self.missing if is_partial else [], 'missing in the file'),
            (self.mismatched, 'of another shape or type'),
            (self.unexpected, 'unknown to the model'),
        ):
            if names:
                parts.append(f'{len(names)} {what}: {_grouped(names)}')
        if self.absent_parts:
            # Of a module in a list the number alone would say nothing.
            shown = (name if name[-1].isdigit() else name.rpartition('.')[2] for name in self.absent_parts)
            count = '' if is_partial else f'{len(self.missing)} missing in the file: '
            absent = first_few(shown, _SHOWN_GROUPS)
            parts.append(f'{count}the file is of another kind of model, without {absent}')
        return '; '.join(parts)

    def _describe_classes(self) -> list[str]:
        """How the class layers are filled, where that is more than to take them as they are."""
        names, count = self.classes, len(self.other_classes)
        if count and self.class_layers:
            return [f'{count} class layers left out (no class in common; {names.describe()})']
        if count:
            return [f'{count} class layers left out (another number of classes)']
        if self.class_layers and names.file != names.model:
            news = f'{len(names.new)} of {len(names.model)} classes are new, ' if names.new else ''
            return [f'class layers taken by name ({news}{names.describe()})']
        is_unknown = names.model and not self.class_layers and any(CLASS_LAYERS in name for name in self.used)
        position = 'class layers taken by position: the file does not name its classes'
        assumed = first_few(names.model, 5)
        return [f'{position}, those of the model are assumed ({assumed})'] if is_unknown else []


def match_weights(
    model: nn.Module, state_dict: dict[str, Tensor], source: str, classes: ClassNames | None = None
) -> tuple[dict[str, Tensor], LoadSummary]:
    """Completes a state dict to one that fits a model exactly.

    The rows of class layers are those of the classes' names. Where names are not known, layers for as many
    classes are taken as they are. Class layers without a class in common are left out.

    Args:
        model: The model, which may be wrapped for several devices or for test-time augmentation.
        state_dict: The tensors by name; a leading ``module.`` is dropped.
        source: The file's name, for messages.
        classes: What the classes are called; None if that is not known.

    Returns:
        A tensor for every name of the model, the model's own where the file has none that fits; and what
        came from where.

    Raises:
        UserError: More than half of the model's tensors would get no value.
    """
    given = without_wrapper(state_dict)
    own = bare_model(model).state_dict()
    names = classes or ClassNames()
    summary = LoadSummary(unexpected=[name for name in given if name not in own], classes=names)
    matched = dict(own)
    for name, tensor in own.items():
        if name not in given:
            if not name.endswith('num_batches_tracked'):
                summary.missing.append(name)
        elif tensor.is_floating_point() and not given[name].is_floating_point():
            summary.mismatched.append(f'{name} ({given[name].dtype} -> {tensor.dtype})')
        elif CLASS_LAYERS in name and _same_row(given[name], tensor) and names.fit(given[name], tensor):
            summary.class_layers.append(name)
            is_shared = len(names.new) < len(names.model)
            (summary.used if is_shared else summary.other_classes).append(name)
            matched[name] = names.rows(given[name], tensor)
        elif given[name].shape == tensor.shape:
            matched[name] = given[name]
            summary.used.append(name)
        elif CLASS_LAYERS in name and _same_row(given[name], tensor):
            summary.other_classes.append(name)
        else:
            summary.mismatched.append(f'{name} ({_shape(given[name])} -> {_shape(tensor)})')
    summary.absent_parts = _absent_parts(summary.missing, given)
    if (summary.mismatched or summary.missing) and is_ours(given):
        try:
            summary.held = f'the file holds {recognise(given).describe()}'
        except UserError as error:
            summary.held = str(error)
    left = len(summary.missing) + len(summary.mismatched)
    if left > MOST * (left + len(summary.used) + len(summary.other_classes)):
        raise UserError(f'checkpoint {source} does not fit the model: {summary.describe()}')
    return matched, summary


def bare_model(model: nn.Module) -> nn.Module:
    """The model inside wrappers for several devices or for test-time augmentation."""
    if is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        return bare_model(model.get_submodule('module'))
    return model


def _absent_parts(missing: list[str], given: Iterable[str]) -> list[str]:
    """The outermost modules, among those with missing tensors, that no given name is in."""

    def modules(name: str) -> list[str]:
        return list(accumulate(name.split('.')[:-1], '{}.{}'.format))  # outermost first

    known = {module for name in given for module in modules(name)}
    outermost = (next((module for module in modules(name) if module not in known), None) for name in missing)
    return list(filter(None, dict.fromkeys(outermost)))


def _grouped(names: list[str]) -> str:
    """The parts of the model that the names are in, with their number, biggest first."""
    if len(names) <= _SHOWN_GROUPS:
        return ', '.join(names)
    # The module that a name is in, three levels deep at most, or the list of modules.
    modules = (
        takewhile(lambda part: not part.isdigit(), name.split(' ')[0].split('.')[:-1]) for name in names
    )
    groups = Counter('.'.join(list(module)[:_GROUP_DEPTH]) for module in modules).most_common()
    shown = first_few((f'{count} in {group}' for group, count in groups), _SHOWN_GROUPS)
    return f'{shown} (e.g. {names[0]})'


def _same_row(one: Tensor, other: Tensor) -> bool:
    """Whether layers differ in nothing but their number of classes."""
    return one.shape[1:] == other.shape[1:]


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'

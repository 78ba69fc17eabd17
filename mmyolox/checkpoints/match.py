"""Fitting weights to a model, and saying in a line what was used and what was not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, takewhile

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from mmyolox.errors import UserError, first_few

from .load import without_wrapper
from .recognise import recognise
from .sources.openmmlab import is_ours

CLASS_LAYERS = 'multi_level_conv_cls'
"""The part of a name that says that the size of the layer is the number of classes."""

MOST = 0.5
"""A load that leaves more than this share of a model's tensors without a value is taken for a mistake."""

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
        mismatched: The names in both with different shapes, as ``name (file's shape -> model's shape)``.
        other_classes: The names of the layers among those that are made for another number of classes.
        absent_parts: The outermost modules of the model of which the file has no tensor at all.
        held: What is known of the file's model, where it is another.
    """

    used: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    other_classes: list[str] = field(default_factory=list)
    absent_parts: list[str] = field(default_factory=list)
    held: str = ''

    @property
    def complete(self) -> bool:
        """Whether every tensor of the model has a value from the file."""
        return not (self.missing or self.mismatched or self.other_classes)

    def describe(self) -> str:
        """A line with the counts, and where the names are that did not match."""
        total = len(self.used) + len(self.missing) + len(self.mismatched) + len(self.other_classes)
        parts = [f'{len(self.used)} of {total} tensors of the model loaded', *filter(None, [self.held])]
        if self.other_classes:
            parts.append(f'{len(self.other_classes)} class layers left out (another number of classes)')
        for names, what in (
            (self.missing, 'missing in the file'),
            (self.mismatched, 'of another shape'),
            (self.unexpected, 'unknown to the model'),
        ):
            if names:
                parts.append(f'{len(names)} {what}: {_grouped(names)}')
        if self.absent_parts:
            absent = first_few(self.absent_parts, _SHOWN_GROUPS)
            parts.append(f'the file is of another kind of model, without {absent}')
        return '; '.join(parts)


def match_weights(
    model: nn.Module, state_dict: dict[str, Tensor], source: str
) -> tuple[dict[str, Tensor], LoadSummary]:
    """Completes a state dict to one that fits a model exactly.

    Args:
        model: The model, which may be wrapped for several devices or for test-time augmentation.
        state_dict: The tensors by name; a leading ``module.`` is dropped.
        source: The file's name, for messages.

    Returns:
        A tensor for every name of the model, the model's own where the file has none that fits; and what
        came from where.

    Raises:
        UserError: More than half of the model's tensors would get no value.
    """
    given = without_wrapper(state_dict)
    own = bare_model(model).state_dict()
    summary = LoadSummary(unexpected=[name for name in given if name not in own])
    matched = dict(own)
    for name, tensor in own.items():
        if name not in given:
            if not name.endswith('num_batches_tracked'):
                summary.missing.append(name)
        elif given[name].shape == tensor.shape:
            matched[name] = given[name]
            summary.used.append(name)
        elif CLASS_LAYERS in name and given[name].shape[1:] == tensor.shape[1:]:
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


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'

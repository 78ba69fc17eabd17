"""What a training that is resumed follows of its config, and what it keeps of its checkpoint."""

import math
from typing import Any, NamedTuple

import numpy as np
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmyolox.errors import UserError

EPOCH_LENGTH = 'schedule_epoch_length'
"""The key of a checkpoint's ``meta`` for the iterations of an epoch when the training began."""

_NO_SETTINGS = {'params', 'param_names', 'foreach', 'fused', 'capturable', 'differentiable'}
"""The entries of an optimizer's groups that change nothing of what is computed."""
_LENGTHS = dict(end='max_epochs', warmup_steps='warmup_epochs', last_steps='num_last_epochs')
"""The same of a schedule's attributes, in steps."""
_ENDLESS = 10**9
"""The end of a scheduler of MMEngine that has none."""


class Kept(NamedTuple):
    """A setting that the checkpoint has otherwise than the config."""

    key: str
    """Its key in the config."""
    asked: Any
    """The config's value."""
    kept: Any
    """The checkpoint's, which is followed."""

    def __str__(self) -> str:
        return f'{self.key}={self.asked} (it is {self.kept})'


def check_optimizer(runner: Runner, checkpoint: dict[str, Any], source: str) -> None:
    """Compares the optimizer that is resumed with that of the config, as far as PyTorch needs them alike.

    Args:
        runner: The runner, with the optimizer as the config says.
        checkpoint: The checkpoint.
        source: Its name.

    Raises:
        UserError: It is another one, or one of other weights.
    """
    own, old = _groups(runner, checkpoint)
    names, old_names = (_settings(*groups) for groups in (own, old))
    # A release of PyTorch may have settings that another has not; another optimizer lacks some, too.
    if names - old_names and old_names - names:
        said = 'it is of another optimizer than config key optim_wrapper.optimizer'
    elif [len(group['params']) for group in own] != [len(group['params']) for group in old]:
        said = (
            'its optimizer trains other weights, or other groups of them, than that of the config: '
            'look at frozen layers and optim_wrapper.paramwise_cfg'
        )
    else:
        return
    raise UserError(
        f'checkpoint {source} cannot be resumed with this config: {said}; to change it, start from it '
        '(--load-from) instead of resuming'
    )


def kept_optimizer(runner: Runner, checkpoint: dict[str, Any]) -> list[Kept]:
    """The settings of the optimizer that are kept.

    Args:
        runner: The runner, with the optimizer as the config says.
        checkpoint: The checkpoint.
    """
    kept = {}
    for own, old in zip(*_groups(runner, checkpoint), strict=False):
        for name in sorted(_settings(own) & _settings(old)):
            # A scheduler changes a setting and notes what it was.
            asked, before = (group.get(f'initial_{name}', group[name]) for group in (own, old))
            if not np.array_equal(asked, before):
                kept[name] = Kept(f'optim_wrapper.optimizer.{name}', asked, before)
    return list(kept.values())


def _groups(runner: Runner, checkpoint: dict[str, Any]) -> tuple[list[dict], list[dict]]:
    """The groups of the config's optimizer and of the checkpoint's; none of several optimizers."""
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if optimizer is None or 'optimizer' not in checkpoint:
        return [], []
    return optimizer.param_groups, checkpoint['optimizer']['param_groups']


def _settings(*groups: dict[str, Any]) -> set[str]:
    """The names of what groups of an optimizer set."""
    return {name for name in set().union(*groups) - _NO_SETTINGS if not name.startswith('initial_')}


def kept_schedule(runner: Runner, checkpoint: dict[str, Any]) -> list[Kept]:
    """The lengths of the learning-rate schedule that are kept, in epochs as it counts them.

    Args:
        runner: The runner, with the schedulers as the config says.
        checkpoint: The checkpoint.
    """
    steps, old_steps = epoch_length(runner), schedule_epoch_length(runner, checkpoint)
    kept = {}
    for own, old in _schedulers(runner, checkpoint):
        unit, old_unit = (1, 1) if own.by_epoch else (steps, old_steps)
        for name, key in _LENGTHS.items():
            if name in old and hasattr(own, name):
                lengths = getattr(own, name) / unit, old[name] / old_unit
                if lengths[0] != lengths[1] and getattr(own, name) != _ENDLESS:
                    kept[key] = Kept(key, *(f'{length:g}' for length in lengths))
    return list(kept.values())


def is_followed(runner: Runner, checkpoint: dict[str, Any]) -> bool:
    """Whether a training that is resumed does what its config says.

    The number of epochs and that of the last ones are followed: only the rates keep theirs.

    Args:
        runner: The runner, with optimizer and schedulers as the config says.
        checkpoint: The checkpoint.
    """
    lengths = {kept.key for kept in kept_schedule(runner, checkpoint)}
    return 'warmup_epochs' not in lengths and not kept_optimizer(runner, checkpoint)


def describe_schedule(runner: Runner, checkpoint: dict[str, Any]) -> str:
    """What becomes of the schedule if lengths of the training are others than before; empty if none is.

    Args:
        runner: The runner, with the schedulers as the config says.
        checkpoint: The checkpoint.
    """
    steps, old_steps = epoch_length(runner), schedule_epoch_length(runner, checkpoint)
    kept = kept_schedule(runner, checkpoint)
    if not kept and steps == old_steps:
        return ''
    parts = []
    if steps != old_steps:
        parts.append(
            f'the iterations of an epoch (batch size, devices, or data) are {steps} and were {old_steps:g} '
            'when the training began: the new number is followed, but the schedule of the learning rate goes '
            'on as if it were the old one'
        )
    if kept:
        parts.append(
            'the learning rate keeps the schedule that the training began with, not '
            f'{", ".join(map(str, kept))}; the number of epochs ({runner.max_epochs}) and the mode switch '
            'follow the config'
        )
    return '; '.join([*parts, *_end_of_schedule(runner, checkpoint)])


def _end_of_schedule(runner: Runner, checkpoint: dict[str, Any]) -> list[str]:
    """A sentence on where the kept schedule ends, if that is not the end of the training."""
    epoch, iteration = checkpoint['meta']['epoch'], checkpoint['meta']['iter']
    ends = [
        old['end'] if own.by_epoch else epoch + (old['end'] - iteration) / epoch_length(runner)
        for own, old in _schedulers(runner, checkpoint)
        if old.get('end', _ENDLESS) != _ENDLESS
    ]
    last = max(ends, default=runner.max_epochs)
    if last > runner.max_epochs:
        return ['the training ends before its schedule does']
    if last == runner.max_epochs:
        return []
    when = 'has ended' if last <= epoch else f'ends in epoch {math.ceil(last)}'
    return [f'the schedule {when}: what comes after is trained at its final rate']


def _schedulers(runner: Runner, checkpoint: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """The schedulers, each with its state in the checkpoint."""
    own = runner.param_schedulers if isinstance(runner.param_schedulers, list) else []
    return list(zip(own, checkpoint.get('param_schedulers', ()), strict=False))


def epoch_length(runner: Runner) -> int:
    """The iterations of an epoch; 1 for a loop without epochs, whose lengths are iterations.

    Args:
        runner: The runner.
    """
    loop = runner.train_loop
    return len(loop.dataloader) if isinstance(loop, EpochBasedTrainLoop) else 1


def schedule_epoch_length(runner: Runner, checkpoint: dict[str, Any]) -> float:
    """The iterations of an epoch when the training of a checkpoint began; by its progress if not recorded.

    Args:
        runner: The runner.
        checkpoint: The checkpoint.
    """
    meta = checkpoint['meta']
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return 1
    average = meta['iter'] / meta['epoch'] if meta['epoch'] else epoch_length(runner)
    recorded: float = meta.get(EPOCH_LENGTH, average)
    return recorded


def count_iterations(runner: Runner, checkpoint: dict[str, Any]) -> None:
    """Sets the iterations of a training to those done and those to come, which may be of other lengths.

    MMEngine multiplies, and the time left gets negative.

    Args:
        runner: The runner.
        checkpoint: The checkpoint.
    """
    loop, meta = runner.train_loop, checkpoint['meta']
    if isinstance(loop, EpochBasedTrainLoop):
        loop._max_iters = meta['iter'] + max(loop.max_epochs - meta['epoch'], 0) * epoch_length(runner)

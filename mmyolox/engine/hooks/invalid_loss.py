"""A halt before a broken loss ruins a night."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmyolox.engine.host_copy import HostCopy
from mmyolox.errors import UserError
from mmyolox.registry import HOOKS


@dataclass(frozen=True)
class _Iteration:
    """One that is yet to be looked at; ``number`` and ``epoch`` count from 1."""

    number: int
    epoch: int
    losses: HostCopy
    data_batch: dict | None


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stops the training when the loss is NaN or infinite, and keeps what is needed to find out why.

    Writes ``<work_dir>/<timestamp>/invalid_loss_iter<N>_rank<R>.json`` with the epoch, the loss parts and the
    image files of the batch, and a ``.pth`` of the same name with the batch (the augmented pixels and
    boxes as the network got them).

    Losses are looked at one iteration later, so that the device need not wait for the host, and before a
    checkpoint is written. Neither losses nor weights that are not finite get into one.
    """

    def __init__(self) -> None:
        self._pending: _Iteration | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Looks at the losses of the iteration before.

        Raises:
            UserError: one of them is not finite.
        """
        self._check(runner)
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        if losses:
            self._pending = _Iteration(runner.iter + 1, runner.epoch + 1, HostCopy(losses), data_batch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Looks at the epoch's last iteration."""
        self._check(runner)

    def after_train(self, runner: Runner) -> None:
        """Looks at the training's last iteration."""
        self._check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Looks at the last iteration and at the weights to be saved.

        Raises:
            UserError: something is not finite; the checkpoint is not written.
        """
        self._check(runner)
        weights = [checkpoint['state_dict'], checkpoint.get('ema_state_dict', {})]
        broken = [name for state in weights for name in _not_finite(state)]
        if broken:
            raise UserError(
                f'the weights are not finite any more ({broken[0]} and {len(broken) - 1} others), so no '
                'checkpoint is written; try a lower learning rate, gradient clipping or no --amp'
            )

    def _check(self, runner: Runner) -> None:
        iteration, self._pending = self._pending, None
        losses = iteration.losses.wait() if iteration else {}
        if iteration is None or all(math.isfinite(value) for value in losses.values()):
            return
        stem = Path(runner.log_dir) / f'invalid_loss_iter{iteration.number}_rank{get_rank()}'
        metas = iteration.data_batch['data_samples']['metas'] if iteration.data_batch else []
        images = [str(meta.get('img_path')) for meta in metas]
        report = dict(iteration=iteration.number, epoch=iteration.epoch, losses=losses, images=images)
        stem.with_suffix('.json').write_text(json.dumps(report, indent=2))
        torch.save(iteration.data_batch, stem.with_suffix('.pth'))
        parts = ', '.join(f'{name}={value:g}' for name, value in losses.items())
        raise UserError(
            f'the loss is not finite at iteration {iteration.number} ({parts}); the images and the batch are '
            f'in {stem}.json and .pth. Try a lower learning rate, gradient clipping or training without --amp'
        )


def _not_finite(state: Mapping[str, Any]) -> list[str]:
    """The names of the tensors in a state dict with a NaN or an infinity; waits for the device once."""
    floats = {
        name: value
        for name, value in state.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    if not floats:
        return []
    is_finite = torch.stack([value.isfinite().all() for value in floats.values()]).tolist()
    return [name for name, finite in zip(floats, is_finite, strict=True) if not finite]

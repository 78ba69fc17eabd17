"""The losses of every iteration, seen without stopping the device: logged, and checked."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook, LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.registry import HOOKS

from .timing import DeviceMark


class HostCopy:
    """Scalars on their way to the host.

    ``Tensor.item()`` waits for all that the device has to do. This copies behind the work of now; who
    looks an iteration later finds the values there, and the device at work on the next batch.

    Args:
        scalars: The tensors of one element on one device, at least one.
    """

    def __init__(self, scalars: Mapping[str, Tensor]) -> None:
        self._names = list(scalars)
        stacked = torch.stack([value.detach().reshape(()) for value in scalars.values()])
        self._values = stacked.to('cpu', non_blocking=True)  # into pinned memory, by PyTorch itself
        self._mark = DeviceMark(stacked.device)

    def wait(self) -> dict[str, float]:
        """The values, by name."""
        self._mark.wait()
        return dict(zip(self._names, self._values.tolist(), strict=True))


@HOOKS.register_module()
class AsyncRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, without its waits for the device.

    MMEngine calls ``.item()`` on every loss in every iteration, so that the device idles until the host has
    caught up. Here, losses reach the message hub one iteration later; when the logger is to print or an
    epoch ends, at once, so that what is logged is the same.

    MMEngine also keeps the last million values of every scalar, copies them at every update and writes
    them into every checkpoint; here fewer are kept.

    Args:
        max_history: How many values are kept of each scalar; a ``window_size`` of the log processor can be no
            larger.
    """

    def __init__(self, max_history: int = 10_000) -> None:
        self.max_history = max_history
        self._pending: HostCopy | None = None
        self._intervals: list[int] = []

    def before_train(self, runner: Runner) -> None:
        """Learns how often is logged."""
        super().before_train(runner)
        self._intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Records the outputs of the iteration before, and these too if they are wanted now."""
        self._record(runner)
        if not outputs:
            return
        self._pending = HostCopy(outputs)
        is_logged = any(self.every_n_inner_iters(batch_idx, interval) for interval in self._intervals)
        if is_logged or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._record(runner)
            for history in runner.message_hub.log_scalars.values():
                history.max_length = self.max_history

    def _record(self, runner: Runner) -> None:
        pending, self._pending = self._pending, None
        for name, value in (pending.wait() if pending else {}).items():
            runner.message_hub.update_scalar(f'train/{name}', value)


@dataclass(frozen=True)
class _Iteration:
    """An iteration whose losses are yet to be looked at; ``number`` and ``epoch`` count from 1."""

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
            UserError: One of them is not finite.
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
            UserError: Something is not finite; the checkpoint is not written.
        """
        self._check(runner)
        broken: list[str] = []
        for state in (checkpoint['state_dict'], checkpoint.get('ema_state_dict', {})):
            floats = {k: v for k, v in state.items() if isinstance(v, Tensor) and v.is_floating_point()}
            if floats:  # one wait for the device, for all of them
                is_finite = torch.stack([value.isfinite().all() for value in floats.values()]).tolist()
                broken += [name for name, finite in zip(floats, is_finite, strict=True) if not finite]
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
        batch = io.BytesIO()
        torch.save(iteration.data_batch, batch)
        for suffix, content in (('.json', json.dumps(report, indent=2).encode()), ('.pth', batch.getvalue())):
            with atomic_write(stem.with_suffix(suffix)) as part:
                part.write_bytes(content)
        parts = ', '.join(f'{name}={value:g}' for name, value in losses.items())
        raise UserError(
            f'the loss is not finite at iteration {iteration.number} ({parts}); the images and the batch are '
            f'in {stem}.json and .pth. Try a lower learning rate, gradient clipping or training without --amp'
        )

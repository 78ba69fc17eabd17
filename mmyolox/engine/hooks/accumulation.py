"""Gradients that several batches, and processes, add up before a step of the optimizer."""

import math
from typing import Any, NamedTuple

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn

from mmyolox.errors import UserError
from mmyolox.registry import HOOKS


class TotalBatch(NamedTuple):
    """The images whose gradients make a step."""

    processes: int
    batches: int
    """How many each process takes for a step."""
    images: int
    """Of a batch; 0 where a sampler of batches decides."""

    @classmethod
    def of(cls, runner: Runner) -> 'TotalBatch':
        """That of a runner whose training loop is built."""
        wrapper = runner.cfg.get('optim_wrapper') or {}
        images = runner.train_loop.dataloader.batch_size or 0
        return cls(runner.world_size, wrapper.get('accumulative_counts', 1), images)

    @property
    def size(self) -> int:
        """The number of images."""
        return self.processes * self.batches * self.images

    def __str__(self) -> str:
        parts = f'{self.processes} x {self.batches} x {self.images}'
        return f'{self.size} (processes x batches a step x images: {parts})'


@HOOKS.register_module()
class AccumulationHook(Hook):
    """Has the groups of batches whose gradients are added up end with the epoch.

    MMEngine counts them over the whole training. A checkpoint of an epoch then falls between the batches of
    a group, and a resumed training loses the gradients of those before. Here the last group of an epoch may
    have fewer batches, as the last batch of an epoch may have fewer images; its loss is divided by their
    number. Without ``optim_wrapper.accumulative_counts`` nothing changes.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Begins a group.

        Args:
            runner: The runner, of whose last epochs the loader has been built.
        """
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            # Of the model MMEngine only wants to know whether to warn of batch norms, which it has done.
            runner.optim_wrapper.initialize_count_status(nn.Identity(), 0, len(runner.train_dataloader))


@HOOKS.register_module()
class UpdateEMAHook(EMAHook):
    """MMEngine's ``EMAHook``, which takes in the weights after every step of the optimizer.

    MMEngine's does so after every iteration: of N batches whose gradients are added up, the weights would be
    taken in N times, and the average would have a memory of an N-th of the steps.

    Args:
        *args: Those of MMEngine's.
        beta: The steps of the training by ``gamma`` of :class:`~mmyolox.engine.ema.YOLOXEMA`, which so
            follows from the data, the batch and the epochs; None where ``gamma`` is said itself.
        **kwargs: Those of MMEngine's.

    Raises:
        UserError: ``beta`` is not above 0, or ``gamma`` is said as well.
    """

    def __init__(self, *args: Any, beta: float | None = None, **kwargs: Any) -> None:
        if beta is not None and (beta <= 0 or 'gamma' in kwargs):
            gamma = f', gamma={kwargs["gamma"]}' if 'gamma' in kwargs else ''
            raise UserError(f'UpdateEMAHook: beta={beta}{gamma}: one of them alone is needed, above 0')
        super().__init__(*args, **kwargs)
        self.beta = beta

    def before_run(self, runner: Runner) -> None:
        """Makes the average."""
        loop = runner._train_loop  # a test has none, or its config
        if self.beta is not None and isinstance(loop, BaseLoop):
            is_by_epoch = isinstance(loop, EpochBasedTrainLoop)
            length, times = (len(loop.dataloader), loop.max_epochs) if is_by_epoch else (loop.max_iters, 1)
            steps = times * math.ceil(length / runner.optim_wrapper._accumulative_counts)
            self.ema_cfg['gamma'] = steps / self.beta
        super().before_run(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Takes in the weights if they have changed."""
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)

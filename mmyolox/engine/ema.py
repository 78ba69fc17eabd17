"""The moving average of the weights."""

import math
from collections.abc import Mapping

import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseAveragedModel
from mmengine.runner import Runner
from torch import Tensor, nn

from mmyolox.errors import UserError
from mmyolox.registry import HOOKS, MODELS


@MODELS.register_module()
class YOLOXEMA(BaseAveragedModel):
    """Exponential moving average whose momentum falls from 1 to its final value (Megvii's YOLOX).

    An update is ``average += (weights - average) * rate`` with
    ``rate = (1 - momentum) * exp(-(1 + steps) / gamma) + momentum``, for all tensors at once. Averages and
    state dict are those of MMDetection 3.3's ``ExpMomentumEMA``; only integer buffers, the counters of batch
    norms, follow the model, where MMDetection leaves them as they were at the first step.

    Args:
        model: The model to average; its copy is :attr:`module`.
        momentum: The final weight of the newest value, in (0, 1).
        gamma: The number of steps in which the momentum falls.
        **kwargs: The ``interval``, ``device`` and ``update_buffers`` of
            :class:`mmengine.model.BaseAveragedModel`.

    Raises:
        UserError: ``momentum`` or ``gamma`` is out of range.
    """

    def __init__(
        self, model: nn.Module, momentum: float = 2e-4, gamma: float = 2000, **kwargs: object
    ) -> None:
        if not 0 < momentum < 1 or gamma <= 0:
            raise UserError(f'YOLOXEMA: momentum={momentum} must be in (0, 1) and gamma={gamma} above 0')
        super().__init__(model, **kwargs)
        self.momentum = momentum
        self.gamma = gamma
        self._floats = [name for name, mine in self.avg_parameters.items() if mine.is_floating_point()]
        self._integers = [name for name in self.avg_parameters if name not in set(self._floats)]

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Takes in the weights after a training step; waits for no device (``steps`` is on the CPU)."""
        steps = int(self.steps)
        values: Mapping[str, Tensor] = (
            model.state_dict() if self.update_buffers else dict(model.named_parameters())
        )
        if steps == 0:
            self._copy(values, self._floats + self._integers)
        elif steps % self.interval == 0:
            rate = (1 - self.momentum) * math.exp(-(1 + steps) / self.gamma) + self.momentum
            mine = [self.avg_parameters[name] for name in self._floats]
            # `to` does nothing unless the average was put on another device.
            theirs = [values[name].to(old.device) for name, old in zip(self._floats, mine, strict=True)]
            torch._foreach_lerp_(mine, theirs, rate)
            self._copy(values, self._integers)
        if not self.update_buffers:
            for own, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                own.copy_(buffer)
        self.steps += 1

    def _copy(self, values: Mapping[str, Tensor], names: list[str]) -> None:
        if names:
            torch._foreach_copy_([self.avg_parameters[name] for name in names], [values[n] for n in names])


@HOOKS.register_module()
class SharedStatisticsHook(Hook):
    """Gives all processes the mean of their batch norms' statistics when an epoch ends.

    Each process has statistics of its own share of the images. The checkpoint holds those of the first one
    only, so that a validation on several processes would be one of several models, of which none is saved.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Takes the mean, in the model and in its moving average.

        Args:
            runner: The runner.
        """
        averages = [hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averages):
            all_reduce_params(model.buffers(), op='mean')

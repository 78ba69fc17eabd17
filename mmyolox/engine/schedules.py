"""The learning-rate schedule."""

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from mmyolox.errors import counted
from mmyolox.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class YOLOXLR(LRSchedulerMixin, _ParamScheduler):
    """Quadratic warm-up, cosine down to a floor, and the floor for the last epochs.

    The schedule of Megvii's YOLOX 0.3 (``yolox_warm_cos_lr``), as a function of the step alone. The cosine
    spans what is left between warm-up and last epochs, perhaps nothing; the floor is a share of the base
    rate, so that scaling the rate keeps the shape. A config uses it with ``convert_to_iter_based=True``.

    Args:
        optimizer: The optimizer or its wrapper.
        warmup_epochs: The number of epochs (steps, if not converted) of the warm-up.
        num_last_epochs: The number of epochs (steps) at the floor.
        eta_min_ratio: The floor as a share of the base rate.
        **kwargs: Those of MMEngine's schedulers; ``end`` is the length of the training.
    """

    def __init__(
        self,
        optimizer: Any,
        *,
        warmup_epochs: int,
        num_last_epochs: int,
        eta_min_ratio: float = 0.05,
        **kwargs: Any,
    ) -> None:
        self.warmup_steps = warmup_epochs
        self.last_steps = num_last_epochs
        self.eta_min_ratio = eta_min_ratio
        super().__init__(optimizer, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        end: int,
        epoch_length: int,
        warmup_epochs: int,
        num_last_epochs: int,
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> 'YOLOXLR':
        """Builds a scheduler that steps every iteration from numbers of epochs."""
        return cls(
            *args,
            end=end * epoch_length,
            warmup_epochs=warmup_epochs * epoch_length,
            num_last_epochs=num_last_epochs * epoch_length,
            by_epoch=False,
            **kwargs,
        )

    def share(self, step: int) -> float:
        """The share of the base rate at a step."""
        if step < self.warmup_steps:
            return ((step + 1) / self.warmup_steps) ** 2
        first_last = self.end - self.last_steps
        if step >= first_last:
            return self.eta_min_ratio
        progress = (step - self.warmup_steps) / (first_last - self.warmup_steps)
        return self.eta_min_ratio + (1 - self.eta_min_ratio) * (1 + math.cos(math.pi * progress)) / 2

    @property
    def is_low(self) -> bool:
        """Whether the rate stays at the floor from the first step to the last."""
        return not self.warmup_steps and self.last_steps >= self.end

    def phases(self, epoch_length: int, num_epochs: int, num_plain_epochs: int) -> str:
        """The phases of the training, in one line.

        Args:
            epoch_length: The number of steps in an epoch.
            num_epochs: The length of the training; that of a resumed schedule may be another.
            num_plain_epochs: The number of epochs after the mode switch.
        """
        warmup, last, total = (
            steps / epoch_length for steps in (self.warmup_steps, self.last_steps, self.end)
        )
        main = max(total - warmup - last, 0)
        length = '' if total == num_epochs else f' (the training has {num_epochs})'
        plain = 'without mosaic and mixup'
        if not num_plain_epochs:
            plain = 'mosaic and mixup, if any, stay on'
        elif (num_plain_epochs, num_epochs) != (last, total):
            plain = f'the last {num_plain_epochs} of all without mosaic and mixup'
        phases = f'warm-up {warmup:g}, main phase {main:g}' + (f', last epochs {last:g}' if last else '')
        return f'{counted(total, "epoch")}{length}: {phases} ({plain})'

    @property
    def rates(self) -> str:
        """The learning rates of the phases, in one line."""
        rate = max(self.base_values)
        floor = rate * self.eta_min_ratio
        if self.is_low:
            return f'{floor:g} from the start: let num_last_epochs be below max_epochs'
        return f'up to {rate:g}, {floor:g} {"in the last epochs" if self.last_steps else "at the end"}'

    def _get_value(self) -> list[float]:
        return [base * self.share(self.last_step) for base in self.base_values]

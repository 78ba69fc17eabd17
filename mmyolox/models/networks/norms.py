"""Batch norm without a kernel for each layer's counter."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmyolox.registry import MODELS


@MODELS.register_module('YOLOXBN')
class YOLOXBatchNorm(nn.BatchNorm2d):
    """PyTorch's batch norm, whose ``num_batches_tracked`` is left to the detector.

    That counter is a tensor on the device. YOLOX-s has 74 norms, which would send the device 74 kernels a
    step to add one to a number that nothing reads, unless ``momentum`` is None. :func:`count_batch` adds one
    to all others at once; in a model that does not call it they stand still. Arguments and state dict are
    those of ``nn.BatchNorm2d``.
    """

    @property
    def is_counted(self) -> bool:
        """Whether :func:`count_batch` is to count the batch that the norm is about to see."""
        return self.training and self.track_running_stats and self.momentum is not None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises features (B, C, H, W)."""
        if self.momentum is None or not self.track_running_stats:
            return super().forward(x)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )

    @torch.no_grad()
    def again(self, x: Tensor) -> Tensor:
        """What ``forward`` gave in training for the same features, to the bit; statistics stay."""
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)


def count_batch(norms: Iterable[YOLOXBatchNorm]) -> None:
    """Adds one to ``num_batches_tracked`` of those norms that train.

    Args:
        norms: The norms of a model that sees a batch.
    """
    counters: Any = [norm.num_batches_tracked for norm in norms if norm.is_counted]
    if counters:
        torch._foreach_add_(counters, 1)

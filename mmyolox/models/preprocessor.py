"""What happens to a batch on the device before the network sees it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from mmyolox.registry import MODELS
from mmyolox.utils.errors import UserError


@MODELS.register_module()
class YOLOXDataPreprocessor(BaseDataPreprocessor):
    """Moves a collated batch to the device, turns pixels into floats and resizes for multi-scale training.

    Args:
        mean: subtracted per channel, in grey levels (0-255), in the order of the channels after
            ``bgr_to_rgb``. YOLOX uses raw BGR grey levels: no mean, no std.
        std: divided by, per channel.
        bgr_to_rgb: reverse the order of the channels first.
        batch_augments: configs of modules that map ``(inputs, data_samples)`` to the same, in training only.
        non_blocking: copy to the device asynchronously (from pinned memory).
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr_to_rgb: bool = False,
        batch_augments: Sequence[dict] = (),
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        if (mean is None) != (std is None):
            raise UserError('data_preprocessor: give both mean and std, or neither')
        self.bgr_to_rgb = bgr_to_rgb
        self.batch_augments = nn.ModuleList(MODELS.build(augment) for augment in batch_augments)
        self.is_normalised = mean is not None
        self.register_buffer('mean', torch.tensor(mean or [0.0]).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std or [1.0]).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepares a batch of :func:`mmyolox.datasets.yolox_collate`.

        Returns:
            The same dict, ``inputs`` (B, channels, H, W) float32 on the device; in training, possibly at
            another size, with the boxes scaled along.
        """
        data = self.cast_data(data)
        inputs, data_samples = data['inputs'], data['data_samples']
        if self.bgr_to_rgb:
            inputs = inputs.flip(1)
        inputs = inputs.float()
        if self.is_normalised:
            inputs = (inputs - self.mean) / self.std
        if training:
            for augment in self.batch_augments:
                inputs, data_samples = augment(inputs, data_samples)
        return dict(inputs=inputs, data_samples=data_samples)

    def cast_data(self, data: Any) -> Any:
        """Moves tensors to the device; what is no tensor (file names, shapes) stays."""
        if isinstance(data, dict):
            return {key: self.cast_data(value) for key, value in data.items()}
        return data.to(self.device, non_blocking=self._non_blocking) if torch.is_tensor(data) else data


@MODELS.register_module()
class YOLOXBatchSyncRandomResize(nn.Module):
    """Resizes training batches to a random size that is the same on all processes (multi-scale training).

    The size is a function of the run's seed and of the iteration: no process waits for another, and a
    resumed run continues with the sizes that it would have had. Sizes follow the input's: the height is a
    multiple of ``size_divisor`` within ``ratio_range`` times the input's, and the width keeps the aspect
    ratio. As in Megvii's YOLOX, the first ``interval`` iterations keep the input's size.

    Args:
        ratio_range: of the resulting to the configured height; (0.75, 1.25) gives 480 to 800 at 640.
        size_divisor: the network's largest stride.
        interval: iterations between two draws.
    """

    def __init__(
        self,
        ratio_range: tuple[float, float] = (0.75, 1.25),
        size_divisor: int = 32,
        interval: int = 10,
    ) -> None:
        super().__init__()
        if not 0 < ratio_range[0] <= ratio_range[1]:
            raise UserError(
                f'YOLOXBatchSyncRandomResize: ratio_range={tuple(ratio_range)} must be (low, high) '
                'with 0 < low <= high'
            )
        self.ratio_range = ratio_range
        self.size_divisor = size_divisor
        self.interval = interval

    def forward(self, inputs: Tensor, data_samples: dict) -> tuple[Tensor, dict]:
        """Resizes images (B, channels, H, W) bilinearly, and all boxes with them."""
        hub = MessageHub.get_current_instance()
        height, width = inputs.shape[2:]
        new_height, new_width = self.draw_size(
            (height, width), hub.get_info('seed', 0), hub.get_info('iter', 0)
        )
        if (new_height, new_width) == (height, width):
            return inputs, data_samples
        inputs = F.interpolate(inputs, (new_height, new_width), mode='bilinear', align_corners=False)
        scale = inputs.new_tensor([new_width / width, new_height / height]).repeat(2)
        scaled = {key: data_samples[key] * scale for key in ('bboxes', 'ignored_bboxes')}
        return inputs, {**data_samples, **scaled}

    def draw_size(self, size: tuple[int, int], seed: int, iteration: int) -> tuple[int, int]:
        """The size (h, w) of a training iteration, from the configured (h, w)."""
        window = iteration // self.interval
        if window == 0:
            return size
        low, high = (ratio * size[0] / self.size_divisor for ratio in self.ratio_range)
        # With a margin for ratios such as 10 / 13, and one size where no multiple lies within.
        first = max(1, math.ceil(low - 1e-6))
        last = max(first, math.floor(high + 1e-6))
        height = int(np.random.default_rng((seed, window)).integers(first, last + 1)) * self.size_divisor
        width = max(1, round(height * size[1] / size[0] / self.size_divisor)) * self.size_divisor
        return height, width

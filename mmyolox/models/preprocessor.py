"""What happens to a batch on the device before the network sees it."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import nn

from mmyolox.errors import UserError
from mmyolox.registry import MODELS


@MODELS.register_module()
class YOLOXDataPreprocessor(BaseDataPreprocessor):
    """Moves a collated batch to the device, turns pixels into floats and resizes for multi-scale training.

    Args:
        mean: subtracted per channel, in grey levels (0-255), in the order of the channels after
            ``bgr_to_rgb``. YOLOX uses raw BGR grey levels: no mean, no std.
        std: divided by, per channel.
        bgr_to_rgb: reverse the order of the channels first.
        batch_augments: configs of modules that map ``(inputs, data_samples)`` to the same, in training only
            and in this order (see :mod:`~mmyolox.models.batch_augments`). They see BGR grey levels.
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
        inputs = inputs.float()
        if training:
            for augment in self.batch_augments:
                inputs, data_samples = augment(inputs, data_samples)
        if self.bgr_to_rgb:
            inputs = inputs.flip(1)
        if self.is_normalised:
            inputs = (inputs - self.mean) / self.std
        return dict(inputs=inputs, data_samples=data_samples)

    def cast_data(self, data: Any) -> Any:
        """Moves tensors to the device; what is no tensor (file names, shapes) stays."""
        if isinstance(data, dict):
            return {key: self.cast_data(value) for key, value in data.items()}
        return data.to(self.device, non_blocking=self._non_blocking) if torch.is_tensor(data) else data

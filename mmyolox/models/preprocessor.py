"""What happens to a batch on the device before the network sees it."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from mmyolox.config.recorded import Normalisation, normalisation
from mmyolox.datasets.canvas.scene import FILL
from mmyolox.errors import UserError
from mmyolox.registry import MODELS

from .batch_augments import YOLOXBatchSyncRandomResize


@MODELS.register_module()
class YOLOXDataPreprocessor(BaseDataPreprocessor):
    """Moves a collated batch to the device, turns pixels into floats and resizes for multi-scale training.

    Images whose sides are no multiples of the model's largest stride get grey padding.

    Args:
        mean: The mean that is subtracted per channel, in grey levels (0-255), in the order of the channels
            after ``bgr_to_rgb``. YOLOX uses raw BGR grey levels: no mean, no std.
        std: The standard deviation that is divided by, per channel.
        bgr_to_rgb: Whether the order of the first three channels is reversed before that.
        batch_augments: The configs of modules that map ``(inputs, data_samples)`` to the same, in training
            only and in this order (see :mod:`~mmyolox.models.batch_augments`). They see BGR grey levels,
            uint8 as in the batch up to one that returns floats.
        non_blocking: Whether to copy to the device asynchronously (from pinned memory).

    Attributes:
        size_divisor: What the sides of batches are padded to multiples of.
        channels: How many the model takes, which sets it; None takes any number.
        normalisation: The arguments, for the record in a checkpoint.
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
        if mean is not None and std is not None and len(mean) != len(std):
            raise UserError(f'data_preprocessor: mean has {len(mean)} entries, but std {len(std)}')
        self.bgr_to_rgb = bgr_to_rgb
        self.batch_augments = nn.ModuleList(MODELS.build(augment) for augment in batch_augments)
        self.size_divisor = 1
        self.channels: int | None = None
        self.is_normalised = mean is not None
        self.normalisation: Normalisation = normalisation(dict(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb))
        self.register_buffer('mean', torch.tensor(mean or [0.0]).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std or [1.0]).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepares a batch of :func:`mmyolox.datasets.yolox_collate`.

        Returns:
            The same dict, ``inputs`` (B, channels, H, W) float32 on the device, H and W multiples of
            ``size_divisor``; in training, possibly at another size, with the boxes scaled along.

        Raises:
            UserError: The images have another number of channels than the model or an option takes.
        """
        data = self.cast_data(data)
        inputs, data_samples = data['inputs'], data['data_samples']
        if self.channels not in (None, inputs.shape[1]):
            path = data_samples['metas'][0].get('img_path')
            raise UserError(
                f'the image {path} was read with {inputs.shape[1]} channel(s), but the model takes '
                f'{self.channels}: mend LoadImage(color_type=..., channels=...) of the pipeline that reads '
                'it, or model.backbone.input_channels'
            )
        height, width = inputs.shape[2:]
        if height % self.size_divisor or width % self.size_divisor:
            padding = (0, -width % self.size_divisor, 0, -height % self.size_divisor)
            inputs = F.pad(inputs, padding, value=FILL)
        if training:
            for augment in self.batch_augments:
                inputs, data_samples = augment(inputs, data_samples)
        return dict(inputs=self.normalise(inputs.float()), data_samples=data_samples)

    def normalise(self, inputs: Tensor) -> Tensor:
        """What the network sees of images (B, channels, H, W) float32, BGR grey levels.

        Raises:
            UserError: The number of channels does not fit the options.
        """
        channels = inputs.shape[1]
        if self.bgr_to_rgb:
            if channels < 3:
                raise UserError(f'data_preprocessor: bgr_to_rgb, but images have {channels} channel(s)')
            inputs = torch.cat([inputs[:, :3].flip(1), inputs[:, 3:]], 1) if channels > 3 else inputs.flip(1)
        if self.is_normalised:
            if channels != len(self.mean):
                raise UserError(
                    f'data_preprocessor: mean and std have {len(self.mean)} entries, but images have '
                    f'{channels} channel(s)'
                )
            inputs = (inputs - self.mean) / self.std
        return inputs

    def set_size_divisor(self, divisor: int) -> None:
        """Says what the sides of batches have to be multiples of; the model does, by its largest stride."""
        self.size_divisor = divisor
        for augment in self.batch_augments:
            if isinstance(augment, YOLOXBatchSyncRandomResize):
                augment.size_divisor = math.lcm(augment.size_divisor, divisor)

"""Augmentations of whole training batches on the device.

Images (B, channels, H, W) are grey levels of 0-255: uint8 as the loader gives them, and float32 behind a
resize. Colours and flips keep dtype and strides, and return new images. Where the device is a CPU they go
through images one by one, colours by OpenCV: PyTorch takes several times as long for whole batches there.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from numpy.typing import NDArray
from torch import Tensor, nn

from mmyolox.datasets.transforms.augmentations import map_hsv, shift_tables
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.registry import MODELS

_HSV_STREAM, _FLIP_STREAM = range(2)


@MODELS.register_module()
class YOLOXBatchHSV(nn.Module):
    """Shifts hue, saturation and value of each training image, in place of ``YOLOXHSVRandomAug``.

    The distribution is that of :class:`mmyolox.datasets.transforms.YOLOXHSVRandomAug`, and pixels come out
    equal to OpenCV's to within one grey level, exactly where the device is a CPU; images whose shifts are all
    zero stay as they are, where OpenCV's way through HSV rounds. The draws are a
    function of the run's seed, the iteration and the rank. Give it before a resize: it works in whole grey
    levels. Channels beyond the third, infrared or depth, stay as they are.

    Args:
        hue_delta: The largest shift of the hue, in OpenCV's 180 steps; it wraps around.
        saturation_delta: The largest shift of the saturation (0-255), saturating.
        value_delta: The largest shift of the value (0-255), saturating.
    """

    def __init__(self, hue_delta: int = 5, saturation_delta: int = 30, value_delta: int = 30) -> None:
        super().__init__()
        self.deltas = np.array([hue_delta, saturation_delta, value_delta])

    def forward(self, inputs: Tensor, data_samples: dict) -> tuple[Tensor, dict]:
        """Shifts the first three channels, BGR, of images (B, channels, H, W) of whole grey levels 0-255."""
        if inputs.shape[1] < 3:
            raise UserError(
                f'YOLOXBatchHSV needs images in colour, these have {inputs.shape[1]} channel(s); leave it '
                'out of model.data_preprocessor.batch_augments'
            )
        gains = self.draw_gains(len(inputs))
        if inputs.device.type == 'cpu':
            return shift_hsv_by_opencv(inputs, gains), data_samples
        return shift_hsv_of_batch(inputs, _to_device(gains, inputs.device)), data_samples

    def draw_gains(self, batch_size: int) -> NDArray[np.float32]:
        """Draws whole shifts (B, 3) of hue, saturation and value for this iteration."""
        rng, shape = _batch_rng(_HSV_STREAM), (batch_size, 3)
        gains = rng.uniform(-1, 1, shape) * self.deltas * rng.integers(0, 2, shape)
        return np.trunc(gains).astype(np.float32)


def shift_hsv_by_opencv(images: Tensor, gains: NDArray[np.float32]) -> Tensor:
    """What :func:`shift_hsv_of_batch` does, with images on the CPU; pixels are exactly OpenCV's.

    Args:
        images: (B, channels, H, W), whole grey levels 0-255 of any dtype; the first three of at least three
            channels are BGR.
        gains: (B, 3), whole steps of OpenCV's hue (0-179), saturation and value (0-255).

    Returns:
        New images, with the dtype and the strides of the old ones.
    """
    shifted = torch.empty_like(images)
    for source, target, shifts in zip(images, shifted, gains.astype(int), strict=True):
        if shifts.any():
            pixels = map_hsv(source.byte().permute(1, 2, 0).numpy(), shift_tables(*shifts.tolist()))
            target.permute(1, 2, 0).copy_(torch.from_numpy(pixels))
        else:
            target.copy_(source)
    return shifted


def shift_hsv_of_batch(images: Tensor, gains: Tensor) -> Tensor:
    """Shifts images as :class:`mmyolox.datasets.transforms.YOLOXHSVRandomAug`, each by its own gains.

    Args:
        images: (B, channels, H, W), whole grey levels 0-255 of any dtype; the first three of at least three
            channels are BGR.
        gains: (B, 3) float32, whole steps of OpenCV's hue (0-179), saturation and value (0-255).

    Returns:
        New images, with the dtype and the strides of the old ones.
    """
    by_hue, by_saturation, by_value = gains[:, :, None, None].unbind(1)
    levels = images[:, :3].float()
    hue, saturation, value = _to_hsv(levels)
    hue.add_(by_hue).remainder_(180)
    saturation.add_(by_saturation).clamp_(0, 255)
    value.add_(by_value).clamp_(0, 255)
    # Not above the value, which it is where a device multiplies by 1 / 255 instead: bytes have no -1.
    chroma = torch.minimum(saturation.mul_(value).div_(255), value)
    is_shifted = gains.any(1)[:, None, None]
    shifted = torch.empty_like(images)
    shifted[:, 3:] = images[:, 3:]
    # Smith's hexcone without its six cases: a channel falls below the value by the chroma, times how far the
    # hue is from the channel's own (0 within 60 degrees, 1 beyond 120). OpenCV's uint8 path rounds down.
    for channel, turn in enumerate((1, 3, 5)):
        turned = (hue / 30).add_(turn).remainder_(6)
        fall = torch.minimum(turned, 4 - turned).clamp_(0, 1)
        level = torch.addcmul(value, fall, chroma, value=-1).floor_()
        shifted[:, channel] = torch.where(is_shifted, level, levels[:, channel])
    return shifted


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """OpenCV's 8-bit HSV of images (B, 3, H, W): three (B, H, W) of whole numbers, hue in 0-179.

    The arithmetic is that of OpenCV 4's ``RGB2HSV_b``: products with reciprocals in 12-bit fixed point, which
    float32 holds exactly.
    """
    blue, green, red = images.unbind(1)
    value = images.amax(1)
    spread = value - images.amin(1)
    saturation = _fixed_point_ratio(spread, value, 255)
    sixths = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    return _fixed_point_ratio(sixths, spread, 30).remainder_(180), saturation, value


def _fixed_point_ratio(numerator: Tensor, denominator: Tensor, scale: int) -> Tensor:
    """``scale * numerator / denominator``, rounded; a denominator of 0 comes with a numerator of 0."""
    reciprocals = torch.div(scale * 4096, denominator.clamp(min=1)).round_()
    return reciprocals.mul_(numerator).add_(2048).div_(4096).floor_()


@MODELS.register_module()
class YOLOXBatchFlip(nn.Module):
    """Mirrors training images left and right, in place of ``RandomFlip``.

    Images are mirrored as they are in the batch, with their padding. The draws are a function of the run's
    seed, the iteration and the rank. ``metas`` stay as they are: they are not used in training.

    Args:
        prob: The share of images that are mirrored.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__()
        self.prob = prob

    def forward(self, inputs: Tensor, data_samples: dict) -> tuple[Tensor, dict]:
        """Mirrors some of the images (B, channels, H, W) and their annotations."""
        drawn = self.draw_flips(len(inputs))
        flips = _to_device(drawn, inputs.device)
        on_cpu = inputs.device.type == 'cpu'
        mirrored = mirror_one_by_one(inputs, drawn) if on_cpu else mirror_batch(inputs, flips)
        return mirrored, data_samples | self.flip_annotations(data_samples, flips, inputs.shape[3])

    def draw_flips(self, batch_size: int) -> NDArray[np.bool_]:
        """Which images of this iteration are mirrored: (B,)."""
        return _batch_rng(_FLIP_STREAM).random(batch_size) < self.prob

    def flip_annotations(self, data_samples: dict, flips: Tensor, width: int) -> dict:
        """What changes in a batch's annotations; models with more than boxes add theirs here.

        Args:
            data_samples: What :func:`mmyolox.datasets.yolox_collate` returns under this name.
            flips: (B,) bool, the images that are mirrored.
            width: The width of the images in pixels.

        Returns:
            The new values by key.
        """
        flipped = {}
        for key in ('bboxes', 'ignored_bboxes'):
            x1, y1, x2, y2 = data_samples[key].unbind(-1)
            mirrored = torch.stack([width - x2, y1, width - x1, y2], dim=-1)
            # Padding, all zeros, stays padding.
            is_mirrored = flips.view(-1, 1, 1) & data_samples[key].any(-1, keepdim=True)
            flipped[key] = torch.where(is_mirrored, mirrored, data_samples[key])
        return flipped


def mirror_one_by_one(images: Tensor, flips: NDArray[np.bool_]) -> Tensor:
    """What :func:`mirror_batch` does, in time for the images (B, channels, H, W) that are mirrored only."""
    mirrored = torch.empty_like(images)
    for source, target, is_flipped in zip(images, mirrored, flips, strict=True):
        target.copy_(source.flip(2) if is_flipped else source)
    return mirrored


def mirror_batch(images: Tensor, flips: Tensor) -> Tensor:
    """Mirrors left and right those of the images (B, channels, H, W) for which ``flips`` (B,) is true."""
    return torch.where(flips.view(-1, 1, 1, 1), images.flip(3), images)


@MODELS.register_module()
class YOLOXBatchSyncRandomResize(nn.Module):
    """Resizes training batches to a random size that is the same on all processes (multi-scale training).

    The size is a function of the run's seed and of the iteration: no process waits for another, and a
    resumed run continues with the sizes that it would have had. Sizes follow the input's: the height is a
    multiple of ``size_divisor`` within ``ratio_range`` times the input's, and the width keeps the aspect
    ratio. As in Megvii's YOLOX, the first ``interval`` iterations keep the input's size.

    Args:
        ratio_range: The new height as a share of the configured one; (0.75, 1.25) gives 480 to 800 at 640.
        size_divisor: What sizes are multiples of, beside the largest stride of the detector.
        interval: The number of iterations between two draws.
    """

    def __init__(
        self, ratio_range: tuple[float, float] = (0.75, 1.25), size_divisor: int = 32, interval: int = 10
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
        """Resizes images (B, channels, H, W) bilinearly, and their annotations; other sizes are float32."""
        hub = MessageHub.get_current_instance()
        height, width = inputs.shape[2:]
        seed, iteration = hub.get_info('seed', 0), hub.get_info('iter', 0)
        new_height, new_width = self.draw_shape((height, width), seed, iteration)
        if (new_height, new_width) == (height, width):
            return inputs, data_samples
        inputs = F.interpolate(inputs.float(), (new_height, new_width), mode='bilinear', align_corners=False)
        ratios = _to_device(np.array([new_width / width, new_height / height], np.float32), inputs.device)
        return inputs, data_samples | self.scale_annotations(data_samples, ratios)

    def scale_annotations(self, data_samples: dict, ratios: Tensor) -> dict:
        """What changes in a batch's annotations; models with more than boxes add theirs here.

        Args:
            data_samples: What :func:`mmyolox.datasets.yolox_collate` returns under this name.
            ratios: (2,) float32, of the new to the old width and height.

        Returns:
            The new values by key.
        """
        return {key: data_samples[key] * ratios.repeat(2) for key in ('bboxes', 'ignored_bboxes')}

    def draw_shape(self, shape_hw: tuple[int, int], seed: int, iteration: int) -> tuple[int, int]:
        """The (h, w) of a training iteration, from the configured (h, w)."""
        window = iteration // self.interval
        if window == 0:
            return shape_hw
        shapes = self.shapes(shape_hw)
        return shapes[int(np.random.default_rng((seed, window)).integers(len(shapes)))]

    def shapes(self, shape_hw: tuple[int, int]) -> list[tuple[int, int]]:
        """The (h, w) that are drawn from, the smallest first, for the configured (h, w)."""
        divisor, ratio = self.size_divisor, shape_hw[1] / shape_hw[0]
        low, high = (share * shape_hw[0] / divisor for share in self.ratio_range)
        # With a margin for ratios such as 10 / 13, and one size where no multiple lies within.
        first = max(1, math.ceil(low - 1e-6))
        last = max(first, math.floor(high + 1e-6))
        heights = [number * divisor for number in range(first, last + 1)]
        return [(height, max(1, round(height * ratio / divisor)) * divisor) for height in heights]


def _batch_rng(stream: int) -> np.random.Generator:
    """A generator for the batch of this iteration and process, another one for each ``stream``."""
    hub = MessageHub.get_current_instance()
    return np.random.default_rng((hub.get_info('seed', 0), hub.get_info('iter', 0), get_rank(), stream))


def _to_device(values: NDArray, device: torch.device) -> Tensor:
    """Sends a small array without waiting for the device."""
    return torch.from_numpy(values).to(device, non_blocking=True)


def training_sizes(model: Any, img_scale: Size) -> list[Size]:
    """The size of training images, or the smallest and the largest of multi-scale training.

    Args:
        model: The detector, perhaps without a data preprocessor of ours.
        img_scale: The size of the samples.
    """
    augments = getattr(getattr(model, 'data_preprocessor', None), 'batch_augments', ())
    resizes = (one for one in augments if isinstance(one, YOLOXBatchSyncRandomResize))
    shapes = [shape for one in resizes for shape in one.shapes(img_scale.shape_hw)] or [img_scale.shape_hw]
    ends = min(shapes, key=math.prod), max(shapes, key=math.prod)
    return [Size.of_shape(shape) for shape in dict.fromkeys(ends)]

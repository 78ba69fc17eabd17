"""From samples to the one padded batch that training, validation and inference share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import FUNCTIONS
from numpy.typing import NDArray

from .canvas.scene import FILL

PADDING_LABEL = -1


@FUNCTIONS.register_module()
def yolox_collate(samples: Sequence[dict], size_divisor: int = 32) -> dict:
    """Stacks packed samples.

    Args:
        samples: of :class:`mmyolox.datasets.transforms.PackDetInputs`, images possibly of several sizes.
        size_divisor: sides of the batch are rounded up to a multiple of it (the largest stride).

    Returns:
        ``dict(inputs, data_samples)``. ``inputs``: (B, channels, H, W) uint8, images at the top left of a
        grey canvas, channels last in memory. ``data_samples``: ``bboxes`` (B, M, 4) float32 xyxy in pixels of
        ``inputs``, ``labels`` (B, M) int64, ``ignored_bboxes`` (B, I, 4) float32, regions that are neither
        object nor background, what other arrays there are, likewise, and ``metas``, a list of B dicts. M and
        I are the largest counts in the batch, perhaps 0; padding rows are zeros, with the label -1.
    """
    data_samples = [sample['data_samples'] for sample in samples]
    arrays = {
        key: _pad_rows([sample[key] for sample in data_samples], PADDING_LABEL if key == 'labels' else 0)
        for key in data_samples[0]
        if key != 'meta'
    }
    return dict(
        inputs=_stack_images([sample['inputs'] for sample in samples], size_divisor),
        data_samples=dict(arrays, metas=[sample['meta'] for sample in data_samples]),
    )


def _stack_images(images: Sequence[NDArray[np.uint8]], size_divisor: int) -> torch.Tensor:
    sides = (max(image.shape[axis] for image in images) for axis in (1, 2))
    height, width = (-(-side // size_divisor) * size_divisor for side in sides)
    batch = torch.empty((len(images), height, width, images[0].shape[0]), dtype=torch.uint8)
    for canvas, image in zip(batch.numpy(), images, strict=True):
        _, h, w = image.shape
        canvas[:h, :w] = image.transpose(1, 2, 0)
        canvas[h:] = FILL
        canvas[:h, w:] = FILL
    return batch.permute(0, 3, 1, 2)


def _pad_rows(arrays: Sequence[NDArray[Any]], value: float) -> torch.Tensor:
    longest = max(len(array) for array in arrays)
    padded = np.full((len(arrays), longest, *arrays[0].shape[1:]), value, arrays[0].dtype)
    for rows, array in zip(padded, arrays, strict=True):
        rows[: len(array)] = array
    return torch.from_numpy(padded)


@FUNCTIONS.register_module()
def tta_collate(samples: Sequence[dict], size_divisor: int = 32) -> dict:
    """Collates samples of MMCV's ``TestTimeAug``, one padded batch an augmentation.

    Returns:
        ``dict(inputs, data_samples)``, each a list with one entry an augmentation, in the form of
        :func:`yolox_collate`.
    """
    per_sample = [
        [dict(inputs=i, data_samples=d) for i, d in zip(s['inputs'], s['data_samples'], strict=True)]
        for s in samples
    ]
    batches = [yolox_collate(augmented, size_divisor) for augmented in zip(*per_sample, strict=True)]
    return {key: [batch[key] for batch in batches] for key in ('inputs', 'data_samples')}

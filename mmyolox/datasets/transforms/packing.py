"""The last steps of a pipeline: samples are filtered, drawn, packed and collated into padded batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import FUNCTIONS

from mmyolox.datasets.canvas.geometry import IGNORED, has_objects, keep_instances
from mmyolox.datasets.canvas.scene import FILL, take_image
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'matrix')


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Drops boxes that have become too small, and the sample if it has no object left.

    Args:
        min_gt_bbox_wh: The smallest width and height in pixels of the current canvas.
        keep_empty: Whether to keep a sample without objects (it trains the objectness as background). False
            makes the data set draw another one, as in the published recipes.
    """

    def __init__(self, min_gt_bbox_wh: tuple[float, float] = (1, 1), keep_empty: bool = False) -> None:
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.keep_empty = keep_empty

    def transform(self, results: dict) -> dict | None:
        sides = results['gt_bboxes'][:, 2:] - results['gt_bboxes'][:, :2]
        keep_instances(results, (sides > self.min_gt_bbox_wh).all(axis=1))
        return results if self.keep_empty or has_objects(results) else None


@TRANSFORMS.register_module()
class PackDetInputs(BaseTransform):
    """Draws the sample and keeps what the model needs.

    Returns ``dict(inputs, data_samples)`` of NumPy arrays; they become tensors once a batch, in the collate
    function. ``inputs`` is (channels, h, w) uint8, channels last in memory; ``data_samples`` holds ``bboxes``
    (M, 4) float32 xyxy in pixels of ``inputs``, ``labels`` (M,) int64, ``ignored_bboxes`` (I, 4) and
    ``meta``, the sample's ``img_id``, ``img_path``, ``ori_shape`` (h, w), ``img_shape`` (h, w) and, for an
    undisturbed single image, ``matrix`` from the original image to ``inputs``. The meta also has the
    untouched annotations as ``gt_bboxes``, ``gt_labels`` and ``gt_ignored``, for metrics that want them in
    pixels of the original image.
    """

    def transform(self, results: dict) -> dict:
        # A view: collate copies every image into the batch once, in memory order.
        inputs = take_image(results).transpose(2, 0, 1)
        return dict(
            inputs=inputs, data_samples=dict(self.pack_instances(results), meta=self.pack_meta(results))
        )

    def pack_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The arrays that the collate function pads; models with more than boxes add theirs."""
        # Of other projects' transforms some compute with float64.
        bboxes = np.asarray(results.get('gt_bboxes', np.zeros((0, 4))), np.float32)
        labels = results.get('gt_bboxes_labels', np.zeros(0, np.int64))
        is_object = labels != IGNORED
        return dict(bboxes=bboxes[is_object], labels=labels[is_object], ignored_bboxes=bboxes[~is_object])

    def pack_meta(self, results: dict) -> dict[str, Any]:
        """What else the sample says of the image; its arrays ``gt_*`` become ``gt_instances``."""
        meta = {key: results[key] for key in META_KEYS if key in results}
        if 'bboxes' in results:
            meta.update(
                gt_bboxes=results['bboxes'], gt_labels=results['labels'], gt_ignored=results['is_crowd']
            )
        return meta


@FUNCTIONS.register_module()
def yolox_collate(samples: Sequence[dict], size_divisor: int = 32) -> dict:
    """Stacks packed samples into the one padded batch that training, validation and inference share.

    Args:
        samples: What :class:`mmyolox.datasets.transforms.PackDetInputs` returns, images possibly of several
            sizes.
        size_divisor: The number that sides of the batch are rounded up to a multiple of (the largest stride).

    Returns:
        ``dict(inputs, data_samples)``. ``inputs``: (B, channels, H, W) uint8, images at the top left of a
        grey canvas, channels last in memory. ``data_samples``: ``bboxes`` (B, M, 4) float32 xyxy in pixels of
        ``inputs``, ``labels`` (B, M) int64, ``ignored_bboxes`` (B, I, 4) float32, regions that are neither
        object nor background, what other arrays there are, likewise, and ``metas``, a list of B dicts. M and
        I are the largest counts in the batch, perhaps 0; padding is zeros, with the label -1.

    Raises:
        UserError: The images differ in their number of channels, or are no whole numbers from 0 to 255.
    """
    data_samples = [sample['data_samples'] for sample in samples]
    batched: dict[str, Any] = {}
    for key in [key for key in data_samples[0] if key != 'meta']:
        arrays = [sample[key] for sample in data_samples]
        shape = (len(arrays), max(map(len, arrays)), *arrays[0].shape[1:])
        padded = np.full(shape, -1 if key == 'labels' else 0, arrays[0].dtype)
        for target, array in zip(padded, arrays, strict=True):
            target[: len(array)] = array
        batched[key] = torch.from_numpy(padded)
    batched['metas'] = [sample['meta'] for sample in data_samples]
    return dict(inputs=_stack_images(samples, size_divisor), data_samples=batched)


def _stack_images(samples: Sequence[dict], size_divisor: int) -> torch.Tensor:
    images = [sample['inputs'] for sample in samples]
    channels, height, width = (max(sides) for sides in zip(*(image.shape for image in images), strict=True))
    for sample in samples:
        if sample['inputs'].shape[0] != channels:
            path = sample['data_samples']['meta'].get('img_path')
            raise UserError(
                f'the image {path} has {sample["inputs"].shape[0]} channel(s), others of its batch have '
                f'{channels}; LoadImage(channels=...) says which do not belong to the data set'
            )
    height, width = (-(-side // size_divisor) * size_divisor for side in (height, width))
    batch = torch.empty((len(images), height, width, channels), dtype=torch.uint8)
    for canvas, image in zip(batch.numpy(), images, strict=True):
        _, h, w = image.shape
        canvas[:h, :w] = image.transpose(1, 2, 0)
        if image.dtype != np.uint8 and (canvas[:h, :w] != image.transpose(1, 2, 0)).any():
            raise UserError(
                f'a pipeline packs images of {image.dtype} with values from {image.min():.5g} to '
                f'{image.max():.5g}: yolox_collate takes whole numbers from 0 to 255'
            )
        canvas[h:] = FILL
        canvas[:h, w:] = FILL
    return batch.permute(0, 3, 1, 2)


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

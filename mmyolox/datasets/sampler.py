"""The order of samples, and the word of it to the data set."""

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import DefaultSampler

from mmyolox.registry import DATA_SAMPLERS

from .base import DetectionDataset


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler`` that also tells the data set the seed and the epoch.

    With it, order and augmentations are functions of (seed, epoch) alone. Samples that
    ``mmengine.dataset.RepeatDataset`` repeats within an epoch are repeated as they are: train for more
    epochs instead.
    """

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch comes next; MMEngine's ``DistSamplerSeedHook`` calls it."""
        super().set_epoch(epoch)
        for dataset in detection_datasets(self.dataset):
            dataset.set_draw_key(self.seed, epoch)


def detection_datasets(dataset: Any) -> Iterator[DetectionDataset]:
    """The data sets of ours inside a wrapper (``ConcatDataset``, ``ClassBalancedDataset``, ...)."""
    if isinstance(dataset, DetectionDataset):
        yield dataset
    for inner in [*getattr(dataset, 'datasets', []), getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from detection_datasets(inner)

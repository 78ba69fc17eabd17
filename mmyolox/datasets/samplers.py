"""Drawing some images more often than others: those with rare classes, those of one of several data sets."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import ConcatDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.errors import UserError, first_few
from mmyolox.registry import DATA_SAMPLERS, DATASETS

from .base import DetectionDataset, Draw, SeededSampler, whole_dataset


@DATASETS.register_module()
class MixedDataset(ConcatDataset):
    """Several data sets of ours as one; :class:`BalancedSampler` says how much is drawn of each.

    MMEngine's ``ConcatDataset`` wants the same metainfo of all, also where it only says from which file they
    come, and forgets which draw of a sample is wanted.

    Args:
        datasets: The data sets, or their configs. Each takes its categories by the names of the classes.

    Raises:
        UserError: There is none, or they have other classes or another order of them.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        built = [DATASETS.build(one) if isinstance(one, dict) else one for one in datasets]
        if not built:
            raise UserError('MixedDataset: datasets=[]: there must be one, at least')
        names = [tuple(one.metainfo.get('classes', ())) for one in built]
        for number, other in enumerate(names):
            if other != names[0]:
                raise UserError(
                    f'MixedDataset: data set {number} has the classes {first_few(other, 5)}, and data set 0 '
                    f'{first_few(names[0], 5)}; give all the same metainfo.classes'
                )
        other_keys = sorted(set().union(*(one.metainfo for one in built)) - {'classes'})
        super().__init__(built, ignore_keys=other_keys)

    def __getitem__(self, idx: int) -> Any:
        """The sample ``idx`` of all after its pipeline."""
        number, index = self._get_ori_dataset_idx(idx)
        return self.datasets[number][Draw(index, getattr(idx, 'repeat', 0))]


@DATA_SAMPLERS.register_module()
class BalancedSampler(SeededSampler):
    """Draws as many samples an epoch as there are images, some images more often than others.

    An image of weight ``w`` comes ``n w / sum(w)`` times in an epoch of ``n`` samples, up to the next whole
    number: which images come once more, and the order, are functions of (seed, epoch). Each time it is
    augmented by other draws. The partners of mosaic and mixup, which are images of the same data set,
    are drawn by the same weights.

    Args:
        dataset: A data set of ours, or a :class:`MixedDataset`.
        oversample_thr: The share ``t`` of the images below which a class is rare. By Gupta et al. 2019 (LVIS,
            section 5) a class that is in the share ``f`` of the images has the factor
            ``max(1, sqrt(t / f))``, and an image's weight is the largest of its classes'. 0 is for equal
            weights.
        dataset_weights: The share of the samples that are drawn of each data set, in any unit; by default as
            their weights are.
        seed: As for MMEngine's ``DefaultSampler``.

    Raises:
        UserError: The data set is no such, or the shares fit no data sets.
    """

    def __init__(
        self,
        dataset: Any,
        oversample_thr: float = 0.0,
        dataset_weights: Sequence[float] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, seed=seed)
        whole = whole_dataset(dataset)
        parts = list(whole.datasets) if isinstance(whole, MixedDataset) else [whole]
        for part in parts:
            if not isinstance(part, DetectionDataset):
                raise UserError(
                    f'BalancedSampler draws of data sets of ours, also of several in a MixedDataset; '
                    f'{type(part).__name__} is none'
                )
        factors = (
            repeat_factors(parts, oversample_thr) if oversample_thr else [np.ones(len(p)) for p in parts]
        )
        for part, own in zip(parts, factors, strict=True):
            if oversample_thr:
                part.set_partner_weights(own)
        if dataset_weights is not None:
            shares = np.asarray(dataset_weights, np.float64)
            if len(shares) != len(parts) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
                raise UserError(
                    f'BalancedSampler: dataset_weights={list(dataset_weights)}: there are {len(parts)} data '
                    'sets, which need a number each, at least 0, one of them above'
                )
            factors = [own * share / own.sum() for own, share in zip(factors, shares, strict=True)]
        self._weights = np.concatenate(factors)[: len(dataset)]

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self._weights))
        edges = np.cumsum(self._weights[order])
        # A comb with a tooth every whole number meets a stretch of 2.3 two or three times.
        teeth = (rng.random() + np.arange(self.total_size)) * edges[-1] / self.total_size
        places = np.searchsorted(edges, teeth, side='right')
        # How often the one before is the same, counted from the first: they stand in a row.
        repeats = np.arange(self.total_size) - np.searchsorted(places, places)
        for number in rng.permutation(self.total_size)[self.rank :: self.world_size].tolist():
            yield Draw(order[places[number]], int(repeats[number]))


@DATA_SAMPLERS.register_module()
class ChunkedSampler(SeededSampler):
    """Draws every sample once, in an order in which neighbours are read together.

    The data set is cut into chunks of neighbours, of shards those that one read gives. Chunks are shuffled
    over the whole data set, and dealt in a row to the ranks and their workers; each worker draws from as many
    chunks at a time as its window has, in a random order. Nothing is as long as the data set but the list of
    its chunks.

    Of the data workers each has its own batches: the loader has to be asked for their size and number, see
    :meth:`share_among`; :class:`~mmyolox.engine.runner.YOLOXRunner` does it. The order is a function of
    (seed, epoch) and of the numbers of ranks and workers.

    A pass through the data may take several epochs. With ``pass_epochs=100`` an epoch sees every hundredth
    chunk, and what counts in epochs (the schedule, validations, checkpoints, resuming) does so within a pass.

    Args:
        dataset: The data set.
        chunk_size: How many neighbours a chunk has: that of :data:`.shards.UNIT`, or a multiple.
        window: From how many chunks a worker draws at a time.
        pass_epochs: How many epochs a pass through the data takes.
        seed: As for MMEngine's ``DefaultSampler``.

    Raises:
        UserError: A number is below 1.
    """

    def __init__(
        self,
        dataset: Any,
        chunk_size: int = 64,
        window: int = 16,
        pass_epochs: int = 1,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, seed=seed)
        for name, value in dict(chunk_size=chunk_size, window=window, pass_epochs=pass_epochs).items():
            if type(value) is not int or value < 1:
                raise UserError(f'ChunkedSampler: {name}={value!r} must be a whole number above 0')
        self.chunk_size = chunk_size
        self.window = window
        self.pass_epochs = pass_epochs
        self.num_samples = -(-len(dataset) // (self.world_size * pass_epochs))
        self.total_size = self.num_samples * self.world_size
        self.share_among(1, 0)

    def share_among(self, batch_size: int, num_workers: int) -> None:
        """Says how the loader shares the samples of this rank among its workers, a batch in turn.

        Args:
            batch_size: The size of a batch.
            num_workers: The number of the workers; 0 for none beside the process itself.
        """
        self._batch_size = batch_size
        self._num_workers = max(num_workers, 1)

    def __iter__(self) -> Iterator[int]:
        number, part = divmod(self.epoch, self.pass_epochs)
        start = (part * self.world_size + self.rank) * self.num_samples
        # What is missing in the last part is taken from the first one, so that all ranks are as long.
        samples = self._chunked(number, np.arange(start, start + self.num_samples) % len(self.dataset))
        batches = np.arange(self.num_samples) // self._batch_size
        # To each worker a stretch of neighbours; which places are its own in the order of the rank:
        places = np.argsort(batches % self._num_workers, kind='stable')
        stretches = (batches % self._num_workers)[places]
        within = np.arange(self.num_samples) - np.searchsorted(stretches, stretches)
        windows = within // (self.window * self.chunk_size)
        draws = np.random.default_rng((self.seed, self.epoch, self.rank)).random(self.num_samples)
        order = np.empty_like(samples)
        order[places] = samples[np.lexsort((draws, windows, stretches))]
        for first in range(0, len(order), 2**16):
            yield from order[first : first + 2**16].tolist()

    def _chunked(self, number: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The samples at some positions of a pass, in whose order the chunks are shuffled."""
        total, size = len(self.dataset), self.chunk_size
        chunks = np.random.default_rng((self.seed, number)).permutation(-(-total // size))
        starts = np.cumsum(np.minimum(size, total - chunks * size))
        places = np.searchsorted(starts, positions, side='right')
        before = np.where(places > 0, starts[places - 1], 0)
        samples: NDArray[np.int64] = chunks[places] * size + positions - before
        return samples


def repeat_factors(datasets: Sequence[DetectionDataset], threshold: float) -> list[NDArray[np.float64]]:
    """The factors of images by their rarest class, see :class:`BalancedSampler`; logs those of classes.

    Args:
        datasets: The data sets, of the same classes.
        threshold: The share of all images below which a class is rare.

    Returns:
        Of each data set, an array of an entry an image; 1 for an image without objects.
    """
    labels = [[np.unique(one.get_cat_ids(idx)).astype(int) for idx in range(len(one))] for one in datasets]
    names = datasets[0].metainfo['classes']
    images = [found for own in labels for found in own]
    counts = np.bincount(np.concatenate([*images, np.zeros(0, int)]), minlength=len(names))
    of_class = np.sqrt(threshold * len(images) / counts.clip(min=1)).clip(min=1)
    raised = sorted(
        (of_class[label], names[label]) for label in np.flatnonzero((of_class > 1) & (counts > 0))
    )
    told = first_few([f'{name} x {factor:.2g}' for factor, name in reversed(raised)])
    print_log(
        f'oversample_thr={threshold}: drawn more often are images with {told}'
        if raised
        else f'oversample_thr={threshold} has no effect: no class is in a smaller share of the images',
        'current',
        logging.INFO if raised else logging.WARNING,
    )
    return [np.array([of_class[found].max(initial=1) for found in own]) for own in labels]

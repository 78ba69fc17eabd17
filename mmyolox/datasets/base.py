"""What every detection data set of ours has: reproducible draws and patience with broken files.

The sampler tells the data set which draws come next.
"""

import hashlib
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, DefaultSampler
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, first_few
from mmyolox.registry import DATA_SAMPLERS

from . import annotation_cache
from .annotations import AnnotationReport, filter_images
from .canvas.images import UndecodableImageError
from .canvas.scene import Sample
from .columns import Array
from .image_cache import ImageCache
from .shared_bytes import SharedBytes
from .splits import Fold, image_names
from .table import AnnotationTable
from .transforms.loading import LoadImage


class Draw(int):
    """The index of a sample of which an epoch has several draws, and how many it had before this one."""

    repeat: int

    def __new__(cls, index: int, repeat: int = 0) -> 'Draw':
        """Makes it of both."""
        draw = super().__new__(cls, index)
        draw.repeat = repeat
        return draw


class DetectionDataset(BaseDataset):
    """An MMEngine data set whose every random draw is a function of (seed, epoch, index).

    Augmentations of a sample draw from ``results['rng']``, a generator keyed by the run's seed, the epoch and
    the sample's index. Results therefore depend neither on the number of workers or processes nor on where
    a run was resumed. :class:`SeededSampler` says seed and epoch; without it the draws come
    from NumPy's global state, which MMEngine seeds per worker.

    An image that does not decode during training is named once, and another sample takes its place.

    Args:
        *args: Those of :class:`mmengine.dataset.BaseDataset`.
        img_scale: The network's input (w, h) in pixels, which the pipeline's steps read as a
            :class:`~mmyolox.deploy.letterbox.Size`. Need not be square.
        max_undecodable_ratio: The share of the files that may turn out undecodable before training aborts.
        backend_args: The arguments of :mod:`mmengine.fileio`, for annotation files.
        image_cache: The medium of a cache, ``'ram'`` or ``'disk'``, which keeps all decoded images, so that
            each is decoded once in a whole training (``--cfg-options
            train_dataloader.dataset.image_cache=ram``); for small data sets, see
            :class:`mmyolox.datasets.image_cache.ImageCache`.
        image_cache_dir: The folder for ``'disk'``; by default the system's for temporary files.
        fold: A part of the images, by the attributes of :class:`~mmyolox.datasets.splits.Fold`; by default
            all of them. Two data sets that differ in its ``held_out`` divide the images among them.
        **kwargs: Those of :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        data_list: The entries, a table of columns that all workers share, whatever ``serialize_data`` is; set
            when the annotations are loaded. Take entries from a data set by :meth:`get_data_info`.
        report: What the annotations held and what was left out; set by ``load_data_list``.
        image_cache: The decoded images by ``sample_idx``, or None; set when the annotations are loaded.
    """

    _fully_initialized: bool
    data_list: AnnotationTable
    report: AnnotationReport
    image_cache: ImageCache | None = None
    _partner_edges: NDArray[np.float64] | None = None

    def __init__(
        self,
        *args: Any,
        img_scale: tuple[int, int] = (640, 640),
        max_undecodable_ratio: float = 0.01,
        backend_args: dict | None = None,
        image_cache: str | None = None,
        image_cache_dir: str | None = None,
        fold: dict | None = None,
        **kwargs: Any,
    ) -> None:
        sides = tuple(img_scale) if isinstance(img_scale, Sequence) else ()
        if len(sides) != 2 or any(not isinstance(side, int) or side < 1 for side in sides):
            raise UserError(f'img_scale={img_scale!r} must be (width, height), two whole numbers above 0')
        self.img_scale = Size(*sides)
        self.max_undecodable_ratio = max_undecodable_ratio
        self.backend_args = backend_args
        if image_cache_dir is not None and image_cache != 'disk':
            raise UserError(f"image_cache_dir={image_cache_dir!r} is only for image_cache='disk'")
        self._image_cache = (image_cache, image_cache_dir)
        self.fold = None if fold is None else Fold.of(fold)
        # Shared with the workers, which outlive an epoch: [seed, epoch], the seed -1 until somebody says it.
        self._draw_key = SharedBytes.of(np.array([-1, 0]))
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Loads the annotations; see :class:`mmengine.dataset.BaseDataset`."""
        if self._fully_initialized:
            return
        self.data_list = AnnotationTable.of(self.load_data_list())
        if self.fold is not None:
            names = image_names(self.data_list.images('img_path'), self.data_root)
            self.data_list = self.data_list.take(self.fold.chosen(names))
            self.report.images, self.report.boxes = len(self.data_list), int(self.data_list.counts.sum())
        self.data_list = AnnotationTable.of(self.filter_data())
        if self._indices is not None:
            self.data_list = self.data_list.take(_chosen(len(self.data_list), self._indices))
        self._fully_initialized = True
        self._undecodable = SharedBytes(len(self))
        channels = checked_channels(self.pipeline.transforms)
        medium, folder = self._image_cache
        if medium is not None:
            sides = zip(self.data_list.images('width'), self.data_list.images('height'), strict=True)
            self.image_cache = ImageCache([Size(*size) for size in sides], medium, folder, channels or 3)

    def complete_metainfo(self, **values: Any) -> None:
        """Adds to ``metainfo`` what the annotations tell; ``load_data_list`` calls it."""
        self._metainfo.update(values)

    def cached_entries(
        self,
        key: Mapping[str, Any] | None,
        read: Callable[[], tuple[dict[str, Array], dict[str, Any]]],
    ) -> AnnotationTable:
        """The entries that an earlier start kept, or else what ``read`` makes, which is kept for later ones.

        ``load_data_list`` calls it, after ``report`` is made and ``metainfo`` complete. What is said of the
        annotations has to be said by ``report``, which is kept too; what depends on other files, such as
        whether images are there, has to be checked each time.

        Args:
            key: What the entries depend on beside ``metainfo`` and the source files of the data set's class,
                as JSON can hold it: the digest of the annotations (:mod:`.annotation_cache`), and arguments.
                None if nothing is to be kept.
            read: A function that reads the annotations; it returns what :func:`.table.described` makes.
        """
        sources = class_digest(type(self))
        name = None
        if key is not None and sources is not None:
            whole = dict(key, type=type(self).__qualname__, sources=sources, metainfo=self._metainfo)
            name = annotation_cache.entry_name('entries', whole)
        columns = annotation_cache.find(name)
        if columns is None:
            arrays, info = read()
            columns = annotation_cache.keep(name, arrays, dict(info, report=self.report.state()))
        else:
            self.report.restore(columns.info['report'])
        return AnnotationTable(columns)

    def filter_data(self) -> Sequence[dict[str, Any]]:
        """Applies ``filter_cfg`` and names classes without a box, except in test mode."""
        if self.test_mode:
            return self.data_list
        table = filter_images(self.data_list, self.filter_cfg, self.report)
        counts = table.class_counts
        labels = set(np.flatnonzero(counts).tolist())
        unused = [name for label, name in enumerate(self.metainfo['classes']) if label not in labels]
        line = ''
        if not labels:
            line = f'none of {len(table)} images to train on has a box, so nothing is learnt but background'
        elif unused:
            have, them = (
                ('1 class has', 'it') if len(unused) == 1 else (f'{len(unused)} classes have', 'them')
            )
            line = f'{have} no box, so nothing is learnt of {them}: {first_few(unused)}'
        if line:
            print_log(f'{self.report.path}: {line}', 'current', logging.WARNING)
        return table

    def __len__(self) -> int:
        self.full_init()
        return len(self.data_list)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The entry of sample ``idx``, with its ``sample_idx``; its arrays are copies."""
        self.full_init()
        return self.data_list[idx] | dict(sample_idx=range(len(self))[idx])

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keeps only some samples; see :class:`mmengine.dataset.BaseDataset`."""
        chosen = _chosen(len(self), indices)
        self.data_list = self.data_list.take(chosen)
        # What goes by the samples' index follows the choice among them.
        self._undecodable = SharedBytes(len(chosen))
        if self.image_cache is not None:
            self.image_cache = self.image_cache.subset(chosen)

    def get_subset(self, indices: int | Sequence[int]) -> 'DetectionDataset':
        """A data set of some of the samples, which shares annotations and decoded images with this one."""
        self.full_init()
        subset: DetectionDataset = self._copy_without_annotation()
        subset.data_list = self.data_list
        subset.get_subset_(indices)
        return subset

    def ground_truth(self) -> dict[str, Any]:
        """What is to be found in the images, for the evaluation.

        Data sets that read COCO's format hand on their file.

        Returns:
            The arguments of :meth:`.coco_file.CocoAnnotations.of`. The category of a class is its
            label; the area of an object is that of its box; crowds and difficult objects are crowds.
        """
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for info in map(self.get_data_info, range(len(self))):
            size = dict(height=info['height'], width=info['width'])
            images.append(dict(size, id=info['img_id'], file_name=info['img_path']))
            columns = self.object_columns(info)
            for values in zip(*(column.tolist() for column in columns.values()), strict=True):
                entry = dict(zip(columns, values, strict=True))
                number = len(annotations) + 1
                annotations.append(dict(entry, id=number, image_id=info['img_id'], ignore=False))
        return dict(
            path=self.report.path, images=images, annotations=annotations, categories=self.categories()
        )

    def categories(self) -> list[dict[str, Any]]:
        """COCO's category of each class; data sets with more than boxes add to it."""
        return [dict(id=label, name=name) for label, name in enumerate(self.metainfo['classes'])]

    def object_columns(self, info: dict[str, Any]) -> dict[str, NDArray[Any]]:
        """COCO's fields of the M objects of an entry, arrays of length M; data sets with more add theirs."""
        bboxes = info['bboxes'].astype(np.float64)
        sides = bboxes[:, 2:] - bboxes[:, :2]
        return dict(
            category_id=info['labels'],
            bbox=np.concatenate([bboxes[:, :2], sides], axis=1),
            area=sides.prod(axis=1),
            iscrowd=info['is_crowd'].astype(np.int64),
        )

    def get_cat_ids(self, idx: int) -> list[int]:
        """The labels in image ``idx``, one a box, for MMEngine's ``ClassBalancedDataset``."""
        return self.get_data_info(idx)['labels'].tolist()

    @property
    def draw_key(self) -> tuple[int, int]:
        """The seed and epoch, which the draws depend on; a seed of -1 says that nobody has set them."""
        seed, epoch = self._draw_key.array.view(np.int64).tolist()
        return seed, epoch

    def set_draw_key(self, seed: int, epoch: int) -> None:
        """Says which draws come next, to this process and to running workers."""
        self._draw_key.write(0, np.array([seed, epoch]))

    def set_partner_weights(self, weights: NDArray[np.float64]) -> None:
        """Says how likely each sample is a partner of mosaic and mixup; without it, all are as likely."""
        self._partner_edges = np.cumsum(weights) / np.sum(weights)

    def draw_partner(self, rng: np.random.Generator) -> int:
        """The index of a random sample."""
        if self._partner_edges is None:
            return int(rng.integers(len(self)))
        # A sum of shares may end below 1.
        return min(int(np.searchsorted(self._partner_edges, rng.random(), side='right')), len(self) - 1)

    def _copy_without_annotation(self, memo: dict[int, Any] | None = None) -> BaseDataset:
        # The default of MMEngine up to 0.10.7 is one dict for all calls: it gives back another object's copy
        # as soon as an address is used again.
        return super()._copy_without_annotation({} if memo is None else memo)

    def __getitem__(self, idx: int) -> Any:
        """The sample ``idx`` after the pipeline, or another one that takes its place in training."""
        seed, epoch = self.draw_key
        if seed >= 0:
            # Once a sample, not once an attempt: an attempt that fails must not draw itself again for ever.
            key = (seed, epoch, int(idx), getattr(idx, 'repeat', 0))
            global_seed = int(np.random.default_rng(key).integers(2**31))
            # Transforms of other projects draw from the global states.
            np.random.seed(global_seed)
            random.seed(global_seed)
        return super().__getitem__(idx)

    def prepare_data(self, idx: int) -> Any:
        """Runs sample ``idx`` through the pipeline; None asks for another sample.

        Raises:
            UserError: More files than ``max_undecodable_ratio`` do not decode.
        """
        rng = np.random.default_rng(np.random.randint(2**31))
        sample = Sample(self.get_data_info(idx), dataset=self, rng=rng, img_scale=self.img_scale)
        try:
            return self.pipeline(sample)
        except UndecodableImageError as error:
            if self.test_mode:
                raise
            if self._undecodable.array[error.sample_idx]:
                return None
            self._undecodable.write(error.sample_idx, np.ones(1, np.uint8))
            count = int(self._undecodable.array.sum())
            print_log(f'{error}; another sample takes its place ({count} so far)', 'current', logging.WARNING)
            if count > self.max_undecodable_ratio * len(self):
                raise UserError(
                    f'{count} of {len(self)} images cannot be decoded, more than '
                    f'max_undecodable_ratio={self.max_undecodable_ratio}; the last time: {error}'
                ) from None
            return None


def _chosen(total: int, indices: int | Sequence[int]) -> NDArray[np.int64]:
    # MMEngine takes a number for the first samples, a negative one for the last.
    if isinstance(indices, int):
        indices = range(total)[slice(indices) if indices >= 0 else slice(indices, None)]
    return np.arange(total)[np.array(indices, np.int64)]


def class_digest(cls: type) -> str | None:
    """A digest of the source files of a class and of its bases; None where one has none, as in a console."""
    hasher = hashlib.sha256()
    own = cls.__mro__[: cls.__mro__.index(DetectionDataset) + 1]
    for path in sorted({getattr(sys.modules.get(base.__module__), '__file__', None) or '' for base in own}):
        if not os.path.isfile(path):
            return None
        with open(path, 'rb') as file:
            hasher.update(file.read())
    return hasher.hexdigest()


def checked_channels(steps: Sequence[Any]) -> int | None:
    """The number of channels that the steps of a pipeline load, None where they do not say.

    Raises:
        UserError: A step with a method ``check_channels(channels)`` cannot take them.
    """
    channels = next((step.channels for step in steps if isinstance(step, LoadImage)), None)
    for step in steps:
        if channels and hasattr(step, 'check_channels'):
            step.check_channels(channels)
    return channels


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
    dataset = whole_dataset(dataset)
    if isinstance(dataset, DetectionDataset):
        yield dataset
    for inner in [*getattr(dataset, 'datasets', []), getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from detection_datasets(inner)


def whole_dataset(dataset: Any) -> Any:
    """The data set of which a loader has the first samples, as MMEngine's ``num_batch_per_epoch`` cuts it."""
    return getattr(dataset, '_dataset', dataset)

"""What every detection data set of ours has: reproducible draws and patience with broken files."""

import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmyolox.utils.errors import UserError

from .annotations import AnnotationReport, filter_entries
from .transforms.loading import UndecodableImageError
from .transforms.scene import Sample


class DetectionDataset(BaseDataset):
    """An MMEngine data set whose every random draw is a function of (seed, epoch, index).

    Augmentations of a sample draw from ``results['rng']``, a generator keyed by the run's seed, the epoch and
    the sample's index. Results therefore depend neither on the number of workers or processes nor on where
    a run was resumed. :class:`mmyolox.datasets.SeededSampler` says seed and epoch; without it the draws come
    from NumPy's global state, which MMEngine seeds per worker.

    An image that does not decode during training is named once, and another sample takes its place.

    Args:
        *args: of :class:`mmengine.dataset.BaseDataset`.
        img_scale: the network's input (w, h) in pixels, which the pipeline's steps read; need not be square.
        max_undecodable_ratio: share of the files that may turn out undecodable before training aborts.
        backend_args: of :mod:`mmengine.fileio`, for annotation files.
        **kwargs: of :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        report: what the annotations held and what was left out; set by ``load_data_list``.
    """

    report: AnnotationReport

    def __init__(
        self,
        *args: Any,
        img_scale: tuple[int, int] = (640, 640),
        max_undecodable_ratio: float = 0.01,
        backend_args: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.img_scale = _check_img_scale(img_scale)
        self.max_undecodable_ratio = max_undecodable_ratio
        self.backend_args = backend_args
        # Shared with the workers, which outlive an epoch: [seed, epoch], the seed -1 until somebody says it.
        self._draw_key = torch.tensor([-1, 0]).share_memory_()  # type: ignore[no-untyped-call]
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Loads the annotations; see :class:`mmengine.dataset.BaseDataset`."""
        if not self._fully_initialized:
            super().full_init()
            undecodable = torch.zeros(len(self), dtype=torch.bool)
            self._undecodable = undecodable.share_memory_()  # type: ignore[no-untyped-call]

    def filter_data(self) -> list[dict[str, Any]]:
        """Applies ``filter_cfg``, except in test mode."""
        if self.test_mode:
            return self.data_list
        return filter_entries(self.data_list, self.filter_cfg, self.report)

    def get_cat_ids(self, idx: int) -> list[int]:
        """The labels in image ``idx``, one a box, for MMEngine's ``ClassBalancedDataset``."""
        return self.get_data_info(idx)['labels'].tolist()

    def set_draw_key(self, seed: int, epoch: int) -> None:
        """Says which draws come next, to this process and to running workers."""
        self._draw_key.copy_(torch.tensor([seed, epoch]))

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx`` after the pipeline, or another one that takes its place in training."""
        seed, epoch = self._draw_key.tolist()
        if seed >= 0:
            # Once a sample, not once an attempt: an attempt that fails must not draw itself again for ever.
            global_seed = int(np.random.default_rng((seed, epoch, idx)).integers(2**31))
            # Transforms of other projects draw from the global states.
            np.random.seed(global_seed)
            random.seed(global_seed)
        return super().__getitem__(idx)

    def prepare_data(self, idx: int) -> Any:
        """Runs sample ``idx`` through the pipeline; None asks for another sample.

        Raises:
            UserError: more files than ``max_undecodable_ratio`` do not decode.
        """
        rng = np.random.default_rng(np.random.randint(2**31))
        sample = Sample(self.get_data_info(idx), dataset=self, rng=rng, img_scale=self.img_scale)
        try:
            return self.pipeline(sample)
        except UndecodableImageError as error:
            if self.test_mode:
                raise
            self._note_undecodable(error)
            return None

    def _note_undecodable(self, error: UndecodableImageError) -> None:
        if self._undecodable[error.sample_idx]:
            return
        self._undecodable[error.sample_idx] = True
        count = int(self._undecodable.sum())
        print_log(f'{error}; another sample takes its place ({count} so far)', 'current', logging.WARNING)
        if count > self.max_undecodable_ratio * len(self):
            raise UserError(
                f'{count} of {len(self)} images cannot be decoded, more than '
                f'max_undecodable_ratio={self.max_undecodable_ratio}; the last one is {error.path}'
            )


def _check_img_scale(img_scale: Sequence[int]) -> tuple[int, int]:
    scale = tuple(img_scale) if isinstance(img_scale, Sequence) else ()
    if len(scale) != 2 or any(not isinstance(side, int) or side < 1 or side % 32 for side in scale):
        raise UserError(f'img_scale={img_scale!r} must be (width, height), two positive multiples of 32')
    return scale

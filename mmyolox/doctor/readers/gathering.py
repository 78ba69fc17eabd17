"""Gathering the boxes of data sets that have a label file for each image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.table import IdColumn
from mmyolox.doctor.raw import RawBoxes


@dataclass
class Gathered:
    """The boxes of a split, image by image; the names are those of :class:`.raw.RawBoxes`."""

    counts: list[int] = field(default_factory=list)
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    bboxes: list[NDArray[np.float64]] = field(default_factory=list)
    is_crowd: list[NDArray[np.bool_]] = field(default_factory=list)
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    keypoints: list[NDArray[np.float32]] = field(default_factory=list)

    def add(
        self,
        labels: Sequence[int],
        bboxes: Sequence[Sequence[float]] | NDArray[np.floating],
        is_crowd: Sequence[bool] | NDArray[np.bool_],
        numbers: Sequence[int],
        keypoints: NDArray[np.float32] | None = None,
    ) -> None:
        """Adds the M boxes of the next image.

        Args:
            labels: (M,).
            bboxes: (M, 4).
            is_crowd: (M,).
            numbers: (M,) the line of each, or its number in its file.
            keypoints: (M, K, 3), or None.
        """
        self.counts.append(len(labels))
        self.labels.append(np.array(labels, np.int64))
        self.bboxes.append(np.array(bboxes, np.float64).reshape(-1, 4))
        self.is_crowd.append(np.array(is_crowd, np.bool_))
        self.numbers.append(np.array(numbers, np.int64))
        if keypoints is not None:
            self.keypoints.append(keypoints)

    def boxes(self) -> RawBoxes:
        """All of them."""
        total = sum(self.counts)
        none = np.empty(0, np.int64)
        return RawBoxes(
            images=np.repeat(np.arange(len(self.counts)), self.counts),
            labels=np.concatenate([none, *self.labels]),
            bboxes=np.concatenate([np.empty((0, 4)), *self.bboxes]),
            is_crowd=np.concatenate([np.empty(0, np.bool_), *self.is_crowd]),
            areas=np.full(total, np.nan),
            ids=IdColumn(np.concatenate([none, *self.numbers])),
            keypoints=np.concatenate(self.keypoints) if self.keypoints else None,
            keypoint_counts=np.full(total, -1),
        )

"""Data to examine that were never files: splits of a few images and boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmyolox.datasets.table import IdColumn
from mmyolox.doctor.examined import Examined, Plan
from mmyolox.doctor.files import FileState, ImageFiles
from mmyolox.doctor.raw import Category, Faults, RawBoxes, RawData, RawImages, RawSplit, Skeleton

Box = tuple[int, int, float, float, float, float]
"""The image in its split, the class, and x1, y1, x2, y2."""


@dataclass(frozen=True)
class Made:
    """A split.

    Attributes:
        names: The names of its images.
        boxes: Its boxes.
        size: The width and height of each image.
        keypoints: (T, K, 3), or None.
        contents: What tells which images have the same content; by default no two.
        crowds: The indices of the boxes that are crowds.
        areas: (T,) the areas as written; by default none are.
    """

    names: Sequence[str]
    boxes: Sequence[Box] = ()
    size: tuple[int, int] = (640, 480)
    keypoints: Sequence | None = None
    contents: Sequence[str] | None = None
    crowds: Sequence[int] = ()
    areas: Sequence[float] | None = None


def examined(
    splits: Mapping[str, Made],
    plan: Plan = Plan(),  # noqa: B008  # it is frozen
    classes: Sequence[str] = ('cat', 'dog'),
    skeleton: Skeleton | None = None,
) -> Examined:
    """The data of some splits, all of whose files are read; pixels are not."""
    raw = RawData.of(
        'made', [_split(name, split, classes, skeleton) for name, split in splits.items()], Faults()
    )
    contents = [
        content
        for split in splits.values()
        for content in (split.contents or [f'{id(split)} {name}' for name in split.names])
    ]
    count = len(contents)
    files = ImageFiles(
        stored=raw.images.sizes,
        upright=raw.images.sizes,
        orientations=np.ones(count, np.int64),
        faults=[''] * count,
        states=np.full(count, FileState.READABLE, np.int64),
        num_bytes=np.full(count, 1000),
        types=['JPEG'] * count,
        channels=np.full(count, 3),
        bits=np.full(count, 8),
        first_copies=np.array([contents.index(content) for content in contents], np.int64),
    )
    return Examined(raw, files, plan)


def _split(name: str, made: Made, classes: Sequence[str], skeleton: Skeleton | None) -> RawSplit:
    images, boxes = len(made.names), np.array(made.boxes, np.float64).reshape(-1, 6)
    return RawSplit(
        name=name,
        format='coco',
        source='data.yaml',
        folder='',
        categories=tuple(Category(number, one) for number, one in enumerate(classes)),
        images=RawImages(
            paths=[*made.names],
            names=[*made.names],
            sizes=np.tile(np.array(made.size), (images, 1)),
            label_files=[''] * images,
            ids=IdColumn.of([*range(images)]),
        ),
        boxes=RawBoxes(
            images=boxes[:, 0].astype(np.int64),
            labels=boxes[:, 1].astype(np.int64),
            bboxes=boxes[:, 2:],
            is_crowd=np.isin(np.arange(len(boxes)), made.crowds),
            areas=np.full(len(boxes), np.nan) if made.areas is None else np.array(made.areas, np.float64),
            ids=IdColumn.of([*range(1, len(boxes) + 1)]),
            keypoints=None if made.keypoints is None else np.array(made.keypoints, np.float32),
            keypoint_counts=np.full(len(boxes), -1),
        ),
        skeleton=skeleton,
    )

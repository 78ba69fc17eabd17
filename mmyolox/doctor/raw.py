"""A data set as it is written: nothing is cleaned or left out, and what cannot be read is kept as a fault.

All is in columns, a split after the other: I images, T boxes, K keypoints.
"""

import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.table import IdColumn

_KEPT = 10_000
"""How many faults of a kind are kept; of the others only the count."""


class Category(NamedTuple):
    """A class as its file writes it.

    Attributes:
        id: Its number there: COCO's id, the index of YOLO; for Pascal VOC, which numbers nothing, the place
            of the name among the sorted ones.
        name: Its name, as written.
        above: The name of what it is a kind of (COCO's ``supercategory``), ``''`` where there is none.
    """

    id: int
    name: str
    above: str = ''


class Fault(NamedTuple):
    """Something that could not be read.

    Attributes:
        place: Where: a file with a line, or an entry of a file.
        reason: What is wrong with it.
    """

    place: str
    reason: str


@dataclass
class Faults:
    """What could not be read, by kind; a kind is the name of the check that tells of it.

    Attributes:
        counts: How often each kind occurred.
        kept: The first faults of each kind.
    """

    counts: Counter[str] = field(default_factory=Counter)
    kept: defaultdict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, place: str, reason: str, count: int = 1) -> None:
        """Adds a fault.

        Args:
            kind: The name of the check.
            place: Where it is.
            reason: What is wrong.
            count: How many it stands for.
        """
        self.counts[kind] += count
        if len(self.kept[kind]) < _KEPT:
            self.kept[kind].append(Fault(place, reason))

    def update(self, other: 'Faults') -> None:
        """Adds those of another reading."""
        self.counts.update(other.counts)
        for kind, faults in other.kept.items():
            self.kept[kind] += faults[: _KEPT - len(self.kept[kind])]


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of a data set.

    Attributes:
        names: Their K names; of the form ``keypoint 3`` where the file has none.
        flip_pairs: The pairs of indices that change places when an image is mirrored; None where the files
            do not say, by ``flip_idx`` or by names with ``left`` and ``right``.
        edges: The pairs of indices that are drawn as limbs.
    """

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] | None
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class RawImages:
    """The I images of some splits.

    Attributes:
        paths: Their files, as they are to be opened; whether they are there is another question.
        names: What messages call them: the paths as the annotations write them.
        sizes: (I, 2) int64, the annotated width and height, pixels; 0 where nothing is annotated.
        label_files: The file that annotates each, where every image has its own (YOLO, Pascal VOC);
            else ``''``.
        ids: The ids of COCO; else numbers from 0.
    """

    paths: Sequence[str]
    names: Sequence[str]
    sizes: NDArray[np.int64]
    label_files: Sequence[str]
    ids: IdColumn

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def joined(cls, parts: Sequence['RawImages']) -> 'RawImages':
        """Those of several splits."""
        return cls(
            paths=[*chain.from_iterable(part.paths for part in parts)],
            names=[*chain.from_iterable(part.names for part in parts)],
            sizes=np.concatenate([np.empty((0, 2), np.int64), *(part.sizes for part in parts)]),
            label_files=[*chain.from_iterable(part.label_files for part in parts)],
            ids=IdColumn.joined([part.ids for part in parts]),
        )


@dataclass(frozen=True)
class RawBoxes:
    """The T boxes of some splits, in the order of their files.

    Attributes:
        images: (T,) int64, the image of each.
        labels: (T,) int64, the class of each: an index of the categories of its split, or, where splits were
            joined, of the names of all.
        bboxes: (T, 4) float64 xyxy as written: any order of the corners, any place, NaN and infinity.
            Pixels of the image as annotated; of YOLO fractions of the image.
        is_crowd: (T,) bool, COCO's ``iscrowd`` or ``ignore``, Pascal VOC's ``difficult``.
        areas: (T,) float64, COCO's ``area``, square pixels; NaN where there is none.
        ids: The id of each annotation (COCO), its line (YOLO) or its number in its file (Pascal VOC), from 1.
        keypoints: (T, K, 3) float32, x and y in the unit of the boxes and the visibility as written: 0 not
            labelled, 1 hidden, 2 visible; NaN where a box has none. None where no box has any.
        keypoint_counts: (T,) int64, COCO's ``num_keypoints``, -1 where it is not written.
    """

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    bboxes: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    ids: IdColumn
    keypoints: NDArray[np.float32] | None
    keypoint_counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bboxes)


@dataclass(frozen=True)
class RawSplit:
    """A split as it is written.

    Attributes:
        name: What it is for: ``'train'``, ``'val'`` or ``'test'``. Several may be for the same.
        format: ``'coco'``, ``'yolo'`` or ``'voc'``.
        source: Its annotation file, or what describes it (YOLO), or the folder of its annotations.
        folder: The folder of its images.
        categories: Its classes in the order of the file, several of one name too.
        images: Its images.
        boxes: Its boxes.
        skeleton: Its keypoints, if there are any.
    """

    name: str
    format: str
    source: str
    folder: str
    categories: tuple[Category, ...]
    images: RawImages
    boxes: RawBoxes
    skeleton: Skeleton | None = None


@dataclass(frozen=True)
class RawData:
    """All splits of a data set; make it by :meth:`of`.

    Attributes:
        source: What was read, as the user names it.
        splits: The splits; their own columns are those of the whole, cut in pieces.
        classes: The C names of all splits, each once, in the order in which they come.
        images: The images of all splits.
        image_splits: (I,) int64, which of ``splits`` each image is in.
        boxes: The boxes of all splits; ``labels`` are indices of ``classes``.
        skeleton: The keypoints, of the first split that has some.
        faults: What could not be read.
        notes: What was decided while reading, a sentence each.
    """

    source: str
    splits: tuple[RawSplit, ...]
    classes: tuple[str, ...]
    images: RawImages
    image_splits: NDArray[np.int64]
    boxes: RawBoxes
    skeleton: Skeleton | None
    faults: Faults
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, source: str, splits: Sequence[RawSplit], faults: Faults, notes: Iterable[str] = ()
    ) -> 'RawData':
        """Joins splits."""
        classes = tuple(dict.fromkeys(one.name for split in splits for one in split.categories))
        numbers = {name: number for number, name in enumerate(classes)}
        counts = [len(split.images) for split in splits]
        labels = [
            np.array([numbers[one.name] for one in split.categories], np.int64)[split.boxes.labels]
            for split in splits
        ]
        return cls(
            source=source,
            splits=tuple(splits),
            classes=classes,
            images=RawImages.joined([split.images for split in splits]),
            image_splits=np.repeat(np.arange(len(splits)), counts),
            boxes=_joined_boxes([split.boxes for split in splits], counts, labels),
            skeleton=next((split.skeleton for split in splits if split.skeleton), None),
            faults=faults,
            notes=tuple(notes),
        )

    @property
    def is_relative(self) -> NDArray[np.bool_]:
        """(T,) whether a box and its keypoints are fractions of their image."""
        is_yolo = np.array([split.format == 'yolo' for split in self.splits], np.bool_)
        return is_yolo[self.image_splits[self.boxes.images]]

    def place(self, box: int) -> str:
        """Where a box stands, for messages: ``a.txt:3``, ``a.xml, object 3`` or ``annotation 3``."""
        image = int(self.boxes.images[box])
        file, number = osp.basename(self.images.label_files[image]), self.boxes.ids[box]
        match self.splits[int(self.image_splits[image])].format:
            case 'yolo':
                return f'{file}:{number}'
            case 'voc':
                return f'{file}, object {number}'
        return f'annotation {number}'


def _joined_boxes(
    parts: Sequence[RawBoxes], image_counts: Sequence[int], labels: Sequence[NDArray[np.int64]]
) -> RawBoxes:
    """The boxes of several splits.

    Args:
        parts: Those of each.
        image_counts: The number of images of each.
        labels: The labels of all, in the place of those of each.
    """
    firsts = np.cumsum([0, *image_counts])[:-1].tolist()
    images = [part.images + first for part, first in zip(parts, firsts, strict=True)]
    none: NDArray[np.int64] = np.empty(0, np.int64)
    return RawBoxes(
        images=np.concatenate([none, *images]),
        labels=np.concatenate([none, *labels]),
        bboxes=np.concatenate([np.empty((0, 4)), *(part.bboxes for part in parts)]),
        is_crowd=np.concatenate([np.empty(0, np.bool_), *(part.is_crowd for part in parts)]),
        areas=np.concatenate([np.empty(0), *(part.areas for part in parts)]),
        ids=IdColumn.joined([part.ids for part in parts]),
        keypoints=_joined_keypoints(parts),
        keypoint_counts=np.concatenate([none, *(part.keypoint_counts for part in parts)]),
    )


def _joined_keypoints(parts: Sequence[RawBoxes]) -> NDArray[np.float32] | None:
    """The keypoints of several splits, NaN where one has none or fewer for each box."""
    most = max((part.keypoints.shape[1] for part in parts if part.keypoints is not None), default=0)
    if not most:
        return None
    joined = np.full((sum(map(len, parts)), most, 3), np.nan, np.float32)
    first = 0
    for part in parts:
        if part.keypoints is not None:
            joined[first : first + len(part), : part.keypoints.shape[1]] = part.keypoints
        first += len(part)
    return joined

"""YOLO's text files as they are written: lines at fault are noted, and the others read."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.splits import SPLITS
from mmyolox.datasets.table import IdColumn
from mmyolox.datasets.yolo import UnknownClassError, YoloObject, parse_line
from mmyolox.datasets.yolo_files import (
    ABSENT_SOURCES,
    find_splits,
    images_of,
    label_path,
    lost_labels,
    split_sources,
    unsplit_images,
)
from mmyolox.doctor.raw import Category, Faults, RawImages, RawSplit, Skeleton
from mmyolox.doctor.workers import Progress, silent
from mmyolox.errors import ReadingReport, UserError
from mmyolox.files import read_lines, read_text

from .gathering import Gathered
from .yolo_description import MOST_NAMELESS, Description

_BOX_VALUES = 5
"""How many values the line of a box has: the class index, and the box."""


def read_split(
    name: str, root: Path, args: Mapping[str, Any], faults: Faults, progress: Progress = silent
) -> RawSplit:
    """Reads a split.

    Args:
        name: What it is for.
        root: The folder of the data set.
        args: The arguments of :class:`mmyolox.datasets.YOLOXYoloDataset`; ``split`` is the one to read.
        faults: What gets the faults.
        progress: Shows how far it is.

    Raises:
        UserError: The YAML file, or a list of images, cannot be read at all.
    """
    description = Description.of(root, args)
    data = description.data
    split = args.get('split', 'train')
    sources = split_sources(root, data, split, ReadingReport())
    images = [*dict.fromkeys(image for source in sources for image in _images(source, root, faults))]
    if not images and split == 'train' and not find_splits(root, data, ReadingReport()):
        images = unsplit_images(root, ReadingReport())
    labels = {image: label_path(image) for image in images}
    _note_label_files(labels, faults)
    shape = description.keypoint_shape
    reader = _LabelReader(len(description.names or range(MOST_NAMELESS)), shape, faults)
    for label in progress(labels.values(), len(labels), 'label files'):
        reader.read(label)
    boxes = reader.gathered.boxes()
    names = description.names or [f'class {index}' for index in range(boxes.labels.max(initial=-1) + 1)]
    used = {*boxes.labels.tolist()}
    indices = [index for index, name in enumerate(names) if name is not None or index in used]
    return RawSplit(
        name=name,
        format='yolo',
        source=str(description.path or root),
        folder=_folder(sources, images, root),
        categories=tuple(Category(index, names[index] or f'class {index}') for index in indices),
        images=RawImages(
            paths=[*map(str, images)],
            names=[str(image).removeprefix(f'{root}{os.sep}') for image in images],
            sizes=np.zeros((len(images), 2), np.int64),
            label_files=[str(label) for label in labels.values()],
            ids=IdColumn(np.arange(len(images))),
        ),
        boxes=replace(boxes, labels=np.searchsorted(indices, boxes.labels)),
        skeleton=_skeleton(shape[0], data) if shape else None,
    )


def note_description(root: Path, args: Mapping[str, Any], faults: Faults) -> None:
    """Notes what is wrong with the description of a data set, once for all of its splits.

    Args:
        root: The folder of the data set.
        args: The arguments of one of the splits.
        faults: What gets the faults.
    """
    description = Description.of(root, args)
    place = str(description.path or root)
    report = ReadingReport()
    for split in SPLITS:
        split_sources(root, description.data, split, report)
    for source in report.notes.get(ABSENT_SOURCES, ()):
        faults.note('split-missing', place, f'{source} is not there')
    for kind, reason in description.faults:
        faults.note(kind, place, reason)
    if description.names is None and not any(kind == 'names-unreadable' for kind, _ in description.faults):
        faults.note('names-missing', place, 'no data.yaml, classes.txt or obj.names names them')


def note_lost_labels(splits: Iterable[RawSplit], faults: Faults) -> None:
    """Notes label files that belong to no image of any split."""
    labels = (Path(label) for split in splits for label in split.images.label_files)
    for label in lost_labels(labels):
        faults.note('label-lost', str(label), 'no image of a split has it')


class _LabelReader:
    """Reads label files into boxes.

    Args:
        num_classes: The number of classes.
        shape: How many keypoints each label has, and of how many numbers; None where that is not known, so
            that of each line the box alone is read.
        faults: What gets the faults.
    """

    def __init__(self, num_classes: int, shape: tuple[int, int] | None, faults: Faults) -> None:
        self.gathered = Gathered()
        self._num_classes = num_classes
        self._shape = shape or (0, 0)
        self._read_values = None if shape else _BOX_VALUES
        self._faults = faults

    def read(self, path: Path) -> None:
        """Adds what can be read of a file; nothing of one that is not there."""
        objects = [*self._objects(path)]
        bboxes = [item.bbox for item in objects]
        numbers = [item.line for item in objects]
        keypoints = self._keypoints(objects) if self._shape[0] else None
        labels = [item.class_index for item in objects]
        self.gathered.add(labels, bboxes, [False] * len(objects), numbers, keypoints)

    def _objects(self, path: Path) -> Iterable[YoloObject]:
        if not os.path.lexists(path):
            return
        try:
            lines = read_text(path).splitlines()
        except UserError as error:
            self._faults.note('file-unreadable', str(path), str(error).removeprefix(f'{path}: '))
            return
        num_values = self._shape[0] * self._shape[1]
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                read = line if self._read_values is None else ' '.join(line.split()[: self._read_values])
                item = parse_line(read, number, self._num_classes, num_values)
            except ValueError as error:
                kind = 'class-unknown' if isinstance(error, UnknownClassError) else 'line-unreadable'
                self._faults.note(kind, f'{path}:{number}', str(error))
                continue
            if item.is_polygon:
                self._faults.note('polygon', f'{path}:{number}', f'{len(line.split()) // 2} corners')
            yield item

    def _keypoints(self, objects: Sequence[YoloObject]) -> NDArray[np.float32]:
        """(M, K, 3); NaN for a line with a box alone; what has no visibility is visible."""
        count, values = self._shape
        keypoints = np.full((len(objects), count, 3), np.nan, np.float32)
        for row, item in enumerate(objects):
            if item.keypoints:
                keypoints[row, :, 2] = 2
                with np.errstate(over='ignore'):
                    keypoints[row, :, :values] = np.array(item.keypoints).reshape(count, values)
        return keypoints


def _images(source: Path, root: Path, faults: Faults) -> list[Path]:
    """The images of a folder or list; those of a list that are not where it says are noted."""
    images = images_of(source, root, ReadingReport())
    if source.is_dir():
        return images
    for name, image in zip(read_lines(source), images, strict=True):
        if os.path.exists(image) and image not in (
            Path(os.path.normpath(one / name)) for one in (root, source.parent)
        ):
            faults.note('path-guessed', f'{source}: {name}', f'taken for {image}')
    return images


def _note_label_files(labels: Mapping[Path, Path], faults: Faults) -> None:
    """Notes images without a label file, and label files of several images."""
    counts = Counter(labels.values())
    for image, label in labels.items():
        if counts[label] > 1:
            faults.note('label-shared', str(label), f'also of {image}')
        if not os.path.lexists(label):
            faults.note('label-missing', str(image), f'there is no {label}')


def _folder(sources: Sequence[Path], images: Sequence[Path], root: Path) -> str:
    """The folder of a split's images; of a list the deepest that has them all, if it is within the data."""
    if len(sources) == 1 and sources[0].is_dir():
        return str(sources[0])
    common = Path(os.path.commonpath([image.parent for image in images])) if images else root
    return str(common if common.is_relative_to(root) else root)


def _skeleton(count: int, data: Mapping[str, Any]) -> Skeleton | None:
    """The keypoints that the YAML file describes; they are not called by any name."""
    if not count:
        return None
    flips = data.get('flip_idx')
    texts = flips if isinstance(flips, list) and all(isinstance(text, str) for text in flips) else []
    indices = [int(text) for text in texts if text.isdecimal()]
    is_known = len(indices) == count and max(indices) < count
    pairs = tuple((index, other) for index, other in enumerate(indices) if index < other)
    return Skeleton(tuple(f'keypoint {index}' for index in range(count)), pairs if is_known else None)

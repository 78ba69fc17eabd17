"""Data sets annotated in YOLO's text files."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import ReadingReport, UserError, did_you_mean, first_few
from mmyolox.files import from_here, read_text
from mmyolox.registry import DATASETS

from . import annotation_cache
from .annotations import AnnotationReport, configured_classes, image_entry
from .base import DetectionDataset
from .image_sizes import read_image_size
from .splits import SPLITS
from .table import AnnotationTable, described, split
from .yolo_files import (
    class_names,
    find_description,
    find_splits,
    keypoint_shape,
    label_path,
    note_missing_labels,
    note_names,
    read_description,
    split_images,
    split_sources,
    unsplit_images,
)

_OVERHANG = 0.01
"""How far values may lie outside 0 to 1, as in Ultralytics' reader: the rest of the box is taken."""
_BOX_VALUES = 5
"""How many values the line of a box has: the class index, and the box."""


class YoloObject(NamedTuple):
    """An object of a label file.

    Attributes:
        line: The number of its line, from 1.
        class_index: The index of its class.
        bbox: Its box, xyxy as fractions of the image's size.
        keypoints: The numbers of its keypoints as written; none where the line has the box alone.
        is_polygon: Whether the line has the points of a polygon, of which ``bbox`` is the box.
    """

    line: int
    class_index: int
    bbox: tuple[float, float, float, float]
    keypoints: list[float]
    is_polygon: bool


@dataclass
class YoloLabels:
    """The content of a label file.

    Attributes:
        objects: What could be read.
        faults: The numbers of the other lines, from 1, and what is wrong with each.
        unknown: The lines among them whose class index is beyond those that there are.
    """

    objects: list[YoloObject] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)


class UnknownClassError(ValueError):
    """A class index beyond those that there are."""


def read_labels(path: Path, num_classes: int, num_values: int = 0) -> YoloLabels:
    """Reads a label file; where there is none, the image has no objects.

    Args:
        path: The file.
        num_classes: The number of classes.
        num_values: How many numbers the keypoints have that follow each box; 0 where polygons may follow the
            class index.

    Raises:
        UserError: It is no regular file, or cannot be read.
    """
    labels = YoloLabels()
    if not os.path.lexists(path):
        return labels
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = parse_line(line, number, num_classes, num_values)
            _check_range(item, line.split())
        except ValueError as error:
            labels.faults.append((number, str(error)))
            if isinstance(error, UnknownClassError):
                labels.unknown.append(number)
        else:
            labels.objects.append(item)
    return labels


def parse_line(line: str, number: int, num_classes: int, num_values: int) -> YoloObject:
    """Reads ``class cx cy w h``, perhaps with keypoints, or ``class x1 y1 x2 y2 x3 y3 ...``, a polygon.

    Args:
        line: The line.
        number: Its number, from 1.
        num_classes: The number of classes.
        num_values: How many numbers the keypoints have, as of :func:`read_labels`.

    Returns:
        The object; its box may have any numbers.

    Raises:
        UnknownClassError: The class index is beyond those that there are.
        ValueError: With what else is wrong with the line.
    """
    fields = line.split()
    is_polygon = not num_values and len(fields) >= 7 and len(fields) % 2 == 1
    if len(fields) not in (_BOX_VALUES, _BOX_VALUES + num_values) and not is_polygon:
        wanted = f', with {num_values} of keypoints,' if num_values else ' or a polygon'
        raise ValueError(f'{len(fields)} values where `class cx cy w h`{wanted} is needed')
    try:
        index, *values = map(float, fields)
    except ValueError:
        raise ValueError(f'{line.strip()!r} holds something that is no number') from None
    if not (index.is_integer() and 0 <= index < num_classes):
        error = UnknownClassError if index.is_integer() and index >= num_classes else ValueError
        raise error(f'class index {fields[0]} is not in 0 to {num_classes - 1}')
    box = values if is_polygon else values[:4]
    if is_polygon:
        bbox = min(box[::2]), min(box[1::2]), max(box[::2]), max(box[1::2])
    else:
        cx, cy, w, h = box
        bbox = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    return YoloObject(number, int(index), bbox, values[len(box) :], is_polygon)


def _check_range(item: YoloObject, fields: Sequence[str]) -> None:
    """Raises ValueError for an object whose box, or a corner of its polygon, is not within the image."""
    box = fields[1:] if item.is_polygon else fields[1:_BOX_VALUES]
    if not all(-_OVERHANG <= float(value) <= 1 + _OVERHANG for value in box):
        raise ValueError(f'{" ".join(box)} is not within 0 to 1')


def pixel_box(bbox: Sequence[float], size: tuple[int, int]) -> list[float]:
    """The box of an object, xyxy, in pixels of its image of (width, height) ``size``.

    It is rounded to a thousandth: more than that decimal labels of a box at the border are off.
    """
    width, height = size
    return [round(value * side, 3) for value, side in zip(bbox, (width, height, width, height), strict=True)]


@DATASETS.register_module()
class YOLOXYoloDataset(DetectionDataset):
    """Images and boxes of a split of a YOLO data set: a text file an image, a line an object.

    The entries are those of :class:`YOLOXCocoDataset`, with the path of the image below ``data_root`` as
    ``img_id``; nothing is a crowd. Of polygons and of labels with keypoints (``kpt_shape``) the boxes are
    taken. Image sizes come from the files' headers, after EXIF's rotation.

    The label of ``a/images/b/c.jpg`` is ``a/labels/b/c.txt``, or ``c.txt`` beside the image. An image whose
    label is empty or absent is background. A line that cannot be read is left out, as is a file that is no
    image; a warning and ``report`` tell which.

    Label i is the i-th of ``metainfo['classes']`` by name; without ``classes`` the names are those of the
    YAML file or of ``classes.txt``. ``classes`` are the names in the order of the indices where neither says.

    Args:
        *args: Those of :class:`DetectionDataset`. ``ann_file`` is the YAML file; by default ``data.yaml`` in
            ``data_root``, or the only YAML file there that names classes and a split, or none. Its paths are
            relative to ``data_root`` (by default its folder), and those of another computer are found by
            their last folders. Where it names no split, it is a folder or list of a usual name
            (``images/train``, ``train/images``, ``train.txt``); all images are for training where no split
            has any.
        split: ``'train'``, ``'val'`` or ``'test'``.
        **kwargs: Those of :class:`DetectionDataset`, without ``data_prefix`` and ``backend_args``.

    Raises:
        UserError: The YAML file is at fault, there are no class names, no images in the split or no label
            files, a line has a class index without a name, or nothing can be read.
    """

    reads_keypoints = False
    """Whether entries have the keypoints of the labels."""

    def __init__(self, *args: Any, split: str = 'train', **kwargs: Any) -> None:
        if split not in SPLITS:
            known = ', '.join(SPLITS)
            raise UserError(f'split={split!r} is none of {known}{did_you_mean(split, SPLITS)}')
        for key in ('data_prefix', 'backend_args'):
            if kwargs.get(key):
                raise UserError(
                    f'{type(self).__name__} does not read {key}={kwargs[key]}: it has local files, which the '
                    'YAML file names; remove it'
                )
        self.split = split
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> AnnotationTable:
        """Reads the YAML file, and size and label file of each image; see the class for the entries.

        Or what an earlier start kept of images and label files of the same names, sizes and dates.
        """
        notes = ReadingReport()
        root = Path(self.data_root or os.path.dirname(self.ann_file))
        if not root.is_dir():
            raise UserError(f'{from_here(root)}: no such folder; correct data_root')
        yaml_path = Path(self.ann_file) if self.ann_file else find_description(root, notes)
        data = read_description(yaml_path) if yaml_path else {}
        source = str(yaml_path or root)
        images = self._images(source, root, data, notes)
        labels = {image: label_path(image) for image in images}
        note_missing_labels(labels, notes)
        self.report = AnnotationReport(
            source,
            images=len(images),
            has_unread_keypoints='kpt_shape' in data and not self.reads_keypoints,
        )
        self.set_names(class_names(root, yaml_path, data), data)
        note_names(self._names, notes)
        texts = [path for path in labels.values() if os.path.lexists(path)]
        digest = annotation_cache.listing_digest(map(str, (*labels, *texts)))
        made_from = dict(listing=digest, root=str(root), names=self._names, kpt_shape=data.get('kpt_shape'))
        table = self.cached_entries(
            None if digest is None else made_from,
            lambda: described(*split(self.read_entries(root, labels, data))),
        )
        if not self.test_mode and (lines := notes.note_lines(shown=3)):
            print_log(f'{source}: {"; ".join(lines)}', 'current', logging.WARNING)
        self.report.log()
        return table

    def set_names(self, names: Sequence[str] | None, data: Mapping[str, Any]) -> None:
        """Completes ``metainfo``; data sets with more than boxes add to it here.

        Args:
            names: The class names in the order of their indices; None where the files have none.
            data: The content of the YAML file.
        """
        classes = configured_classes(self.metainfo)
        names = names or classes
        if names is None:
            raise UserError(
                f'{self.report.path}: no class names in a data.yaml or classes.txt; write them there, or '
                'name the classes in the config (metainfo)'
            )
        for name in classes or ():
            if name not in names:
                known = f'{did_you_mean(name, names)} (its classes: {first_few(names, 20)})'
                raise UserError(
                    f'{self.report.path} has no class {name!r}{known}, which the model or the config has'
                )
        # Several indices with one name are one class.
        self.complete_metainfo(classes=classes or tuple(dict.fromkeys(names)))
        self._names = list(names)
        self._labels = {name: label for label, name in enumerate(self.metainfo['classes'])}

    def _images(self, source: str, root: Path, data: Mapping[str, Any], report: ReadingReport) -> list[Path]:
        """The images of the split; all where no split has any, for training."""
        images = split_images(root, data, self.split, report)
        others = [] if images else find_splits(root, data, ReadingReport())
        if self.split == 'train' and not (images or others):
            # Of a fold not all are trained on.
            images = unsplit_images(root, ReadingReport() if self.fold else report)
        if not images:
            empty = split_sources(root, data, self.split, ReadingReport())
            reasons = [*report.note_lines(), f'none in {first_few(empty) or "a folder or list of it"}']
            raise UserError(
                f'{source}: no images in the split {self.split!r} ({"; ".join(reasons)}); '
                f'splits with images: {", ".join(others) or "none"}'
            )
        if lost := [image for image in images if not os.path.exists(image)]:
            raise UserError(
                f'{source}: {len(lost)} of {len(images)} images of the split {self.split!r} are not '
                f'there: {first_few(lost)}; put them there, or take them off the list'
            )
        return images

    def read_entries(
        self, root: Path, labels: Mapping[Path, Path], data: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Reads the entries of all images.

        Args:
            root: The folder of the data set.
            labels: The label file of each image.
            data: The content of the YAML file.
        """
        keypoints, values = keypoint_shape(self.report.path, data)
        report = self.report
        unknown: list[str] = []
        entries, count = [], 0
        for image, path in labels.items():
            try:
                size = read_image_size(image)
                content = read_labels(path, len(self._names), keypoints * values)
            except UserError as error:
                report.faulty.note([error])
                continue
            count += len(content.objects)
            report.faulty.note([f'{path}:{line}: {reason}' for line, reason in content.faults])
            report.polygons.note([f'{path}:{item.line}' for item in content.objects if item.is_polygon])
            unknown += [f'{path}:{line}' for line in content.unknown]
            img_id = str(image).removeprefix(f'{root}{os.sep}')
            entries.append(self.entry(img_id, str(image), size, content.objects))
        if unknown:
            raise UserError(
                f'{report.path}: {len(unknown)} lines of labels have a class index beyond its '
                f'{len(self._names)} classes: {first_few(unknown)}; correct the lines or the names'
            )
        if report.faulty.count and not count:
            fault = report.faulty.examples[0]
            raise UserError(f'{report.path}: no usable object in {len(labels)} images ({fault})')
        return entries

    def entry(self, img_id: str, img_path: str, size: Size, objects: Sequence[YoloObject]) -> dict[str, Any]:
        """The entry of an image with what is usable of its objects."""
        bboxes = np.array([pixel_box(item.bbox, size) for item in objects], np.float64).reshape(-1, 4)
        names = [self._names[item.class_index] for item in objects]
        arrays = self.instance_arrays(objects, size)
        return image_entry(self.report, self._labels, img_id, img_path, size, names, bboxes, **arrays)

    def instance_arrays(self, objects: Sequence[YoloObject], size: Size) -> dict[str, NDArray[Any]]:
        """Further arrays of an image's M objects, by key; data sets with more than boxes have them."""
        return {}

"""Data sets annotated in COCO's detection format."""

import json
import logging
import os.path as osp
import reprlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.fileio import get
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, alike, did_you_mean, first_few, printable
from mmyolox.registry import DATASETS

from .annotations import (
    AnnotationReport,
    box_around,
    check_boxes,
    check_files_exist,
    configured_classes,
    read_flag,
    read_rotation,
)
from .base import DetectionDataset
from .image_sizes import check_image_sizes

Entry = dict[str, Any]


@dataclass(frozen=True)
class CocoAnnotations:
    """The checked content of a COCO annotation file, each list in the file's order.

    Attributes:
        path: The file.
        images: The entries of the images, each with ``id``, ``file_name``, ``width``, ``height``.
        annotations: The entries of the boxes, each with ``id``, ``image_id``, ``category_id`` and ``bbox``,
            xywh in pixels of the image. ``segmentation`` is left out.
        categories: The entries of the classes, each with ``id`` and ``name``.
        namesakes_above: The categories that only stand above one of their name, see
            :func:`_namesakes_above`; they are not in ``categories``.
        turned: The ids of the annotations with CVAT's attribute ``rotation``: their ``bbox`` is the upright
            box around the turned one of the file.
    """

    path: str
    images: list[Entry]
    annotations: list[Entry]
    categories: list[Entry]
    namesakes_above: list[Entry] = field(default_factory=list)
    turned: set[int | str] = field(default_factory=set)

    @property
    def category_ids(self) -> dict[str, int]:
        """The category id of each class name, in the file's order."""
        return {category['name']: category['id'] for category in self.categories}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes where none are configured, see :func:`named_classes`."""
        return named_classes(self.categories, self.annotations)

    def image_sizes(self, annotations: Sequence[Entry]) -> NDArray[np.float64]:
        """(N, 2) width and height of the image of each of N annotations."""
        sizes = {image['id']: Size(image['width'], image['height']) for image in self.images}
        return np.array([sizes[a['image_id']] for a in annotations], np.float64).reshape(-1, 2)

    def ids_of(self, classes: Sequence[str]) -> list[int]:
        """The category id of each of ``classes``.

        Raises:
            UserError: The file has no category of that name.
        """
        ids = self.category_ids
        for name in classes:
            if name not in ids:
                known = first_few(ids, 20) or 'none'
                raise UserError(
                    f'{self.path} has no class {name!r}{did_you_mean(name, ids)} (its classes: {known}), '
                    'which the model or the config has'
                )
        return [ids[name] for name in classes]


def read_coco(
    path: str, *, backend_args: Mapping[str, Any] | None = None, need_annotations: bool = True
) -> CocoAnnotations:
    """Reads a COCO detection annotation file.

    Ids are unique and refer to something, and each entry has the fields that training and pycocotools
    read; boxes may be of any size and place. ``info`` and ``licenses`` are not needed.

    Args:
        path: The JSON file.
        backend_args: The arguments of MMEngine's file backend, where the file is not local.
        need_annotations: Whether to take a file without ``annotations`` (COCO's
            ``image_info_test-dev2017.json``) for a mistake, rather than for a file without boxes.

    Raises:
        UserError: The file is absent, is no JSON, is no COCO detection file or contradicts itself.
    """
    content = _read_json(path, backend_args)
    if not need_annotations:
        content.setdefault('annotations', [])
    images, annotations, categories = (_checked_list(path, content, key) for key in _FIELDS)
    file = CocoAnnotations(path, images, annotations, categories, _namesakes_above(content))
    _check_references(file, 'image_id', file.images)
    _check_references(file, 'category_id', file.categories)
    for annotation in file.annotations:
        for flag in ('iscrowd', 'ignore'):
            annotation[flag] = read_flag(annotation.get(flag))
        attributes = annotation.get('attributes')
        rotation = read_rotation(attributes.get('rotation')) if isinstance(attributes, dict) else 0
        if rotation:
            x, y, width, height = annotation['bbox']
            x1, y1, x2, y2 = box_around((x, y, x + width, y + height), rotation)
            annotation['bbox'] = [x1, y1, x2 - x1, y2 - y1]
            file.turned.add(annotation['id'])
    return file


def read_categories(path: str) -> list[Entry]:
    """Reads the categories of a COCO annotation file, each with ``id`` and ``name``, and nothing else of it.

    Raises:
        UserError: The file is absent, is no JSON, or has no usable categories.
    """
    return _checked_list(path, _read_json(path, None), 'categories')


def read_class_names(path: str) -> tuple[str, ...]:
    """Reads which classes a COCO annotation file gives a model, see :func:`named_classes`.

    Raises:
        UserError: As for :func:`read_categories`.
    """
    return read_class_lists(path)[0]


def read_class_lists(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reads the classes that a COCO annotation file gives a model, and the names of all of its categories.

    Raises:
        UserError: As for :func:`read_categories`.
    """
    content = _read_json(path, None)
    annotations = content.get('annotations')
    entries = annotations if isinstance(annotations, list) else []
    categories = _checked_list(path, content, 'categories')
    classes = named_classes(categories, [entry for entry in entries if isinstance(entry, dict)])
    return classes, tuple(category['name'] for category in categories)


def named_classes(categories: Sequence[Entry], annotations: Sequence[Entry]) -> tuple[str, ...]:
    """The names of all categories, in the file's order, but those that only stand above others.

    Such a category has no annotation and is the ``supercategory`` of another one. Roboflow writes one, the
    name of the project, before the classes. Where nothing is annotated, all categories are classes.
    """
    annotated = {repr(annotation.get('category_id')) for annotation in annotations}
    above = {repr(c.get('supercategory')) for c in categories if c.get('supercategory') != c['name']}
    return tuple(
        c['name']
        for c in categories
        if not annotated or repr(c['id']) in annotated or repr(c['name']) not in above
    )


def _checked_list(path: str, content: Entry, key: str) -> list[Entry]:
    """The entries of ``images``, ``annotations`` or ``categories``, which have what :data:`_FIELDS` says.

    Raises:
        UserError: There is no such list, or an entry is at fault.
    """
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        keys = first_few(content, 8) or 'none'
        raise UserError(f'{path}: not a COCO detection file: no list of {key!r} (its keys: {keys})')
    if not entries and key != 'annotations':
        raise UserError(f'{path}: its list of {key!r} is empty')
    for name, (is_valid, wanted) in _FIELDS[key].items():
        wrong = [position for position, entry in enumerate(entries) if not is_valid(entry.get(name))]
        if wrong:
            named = first_few(
                f'no. {i} (id {reprlib.repr(entries[i].get("id"))}): {reprlib.repr(entries[i].get(name))}'
                for i in wrong
            )
            raise UserError(
                f'{path}: {len(wrong)} of {len(entries)} {key} have no valid {name!r} ({wanted}): {named}'
            )
    for name in {'id', 'image_id', 'category_id'} & _FIELDS[key].keys():
        for entry in entries:
            if type(entry[name]) is float:
                entry[name] = int(entry[name])
    _check_unique(path, f'{key} with the same id', [entry['id'] for entry in entries])
    if key == 'categories':
        above = {category['id'] for category in _namesakes_above(content)}
        entries = [category for category in entries if category['id'] not in above]
        _check_unique(path, 'categories with the same name', [entry['name'] for entry in entries])
    return entries


def _namesakes_above(content: Entry) -> list[Entry]:
    """The categories without an annotation that stand above a category of the same name.

    Roboflow writes one, the name of the project, also where a class is called like the project.
    """
    categories, annotations = content['categories'], content.get('annotations')
    below = {c['name'] for c in categories if c.get('supercategory') == c['name']}
    entries = annotations if isinstance(annotations, list) else []
    annotated = {repr(entry.get('category_id')) for entry in entries if isinstance(entry, dict)}
    return [
        c
        for c in categories
        if c['name'] in below and c.get('supercategory') != c['name'] and repr(c['id']) not in annotated
    ]


def _read_json(path: str, backend_args: Mapping[str, Any] | None) -> Entry:
    def without_outline(entry: Entry) -> Entry:
        # Outlines are nine tenths of COCO's numbers. Dropped while parsing they never pile up: for 860,000
        # annotations 1.5 instead of 3.2 GB at the peak, and 7 instead of 17 s.
        entry.pop('segmentation', None)
        return entry

    if not path:
        raise UserError('ann_file is not set: it must be the path of a COCO annotation file')
    if osp.exists(path) and not osp.isfile(path) and not osp.isdir(path):  # a pipe would wait for ever
        raise UserError(f'annotation file {path} is not a regular file; ann_file must be a JSON file')
    try:
        # From bytes: a byte order mark, UTF-16 and UTF-32 are recognised.
        content = json.loads(get(path, backend_args=backend_args), object_hook=without_outline)
    except FileNotFoundError:
        raise UserError(f'annotation file {path} not found; check ann_file and data_root') from None
    except IsADirectoryError:
        raise UserError(f'annotation file {path} is a folder; ann_file must be a JSON file') from None
    except OSError as error:
        raise UserError(f'annotation file {path} cannot be read ({error.strerror})') from None
    except json.JSONDecodeError as error:
        location = f'line {error.lineno}, column {error.colno}'
        raise UserError(f'{path}, {location}: not valid JSON ({error.msg})') from None
    except UnicodeDecodeError:
        raise UserError(f'{path}: not a text file, so not JSON') from None
    except ValueError:  # Python's limit, against numbers that take minutes
        raise UserError(f'{path}: not valid JSON (a number has over 4300 digits)') from None
    except RecursionError:
        raise UserError(f'{path}: not a COCO detection file: brackets are nested too deeply') from None
    if not isinstance(content, dict):
        raise UserError(f'{path}: not a COCO detection file: it holds a {type(content).__name__}, no object')
    return content


def _is_number_id(value: Any) -> bool:
    # Tables write 7.0 for 7 in a column that has gaps elsewhere; pycocotools takes both for the same.
    return _is_whole(value) or (type(value) is float and value.is_integer() and abs(value) < 2**53)


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def _is_id(value: object) -> bool:
    return isinstance(value, str) or _is_number_id(value)


def _is_side(value: Any) -> bool:
    return isinstance(value, int | float) and value == value // 1 and 1 <= value <= _LONGEST_SIDE


def _is_box(value: Any) -> bool:
    is_box = isinstance(value, list) and len(value) == 4
    return is_box and all(type(v) is float or _is_whole(v) for v in value)


def _is_flag(value: object) -> bool:
    try:
        read_flag(value)
    except ValueError:
        return False
    return True


def _is_area(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value < _LONGEST_SIDE**2)


_LONGEST_SIDE = 2**20  # OpenCV's limit
_FIELDS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    'images': dict(
        id=(_is_id, 'a whole number below 2**63 or a text'),
        file_name=(lambda value: isinstance(value, str) and value != '', 'a text'),
        width=(_is_side, 'a whole number of pixels'),
        height=(_is_side, 'a whole number of pixels'),
    ),
    'annotations': dict(
        id=(_is_id, 'a whole number below 2**63 or a text'),
        image_id=(_is_id, 'a whole number below 2**63 or a text'),
        category_id=(_is_number_id, 'a whole number below 2**63'),
        bbox=(_is_box, '[x, y, width, height], numbers below 2**63'),
        iscrowd=(_is_flag, '0 or 1'),
        ignore=(_is_flag, '0 or 1'),
        area=(_is_area, 'a number of square pixels'),
    ),
    'categories': dict(
        id=(_is_number_id, 'a whole number below 2**63'),
        name=(lambda value: isinstance(value, str) and '' != value == printable(value), 'a text'),
    ),
}
"""What the entries of each list must have: the check of a value, and what is wanted, in words."""


def _check_unique(path: str, what: str, values: Iterable[object]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise UserError(f'{path}: {what}: {first_few(repeated)}')


def _check_references(file: CocoAnnotations, key: str, entries: Sequence[Entry]) -> None:
    known = {entry['id'] for entry in entries}
    wrong = [annotation for annotation in file.annotations if annotation[key] not in known]
    if wrong:
        unknown = first_few(dict.fromkeys(repr(annotation[key]) for annotation in wrong))
        ids = first_few(annotation['id'] for annotation in wrong)
        raise UserError(
            f'{file.path}: {len(wrong)} annotations have an unknown {key}: {unknown} (annotation ids {ids})'
        )


@DATASETS.register_module()
class YOLOXCocoDataset(DetectionDataset):
    """Images and boxes of a COCO annotation file.

    Each entry of the data list is ``dict(img_id, img_path, height, width, bboxes, labels, is_crowd)``:
    ``bboxes`` (M, 4) float32 xyxy in pixels of the original image, ``labels`` (M,) int64, ``is_crowd`` (M,)
    bool (``iscrowd``, or the ``ignore`` of other data sets in this format). Boxes are cut to their image;
    those without area, outside of it or with impossible numbers are dropped; a warning and ``report`` say
    how many.

    Label i is the i-th of ``metainfo['classes']`` by name, whatever the file's order; without ``classes``
    all of the file's categories are taken, in its order, see :func:`named_classes`. The completed
    ``metainfo`` also has ``cat_ids``, the category id of each label.

    Args are those of :class:`DetectionDataset`, here with:

    - ``data_prefix``: ``dict(img=...)``, the image folder.
    - ``filter_cfg``: see :func:`~mmyolox.datasets.annotations.filter_images`; not used in test mode.
    - ``backend_args``: of MMEngine's file backend. If set, images are not looked for in advance.

    Raises:
        UserError: The annotation file or images are missing or at fault, the file lacks a configured class,
            or nothing is left to train on.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """Reads the annotation file; see the class for the entries."""
        classes = configured_classes(self.metainfo)
        file = read_coco(self.ann_file, backend_args=self.backend_args, need_annotations=not self.test_mode)
        self.set_classes(file, classes or file.class_names)
        self.report = AnnotationReport(file.path, images=len(file.images))
        paths = [self._image_path(image['file_name']) for image in file.images]
        if not self.backend_args:
            check_files_exist(file.path, 'images', self._image_folder, paths)
        data_list = self._entries(file, paths)
        if not self.backend_args:
            check_image_sizes(file.path, data_list)
        classes_and_others = {*self.metainfo['classes'], *file.class_names}
        above = [c for c in file.categories if c['name'] not in classes_and_others] + file.namesakes_above
        left_out = [f'{category["name"]} (id {category["id"]})' for category in above]
        findings = {
            'categories without a box that are the supercategory of others, no classes (left out)': left_out,
            'categories that only case, blanks or underscores tell apart': alike(file.category_ids),
            'images of several entries, each of which lacks the boxes of the others': [
                osp.relpath(path, self._image_folder)
                for path, count in Counter(map(osp.normpath, paths)).items()
                if count > 1
            ],
        }
        for line, names in findings.items():
            if names and not self.test_mode:
                print_log(f'{file.path}: {line}: {first_few(names)}', 'current', logging.WARNING)
        self.report.log()
        return data_list

    def ground_truth(self) -> dict[str, Any]:
        """The content of the file for the images of this data set, with areas as they stand there."""
        file = read_coco(self.ann_file, backend_args=self.backend_args, need_annotations=False)
        own = {self.get_data_info(index)['img_id'] for index in range(len(self))}
        return dict(
            path=file.path,
            images=[image for image in file.images if image['id'] in own],
            annotations=[entry for entry in file.annotations if entry['image_id'] in own],
            categories=file.categories,
        )

    def _image_path(self, file_name: str) -> str:
        path = osp.join(self._image_folder, file_name)
        if '\\' in file_name and not self.backend_args and not osp.exists(path):
            path = osp.join(self._image_folder, file_name.replace('\\', '/'))  # written on Windows
        return path

    @property
    def _image_folder(self) -> str:
        # MMEngine's default for `data_prefix` has the key `img_path`.
        folder = self.data_prefix.get('img', self.data_prefix.get('img_path'))
        if folder is None:
            raise UserError(f"data_prefix needs the key 'img', the image folder; it has {self.data_prefix}")
        return folder

    def set_classes(self, file: CocoAnnotations, classes: Sequence[str]) -> None:
        """Completes ``metainfo`` for ``classes``; data sets with more than boxes add to it here."""
        ids = file.ids_of(classes)
        self.complete_metainfo(classes=tuple(classes), cat_ids=ids)
        self._labels = {category_id: label for label, category_id in enumerate(ids)}

    def _entries(self, file: CocoAnnotations, paths: Sequence[str]) -> list[dict[str, Any]]:
        annotations = self.select_annotations(file)
        # The boxes of all images at once: 860,000 in one array operation, not 118,000 times seven.
        bboxes = np.array([a['bbox'] for a in annotations], np.float64).reshape(-1, 4)
        with np.errstate(invalid='ignore', over='ignore'):
            bboxes[:, 2:] += bboxes[:, :2]
        check = check_boxes(bboxes, file.image_sizes(annotations))
        keep = self.report.record(check, [a['id'] for a in annotations])
        self.report.turned.note([a['id'] for a in annotations if a['id'] in file.turned])
        by_image: defaultdict[int | str, list[int]] = defaultdict(list)
        for index in np.flatnonzero(keep).tolist():
            by_image[annotations[index]['image_id']].append(index)
        data_list = []
        for image, path in zip(file.images, paths, strict=True):
            indices = by_image[image['id']]
            entry = dict(
                img_id=image['id'], img_path=path, height=int(image['height']), width=int(image['width'])
            )
            arrays = self.instance_arrays([annotations[index] for index in indices], check.bboxes[indices])
            data_list.append(entry | arrays)
        return data_list

    def select_annotations(self, file: CocoAnnotations) -> list[Entry]:
        """The annotations of the configured classes; data sets with more than boxes check theirs here."""
        names = {category_id: name for name, category_id in file.category_ids.items()}
        self.report.other_classes.update(
            names[a['category_id']] for a in file.annotations if a['category_id'] not in self._labels
        )
        return [a for a in file.annotations if a['category_id'] in self._labels]

    def instance_arrays(self, annotations: Sequence[Entry], bboxes: NDArray[np.float32]) -> dict[str, Any]:
        """The arrays of one image's M instances; data sets with more than boxes add theirs here.

        Args:
            annotations: The M entries of the file, all of configured classes and with a usable box.
            bboxes: (M, 4) float32 xyxy, their boxes cut to the image.

        Returns:
            Arrays of length M by key, which become part of the data list's entry.
        """
        return dict(
            bboxes=bboxes,
            labels=np.array([self._labels[a['category_id']] for a in annotations], np.int64),
            is_crowd=np.array([bool(a['iscrowd'] or a['ignore']) for a in annotations], np.bool_),
        )

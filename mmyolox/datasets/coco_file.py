"""COCO annotation files: read piece by piece into columns, checked, and kept for the next start."""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError, did_you_mean, first_few

from . import annotation_cache
from .coco_reading import Content, Entry, parse
from .columns import Array, Columns
from .table import IdColumn, TextColumn

_KIND = 'coco'


class CocoAnnotations:
    """The checked content of a COCO annotation file as columns, each in the file's order.

    N images and T annotations. ``segmentation`` is left out.

    Args:
        path: The file.
        columns: Its columns, which :meth:`.coco_reading.Content.columns` makes.
        digest: The digest of the content that they are of, by which what is made of them is kept; None where
            nothing is to be kept.

    Attributes:
        path: The file.
        digest: The digest of its content.
        categories: The entries of the classes, each with ``id`` and ``name``.
        namesakes_above: The categories that only stand above one of their name, see
            :func:`.coco_reading.namesakes_above`; they are not in ``categories``.
        image_ids: The N ids of the images.
        file_names: Their N files, relative to the image folder.
        sizes: (N, 2) int64, width and height in pixels.
        ids: The T ids of the annotations.
        image_indices: (T,) int32, which of the images each is in.
        category_indices: (T,) int32, which of ``categories`` each is of.
        bboxes: (T, 4) float64 xywh, pixels of the image, as written: any size and place, NaN and infinity.
        iscrowd: (T,) bool.
        ignore: (T,) bool, the ``ignore`` of other data sets in this format.
        areas: (T,) float64, square pixels, NaN where the file has none.
        is_turned: (T,) bool, with CVAT's attribute ``rotation``: the box is the upright one around the turned
            one of the file.
    """

    def __init__(self, path: str, columns: Columns, digest: str | None = None) -> None:
        self.path = path
        self.digest = digest
        self.columns = columns
        self.categories: list[Entry] = columns.info['categories']
        self.namesakes_above: list[Entry] = columns.info['namesakes_above']
        self.image_ids = IdColumn.named(columns, 'image_ids')
        self.file_names = TextColumn.named(columns, 'file_names')
        self.sizes: NDArray[np.int64] = columns['sizes']
        self.ids = IdColumn.named(columns, 'ids')
        self.image_indices: NDArray[np.int32] = columns['image_indices']
        self.category_indices: NDArray[np.int32] = columns['category_indices']
        self.bboxes: NDArray[np.float64] = columns['bboxes']
        self.iscrowd: NDArray[np.bool_] = columns['iscrowd']
        self.ignore: NDArray[np.bool_] = columns['ignore']
        self.areas: NDArray[np.float64] = columns['areas']
        self.is_turned: NDArray[np.bool_] = columns['is_turned']

    @classmethod
    def of(
        cls,
        path: str,
        images: Sequence[Entry],
        annotations: Sequence[Entry],
        categories: Sequence[Entry],
        fields: Collection[str] = (),
    ) -> 'CocoAnnotations':
        """What a file with these entries would hold.

        Args:
            path: The name of it, for messages.
            images: The images.
            annotations: The annotations.
            categories: The categories.
            fields: Further fields of the annotations to keep.

        Raises:
            UserError: The entries are at fault.
        """
        content = Content(path, fields)
        for key, entries in dict(images=images, annotations=annotations, categories=categories).items():
            content.new_list(key).add(entries)
        return cls(path, Columns.of(*content.columns(need_annotations=True)))

    @property
    def images(self) -> Sequence[Entry]:
        """The images as dicts with ``id``, ``file_name``, ``width`` and ``height``."""
        return _Entries(len(self.image_ids), self._image)

    @property
    def annotations(self) -> Sequence[Entry]:
        """The annotations as dicts.

        Each has ``id``, ``image_id``, ``category_id``, ``bbox``, ``iscrowd`` and ``ignore``, and where the
        file has them ``area`` and the fields that were asked for.
        """
        return _Entries(len(self.ids), self._annotation)

    def _image(self, index: int) -> Entry:
        width, height = self.sizes[index].tolist()
        return dict(id=self.image_ids[index], file_name=self.file_names[index], width=width, height=height)

    def _annotation(self, index: int) -> Entry:
        entry = dict(
            id=self.ids[index],
            image_id=self.image_ids[self.image_indices[index]],
            category_id=self.categories[self.category_indices[index]]['id'],
            bbox=self.bboxes[index].tolist(),
            iscrowd=bool(self.iscrowd[index]),
            ignore=bool(self.ignore[index]),
        )
        if not math.isnan(self.areas[index]):
            entry['area'] = self.areas[index].item()
        for name in self.columns.info['fields']:
            if text := TextColumn.named(self.columns, f'fields.{name}')[index]:
                entry[name] = json.loads(text)
        return entry

    def field(self, name: str, indices: Array) -> list[Any]:
        """The values of a field that was asked for, of some annotations; None where there is none."""
        texts = TextColumn.named(self.columns, f'fields.{name}')
        return [json.loads(text) if (text := texts[index]) else None for index in indices.tolist()]

    @property
    def category_ids(self) -> dict[str, int]:
        """The category id of each class name, in the file's order."""
        return {category['name']: category['id'] for category in self.categories}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes where none are configured, see :func:`named_classes`."""
        return named_classes(self.categories, self.columns.info['annotated'])

    def image_sizes(self, indices: Array) -> NDArray[np.float64]:
        """(n, 2) width and height of the image of each of n annotations."""
        return self.sizes[self.image_indices[indices]].astype(np.float64)

    def labels(self, cat_ids: Sequence[int]) -> NDArray[np.int64]:
        """(C,) the label of each of ``categories``, -1 where it is none of the labels' categories."""
        of_id = {category_id: label for label, category_id in enumerate(cat_ids)}
        return np.array([of_id.get(category['id'], -1) for category in self.categories], np.int64)

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


class _Entries(Sequence[Entry]):
    """Entries that are made when they are taken out."""

    def __init__(self, count: int, entry: Callable[[int], Entry]) -> None:
        self._indices = range(count)
        self._entry = entry

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        chosen = self._indices[index]
        return self._entry(chosen) if isinstance(chosen, int) else [*map(self._entry, chosen)]

    def __iter__(self) -> Iterator[Entry]:
        return map(self._entry, self._indices)


def read_coco(
    path: str,
    *,
    backend_args: Mapping[str, Any] | None = None,
    need_annotations: bool = True,
    fields: Collection[str] = (),
) -> CocoAnnotations:
    """Reads a COCO detection annotation file, or what an earlier start kept of it.

    Ids are unique and refer to something, and each entry has the fields that training and pycocotools
    read; boxes may be of any size and place. ``info`` and ``licenses`` are not needed.

    Args:
        path: The JSON file.
        backend_args: The arguments of MMEngine's file backend, where the file is not local.
        need_annotations: Whether to take a file without ``annotations`` (COCO's
            ``image_info_test-dev2017.json``) for a mistake, rather than for a file without boxes.
        fields: Further fields of the annotations to read, unchecked, such as ``keypoints``.

    Raises:
        UserError: The file is absent, is no JSON, is no COCO detection file or contradicts itself.
    """
    digest = _content_digest(path, backend_args)
    columns = annotation_cache.find(_cache_name(digest))
    if columns is None or not {*fields} <= {*columns.info['fields']}:
        known = () if columns is None else columns.info['fields']
        content, digest = _parsed(path, backend_args, sorted({*fields, *known}), digest)
        columns = annotation_cache.keep(_cache_name(digest), *content.columns(need_annotations))
    elif need_annotations and not columns.info['has_annotations']:
        parse(Content(path, fields), backend_args).columns(need_annotations)  # raises the error
    return CocoAnnotations(path, columns, digest)


def read_categories(path: str) -> list[Entry]:
    """Reads the categories of a COCO annotation file, each with ``id`` and ``name``, and nothing else of it.

    Raises:
        UserError: The file is absent, is no JSON, or has no usable categories.
    """
    return _categories(path)[0]


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
    categories, annotated = _categories(path)
    return named_classes(categories, annotated), tuple(category['name'] for category in categories)


def _categories(path: str) -> tuple[list[Entry], Collection[int]]:
    """The categories, and the ids of those that annotations are of; of files at fault elsewhere too."""
    digest = _content_digest(path, None)
    if (columns := annotation_cache.find(_cache_name(digest))) is not None:
        return columns.info['categories'], columns.info['annotated']
    content, digest = _parsed(path, None, (), digest)
    categories, _ = content.categories()
    with suppress(UserError):  # the data set tells of other faults
        annotation_cache.keep(_cache_name(digest), *content.columns(need_annotations=False))
    return categories, content.annotated


def _parsed(
    path: str, backend_args: Mapping[str, Any] | None, fields: Collection[str], digest: str | None
) -> tuple[Content, str | None]:
    """Parses a file whose digest was just taken; the content, and the digest if it is of that, else None."""
    content = parse(Content(path, fields), backend_args)
    # The file may have been written since the digest was taken.
    return content, digest if _content_digest(path, backend_args) == digest else None


def _content_digest(path: str, backend_args: Mapping[str, Any] | None) -> str | None:
    """A digest of a local annotation file, by which what is made of it is kept; None for others."""
    return None if backend_args else annotation_cache.content_digest(path)


def _cache_name(digest: str | None) -> str | None:
    return None if digest is None else annotation_cache.entry_name(_KIND, dict(content=digest))


def named_classes(categories: Sequence[Entry], annotated: Collection[int]) -> tuple[str, ...]:
    """The names of all categories, in the file's order, but those that only stand above others.

    Such a category has no annotation and is the ``supercategory`` of another one. Roboflow writes one, the
    name of the project, before the classes. Where nothing is annotated, all categories are classes.

    Args:
        categories: The entries of the categories.
        annotated: The ids of those that have annotations.
    """
    with_boxes = set(annotated)
    above = {repr(c.get('supercategory')) for c in categories if c.get('supercategory') != c['name']}
    return tuple(
        c['name']
        for c in categories
        if not with_boxes or c['id'] in with_boxes or repr(c['name']) not in above
    )

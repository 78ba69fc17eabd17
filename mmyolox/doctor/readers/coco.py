"""COCO's annotation files as they are written: entries at fault are noted, and the others read."""

import codecs
import json
import os.path as osp
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.coco_fields import FIELDS
from mmyolox.datasets.coco_reading import (
    AnnotationList,
    Content,
    Entry,
    EntryList,
    ImageList,
    parse,
    with_whole_ids,
)
from mmyolox.datasets.table import IdColumn, TextColumn
from mmyolox.doctor.raw import Category, Faults, RawBoxes, RawImages, RawSplit
from mmyolox.doctor.skeletons import skeleton_of

_FIELDS = ('keypoints', 'num_keypoints')
_REPAIRS: Mapping[str, Any] = dict(width=0, height=0, iscrowd=0, ignore=0, area=None)
"""The values that stand in for those at fault; an entry with another fault is left out."""


def read_split(name: str, ann_file: str, folder: str, faults: Faults) -> RawSplit:
    """Reads an annotation file.

    Args:
        name: The split.
        ann_file: The JSON file.
        folder: The folder of its images.
        faults: What gets the faults.

    Raises:
        UserError: It is absent, or no JSON of COCO's lists.
    """
    content = parse(_RawContent(ann_file, faults), None)
    with open(ann_file, 'rb') as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            faults.note('byte-order-mark', ann_file, 'its first three bytes')
    for key in FIELDS:
        if key not in content.lists:
            faults.note('list-missing', f'{ann_file}', f'no list of {key!r}')
            content.new_list(key)
    images, annotations, categories = _lists(content)
    for one in (images, annotations, categories):
        repeated = one.ids.repeated()
        for own_id in repeated:
            faults.note('id-repeated', f'{ann_file}', f'{one.key} with the id {own_id!r}')
    entries = categories.parts['entries']
    names = images.columns()
    file_names = TextColumn(names['file_names.ends'], names['file_names.content'])
    own = [*file_names]
    return RawSplit(
        name=name,
        format='coco',
        source=ann_file,
        folder=folder,
        categories=tuple(
            Category(one['id'], one['name'], str(one.get('supercategory') or '')) for one in entries
        ),
        images=RawImages(
            paths=[_path(folder, file) for file in own],
            names=own,
            sizes=names['sizes'],
            label_files=[''] * len(own),
            ids=images.ids,
        ),
        boxes=_boxes(ann_file, images, annotations, categories, faults),
        skeleton=skeleton_of(entries),
    )


def _lists(content: Content) -> tuple[Any, Any, Any]:
    return content.lists['images'], content.lists['annotations'], content.lists['categories']


def _path(folder: str, file: str) -> str:
    path = osp.join(folder, file)
    return osp.join(folder, file.replace('\\', '/')) if '\\' in file and not osp.exists(path) else path


def _boxes(
    ann_file: str, images: ImageList, annotations: AnnotationList, categories: EntryList, faults: Faults
) -> RawBoxes:
    """The annotations whose image and category are there."""
    image_indices = annotations.image_ids.positions_in(images.ids)
    labels = IdColumn(annotations.category_ids).positions_in(categories.ids)
    for indices, kind, ids, what in (
        (image_indices, 'image-unknown', annotations.image_ids, 'image_id'),
        (labels, 'category-unknown', annotations.category_ids.tolist(), 'category_id'),
    ):
        for index in np.flatnonzero(indices < 0).tolist():
            place = f'{ann_file}, annotation {annotations.ids[index]}'
            faults.note(kind, place, f'{what} {ids[index]!r} is not in the file')
    columns = annotations.columns()
    texts = {
        name: TextColumn(columns[f'fields.{name}.ends'], columns[f'fields.{name}.content'])
        for name in _FIELDS
    }
    kept = np.flatnonzero((image_indices >= 0) & (labels >= 0))
    bboxes = columns['bboxes'][kept]
    with np.errstate(invalid='ignore', over='ignore'):
        bboxes[:, 2:] += bboxes[:, :2]
    return RawBoxes(
        images=image_indices[kept],
        labels=labels[kept],
        bboxes=bboxes,
        is_crowd=(columns['iscrowd'] | columns['ignore'])[kept],
        areas=columns['areas'][kept],
        ids=annotations.ids.take(kept),
        keypoints=_keypoints(texts['keypoints'], kept, ann_file, annotations.ids, faults),
        keypoint_counts=_counts(texts['num_keypoints'], kept),
    )


def _keypoints(
    texts: TextColumn, kept: NDArray[np.int64], ann_file: str, ids: IdColumn, faults: Faults
) -> NDArray[np.float32] | None:
    """(T, K, 3); NaN where there are none."""
    lengths = np.diff(texts.ends, prepend=0)[kept]
    read: dict[int, list[float]] = {}
    for row in np.flatnonzero(lengths > len('[]')).tolist():
        values = json.loads(texts[int(kept[row])])
        is_list = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if is_list and values and len(values) % 3 == 0:
            read[row] = values
        elif values:
            place = f'{ann_file}, annotation {ids[int(kept[row])]}'
            faults.note('keypoints-unreadable', place, f'keypoints: {reprlib.repr(values)}')
    if not read:
        return None
    most = max(map(len, read.values())) // 3
    keypoints = np.full((len(kept), most, 3), np.nan, np.float32)
    for row, values in read.items():
        with np.errstate(over='ignore'):
            keypoints[row, : len(values) // 3] = np.array(values, np.float64).reshape(-1, 3)
    return keypoints


def _counts(texts: TextColumn, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.full(len(texts), -1)
    for index in np.flatnonzero(np.diff(texts.ends, prepend=0)).tolist():
        text = texts[index]
        counts[index] = int(text) if text.isdecimal() and len(text) < 10 else -1
    return counts[kept]


class _RawContent(Content):
    """What a file holds; faults are noted, and do not stop the reading.

    Args:
        path: The file.
        faults: What gets the faults.
    """

    def __init__(self, path: str, faults: Faults) -> None:
        super().__init__(path, _FIELDS)
        self.faults = faults

    def add(self, key: str, values: Sequence[Any]) -> None:
        """Takes what can be read of entries that are not of the common form."""
        entries = self.lists[key]
        mended = [
            self._mended(key, position, entry) for position, entry in enumerate(values, start=entries.count)
        ]
        entries.count += len(values)
        entries.gather([with_whole_ids(entry) for entry in mended if entry is not None])

    def _mended(self, key: str, position: int, entry: Any) -> Entry | None:
        """An entry whose faulty values are replaced; None for one of no use."""
        place = f'{self.path}, {key} no. {position}'
        if not isinstance(entry, dict):
            self.faults.note('entry-unreadable', place, f'{reprlib.repr(entry)} is no object')
            return None
        wrong = {
            name: wanted for name, (is_valid, wanted) in FIELDS[key].items() if not is_valid(entry.get(name))
        }
        place += f' (id {reprlib.repr(entry.get("id"))})'
        for name, wanted in wrong.items():
            kind = 'value-unreadable' if name in _REPAIRS else 'entry-unreadable'
            self.faults.note(kind, place, f'{name}: {reprlib.repr(entry.get(name))}, not {wanted}')
        if not wrong.keys() <= _REPAIRS.keys():
            return None
        return {**entry, **{name: _REPAIRS[name] for name in wrong}}

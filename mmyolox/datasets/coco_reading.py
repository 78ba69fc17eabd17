"""What a COCO annotation file holds: parsed list by list, checked entry by entry, gathered in columns."""

import functools
import io
import json
import os.path as osp
import reprlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
from mmengine.fileio import get

from mmyolox.errors import UserError, first_few
from mmyolox.files import from_here

from .annotations import Finding, box_around, read_flag, read_rotation
from .coco_fields import FIELDS, record_decoder
from .columns import Array
from .json_stream import JsonError, JsonStream
from .table import IdColumn, TextColumn

Entry = dict[str, Any]


class EntryList:
    """The entries of one of the file's lists.

    Attributes:
        count: How many there are.
        has_others: Whether something else than objects is among them.
        faults: The entries without a valid value, by its name.
    """

    key = 'categories'

    def __init__(self) -> None:
        self.count = 0
        self.has_others = False
        self.faults = {name: Finding() for name in FIELDS[self.key]}
        self.parts: defaultdict[str, list[Any]] = defaultdict(list)

    def add(self, values: Sequence[Any]) -> None:
        """Adds what the file has next; what is at fault is noted and left out."""
        valid = []
        for position, entry in enumerate(values, start=self.count):
            if not isinstance(entry, dict):
                self.has_others = True
                continue
            wrong = [n for n, (is_valid, _) in FIELDS[self.key].items() if not is_valid(entry.get(n))]
            for name in wrong:
                own_id, value = reprlib.repr(entry.get('id')), reprlib.repr(entry.get(name))
                self.faults[name].note([f'no. {position} (id {own_id}): {value}'])
            if not wrong:
                valid.append(with_whole_ids(entry))
        self.count += len(values)
        self.gather(valid)

    def gather(self, entries: Sequence[Entry]) -> None:
        """Keeps valid entries."""
        self.parts['entries'] += entries

    def take(self, raw: bytes) -> bool:
        """Adds the entries of a JSON list, if all are of the common form."""
        return False

    @functools.cached_property
    def ids(self) -> IdColumn:
        """The ids of the entries without a fault."""
        return IdColumn.of([entry['id'] for entry in self.parts['entries']])

    def check(self, path: str) -> None:
        """Raises a UserError if there is no entry, or a fault or an id that occurs twice."""
        if not self.count and self.key != 'annotations':
            raise UserError(f'{path}: its list of {self.key!r} is empty')
        for name, finding in self.faults.items():
            if finding.count:
                raise UserError(
                    f'{path}: {finding.count} of {self.count} {self.key} have no valid {name!r} '
                    f'({FIELDS[self.key][name][1]}): {first_few(finding.examples)}'
                )
        if repeated := self.ids.repeated():
            raise UserError(f'{path}: {self.key} with the same id: {first_few(repeated)}')


class LongList(EntryList):
    """A list of which only columns are kept, each in parts until all is read.

    Args:
        fields: Further fields of the entries to keep, as JSON.
    """

    def __init__(self, fields: Collection[str] = ()) -> None:
        super().__init__()
        self.fields = tuple(fields)
        self._decode = record_decoder(self.key, self.fields)

    def take(self, raw: bytes) -> bool:
        """Adds the entries of a JSON list, if all are of the common form."""
        records = self._decode(raw)
        if records is None or not self.gather_records(records):
            return False
        self.count += len(records)
        return True

    def gather(self, entries: Sequence[Entry]) -> None:
        """Keeps the columns of valid entries."""
        self.gather_records([SimpleNamespace(**self.record(entry)) for entry in entries], is_checked=True)

    def record(self, entry: Entry) -> Entry:
        """The values of a valid entry, of the types that the decoder of the common form makes."""
        raise NotImplementedError

    def gather_records(self, records: Sequence[Any], is_checked: bool = False) -> bool:
        """Keeps the columns of some records, unless the check of entries has to judge them."""
        raise NotImplementedError

    def joined(self, name: str, empty: Any) -> Any:
        """A column of all parts, which are given up."""
        parts = [empty, *self.parts.pop(name, ())]
        return (
            type(empty).joined(parts) if isinstance(empty, IdColumn | TextColumn) else np.concatenate(parts)
        )

    @functools.cached_property
    def ids(self) -> IdColumn:
        """The ids of the entries without a fault."""
        ids: IdColumn = self.joined('id', IdColumn.of(()))
        return ids


class ImageList(LongList):
    """The images.

    Attributes:
        has_backslash: Whether the name of a file has a backslash.
    """

    key = 'images'
    has_backslash = False

    def record(self, entry: Entry) -> Entry:
        """See the base class."""
        names = ('id', 'file_name', 'width', 'height')
        return {name: entry[name] for name in names}

    def gather_records(self, records: Sequence[Any], is_checked: bool = False) -> bool:
        """See the base class."""
        self.parts['id'].append(IdColumn.of([record.id for record in records]))
        self.parts['file_name'].append(TextColumn.of(record.file_name for record in records))
        self.has_backslash |= any('\\' in record.file_name for record in records)
        sides = chain.from_iterable((record.width, record.height) for record in records)
        self.parts['size'].append(np.fromiter(sides, np.int64).reshape(-1, 2))
        return True

    def columns(self) -> dict[str, Array]:
        """The columns."""
        names: TextColumn = self.joined('file_name', TextColumn.of(()))
        sizes: Array = self.joined('size', np.empty((0, 2), np.int64))
        return self.ids.arrays('image_ids') | names.arrays('file_names') | dict(sizes=sizes)


class AnnotationList(LongList):
    """The annotations."""

    key = 'annotations'

    def record(self, entry: Entry) -> Entry:
        """See the base class."""
        values = {name: entry[name] for name in ('id', 'image_id', 'category_id', 'bbox')}
        values |= {name: read_flag(entry.get(name)) for name in ('iscrowd', 'ignore')}
        values |= {name: entry.get(name) for name in ('area', 'attributes')}
        texts = {name: json.dumps(entry[name]).encode() for name in self.fields if name in entry}
        return values | dict.fromkeys(self.fields, b'') | texts

    def gather_records(self, records: Sequence[Any], is_checked: bool = False) -> bool:
        """See the base class."""
        numbers = chain.from_iterable(record.bbox for record in records)
        bboxes = np.fromiter(numbers, np.float64, 4 * len(records)).reshape(-1, 4)
        if not is_checked and (np.abs(bboxes) >= 2**63).any():  # fit for a fraction, not for a whole number
            return False
        is_turned = np.zeros(len(records), np.bool_)
        for index, record in enumerate(records):
            rotation = isinstance(record.attributes, dict) and record.attributes.get('rotation')
            if degrees := rotation and read_rotation(rotation):
                x, y, width, height = bboxes[index].tolist()
                x1, y1, x2, y2 = box_around((x, y, x + width, y + height), degrees)
                bboxes[index] = x1, y1, x2 - x1, y2 - y1
                is_turned[index] = True
        for name in ('id', 'image_id'):
            self.parts[name].append(IdColumn.of([getattr(record, name) for record in records]))
        for name, dtype in (('category_id', np.int64), ('iscrowd', np.bool_), ('ignore', np.bool_)):
            self.parts[name].append(np.fromiter((getattr(r, name) for r in records), dtype, len(records)))
        areas = (np.nan if record.area is None else record.area for record in records)
        self.parts['areas'].append(np.fromiter(areas, np.float64, len(records)))
        self.parts['bboxes'].append(bboxes)
        self.parts['is_turned'].append(is_turned)
        for name in self.fields:
            self.parts[name].append(TextColumn.of(bytes(getattr(r, name)).decode() for r in records))
        return True

    @functools.cached_property
    def image_ids(self) -> IdColumn:
        """(T,) the image of each."""
        ids: IdColumn = self.joined('image_id', IdColumn.of(()))
        return ids

    @functools.cached_property
    def category_ids(self) -> Array:
        """(T,) int64, the category of each."""
        return np.asarray(self.joined('category_id', np.empty(0, np.int64)))

    @functools.cached_property
    def annotated(self) -> list[int]:
        """The categories that there are annotations of."""
        return np.unique(self.category_ids).tolist()

    def indices(self, path: str, key: str, ids: IdColumn, known: IdColumn) -> Array:
        """(T,) int32, where the id of each annotation under ``key`` stands among those that are ``known``."""
        indices = ids.positions_in(known)
        wrong = np.flatnonzero(indices < 0).tolist()
        if wrong:
            unknown = first_few(dict.fromkeys(repr(ids[index]) for index in wrong))
            named = first_few(self.ids[index] for index in wrong)
            raise UserError(
                f'{path}: {len(wrong)} annotations have an unknown {key}: {unknown} (annotation ids {named})'
            )
        return indices.astype(np.int32)

    def columns(self) -> dict[str, Array]:
        """The columns, without what refers to the other lists."""
        arrays = self.ids.arrays('ids')
        arrays['bboxes'] = self.joined('bboxes', np.empty((0, 4)))
        arrays['areas'] = self.joined('areas', np.empty(0))
        for name in ('iscrowd', 'ignore', 'is_turned'):
            arrays[name] = self.joined(name, np.empty(0, np.bool_))
        for name in self.fields:
            arrays |= self.joined(name, TextColumn.of(())).arrays(f'fields.{name}')
        return arrays


class Content:
    """What a file holds, and what is wrong with it.

    Args:
        path: The file.
        fields: Further fields of the annotations to keep.

    Attributes:
        keys: The keys of the file, in its order.
        lists: What was gathered of COCO's lists, by key.
    """

    def __init__(self, path: str, fields: Collection[str]) -> None:
        self.path = path
        self.keys: dict[str, None] = {}
        self.fields = fields
        self.lists: dict[str, EntryList] = {}

    def note_key(self, key: str) -> None:
        """Notes a key of the file; of what stands under it, the last counts."""
        self.keys[key] = None
        self.lists.pop(key, None)

    def new_list(self, key: str) -> EntryList:
        """Notes a list of COCO's, and returns what takes its entries."""
        self.note_key(key)
        kinds = dict(images=ImageList, categories=EntryList)
        self.lists[key] = kinds[key]() if key in kinds else AnnotationList(self.fields)
        return self.lists[key]

    def add(self, key: str, values: Sequence[Any]) -> None:
        """Takes entries that are not of the common form; one who judges them otherwise overrides this."""
        self.lists[key].add(values)

    def _checked(self, key: str) -> Any:
        found = self.lists.get(key)
        if found is None or found.has_others:
            keys = first_few(self.keys, 8) or 'none'
            raise UserError(f'{self.path}: not a COCO detection file: no list of {key!r} (its keys: {keys})')
        found.check(self.path)
        return found

    @property
    def annotated(self) -> list[int]:
        """The ids of the categories that there are annotations of."""
        found: Any = self.lists.get('annotations')
        return [] if found is None else found.annotated

    def categories(self) -> tuple[list[Entry], list[Entry]]:
        """The categories, and those that only stand above one of their name, see :func:`namesakes_above`.

        Raises:
            UserError: There is no such list, or an entry is at fault.
        """
        entries = self._checked('categories').parts['entries']
        above = namesakes_above(entries, self.annotated)
        categories = [category for category in entries if category not in above] if above else entries
        names = Counter(category['name'] for category in categories)
        if repeated := [name for name, count in names.items() if count > 1]:
            raise UserError(f'{self.path}: categories with the same name: {first_few(repeated)}')
        return categories, above

    def columns(self, need_annotations: bool) -> tuple[dict[str, Array], Entry]:
        """The columns of :class:`.coco_file.CocoAnnotations`, and what describes them.

        Raises:
            UserError: The file is no COCO detection file or contradicts itself.
        """
        images: ImageList = self._checked('images')
        has_annotations = need_annotations or 'annotations' in self.keys
        annotations = self._checked('annotations') if has_annotations else AnnotationList(self.fields)
        categories, above = self.categories()
        known = IdColumn.of([category['id'] for category in categories])
        arrays = dict(
            image_indices=annotations.indices(self.path, 'image_id', annotations.image_ids, images.ids),
            category_indices=annotations.indices(
                self.path, 'category_id', IdColumn(annotations.category_ids), known
            ),
        )
        info = dict(
            categories=categories,
            namesakes_above=above,
            annotated=annotations.annotated,
            fields=[*self.fields],
            has_annotations=has_annotations,
            has_backslash=images.has_backslash,
        )
        return arrays | images.columns() | annotations.columns(), info


def with_whole_ids(entry: Entry) -> Entry:
    """A valid entry whose ids such as 7.0 are 7."""
    for name in ('id', 'image_id', 'category_id'):
        if type(entry.get(name)) is float:
            entry[name] = int(entry[name])
    return entry


def namesakes_above(categories: Sequence[Entry], annotated: Iterable[int]) -> list[Entry]:
    """The categories without an annotation that stand above a category of the same name.

    Roboflow writes one, the name of the project, also where a class is called like the project.

    Args:
        categories: The entries of the categories.
        annotated: The ids of those that have annotations.
    """
    below = {c['name'] for c in categories if c.get('supercategory') == c['name']}
    with_boxes = set(annotated)
    return [
        c
        for c in categories
        if c['name'] in below and c.get('supercategory') != c['name'] and c['id'] not in with_boxes
    ]


def parse(content: Content, backend_args: Mapping[str, Any] | None) -> Content:
    """Reads a file list by list; what is wrong with the entries is noted for :meth:`Content.columns`.

    Args:
        content: What takes the lists of the file, and names it; nothing was read yet.
        backend_args: The arguments of MMEngine's file backend, where the file is not local.

    Returns:
        The same content.

    Raises:
        UserError: The file is absent, cannot be read, or holds no JSON object.
    """
    path = content.path
    if not path:
        raise UserError('ann_file is not set: it must be the path of a COCO annotation file')
    if osp.exists(path) and not osp.isfile(path) and not osp.isdir(path):  # a pipe would wait for ever
        raise UserError(f'annotation file {path} is not a regular file; ann_file must be a JSON file')
    try:
        if osp.isfile(path) and not backend_args:
            with open(path, 'rb') as file:
                _parse_stream(content, file)
        else:
            _parse_stream(content, io.BytesIO(get(path, backend_args=backend_args)))
        return content
    except FileNotFoundError:
        raise UserError(
            f'annotation file {from_here(path)} not found; say where the data lie: '
            '--cfg-options data_root=FOLDER'
        ) from None
    except IsADirectoryError:
        raise UserError(f'annotation file {path} is a folder; ann_file must be a JSON file') from None
    except OSError as error:
        raise UserError(f'annotation file {path} cannot be read ({error.strerror})') from None
    except JsonError as error:
        raise UserError(f'{path}, {error}') from None
    except UnicodeDecodeError:
        raise UserError(f'{path}: not a text file in UTF-8, so not JSON') from None
    except ValueError as error:  # Python's limit, against numbers that take minutes
        if 'limit' not in str(error):
            raise
        raise UserError(f'{path}: not valid JSON (a number has over 4300 digits)') from None
    except RecursionError:
        raise UserError(f'{path}: not a COCO detection file: brackets are nested too deeply') from None


def _parse_stream(content: Content, file: BinaryIO) -> None:
    # Outlines are nine tenths of COCO's numbers.
    stream = JsonStream(file, json.JSONDecoder(object_hook=_without_outline))
    if stream.peek() != '{':
        value = stream.value()
        stream.check_end()
        kind = type(value).__name__
        raise UserError(f'{content.path}: not a COCO detection file: it holds a {kind}, no object')
    for key in stream.members():
        if key not in FIELDS or stream.peek() != '[':
            content.note_key(key)
            stream.value('{"":')
        else:
            entries = content.new_list(key)
            for values in stream.elements(entries.take):
                content.add(key, values)


def _without_outline(entry: Entry) -> Entry:
    entry.pop('segmentation', None)
    return entry

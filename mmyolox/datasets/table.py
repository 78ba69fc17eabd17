"""The entries of a data list as columns: a column a key for all images, and not a dict an image."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .columns import Array, Columns

Entry = dict[str, Any]
_BLOCK = 2**14
"""How many entries a walk through a whole column takes at a time."""


class TextColumn(Sequence[str]):
    """N texts as two arrays.

    Args:
        ends: (N,) int64, where each ends in ``content``.
        content: All texts in UTF-8, uint8, one after the other. Lone surrogates may be among them.
        release: What a walk through all texts calls now and then: a mapped file takes no memory for it.
    """

    def __init__(self, ends: Array, content: Array, release: Callable[[], None] | None = None) -> None:
        self.ends = ends
        self.content = content
        self._release = release

    @classmethod
    def of(cls, texts: Iterable[str]) -> 'TextColumn':
        """Encodes texts."""
        encoded = [text.encode('utf-8', 'surrogatepass') for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)[1:]
        return cls(ends, np.frombuffer(b''.join(encoded), np.uint8))

    @classmethod
    def joined(cls, parts: Sequence['TextColumn']) -> 'TextColumn':
        """The texts of several columns, one after the other."""
        shifts = np.cumsum([0, *(len(part.content) for part in parts)])
        ends = [part.ends + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
        return cls(
            np.concatenate([np.empty(0, np.int64), *ends]),
            np.concatenate([np.empty(0, np.uint8), *(part.content for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = self.ends[index - 1] if index else 0
        return self.content[start : self.ends[index]].tobytes().decode('utf-8', 'surrogatepass')

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.blocks())

    def blocks(self, length: int = _BLOCK) -> Iterator[list[str]]:
        """All texts, some at a time."""
        for first in range(0, len(self), length):
            ends = self.ends[first : first + length]
            start = int(self.ends[first - 1]) if first else 0
            content = self.content[start : int(ends[-1])].tobytes()
            starts = [0, *(ends[:-1] - start).tolist()]
            yield [
                content[a:b].decode('utf-8', 'surrogatepass')
                for a, b in zip(starts, (ends - start).tolist(), strict=True)
            ]
            if self._release is not None:
                self._release()

    def arrays(self, name: str) -> dict[str, Array]:
        """The two arrays, named for :class:`Columns`."""
        return {f'{name}.ends': self.ends, f'{name}.content': self.content}

    @classmethod
    def named(cls, columns: Columns, name: str) -> 'TextColumn':
        """The column that :meth:`arrays` named."""
        return cls(columns[f'{name}.ends'], columns[f'{name}.content'], columns.release)


class IdColumn(Sequence[int | str]):
    """N ids, whole numbers or texts: an array of int64, or their JSON where texts are among them.

    Args:
        values: (N,) int64, or a :class:`TextColumn` of JSON.
    """

    def __init__(self, values: Array | TextColumn) -> None:
        self.values = values

    @classmethod
    def of(cls, ids: Sequence[int | str]) -> 'IdColumn':
        """Makes a column of ids; numbers are below 2**63."""
        if {*map(type, ids)} <= {int}:
            return cls(np.fromiter(ids, np.int64, len(ids)))
        return cls(TextColumn.of(map(json.dumps, ids)))

    @classmethod
    def joined(cls, parts: Sequence['IdColumn']) -> 'IdColumn':
        """The ids of several columns, one after the other."""
        numbers = [part.numbers for part in parts]
        if all(array is not None for array in numbers):
            return cls(np.concatenate([np.empty(0, np.int64), *numbers]))
        return cls.of([*chain.from_iterable(parts)])

    @property
    def numbers(self) -> NDArray[np.int64] | None:
        """(N,) int64; None where a text is among the ids."""
        return None if isinstance(self.values, TextColumn) else self.values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        value = self.values[index]
        return json.loads(value) if isinstance(value, str) else int(value)

    def __iter__(self) -> Iterator[int | str]:
        if isinstance(self.values, TextColumn):
            return map(json.loads, self.values)
        return iter(self.values.tolist())

    def take(self, indices: Array) -> 'IdColumn':
        """The ids at some places."""
        if isinstance(self.values, TextColumn):
            return IdColumn.of([self[index] for index in indices.tolist()])
        return IdColumn(self.values[indices])

    def positions_in(self, known: 'IdColumn') -> NDArray[np.int64]:
        """(N,) where each id stands among ``known``, -1 where it does not."""
        if self.numbers is None or known.numbers is None:
            positions = {value: position for position, value in enumerate(known)}
            return np.array([positions.get(value, -1) for value in self], np.int64)
        if not len(known):
            return np.full(len(self), -1)
        order = np.argsort(known.numbers, kind='stable')
        ranks = np.searchsorted(known.numbers, self.numbers, sorter=order)
        positions = order[np.minimum(ranks, len(order) - 1)]
        return np.where(known.numbers[positions] == self.numbers, positions, -1)

    def repeated(self) -> list[int | str]:
        """The ids that occur more than once, each once, by first occurrence."""
        values = np.array([*map(repr, self)]) if self.numbers is None else self.numbers
        _, firsts, counts = np.unique(values, return_index=True, return_counts=True)
        return [self[index] for index in np.sort(firsts[counts > 1]).tolist()]

    def arrays(self, name: str) -> dict[str, Array]:
        """The arrays, named for :class:`Columns`."""
        return self.values.arrays(name) if isinstance(self.values, TextColumn) else {name: self.values}

    @classmethod
    def named(cls, columns: Columns, name: str) -> 'IdColumn':
        """The column that :meth:`arrays` named."""
        return cls(columns[name] if name in columns else TextColumn.named(columns, name))


Column = Array | TextColumn | IdColumn


class AnnotationTable(Sequence[Entry]):
    """N entries, which are dicts again when they are taken out.

    All processes share the columns, and so do tables of a choice among the entries.

    Args:
        columns: The columns, as :func:`described` names them.
        rows: (n,) int64, which entries of the columns these are; None for all.
    """

    def __init__(self, columns: Columns, rows: NDArray[np.int64] | None = None) -> None:
        self._columns = columns
        self._kinds: dict[str, str] = columns.info['kinds']
        self._ends = columns['ends']
        self._rows = rows
        readers = dict(text=TextColumn.named, json=TextColumn.named, id=IdColumn.named, ids=IdColumn.named)
        self._read: dict[str, Any] = {
            key: readers[kind](columns, key) if kind in readers else columns[key]
            for key, kind in self._kinds.items()
        }

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> 'AnnotationTable':
        """Makes a table of entries; a table stays what it is."""
        if isinstance(entries, AnnotationTable):
            return entries
        return cls(Columns.of(*described(*split(entries))))

    def __len__(self) -> int:
        return len(self._ends) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> 'AnnotationTable': ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        position = range(len(self))[index]
        row = position if self._rows is None else int(self._rows[position])
        end = int(self._ends[row])
        start = int(self._ends[row - 1]) if row else 0
        return {key: self._value(key, kind, row, start, end) for key, kind in self._kinds.items()}

    def _value(self, key: str, kind: str, row: int, start: int, end: int) -> Any:
        column = self._read[key]
        if kind == 'array':
            return column[start:end].copy()
        if kind == 'number':
            return int(column[row])
        if kind == 'ids':
            return column[start:end]
        if kind == 'json':
            return json.loads(column[row])
        return column[row]

    def take(self, indices: Sequence[int] | Array) -> 'AnnotationTable':
        """The table of some entries, from 0; an entry may come more than once."""
        chosen = np.asarray(indices, np.int64)
        return AnnotationTable(self._columns, chosen if self._rows is None else self._rows[chosen])

    def blocks(self) -> Iterator['AnnotationTable']:
        """All entries, some at a time; what was read of each part is released."""
        for first in range(0, len(self), _BLOCK):
            yield self[first : first + _BLOCK]
            self.release()

    def only(self, *keys: str) -> 'AnnotationTable':
        """The table whose entries have some keys alone, so that no other column is read."""
        table = AnnotationTable(self._columns, self._rows)
        table._kinds = {key: self._kinds[key] for key in keys}
        return table

    def release(self) -> None:
        """Takes the columns out of the process's memory until they are read again: the system has them."""
        self._columns.release()

    def __reduce__(self) -> Any:
        return AnnotationTable, (self._columns, self._rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> 'AnnotationTable':
        return self

    def images(self, key: str) -> Any:
        """What all n images have under a key: an array (n,) of numbers, else a sequence."""
        column, kind = self._read[key], self._kinds[key]
        if kind == 'number':
            return column if self._rows is None else column[self._rows]
        values = column if self._rows is None else [column[row] for row in self._rows.tolist()]
        return [*map(json.loads, values)] if kind == 'json' else values

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n,) how many instances each image has."""
        if self._rows is None:
            return np.diff(self._ends, prepend=0)
        starts = np.where(self._rows > 0, self._ends[self._rows - 1], 0)
        return self._ends[self._rows] - starts

    def instances(self, key: str) -> Array:
        """What the instances of all n images have under a key, (T, ...), image by image."""
        column: Array = self._read[key]
        if self._rows is None:
            return column
        counts = self.counts
        firsts = self._ends[self._rows] - counts
        within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        return column[np.repeat(firsts, counts) + within]

    @property
    def objects(self) -> NDArray[np.int64]:
        """(n,) how many instances of each image are no crowd."""
        objects = self._columns['objects']
        return objects if self._rows is None else objects[self._rows]

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(C,) how many instances each label has that are no crowd, up to the last label that has any."""
        counts = np.array(self._columns.info['class_counts'], np.int64)
        if self._rows is None:
            return counts
        rest = np.ones(len(self._ends), np.bool_)
        rest[self._rows] = False
        left_out = np.flatnonzero(rest)  # seldom many
        # Those near each other at a time, or all pages of a mapped file would be in memory at once.
        for near in np.split(left_out, np.searchsorted(left_out, np.arange(_BLOCK, len(rest), _BLOCK))):
            part = AnnotationTable(self._columns, near)
            counts -= _class_counts(part.instances('labels'), part.instances('is_crowd'), len(counts))
            self.release()
        return counts

    @property
    def largest_coordinate(self) -> float:
        """The largest coordinate of a box in the columns, in pixels."""
        return self._columns.info['largest_coordinate']


def split(entries: Sequence[Entry]) -> tuple[dict[str, Column], Array, dict[str, Column]]:
    """Columns of the images and of their instances, and where those of each image end.

    Args:
        entries: Dicts with the same keys. An array whose length is that of ``bboxes`` is of the instances;
            everything else is of the image and has a form in JSON, in which tuples become lists.

    Raises:
        TypeError: A key is absent from some entries, or holds what has no form in JSON.
    """
    if any(entry.keys() != entries[0].keys() for entry in entries):
        raise TypeError('the entries of a data list must have the same keys')
    counts = [len(entry['bboxes']) for entry in entries]
    images: dict[str, Column] = {}
    instances: dict[str, Column] = {}
    for key in entries[0] if entries else ():
        values = [entry[key] for entry in entries]
        if all(isinstance(value, np.ndarray) for value in values):
            if [*map(len, values)] != counts:
                raise TypeError(f'entries: {key!r} must have the length of bboxes, or be no array')
            instances[key] = np.concatenate(values)
        elif {*map(type, values)} == {int} and max(map(abs, values)) < 2**63:
            images[key] = np.array(values, np.int64)
        elif {*map(type, values)} == {str}:
            images[key] = TextColumn.of(values)
        elif {*map(type, values)} == {int, str}:
            images[key] = IdColumn.of(values)
        else:
            images[key] = _JsonColumn.of(json.dumps(value, default=_plain) for value in values)
    return images, np.cumsum(counts, dtype=np.int64), instances


def described(
    images: Mapping[str, Column], ends: Array, instances: Mapping[str, Column]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the description of a table, for :class:`Columns`.

    Args:
        images: The columns of N images by key.
        ends: (N,) int64, where the instances of each image end among all.
        instances: The columns of all T instances by key, image by image.
    """
    arrays: dict[str, Array] = dict(ends=ends)
    kinds: dict[str, str] = {}
    for of_instances, columns in ((False, images), (True, instances)):
        for key, column in columns.items():
            kinds[key] = _kind(column, of_instances)
            arrays |= {key: column} if isinstance(column, np.ndarray) else column.arrays(key)
    bboxes = np.asarray(instances.get('bboxes', np.empty((0, 4), np.float32)))
    labels = np.asarray(instances.get('labels', np.zeros(len(bboxes), np.int64)))
    crowd = np.asarray(instances.get('is_crowd', np.zeros(len(bboxes), np.bool_)))
    sums = np.concatenate([[0], np.cumsum(~crowd)])
    arrays['objects'] = np.diff(sums[ends], prepend=0)
    info = dict(
        kinds=kinds,
        class_counts=_class_counts(labels, crowd).tolist(),
        largest_coordinate=float(np.max(bboxes, initial=0)),
    )
    return arrays, info


class _JsonColumn(TextColumn):
    """Values of JSON, one a text."""


def _kind(column: Column, of_instances: bool) -> str:
    if isinstance(column, np.ndarray):
        return 'array' if of_instances else 'number'
    if isinstance(column, IdColumn):
        return 'ids' if of_instances else 'id'
    return 'json' if isinstance(column, _JsonColumn) else 'text'


def _class_counts(labels: Array, crowd: Array, length: int = 0) -> NDArray[np.int64]:
    return np.bincount(labels[~crowd], minlength=length)


def _plain(value: Any) -> Any:
    """A value of NumPy as JSON has it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(
        f'entries hold numbers, texts, arrays, and lists and dicts of them, no {type(value).__name__}'
    )

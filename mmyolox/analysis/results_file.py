"""Files in COCO's result format: a JSON list with an entry a detection, read piece by piece into columns."""

import functools
import json
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.annotations import Finding
from mmyolox.datasets.coco_fields import FIELDS
from mmyolox.datasets.json_stream import JsonError, JsonStream
from mmyolox.errors import UserError, first_few
from mmyolox.files import from_here, is_special

Entry = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """The N detections of a file, in its order.

    Attributes:
        path: The file.
        image_ids: The N ids of their images.
        category_ids: (N,) int64.
        bboxes: (N, 4) float64 xywh, pixels of the image. NaN and infinity may be among them.
        scores: (N,) float64, as well.
        keypoints: The N lists of x, y, score for each keypoint of the class; None where the file has none.
    """

    path: str
    image_ids: list[int | str]
    category_ids: NDArray[np.int64]
    bboxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    keypoints: list[list[float]] | None

    def with_keypoints(self, other: 'Results', category_ids: Sequence[int]) -> 'Results':
        """These results, but those of some categories as another file has them.

        Args:
            other: The content of a file of keypoints.
            category_ids: The categories that have keypoints.

        Raises:
            UserError: The file of keypoints has none, or has other categories.
        """
        if len(other.scores) and other.keypoints is None:
            raise UserError(f'{other.path}: no result has keypoints')
        other.refuse(
            ~np.isin(other.category_ids, category_ids),
            other.category_ids.tolist(),
            'with keypoints are of categories without any; category ids',
        )
        kept = np.flatnonzero(~np.isin(self.category_ids, category_ids))
        return Results(
            f'{other.path} and {self.path}',
            [*other.image_ids, *(self.image_ids[index] for index in kept.tolist())],
            np.concatenate([other.category_ids, self.category_ids[kept]]),
            np.concatenate([other.bboxes, self.bboxes[kept]]),
            np.concatenate([other.scores, self.scores[kept]]),
            [*(other.keypoints or ()), *([] for _ in kept)],
        )

    def refuse(self, is_wrong: NDArray[np.bool_], values: Sequence[object], what: str) -> None:
        """Raises an error about some of the detections.

        Args:
            is_wrong: (N,) bool, which ones; no error for none.
            values: The N values that are at fault.
            what: What they are.

        Raises:
            UserError: There are some.
        """
        if is_wrong.any():
            wrong = np.flatnonzero(is_wrong)
            shown = first_few(dict.fromkeys(reprlib.repr(values[index]) for index in wrong.tolist()))
            raise UserError(f'{self.path}: {len(wrong)} of {len(is_wrong)} results {what}: {shown}')


def read_results(path: str) -> Results:
    """Reads a file in COCO's result format; of keypoint results without boxes, those around the keypoints.

    Raises:
        UserError: The file is absent, is no JSON list, or an entry is at fault.
    """
    if is_special(path):
        raise UserError(f'result file {path} is no regular file; needed is a JSON file')
    entries = _Entries(path)
    try:
        with open(path, 'rb') as file:
            stream = JsonStream(file, json.JSONDecoder())
            if not stream.peek():
                raise UserError(
                    f'{path}: the file is empty; results without a detection are an empty list, []'
                )
            if stream.peek() != '[':
                keys = [*stream.value()] if stream.peek() == '{' else []
                own = f'an object (its keys: {first_few(keys)})' if keys else 'no list'
                raise UserError(
                    f"{path}: not in COCO's result format, a JSON list of detections: it holds {own}"
                )
            for values in stream.elements(entries.take):
                entries.add(values)
            stream.check_end()
    except FileNotFoundError:
        raise UserError(f'result file {from_here(path)} not found') from None
    except OSError as error:
        raise UserError(f'result file {path} cannot be read ({error.strerror})') from None
    except JsonError as error:
        raise UserError(f'{path}, {error}') from None
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise UserError(f'{path}: not valid JSON') from None
    return entries.results()


class _Entries:
    """The entries of a file while it is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._faults = {name: Finding() for name in _FIELDS}
        self._records: dict[str, list[Any]] = {name: [] for name in _FIELDS}

    def take(self, raw: bytes) -> bool:
        """Adds the entries of a JSON list, if all are of the common form."""
        records = _decoder()(raw)
        if records is None:
            return False
        self._count += len(records)
        self._gather(records)
        return True

    def add(self, values: Sequence[Any]) -> None:
        """Adds entries of any form; what is at fault is noted."""
        valid = []
        for place, entry in enumerate(values, start=self._count):
            given = entry if isinstance(entry, dict) else {}
            keypoints = given.get('keypoints') or []
            if not given.get('bbox') and _is_numbers(keypoints) and len(keypoints) > 2:
                given = dict(given, bbox=_around(keypoints))
            record = {
                name: default if given.get(name) is None else given[name]
                for name, (_, _, default) in _FIELDS.items()
            }
            wrong = [name for name, (is_valid, _, _) in _FIELDS.items() if not is_valid(record[name])]
            for name in wrong:
                self._faults[name].note([f'no. {place}: {reprlib.repr(record[name])}'])
            if not wrong:
                ids = {name: _whole(record[name]) for name in ('image_id', 'category_id')}
                valid.append(SimpleNamespace(**record | ids))
        self._count += len(values)
        self._gather(valid)

    def _gather(self, records: Sequence[Any]) -> None:
        self._records['image_id'] += [record.image_id for record in records]
        self._records['keypoints'] += [record.keypoints or [] for record in records]
        columns = self._records
        columns['category_id'].append(np.fromiter((r.category_id for r in records), np.int64, len(records)))
        columns['score'].append(np.fromiter((r.score for r in records), np.float64, len(records)))
        numbers = chain.from_iterable(record.bbox for record in records)
        columns['bbox'].append(np.fromiter(numbers, np.float64, 4 * len(records)).reshape(-1, 4))

    def results(self) -> Results:
        """All entries.

        Raises:
            UserError: One is at fault.
        """
        for name, finding in self._faults.items():
            if finding.count:
                raise UserError(
                    f'{self._path}: {finding.count} of {self._count} results have no valid {name!r} '
                    f'({_FIELDS[name][1]}): {first_few(finding.examples)}'
                )
        columns = self._records
        return Results(
            self._path,
            columns['image_id'],
            np.concatenate([np.empty(0, np.int64), *columns['category_id']]),
            np.concatenate([np.empty((0, 4)), *columns['bbox']]),
            np.concatenate([np.empty(0), *columns['score']]),
            columns['keypoints'] if any(columns['keypoints']) else None,
        )


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and len(value) % 3 == 0 and all(map(_is_number, value))


def _whole(value: Any) -> int | str:
    return value if isinstance(value, str) else int(value)


def _around(keypoints: Sequence[float]) -> list[float]:
    """The box around keypoints, which pycocotools takes where there is none."""
    xs, ys = keypoints[0::3], keypoints[1::3]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


_FIELDS: dict[str, tuple[Callable[[Any], bool], str, Any]] = {
    **{name: (*FIELDS['annotations'][name], None) for name in ('image_id', 'category_id', 'bbox')},
    'score': (_is_number, 'a number', None),
    'keypoints': (_is_numbers, 'x, y and score of each keypoint', []),
}
"""What each entry must have: the check of a value, what is wanted, in words, and the value by default, which
stands for null as well."""


@functools.cache
def _decoder() -> Callable[[bytes], Sequence[Any] | None]:
    """A function that decodes a JSON list of entries with boxes, and returns None for others."""
    try:
        import msgspec
    except ImportError:
        return lambda raw: None

    whole = Annotated[int, msgspec.Meta(ge=1 - 2**63, le=2**63 - 1)]

    class Record(msgspec.Struct, gc=False):  # type: ignore[misc]
        image_id: whole | str
        category_id: whole
        bbox: tuple[float, float, float, float]
        score: float
        keypoints: list[float] | None = None

    decoder = msgspec.json.Decoder(list[Record])

    def decode(raw: bytes) -> Sequence[Any] | None:
        try:
            records: Sequence[Any] = decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return None if any(len(record.keypoints or ()) % 3 for record in records) else records

    return decode

"""What the entries of a COCO annotation file must have: checked one by one, or decoded as the common form."""

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from mmyolox.errors import printable

from .annotations import read_flag


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
FIELDS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
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


@functools.cache
def record_decoder(key: str, fields: tuple[str, ...]) -> Callable[[bytes], Sequence[Any] | None]:
    """A function that decodes a JSON list of entries of the common form, and returns None for others.

    The common form passes the checks of :data:`FIELDS`. msgspec passes over all other values without making
    objects of them; without it, every entry goes through Python's decoder.
    """
    try:
        import msgspec
    except ImportError:
        return lambda raw: None
    whole = Annotated[int, msgspec.Meta(ge=1 - 2**63, le=2**63 - 1)]
    side = Annotated[int, msgspec.Meta(ge=1, le=_LONGEST_SIDE)]
    text = Annotated[str, msgspec.Meta(min_length=1)]
    area = Annotated[float, msgspec.Meta(ge=0, lt=_LONGEST_SIDE**2)]
    box = tuple[float, float, float, float]
    needed: dict[str, Any] = dict(id=whole | str, file_name=text, width=side, height=side)
    optional: dict[str, tuple[Any, Any]] = {}
    if key == 'annotations':
        needed = dict(id=whole | str, image_id=whole | str, category_id=whole, bbox=box)
        optional = dict(iscrowd=(Literal[0, 1], 0), ignore=(Literal[0, 1], 0))
        optional |= dict(area=(area | None, None), attributes=(Any, None))
        optional |= dict.fromkeys(fields, (msgspec.Raw, msgspec.Raw()))
    members: list[Any] = [*needed.items(), *((name, *kind) for name, kind in optional.items())]
    decoder = msgspec.json.Decoder(list[msgspec.defstruct('Record', members, gc=False)])  # type: ignore[misc]

    def decode(raw: bytes) -> Sequence[Any] | None:
        try:
            records: Sequence[Any] = decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return records

    return decode

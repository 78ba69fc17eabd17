"""The keypoints that COCO's categories describe, and which change places in a mirror image."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .raw import Skeleton

_SIDES = {'left': 'right', 'right': 'left', 'l': 'r', 'r': 'l'}
_LONG = {'l': 'left', 'r': 'right'}


def skeleton_of(categories: Sequence[Mapping[str, Any]]) -> Skeleton | None:
    """The keypoints of the first category that names some, as far as they can be read.

    Its ``flip_pairs`` are pairs of names; where there are none, names say which are pairs.
    """
    for category in categories:
        listed = category.get('keypoints')
        if isinstance(listed, list) and listed:
            names = tuple(map(str, listed))
            edges = tuple(
                (one - 1, other - 1)  # COCO counts from 1
                for one, other in _pairs(category.get('skeleton'), int)
                if min(one, other) > 0 and max(one, other) <= len(names)
            )
            flips = tuple(
                (names.index(one), names.index(other))
                for one, other in _pairs(category.get('flip_pairs'), str)
                if one in names and other in names
            )
            return Skeleton(names, flips or pairs_of_names(names), edges)
    return None


def _pairs(value: Any, kind: type) -> list[list[Any]]:
    """Those entries of a list that are pairs of a kind."""
    entries = value if isinstance(value, list) else []
    pairs = [entry for entry in entries if isinstance(entry, list) and len(entry) == 2]
    return [pair for pair in pairs if all(type(end) is kind for end in pair)]


def pairs_of_names(names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """The pairs of keypoints whose names differ in left and right, or in l and r.

    Args:
        names: The K names.

    Returns:
        Pairs of indices, the lower one first; None where there is no such pair, so that the names do not say.
    """
    numbers = {_words(name): number for number, name in enumerate(names)}
    mirrored = (tuple(_SIDES.get(word, word) for word in words) for words in numbers)
    pairs = {
        (number, numbers[other])
        for number, other in zip(numbers.values(), mirrored, strict=True)
        if numbers.get(other, -1) > number
    }
    return tuple(sorted(pairs)) or None


def side_of(name: str) -> str:
    """``'left'`` or ``'right'``, as the name of a keypoint says; ``''`` where it says none or both."""
    sides = {_LONG.get(word, word) for word in _words(name) if word in _SIDES}
    return sides.pop() if len(sides) == 1 else ''


def _words(name: str) -> tuple[str, ...]:
    """``leftEye``, ``left_eye`` and ``Left Eye`` as the same words."""
    return tuple(re.findall(r'[a-z]+|\d+', re.sub(r'([a-z])([A-Z])', r'\1 \2', name).lower()))

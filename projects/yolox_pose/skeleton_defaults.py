"""What is taken for the parts of a skeleton that are not given: mirror pairs by name, COCO's sigmas."""

import functools
import logging
import re
from collections.abc import Sequence
from statistics import mean

from mmengine.logging import print_log

COCO_SIGMAS = {
    'nose': 0.026, 'left_eye': 0.025, 'right_eye': 0.025, 'left_ear': 0.035, 'right_ear': 0.035,
    'left_shoulder': 0.079, 'right_shoulder': 0.079, 'left_elbow': 0.072, 'right_elbow': 0.072,
    'left_wrist': 0.062, 'right_wrist': 0.062, 'left_hip': 0.107, 'right_hip': 0.107,
    'left_knee': 0.087, 'right_knee': 0.087, 'left_ankle': 0.089, 'right_ankle': 0.089,
}  # fmt: skip
"""COCO's 17 keypoints of a person, in its order, and their sigmas (cocodataset.org/#keypoints-eval)."""

_SIDES = {
    form(word): form(other)
    for one, two in (('left', 'right'), ('l', 'r'))
    for word, other in ((one, two), (two, one))
    for form in (str.lower, str.upper, str.capitalize)
}
_LEFT = frozenset(word for word in _SIDES if word.lower().startswith('l'))


def default_sigma(name: str) -> float:
    """COCO's sigma of a keypoint of COCO's, for any other name the mean of all (0.0669)."""
    return COCO_SIGMAS.get(name, round(mean(COCO_SIGMAS.values()), 4))


def side_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names that differ in left/right or l/r alone."""
    pairs = [(name, ''.join(_SIDES.get(part, part) for part in _parts(name))) for name in names]
    return [(name, other) for name, other in pairs if other in names[list(names).index(name) + 1 :]]


def side(name: str) -> str:
    """Whether a name speaks of ``left`` or ``right``; else ``middle``."""
    return common({'left' if part in _LEFT else 'right' for part in _parts(name) if part in _SIDES})


def common(sides: set[str]) -> str:
    """The one side of several things that are on the same, else ``middle``."""
    return sides.pop() if len(sides) == 1 else 'middle'


def _parts(name: str) -> list[str]:
    """A name cut into words (letters) and what is between them."""
    return re.split(r'([^a-zA-Z]+)', name)


def tell_defaults(names: Sequence[str], by_side: bool, guessed: Sequence[str], source: str) -> None:
    """Warn, once, of the parts of a skeleton that were not given.

    Args:
        names: All keypoints.
        by_side: The pairs were taken from the names.
        guessed: The keypoints that had no sigma.
        source: Where the skeleton was described.
    """
    parts = []
    if by_side:
        pairs = ', '.join('/'.join(pair) for pair in side_pairs(names))
        parts.append(f'flip_pairs = left and right in the names ({pairs or "none"})')
    if guessed:
        others = ', '.join(name for name in guessed if name not in COCO_SIGMAS)
        theirs = ["COCO's"] if any(name in COCO_SIGMAS for name in guessed) else []
        means = [f"the mean of COCO's, {default_sigma('')}, for {others}"] if others else []
        parts.append(f'sigmas = {" and ".join(theirs + means)}')
    _tell_once(f'skeleton of {source}, what is not given: {", ".join(parts)}')


@functools.cache  # every part of a model and of the data sets makes the skeleton anew
def _tell_once(message: str) -> None:
    print_log(message, 'current', logging.WARNING)

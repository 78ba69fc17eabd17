"""What a check finds: how much of how many, the worst of it first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import counted

SHOWN = 10
"""How many examples are kept."""


@dataclass(frozen=True)
class Example:
    """One case of what a check finds.

    Attributes:
        place: Where it is: a file, with what helps to find it there.
        detail: What is wrong there, with its figures; may be empty.
        image: The index of the image that shows it, -1 where none does.
        boxes: The indices of the boxes that are meant.
    """

    place: str
    detail: str = ''
    image: int = -1
    boxes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f'{self.place}: {self.detail}' if self.detail else self.place


@dataclass(frozen=True)
class Found:
    """What a check finds; nothing where ``count`` is 0.

    Attributes:
        noun: What is counted, one of it: ``'box'``, ``'image'``, ``'class'``.
        count: How many are at fault.
        total: Of how many.
        examples: The worst cases, the worst first.
        splits: How many are in each split, where that can be told.
        indices: All of them, the worst first: indices of boxes or of images; None of what has no index.
        advice: What to do in this case, where that depends on the figures; else the advice of the check.
    """

    noun: str
    count: int
    total: int
    examples: tuple[Example, ...] = ()
    splits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    indices: NDArray[np.int64] | None = None
    advice: str = ''

    @property
    def share(self) -> float:
        """The part that is at fault, 0 to 1."""
        return self.count / self.total if self.total else 0.0

    def with_advice(self, advice: str) -> 'Found':
        """The same, with what to do in this case."""
        return replace(self, advice=advice)

    def describe(self) -> str:
        """How many of how many: ``3 of 120 boxes``."""
        return f'{self.count} of {counted(self.total, self.noun)}'


def nothing(noun: str, total: int) -> Found:
    """Of ``total`` things none is at fault."""
    return Found(noun, 0, total)


def found_things(noun: str, total: int, details: Mapping[str, str], advice: str = '') -> Found:
    """What is found of things that have a name, such as classes.

    Args:
        noun: One of the things.
        total: How many there are.
        details: What is wrong with each that is at fault, by its name, the worst first.
        advice: See :class:`Found`.
    """
    examples = tuple(Example(name, detail) for name, detail in [*details.items()][:SHOWN])
    return Found(noun, len(details), total, examples, advice=advice)


def worst_first(mask: NDArray[np.bool_], badness: NDArray[np.floating] | None = None) -> NDArray[np.int64]:
    """The indices where ``mask`` holds, by falling ``badness``, equals in their order.

    Args:
        mask: (N,).
        badness: (N,), NaN last; None for the order of the indices.
    """
    indices = np.flatnonzero(mask)
    return indices if badness is None else indices[np.argsort(-badness[indices], kind='stable')]


Detail = Callable[[int], str]
"""What is wrong with the box, or the image, of an index; only asked for examples."""

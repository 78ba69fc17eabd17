"""What is likely to help most, with the figures behind it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """A step that is likely to help.

    Attributes:
        step: What to do, in a few words: ``Set the score threshold to 0.41``.
        reason: Why, a sentence or two with the figures.
        figures: The figures by what they are, for a table.
        weight: What it is worth at most, in AP50 from 0 to 1: the order of several.
    """

    step: str
    reason: str
    figures: Mapping[str, float | int | str]
    weight: float

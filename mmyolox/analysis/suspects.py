"""Which labels are likely wrong: where a model that is right elsewhere contradicts them."""

from dataclasses import dataclass

KINDS = ('no-box', 'not-found', 'other-class', 'box-off')
"""The kinds of suspects.

- ``no-box``: a confident detection where nothing is annotated.
- ``not-found``: an annotated box that no detection of any class and score is of.
- ``other-class``: a confident detection of another class on an annotated box.
- ``box-off``: a confident detection of the class that is placed differently than the annotated box.
"""


@dataclass(frozen=True)
class Suspect:
    """A label that somebody should look at.

    Attributes:
        kind: One of ``KINDS``.
        image: The index of the image.
        bbox: xyxy, pixels of the image: of the detection, for ``not-found`` of the annotation.
        label: The class of the detection, for ``not-found`` of the annotation.
        score: How suspicious it is, from 0 to 1: of two, the higher should be looked at first.
        detection: The index of the detection; -1 for ``not-found``.
        truth: The index of the annotation; -1 for ``no-box``.
        reason: Why, a sentence for the reader.
    """

    kind: str
    image: int
    bbox: tuple[float, float, float, float]
    label: int
    score: float
    detection: int
    truth: int
    reason: str

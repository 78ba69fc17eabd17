"""How good a model is by what the objects, or the images, are like."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """The figures of some of the objects, or of the images, at an IoU of 0.5.

    Attributes:
        name: What is in it, in words: ``16-32 px``.
        images: How many images have any of it.
        objects: How many objects there are to find.
        detections: How many detections are kept at the analysis' threshold, as far as they belong to a group.
        ap50: From 0 to 1, the mean of the classes that have objects in it; NaN without objects.
        recall: The share of the objects that is found at the threshold; NaN without objects.
        precision: The share of the detections that is correct; NaN without detections.
    """

    name: str
    images: int
    objects: int
    detections: int
    ap50: float
    recall: float
    precision: float


@dataclass(frozen=True)
class Grouping:
    """A way to divide objects or images in groups.

    Attributes:
        name: Of what: ``size``, ``aspect``, ``crowding``, ``position``, ``image``.
        description: How the groups are made, a sentence for the reader of the report.
        groups: The groups in the order to show them; none where there is nothing to divide.
    """

    name: str
    description: str
    groups: tuple[Group, ...]

"""How good a model is by what the objects, or the images, are like."""

import math
import os.path as osp
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .average_precision import Ranking, mean_of_known
from .case import Case
from .matching import Matcher, Matching
from .overlaps import Overlaps

MOST_IMAGE_GROUPS = 20
"""How many groups of images are told apart; the smaller ones are together."""
AREA_EDGES = (0, 32**2, 96**2, math.inf)
"""COCO's areas of small, medium and large objects, in square pixels."""
SIDE_EDGES = (0, 16, 32, 64, 96, 192, math.inf)
ASPECT_EDGES = (0, 1 / 3, 2 / 3, 3 / 2, 3, math.inf)
BORDER = 2.0
"""How near to the border of the image a box touches it, in pixels."""


@dataclass(frozen=True)
class Group:
    """The figures of some of the objects, or of the images, at an IoU of 0.5.

    Attributes:
        name: What is in it, in words: ``16 to 32 px``.
        images: How many images have an object of it, or are in it.
        objects: How many objects there are to find.
        detections: How many detections of it are kept at the analysis' threshold.
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
        name: Of what: ``area``, ``size``, ``aspect``, ``crowding``, ``position``, ``border``, ``image``.
        description: How the groups are made, a sentence for the reader of the report.
        groups: The groups in the order to show them; none where there is nothing to divide.
    """

    name: str
    description: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class _Division:
    """Which group, by index of ``names``, each of T objects and N detections is in by itself."""

    name: str
    description: str
    names: Sequence[str]
    objects: NDArray[np.int64]
    detections: NDArray[np.int64]


def groupings(
    matcher: Matcher, overlaps: Overlaps, threshold: float, image_groups: Sequence[str] | None = None
) -> tuple[Grouping, ...]:
    """Divides objects and images, and measures each group.

    The figures of a group are made as COCO makes those of small, medium and large objects: the objects of
    other groups and the detections of them are left out, and so are wrong detections that are by themselves
    in another group.

    Args:
        matcher: What matches the detections of the case.
        overlaps: The pairs of the case.
        threshold: The least score of the detections that count for recall and precision.
        image_groups: The group of each of the I images; by default its folder.
    """
    case = matcher.case
    measure = Measure(case, threshold)
    found = []
    for one in (*by_shape(case), by_crowding(case, overlaps), *by_place(case)):
        groups = []
        for index, name in enumerate(one.names):
            is_own = one.objects == index
            matching = matcher.match(~is_own)
            is_counted = matching.is_counted & (matching.is_correct | (one.detections == index))
            images = len(np.unique(case.truth.images[is_own & case.truth.is_object]))
            groups.append(measure.group(name, images, matching, is_counted, is_own))
        found.append(Grouping(one.name, one.description, tuple(groups)))
    return (*found, image_grouping(measure, matcher, image_groups))


class Measure:
    """Measures groups.

    Args:
        case: The case.
        threshold: The least score of the detections that count for recall and precision.
    """

    def __init__(self, case: Case, threshold: float) -> None:
        self._truth = case.truth
        self._ranking = Ranking(case.detections.labels, case.detections.scores)
        self._is_kept = case.detections.scores >= threshold

    def group(
        self,
        name: str,
        images: int,
        matching: Matching,
        is_counted: NDArray[np.bool_],
        is_own: NDArray[np.bool_],
    ) -> Group:
        """The figures of a group.

        Args:
            name: What is in it.
            images: How many images it has.
            matching: Which detection is of which object.
            is_counted: (N,) bool, the detections that count.
            is_own: (T,) bool, the objects of the group.
        """
        own = self._truth.labels[is_own & self._truth.is_object]
        counts = np.bincount(own, minlength=len(self._truth.classes))
        is_kept = is_counted & self._is_kept
        kept, correct = int(is_kept.sum()), int((is_kept & matching.is_correct).sum())
        precisions = self._ranking.average_precisions(is_counted, matching.is_correct, counts)
        return Group(
            name,
            images,
            len(own),
            kept,
            mean_of_known(precisions),
            correct / len(own) if len(own) else math.nan,
            correct / kept if kept else math.nan,
        )


def by_shape(case: Case) -> Iterator[_Division]:
    """By COCO's areas, by size and by aspect ratio."""
    truth, found = case.truth, case.detections
    sides = truth.bboxes[:, 2:] - truth.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]
    areas = truth.areas, sides[1].prod(1)
    roots = tuple(map(np.sqrt, areas))
    with np.errstate(divide='ignore', invalid='ignore'):
        aspects = tuple(one[:, 0] / one[:, 1] for one in sides)
    for name, description, names, edges, values in (
        (
            'area',
            "COCO's small, medium and large objects: the limits are 32 x 32 and 96 x 96 pixels.",
            ('small', 'medium', 'large'),
            AREA_EDGES,
            areas,
        ),
        (
            'size',
            'By the square root of the area, in pixels of the image.',
            ('below 16 px', '16 to 32 px', '32 to 64 px', '64 to 96 px', '96 to 192 px', 'from 192 px'),
            SIDE_EDGES,
            roots,
        ),
        (
            'aspect',
            'By the width of the box over its height.',
            ('below 1:3', '1:3 to 2:3', '2:3 to 3:2', '3:2 to 3:1', 'from 3:1'),
            ASPECT_EDGES,
            aspects,
        ),
    ):
        objects, detections = (np.searchsorted(edges, one, side='right') - 1 for one in values)
        yield _Division(name, description, names, objects, detections)


def by_crowding(case: Case, overlaps: Overlaps) -> _Division:
    """By how many other objects a box overlaps; a detection is taken to be of one of those it overlaps."""
    truth = case.truth
    among = Overlaps.of(truth.images, truth.bboxes, truth)
    is_other = (among.detections != among.objects) & truth.is_object[among.objects]
    neighbours = np.bincount(among.detections[is_other], minlength=len(truth.labels))
    near = overlaps.detections[truth.is_object[overlaps.objects]]
    overlapped = np.bincount(near, minlength=len(case.detections))
    return _Division(
        'crowding',
        'By how many other objects, of any class, the object overlaps with an IoU of 0.1 or more.',
        ('alone', '1 neighbour', '2 neighbours', '3 and more'),
        neighbours.clip(0, 3),
        (overlapped - 1).clip(0, 3),
    )


def by_place(case: Case) -> Iterator[_Division]:
    """By where the centre is in the image, and by whether the box touches the border."""
    thirds: list[NDArray[np.int64]] = []
    borders: list[NDArray[np.int64]] = []
    for images, bboxes in (
        (case.truth.images, case.truth.bboxes),
        (case.detections.images, case.detections.bboxes),
    ):
        sizes = case.truth.sizes[images]
        cells = (3 * (bboxes[:, :2] + bboxes[:, 2:]) / 2 / sizes).clip(0, 2).astype(np.int64)
        thirds.append(cells[:, 1] * 3 + cells[:, 0])
        is_cut = (bboxes[:, :2] <= BORDER) | (bboxes[:, 2:] >= sizes - BORDER)
        borders.append(np.asarray(is_cut.any(1), np.int64))
    columns, rows = ('left', 'middle', 'right'), ('top', 'middle', 'bottom')
    cell_names = ['centre' if row == column else f'{row} {column}' for row in rows for column in columns]
    yield _Division(
        'position',
        'By where the centre of the box is, in thirds of the image.',
        cell_names,
        thirds[0],
        thirds[1],
    )
    yield _Division(
        'border',
        f'By whether the box comes within {BORDER:g} pixels of the border, as cut objects do.',
        ('inside', 'at the border'),
        borders[0],
        borders[1],
    )


def image_grouping(measure: Measure, matcher: Matcher, image_groups: Sequence[str] | None) -> Grouping:
    """By the given group of the image, or by its folder."""
    case = matcher.case
    names = [osp.dirname(path) for path in case.truth.paths] if image_groups is None else [*image_groups]
    description = 'By the folder of the image.' if image_groups is None else 'By the group of the image.'
    counts = Counter(names)
    if len(counts) < 2:
        return Grouping('image', description, ())
    largest = [name for name, _ in counts.most_common(MOST_IMAGE_GROUPS)]
    shown = {name: index for index, name in enumerate(sorted(largest))}
    others = [] if len(counts) == len(shown) else [f'{len(counts) - len(shown)} others']
    places = np.array([shown.get(name, len(shown)) for name in names])
    matching = matcher.match()
    groups = []
    for index, name in enumerate([*shown, *others]):
        is_image = places == index
        is_counted = matching.is_counted & is_image[case.detections.images]
        own = is_image[case.truth.images]
        groups.append(measure.group(name, int(is_image.sum()), matching, is_counted, own))
    return Grouping('image', description, tuple(groups))

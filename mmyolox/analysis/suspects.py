"""Which labels are likely wrong: where a model that is right elsewhere contradicts them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Case
from .error_types import BACKGROUND, CLASS, PLACE, ErrorTypes
from .groups import AREA_EDGES
from .matching import Matching
from .overlaps import MATCH_IOU, Overlaps, box_ious

KINDS = ('no-box', 'not-found', 'other-class', 'box-off')
"""The kinds of suspects.

- ``no-box``: a confident detection where nothing is annotated.
- ``not-found``: an annotated box that no detection of any class and score is of.
- ``other-class``: a confident detection of another class on an annotated box.
- ``box-off``: a confident detection of the class that is placed differently than the annotated box.
"""
LEAST = 0.5
"""How suspicious a label has to be."""
MOST = 1000
"""How many suspects of a kind are kept."""


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


def suspects(
    case: Case, overlaps: Overlaps, matching: Matching, errors: ErrorTypes, threshold: float
) -> tuple[Suspect, ...]:
    """Finds the labels to look at, the most suspicious first; each object or detection once.

    Args:
        case: The case.
        overlaps: Its pairs.
        matching: Which detection is of which object.
        errors: The errors by type.
        threshold: The least score of a detection that contradicts a label, if it is above ``LEAST``.
    """
    confident = matching.is_wrong & (case.detections.scores >= max(threshold, LEAST))
    found = [
        *without_box(case, confident & (errors.of_detections == BACKGROUND)),
        *of_other_class(case, matching, confident & (errors.of_detections == CLASS), errors.related),
        *placed_differently(case, matching, confident & (errors.of_detections == PLACE), errors.related),
        *not_found(case, overlaps, matching),
    ]
    found.sort(key=lambda one: (-one.score, KINDS.index(one.kind), one.image))
    seen: set[int] = set()
    kept = []
    for one in found:
        if one.truth not in seen:
            kept.append(one)
        if one.truth >= 0:
            seen.add(one.truth)
    return tuple(kept)


def without_box(case: Case, mask: NDArray[np.bool_]) -> Iterator[Suspect]:
    """Of several detections at the same place, the best."""
    found = case.detections
    kept: dict[int, list[int]] = {}
    for index in _most(np.flatnonzero(mask), found.scores):
        others = kept.setdefault(int(found.images[index]), [])
        if others and box_ious(found.bboxes[[index] * len(others)], found.bboxes[others]).max() >= MATCH_IOU:
            continue
        others.append(index)
        name = case.truth.classes[found.labels[index]]
        reason = f'{name} detected with a score of {found.scores[index]:.2f} where no box is'
        yield _of_detection('no-box', case, index, -1, float(found.scores[index]), reason)


def of_other_class(
    case: Case, matching: Matching, mask: NDArray[np.bool_], related: NDArray[np.int64]
) -> Iterator[Suspect]:
    """Where a detection of the annotated class is less confident, or there is none."""
    truth, found = case.truth, case.detections
    indices = np.flatnonzero(mask)
    own = matching.detections[related[indices]]
    own_scores = np.where(own >= 0, found.scores[own], 0)
    suspicion = found.scores[indices] - own_scores
    by_index = dict(zip(indices.tolist(), own_scores.tolist(), strict=True))
    weight = np.zeros(len(found))
    weight[indices] = suspicion
    for index in _most(indices[suspicion >= LEAST], weight):
        index_of_truth = int(related[index])
        name, labelled = (
            truth.classes[label] for label in (found.labels[index], truth.labels[index_of_truth])
        )
        own_score = by_index[index]
        against = f'{labelled} itself with {own_score:.2f}' if own_score else f'no {labelled} detected there'
        reason = (
            f'a box of {labelled} detected as {name} with a score of {found.scores[index]:.2f}, {against}'
        )
        yield _of_detection('other-class', case, index, index_of_truth, float(weight[index]), reason)


def placed_differently(
    case: Case, matching: Matching, mask: NDArray[np.bool_], related: NDArray[np.int64]
) -> Iterator[Suspect]:
    """Where no detection agrees with the box."""
    truth, found = case.truth, case.detections
    open_ones = (
        np.flatnonzero(mask & (matching.detections[related] < 0)) if mask.any() else np.flatnonzero(mask)
    )
    for index in _most(open_ones, found.scores):
        of = int(related[index])
        iou = float(box_ious(found.bboxes[[index]], truth.bboxes[[of]])[0])
        name = truth.classes[truth.labels[of]]
        reason = (
            f'{name} detected with a score of {found.scores[index]:.2f}, and its box overlaps the annotated '
            f'one with an IoU of {iou:.2f} only'
        )
        yield _of_detection('box-off', case, index, of, float(found.scores[index]), reason)


def not_found(case: Case, overlaps: Overlaps, matching: Matching) -> Iterator[Suspect]:
    """Objects that no detection is of, where most objects of the class and of about the size are found."""
    truth = case.truth
    same = truth.labels[overlaps.objects] == case.detections.labels[overlaps.detections]
    is_seen = np.zeros(len(truth.labels), np.bool_)
    is_seen[overlaps.objects[same | (overlaps.ious >= MATCH_IOU)]] = True
    sizes = np.searchsorted(AREA_EDGES, truth.areas, side='right') - 1
    cells = truth.labels * len(AREA_EDGES) + sizes
    cell_count = len(truth.classes) * len(AREA_EDGES)
    is_object, is_found = truth.is_object, matching.detections >= 0
    totals = np.bincount(cells[is_object], minlength=cell_count)
    # One more that is not found: a share of few is no evidence.
    suspicion = (np.bincount(cells[is_found], minlength=cell_count) / (totals + 1))[cells]
    indices = np.flatnonzero(is_object & ~is_found & ~is_seen & (suspicion >= LEAST))
    for index in _most(indices, suspicion):
        name, size = truth.classes[truth.labels[index]], ('small', 'medium', 'large')[min(sizes[index], 2)]
        reason = (
            f'a {size} box of {name} that no detection of any score is of, while '
            f'{is_found[cells == cells[index]].sum()} of {totals[cells[index]]} such boxes are found'
        )
        bbox = tuple(truth.bboxes[index].tolist())
        label, image = int(truth.labels[index]), int(truth.images[index])
        yield Suspect('not-found', image, bbox, label, float(suspicion[index]), -1, index, reason)


def _most(indices: NDArray[np.int64], suspicion: NDArray[np.float64]) -> list[int]:
    """The most suspicious of some, in falling order."""
    return indices[np.argsort(-suspicion[indices], kind='stable')][:MOST].tolist()


def _of_detection(kind: str, case: Case, index: int, truth: int, score: float, reason: str) -> Suspect:
    found = case.detections
    bbox = tuple(found.bboxes[index].tolist())
    return Suspect(
        kind, int(found.images[index]), bbox, int(found.labels[index]), score, index, truth, reason
    )

"""What the reader of an analysis has to know before its figures: what is missing, and what looks misread.

Results of another program may be in another form than COCO's and read as well: corners in the place of width
and height, parts of the image in the place of pixels, categories that are counted from 0. Their figures are
poor, and say nothing of the model. Each of these leaves a trace that a poor model does not.
"""

from collections.abc import Iterator

import numpy as np

from mmyolox.errors import counted, first_few

from .case import Case
from .matching import Matching
from .overlaps import MATCH_IOU, Overlaps

LOW_SCORE = 0.05
"""Detections that begin above it were cut off, which lowers the AP."""
BEYOND, BEYOND_SHARE = 0.1, 0.1
"""How far beyond its image, in parts of its side, a box is odd; the share of such boxes that is told."""
LEAST, OWN_SHARE, OTHER_SHARE = 10, 0.2, 0.6
"""Of so many objects that are detected, at least, so few are of their own class, and so many of one other."""


def notes(case: Case, overlaps: Overlaps, matching: Matching) -> Iterator[str]:
    """The lines that stand above the figures.

    Args:
        case: What is analysed.
        overlaps: Its pairs.
        matching: Which detection is of which object.
    """
    truth, found = case.truth, case.detections
    if not truth.is_object.any():
        yield f'{truth.path} has no object to find, so that there is no AP and no recall'
    elif absent := [
        name for name, count in zip(truth.classes, truth.object_counts, strict=True) if not count
    ]:
        of_all = f'{len(absent)} of {counted(len(truth.classes), "class")}'
        yield f'{of_all} without an object to find: {first_few(absent)}'
    if not len(found):
        yield f'{case.name} has no detection at all'
    elif found.scores.min() > LOW_SCORE:
        yield (
            f'the detections begin at a score of {found.scores.min():.2f}: what was cut off below lowers AP '
            'and recall, and makes objects look as if nothing had found them'
        )
    if len(found) and truth.is_object.any():
        misread = [*misread_boxes(case), *misread_categories(case, overlaps)]
        yield from misread
        if len(found) >= LEAST and not (misread or matching.is_correct.any()):
            yield (
                'no detection is right: are the ids of the images and of the categories those of '
                f'{truth.path}?'
            )


def misread_boxes(case: Case) -> Iterator[str]:
    """The line about boxes that are in another form than COCO's.

    Args:
        case: What is analysed, with objects and detections.
    """
    truth, bboxes = case.truth, case.detections.bboxes
    sizes = truth.sizes[case.detections.images]
    over = np.maximum(bboxes[:, 2:] - sizes, -bboxes[:, :2]) / sizes
    beyond = int((over > BEYOND).any(1).sum())
    if bboxes.max() <= 2 < truth.bboxes[truth.is_object].max():
        yield (
            "all detections lie within 2 pixels of their image's corner: COCO's boxes are in pixels, not in "
            'parts of the image'
        )
    elif beyond > BEYOND_SHARE * len(bboxes):
        yield (
            f'{beyond} of {counted(len(bboxes), "detection")} reach beyond their image by a tenth of it or '
            "more: COCO's boxes are x, y, width and height in pixels of the image; are these two corners, or "
            'pixels of another size?'
        )


def misread_categories(case: Case, overlaps: Overlaps) -> Iterator[str]:
    """The line about classes that are all taken for another one, as where ids are counted from 0.

    Args:
        case: What is analysed, with objects and detections.
        overlaps: Its pairs.
    """
    truth, found = case.truth, case.detections
    pairs = overlaps.where(truth.is_object[overlaps.objects] & (overlaps.ious >= MATCH_IOU))
    order = np.lexsort((pairs.detections, pairs.objects))  # the surest detection of each object first
    objects, firsts = np.unique(pairs.objects[order], return_index=True)
    labels, as_detected = truth.labels[objects], found.labels[pairs.detections[order][firsts]]
    matrix = np.zeros((len(truth.classes),) * 2, np.int64)
    np.add.at(matrix, (labels, as_detected), 1)
    own, covered = int(np.trace(matrix)), len(objects)
    np.fill_diagonal(matrix, 0)
    others = int(matrix.max(1).sum())
    if covered >= LEAST and own < OWN_SHARE * covered and others > OTHER_SHARE * covered:
        one, other = np.unravel_index(int(matrix.argmax()), matrix.shape)
        yield (
            f'of {covered} objects that are detected, {own} are detected as their own class and {others} as '
            f'one other, such as {truth.classes[one]} as {truth.classes[other]}: are the category ids those '
            f'of {truth.path}, or counted from 0, or in another order?'
        )

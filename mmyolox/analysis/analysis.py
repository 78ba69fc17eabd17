"""All that is analysed of a case, together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmyolox.errors import UserError, counted, first_few

from .advice import Advice, advice
from .calibration import Calibration, calibration
from .case import Case
from .coco_figures import CocoFigures, coco_figures
from .confusion import Confusion, confusion
from .curves import Curves, curves
from .error_types import ErrorTypes, error_types
from .groups import Grouping, groupings
from .images import ImageErrors, image_errors
from .keypoints import KeypointErrors, keypoint_errors
from .matching import Matcher, Matching
from .overlaps import Overlaps
from .suspects import Suspect, suspects

FALLBACK_THRESHOLD = 0.5
"""The threshold where no detection is right, so that none is the best."""
LOW_SCORE = 0.05
"""Detections that begin above it were cut off, which lowers the AP."""


@dataclass(frozen=True)
class Analysis:
    """What a model does wrong.

    C classes, I images, T objects and N detections are those of the case, in its order. All shares are from 0
    to 1; NaN says that there is nothing to measure.

    Attributes:
        case: What was analysed.
        threshold: The score from which on detections are shown and counted where a threshold is needed: that
            of the best F1 of all classes.
        figures: COCO's figures.
        matcher: What matches detections with objects, at any IoU.
        matching: Which detection is of which object at an IoU of 0.5.
        errors: The errors by type and what each type costs.
        curves: Precision, recall and F1.
        confusion: The confusion matrix at ``threshold``.
        calibration: Scores beside precisions.
        groupings: Figures by area, size, aspect, crowding, position, border, and group of images.
        images: The errors of each image.
        suspects: The labels to look at, the most suspicious first.
        advice: The steps that are likely to help, at most three, the most promising first.
        keypoints: What is wrong with keypoints; None without them.
        notes: What the reader has to know, such as that there was nothing to find, a line each.
    """

    case: Case
    threshold: float
    figures: CocoFigures
    matcher: Matcher
    matching: Matching
    errors: ErrorTypes
    curves: Curves
    confusion: Confusion
    calibration: Calibration
    groupings: tuple[Grouping, ...]
    images: ImageErrors
    suspects: tuple[Suspect, ...]
    advice: tuple[Advice, ...]
    keypoints: KeypointErrors | None = None
    notes: tuple[str, ...] = ()


def analyse(case: Case, image_groups: Sequence[str] | None = None) -> Analysis:
    """Analyses a case.

    It evaluates with hotcoco, which hangs in a process that was forked after an evaluation: call it in main
    processes.

    Args:
        case: What was to be found, and what was detected.
        image_groups: The group of each of the I images, for the grouping ``image``; by default its folder.

    Raises:
        UserError: There are not as many groups as images.
    """
    if image_groups is not None and len(image_groups) != len(case.truth.image_ids):
        raise UserError(f'{len(image_groups)} groups are given for {len(case.truth.image_ids)} images')
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    matcher = Matcher(case, overlaps)
    matching = matcher.match()
    figures = coco_figures(case)
    errors = error_types(case, overlaps, matching)
    all_curves = curves(case, matching, figures)
    best = all_curves.best_overall.threshold
    threshold = FALLBACK_THRESHOLD if np.isnan(best) else best
    confused = confusion(case, overlaps, matching, threshold)
    groups = groupings(matcher, overlaps, threshold, image_groups)
    labels = suspects(case, overlaps, matching, errors, threshold)
    return Analysis(
        case,
        threshold,
        figures,
        matcher,
        matching,
        errors,
        all_curves,
        confused,
        calibration(case, matching),
        groups,
        image_errors(case, matching, errors, threshold),
        labels,
        advice(case, matching, figures, errors, all_curves, confused, groups, labels),
        keypoint_errors(case.truth, case.detections),
        notes=(*case.truth.notes, *_notes(case)),
    )


def _notes(case: Case) -> Iterator[str]:
    """What the reader has to know of the case."""
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

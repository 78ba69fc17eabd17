"""All that is analysed of a case, together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmyolox.errors import UserError

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
from .notes import notes
from .overlaps import Overlaps
from .suspects import Suspect, suspects

FALLBACK_THRESHOLD = 0.5
"""The threshold where no detection is right, so that none is the best."""


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
        notes=(*case.truth.notes, *notes(case, overlaps, matching)),
    )

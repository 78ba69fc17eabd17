"""All that is analysed of a case, together."""

from collections.abc import Sequence
from dataclasses import dataclass

from .advice import Advice
from .calibration import Calibration
from .case import Case
from .coco_figures import CocoFigures
from .confusion import Confusion
from .curves import Curves
from .error_types import ErrorTypes
from .groups import Grouping
from .images import ImageErrors
from .keypoints import KeypointErrors
from .matching import Matching
from .suspects import Suspect


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
        matching: Which detection is of which object.
        errors: The errors by type and what each type costs.
        curves: Precision, recall and F1.
        confusion: The confusion matrix at ``threshold``.
        calibration: Scores beside precisions.
        groupings: Figures by size, aspect, crowding, position, and group of images.
        images: The errors of each image.
        suspects: The labels to look at, the most suspicious first.
        advice: The steps that are likely to help, at most three, the most promising first.
        keypoints: What is wrong with keypoints; None without them.
        notes: What the reader has to know, such as that there was nothing to find, a line each.
    """

    case: Case
    threshold: float
    figures: CocoFigures
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
    """
    raise NotImplementedError

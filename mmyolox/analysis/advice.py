"""What is likely to help most, with the figures behind it.

Each rule makes a step of figures of the analysis, and says what it is worth at most: by how much the AP50
would rise if the step mended all that it is for. The steps that are worth most are given. A rule says nothing
where it is worth less than half a point. One about wrong detections is of those from the threshold of the
best F1 on: below it are many that nobody sees.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmyolox.errors import counted

from .average_precision import WhatIf, rise
from .case import Case
from .coco_figures import CocoFigures
from .confusion import Confusion
from .curves import Curves
from .error_types import (
    BACKGROUND,
    CLASS,
    DUPLICATE,
    MISSED,
    PLACE,
    TYPES,
    ErrorTypes,
    ShownErrors,
    shown_errors,
)
from .groups import Grouping
from .matching import Matching
from .suspects import KINDS, Suspect

USUAL_THRESHOLD = 0.3
"""The score from which on our tools show detections by default."""
LEAST_WORTH = 0.005
MOST_STEPS = 3
MOST_CLASSES = 3
FEW_OBJECTS = 10
"""With fewer objects of a class, its figures are of chance."""


@dataclass(frozen=True)
class Advice:
    """A step that is likely to help.

    Attributes:
        step: What to do, in a few words: ``Set the score threshold to 0.41``.
        reason: Why, a sentence or two with the figures.
        figures: The figures by what they are, for a table.
        weight: What it is worth at most, from 0 to 1, in AP50 (for a threshold in F1): the order of several.
    """

    step: str
    reason: str
    figures: Mapping[str, float | int | str]
    weight: float


def advice(
    case: Case,
    matching: Matching,
    figures: CocoFigures,
    errors: ErrorTypes,
    curves: Curves,
    confusion: Confusion,
    groupings: Sequence[Grouping],
    suspects: Sequence[Suspect],
) -> tuple[Advice, ...]:
    """Finds the steps that are likely to help.

    Args:
        case: What was analysed.
        matching: Which detection is of which object.
        figures: COCO's figures.
        errors: The errors by type.
        curves: What thresholds give.
        confusion: The confusion matrix.
        groupings: The figures by group.
        suspects: The labels to look at.

    Returns:
        At most ``MOST_STEPS``, what is worth most first.
    """
    if not case.truth.is_object.any() or not len(case.detections):
        return ()
    shown, threshold = shown_errors(case, matching, errors, confusion.threshold), confusion.threshold
    steps = [
        *threshold_to_set(curves),
        *more_of_classes(case, figures, errors),
        *larger_input(groupings),
        *labels_to_mend(case, matching, suspects),
        *more_negatives(case, shown, confusion),
        *classes_to_tell_apart(case, shown, confusion),
        *placement(shown, threshold),
        *duplicates_to_suppress(shown, threshold),
        *missed_objects(case, errors),
    ]
    steps.sort(key=lambda one: -one.weight)
    return tuple(one for one in steps if one.weight >= LEAST_WORTH)[:MOST_STEPS]


def threshold_to_set(curves: Curves) -> Iterator[Advice]:
    """What the best threshold gains over the usual one."""
    best = curves.best_overall
    usual = int(np.searchsorted(curves.thresholds, USUAL_THRESHOLD))
    f1 = float(np.nan_to_num(curves.f1_at[-1, usual]))
    if not math.isnan(best.threshold):
        yield Advice(
            f'Set the score threshold to {best.threshold:.2f}',
            f'There F1 is {best.f1:.3f} (precision {best.precision:.3f}, recall {best.recall:.3f}); at the '
            f'usual {USUAL_THRESHOLD:g} it is {f1:.3f}.',
            {
                'threshold': best.threshold,
                'F1': best.f1,
                'precision': best.precision,
                'recall': best.recall,
                f'F1 at {USUAL_THRESHOLD:g}': f1,
            },
            best.f1 - f1,
        )


def more_of_classes(case: Case, figures: CocoFigures, errors: ErrorTypes) -> Iterator[Advice]:
    """The classes that are furthest below the median, but for those whose errors data alone do not mend."""
    median = float(np.median(figures.ap50[~np.isnan(figures.ap50)]))
    is_known = case.truth.object_counts >= FEW_OBJECTS
    costliest = np.nan_to_num(errors.costs_by_class).argmax(1)
    wanted = is_known & (figures.ap50 < median) & ~np.isin(costliest, (CLASS, PLACE, DUPLICATE))
    labels = np.flatnonzero(wanted)
    weakest = labels[np.argsort(figures.ap50[labels], kind='stable')][:MOST_CLASSES].tolist()
    if weakest:
        named = ', '.join(
            f'{case.truth.classes[label]} (AP50 {figures.ap50[label]:.3f}, '
            f'{counted(int(case.truth.object_counts[label]), "object")}, costliest error: '
            f'{TYPES[costliest[label]]})'
            for label in weakest
        )
        names = [case.truth.classes[label] for label in weakest]
        yield Advice(
            f'Add data of {" and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])}',
            f'These are furthest below the median AP50 of all classes ({median:.3f}), for errors that more '
            f'examples mend: {named}.',
            {'median AP50': median}
            | {f'AP50 of {case.truth.classes[i]}': float(figures.ap50[i]) for i in weakest},
            float((median - figures.ap50[weakest]).sum() / (~np.isnan(figures.ap50)).sum()),
        )


def larger_input(groupings: Sequence[Grouping]) -> Iterator[Advice]:
    """How far small objects are behind the others."""
    (areas,) = (one.groups for one in groupings if one.name == 'area')
    small, *others = areas
    total = sum(one.objects for one in areas)
    known = [one for one in others if one.objects >= FEW_OBJECTS]
    if small.objects < FEW_OBJECTS or not known:
        return
    best = max(known, key=lambda one: one.ap50)
    share = small.objects / total
    yield Advice(
        'Train and test with a larger input, or on tiles of the images',
        f'{small.objects} of {total} objects are small (below 32 x 32 pixels): their AP50 is '
        f'{small.ap50:.3f}, that of {best.name} ones {best.ap50:.3f}; {small.recall:.0%} of them are found, '
        f'of those {best.recall:.0%}.',
        {
            'share of small objects': share,
            'AP50 of small objects': small.ap50,
            f'AP50 of {best.name} objects': best.ap50,
            'recall of small objects': small.recall,
            f'recall of {best.name} objects': best.recall,
        },
        share * (best.ap50 - small.ap50),
    )


def labels_to_mend(case: Case, matching: Matching, suspects: Sequence[Suspect]) -> Iterator[Advice]:
    """What the AP50 would be if the labels that confident detections contradict were wrong."""
    contradicted = [one for one in suspects if one.detection >= 0]
    if not contradicted:
        return
    is_gone = np.zeros(len(case.detections), np.bool_)
    is_gone[[one.detection for one in contradicted]] = True
    objects = case.truth.object_counts
    for one in contradicted:
        if one.truth >= 0 and matching.detections[one.truth] < 0:
            objects[case.truth.labels[one.truth]] -= 1
    what_if = WhatIf(case, matching)
    counts = Counter(one.kind for one in contradicted)
    yield Advice(
        f'Look at {counted(len(contradicted), "label")} that confident detections contradict',
        'There are '
        + ', '.join(f'{counts[kind]} {_WORDS[kind]}' for kind in KINDS if counts[kind])
        + '. What is wrong of these counts against the model, and teaches it the wrong thing if the labels '
        'of the training are alike.',
        {_WORDS[kind]: counts[kind] for kind in KINDS if counts[kind]},
        rise(what_if.precisions(), what_if.precisions(is_gone, objects=objects)),
    )


_WORDS = {
    'no-box': 'detections where no box is',
    'other-class': 'boxes of another class',
    'box-off': 'boxes placed differently',
}


def more_negatives(case: Case, shown: ShownErrors, confusion: Confusion) -> Iterator[Advice]:
    """What is detected where nothing is."""
    background = confusion.matrix[-1, :-1]
    label = int(background.argmax())
    name, count = case.truth.classes[label], int(background[label])
    yield Advice(
        'Add images without objects, of what is taken for some',
        f'{_from(shown, BACKGROUND, confusion.threshold)} on background: without them the AP50 would be '
        f'{shown.costs[BACKGROUND]:.3f} higher. Most of what is wrong and of no object is called {name} '
        f'({count}).',
        _figures('detections on background', shown, BACKGROUND) | {f'wrongly called {name}': count},
        float(shown.costs[BACKGROUND]),
    )


def classes_to_tell_apart(case: Case, shown: ShownErrors, confusion: Confusion) -> Iterator[Advice]:
    """The classes that are taken for one another."""
    for one, other, count in confusion.swaps()[:1]:
        names = case.truth.classes[one], case.truth.classes[other]
        yield Advice(
            f'Teach {names[0]} and {names[1]} apart: more examples of both, or one class of them',
            f'{_from(shown, CLASS, confusion.threshold)} of an object of another class: told apart, the AP50 '
            f'would be {shown.costs[CLASS]:.3f} higher. These two are taken for one another most often, '
            f'{count} times.',
            _figures('detections of the wrong class', shown, CLASS) | {f'{names[0]} and {names[1]}': count},
            float(shown.costs[CLASS]),
        )


def placement(shown: ShownErrors, threshold: float) -> Iterator[Advice]:
    """What is not well placed."""
    yield Advice(
        'Place boxes better: train longer, with a larger model or input, and draw boxes by one rule',
        f'{_from(shown, PLACE, threshold)} of the right class, but overlap their object with an IoU below '
        f'0.5 only: well placed, the AP50 would be {shown.costs[PLACE]:.3f} higher.',
        _figures('badly placed detections', shown, PLACE),
        float(shown.costs[PLACE]),
    )


def duplicates_to_suppress(shown: ShownErrors, threshold: float) -> Iterator[Advice]:
    """What is detected twice."""
    yield Advice(
        'Lower the IoU threshold of the NMS',
        f'{_from(shown, DUPLICATE, threshold)} of an object that is found already: without them the AP50 '
        f'would be {shown.costs[DUPLICATE]:.3f} higher.',
        _figures('duplicates', shown, DUPLICATE),
        float(shown.costs[DUPLICATE]),
    )


def _from(shown: ShownErrors, number: int, threshold: float) -> str:
    """The beginning of a reason: ``From a score of 0.41 on, 3 detections are``."""
    count = int(shown.counts[number])
    return (
        f'From a score of {threshold:.2f} on, {counted(count, "detection")} {"is" if count == 1 else "are"}'
    )


def _figures(what: str, shown: ShownErrors, number: int) -> dict[str, float | int | str]:
    """How many errors of a type there are, and what they cost."""
    return {what: int(shown.counts[number]), 'cost in AP50': float(shown.costs[number])}


def missed_objects(case: Case, errors: ErrorTypes) -> Iterator[Advice]:
    """What is missed altogether."""
    counts = errors.counts_by_class[:, MISSED]
    label = int(counts.argmax())
    total, name = int(counts.sum()), case.truth.classes[label]
    yield Advice(
        'Add data that show objects as those that are missed',
        f'No detection is near {total} of {int(case.truth.is_object.sum())} objects, which costs '
        f'{errors.costs[MISSED]:.3f} of AP50; {counts[label]} of them are {name}.',
        {
            'missed objects': total,
            'cost in AP50': float(errors.costs[MISSED]),
            f'missed {name}': int(counts[label]),
        },
        float(errors.costs[MISSED]),
    )

"""Checks of classes: their names, and how many objects there are of each."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.coco_reading import namesakes_above
from mmyolox.doctor.check import Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found, found_things
from mmyolox.errors import alike, counted, one_line

FEW = 20
"""Of fewer objects a class is hardly learned."""
IMBALANCE = 100
"""By how much the most frequent class may outnumber another."""


@check(
    Severity.WARNING,
    'Remove the class, or annotate it: its scores are trained towards 0 alone, and it counts in no mean AP. '
    'Where it only groups others (a supercategory), it is no class here.',
)
def class_without_box(data: Examined) -> Found:
    """Classes without a single box."""
    counts = data.derived(box_counts)
    above = {one.above for split in data.raw.splits for one in split.categories if one.above != one.name}
    names = [
        name
        for name, count in zip(data.raw.classes, counts.tolist(), strict=True)
        if not count and name not in above
    ]
    return found_things('class', len(counts), dict.fromkeys(map(one_line, names), 'no box in any split'))


@check(
    Severity.WARNING,
    'Annotate more of it, or join it with a class that it resembles; some hundred objects are a usual start.',
)
def class_with_few_boxes(data: Examined) -> Found:
    """Classes with fewer than 20 objects to train on, but at least one."""
    counts = data.derived(training_counts)
    order = np.argsort(counts, kind='stable').tolist()
    few = {
        one_line(data.raw.classes[one]): counted(counts[one], 'object')
        for one in order
        if 0 < counts[one] < FEW
    }
    return found_things('class', len(counts), few)


@check(
    Severity.WARNING,
    'Collect more of the rare classes, weigh them higher (class_weights=NAME:2), or draw their images more '
    'often (ClassBalancedDataset).',
)
def class_imbalance(data: Examined) -> Found:
    """Classes of which there is less than a hundredth of the most frequent one to train on."""
    counts = data.derived(training_counts)
    most = counts.max(initial=0)
    order = [one for one in np.argsort(counts, kind='stable').tolist() if 0 < counts[one] * IMBALANCE < most]
    name = one_line(data.raw.classes[int(counts.argmax())]) if len(counts) else ''
    details = {one_line(data.raw.classes[one]): f'{counts[one]}, and {most} of {name}' for one in order}
    return found_things('class', len(counts), details)


@check(
    Severity.WARNING,
    'Set iscrowd, ignore or difficult to 0 for the objects that are to be learned.',
)
def class_of_crowds(data: Examined) -> Found:
    """Classes whose boxes are all crowds, ignored or difficult, where other classes have objects."""
    labels, is_crowd = data.raw.boxes.labels, data.raw.boxes.is_crowd
    counts = np.bincount(labels, minlength=len(data.raw.classes))
    crowds = np.bincount(labels[is_crowd], minlength=len(data.raw.classes))
    only = np.flatnonzero((crowds == counts) & (counts > 0) & (not is_crowd.all())).tolist()
    details = {one_line(data.raw.classes[one]): counted(counts[one], 'crowd box') for one in only}
    return found_things('class', len(counts), details)


@check(
    Severity.WARNING,
    'Give them one name if they are one class: as two they take objects from each other.',
)
def class_names_alike(data: Examined) -> Found:
    """Class names that only case, blanks or underscores tell apart."""
    return found_things(
        'class', len(data.raw.classes), dict.fromkeys(map(one_line, alike(data.raw.classes)), '')
    )


@check(
    Severity.ERROR,
    'Give each class one entry with a name of its own: a training refuses such a file of COCO, and takes the '
    'indices of YOLO for one class.',
)
def class_repeated(data: Examined) -> Found:
    """Class names that stand for several ids or indices of a file."""
    details = {}
    for split in data.raw.splits:
        entries = [dict(id=one.id, name=one.name, supercategory=one.above) for one in split.categories]
        used = {split.categories[label].id for label in np.unique(split.boxes.labels).tolist()}
        above = namesakes_above(entries, used)
        names = Counter(str(entry['name']) for entry in entries if entry not in above)
        for name in (name for name, count in names.items() if count > 1):
            ids = [one.id for one in split.categories if one.name == name]
            details[one_line(name)] = f'{", ".join(map(str, ids))} in {one_line(split.source)}'
    return found_things('class', len(data.raw.classes), details)


@check(
    Severity.WARNING,
    'Take the blanks away: another file, or a model, will have the name without them.',
)
def class_name_padded(data: Examined) -> Found:
    """Class names that begin or end with a blank, or hold a character that cannot be seen."""
    odd = [name for name in data.raw.classes if name != name.strip() or not name.isprintable()]
    return found_things('class', len(data.raw.classes), {repr(name): '' for name in odd})


@check(
    Severity.NOTE,
    'Write names that say what the objects are; results and figures show them.',
)
def class_name_numeric(data: Examined) -> Found:
    """Class names that are numbers."""
    numeric = [name for name in data.raw.classes if name.strip().isdecimal()]
    return found_things('class', len(data.raw.classes), dict.fromkeys(numeric, ''))


def box_counts(data: Examined) -> NDArray[np.int64]:
    """(C,) how many boxes each class has, of any use."""
    return np.bincount(data.raw.boxes.labels, minlength=len(data.raw.classes))


def training_counts(data: Examined) -> NDArray[np.int64]:
    """(C,) how many objects of each class there are in the training split."""
    own = data.is_object & np.isin(data.box_splits, data.split_indices('train'))
    return np.bincount(data.raw.boxes.labels[own], minlength=len(data.raw.classes))

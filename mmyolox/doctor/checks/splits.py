"""Checks of splits against each other: whether they are there, are large enough, and are of one kind."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import NotExaminedError, Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Example, Found, found_things
from mmyolox.errors import counted, one_line

_FEW_OBJECTS = 30
"""An AP of so many objects moves by 0.03 with one of them, and by 0.1 from one such sample to another."""
_FACTOR = 2.0
_SHARE_FACTOR = 3.0
_DEVIATIONS = 4.0
"""Standard deviations by which a figure of two splits differs; by chance that is one class of 16,000."""


def _split_counts(data: Examined, images: NDArray[np.int64] | None = None) -> dict[str, int]:
    """How many images, or boxes in ``images``, the splits of each name have."""
    splits = data.raw.image_splits if images is None else data.raw.image_splits[images]
    counts = np.bincount(splits, minlength=len(data.raw.splits)).tolist()
    return {
        name: sum(counts[index] for index in data.split_indices(name))
        for name in dict.fromkeys(split.name for split in data.raw.splits)
    }


def _object_counts(data: Examined) -> dict[str, int]:
    """How many objects to train on, or to find, each split has."""
    return _split_counts(data, data.raw.boxes.images[data.is_object])


def _class_counts(data: Examined, name: str) -> NDArray[np.int64]:
    """(C,) how many objects of each class the splits of a name have."""
    is_own = np.isin(data.box_splits, data.split_indices(name)) & data.is_object
    return np.bincount(data.raw.boxes.labels[is_own], minlength=len(data.raw.classes))


def _need(data: Examined, *names: str) -> None:
    """Raises NotExaminedError where a split is absent or has no objects."""
    counts = _object_counts(data)
    for name in names:
        if not counts.get(name):
            raise NotExaminedError(f'objects in the {name} split')


@check(
    Severity.WARNING,
    'Its figures depend on a few objects: of two trainings they do not tell which is better. Annotate more, '
    'or measure on all images in turn with `mmyolox kfold`.',
)
def validation_tiny(data: Examined) -> Found:
    """A validation of fewer than 30 objects."""
    _need(data, 'val')
    count = _object_counts(data)['val']
    is_tiny = count < _FEW_OBJECTS
    return found_things('split', 1, {'val': counted(count, 'object')} if is_tiny else {})


@check(
    Severity.NOTE,
    'More images could be trained on: a fifth of all is enough for most validations.',
)
def validation_larger(data: Examined) -> Found:
    """A validation of more images than are trained on."""
    counts = _split_counts(data)
    train, val = counts.get('train', 0), counts.get('val', 0)
    is_larger = val > train > 0
    detail = f'{counted(val, "image")}, the training {train}'
    return found_things('split', 1, {'val': detail} if is_larger else {})


def _only_in(data: Examined, name: str, other: str) -> Found:
    """The classes with objects in one split and none in another."""
    _need(data, name, other)
    counts = _class_counts(data, name)
    is_absent = _class_counts(data, other) == 0
    order = sorted(np.flatnonzero(is_absent & (counts > 0)).tolist(), key=lambda label: -counts[label])
    details = {
        one_line(data.raw.classes[label]): f'{counted(int(counts[label]), "object")} in {name}'
        for label in order
    }
    return found_things('class', len(counts), details)


@check(
    Severity.WARNING,
    'The model cannot find what it never saw; each counts with an AP of 0. Train on some of them, or leave '
    'the class out.',
)
def class_only_in_validation(data: Examined) -> Found:
    """Classes that are validated and never trained."""
    return _only_in(data, 'val', 'train')


@check(
    Severity.WARNING,
    'What the model makes of them is not measured. Move some of their images to the validation.',
)
def class_only_in_training(data: Examined) -> Found:
    """Classes that are trained and never validated."""
    return _only_in(data, 'train', 'val')


@check(
    Severity.WARNING,
    'The figures of the validation tell little of what was trained. Deal the images out anew, by chance.',
)
def class_shares_differ(data: Examined) -> Found:
    """Classes whose share of the objects in training and validation differs by a factor of 3 or more."""
    _need(data, 'train', 'val')
    train, val = _class_counts(data, 'train'), _class_counts(data, 'val')
    shares = train / train.sum(), val / val.sum()
    both = (train + val) / (train.sum() + val.sum())
    deviation = np.sqrt(both * (1 - both) * (1 / train.sum() + 1 / val.sum()))
    factors = np.exp(np.abs(np.log(shares[0] / shares[1])))
    is_real = np.abs(shares[0] - shares[1]) > _DEVIATIONS * deviation
    found = np.flatnonzero((factors >= _SHARE_FACTOR) & is_real & (train > 0) & (val > 0))
    details = {
        one_line(data.raw.classes[label]): f'{shares[0][label]:.1%} in train, {shares[1][label]:.1%} in val'
        for label in sorted(found.tolist(), key=lambda label: -factors[label])
    }
    return found_things('class', len(train), details)


def _medians_differ(data: Examined, values: NDArray[np.float64], describe: Callable[[float], str]) -> Found:
    """The splits in which the median of a figure differs from that of the training by a factor of 2.

    Args:
        data: The data.
        values: (I,) the figure of each image; NaN is left out.
        describe: The figure as a text.
    """
    medians = {}
    for name in dict.fromkeys(split.name for split in data.raw.splits):
        own = values[np.isin(data.raw.image_splits, data.split_indices(name)) & (values > 0)]
        if len(own):
            medians[name] = float(np.median(own))
    if 'train' not in medians:
        raise NotExaminedError('images of the train split')
    train = medians.pop('train')
    ratios = {name: abs(math.log(median / train)) for name, median in medians.items()}
    examples = tuple(
        Example(name, f'the median is {describe(medians[name])}, of the training {describe(train)}')
        for name in sorted(medians, key=lambda name: -ratios[name])
        if ratios[name] >= math.log(_FACTOR)
    )
    return Found('split', len(examples), len(medians), examples)


@check(
    Severity.WARNING,
    'Objects are seen in other sizes than they were trained in. Resize the images of one split, or collect '
    'images as they will come.',
)
def image_sizes_differ(data: Examined) -> Found:
    """Splits whose images are twice or half as large as those of the training."""
    sides = np.sqrt(data.sizes.prod(1))
    return _medians_differ(data, sides, lambda side: f'{side:.0f} pixels')


@check(
    Severity.WARNING,
    'Objects are seen in other sizes than they were trained in. Deal the images out anew, by chance.',
)
def object_sizes_differ(data: Examined) -> Found:
    """Splits whose objects are, for the network, twice or half as large as those of the training.

    Of each image the median counts, so that no crowd of small ones decides.
    """
    return _medians_differ(data, _object_medians(data), lambda side: f'{side:.0f} pixels of the input')


def _object_medians(data: Examined) -> NDArray[np.float64]:
    """(I,) the median of the root of the areas of each image's objects, pixels of the input; NaN for none."""
    chosen = np.flatnonzero(data.is_object)
    sides = np.sqrt(data.input_sides[chosen].prod(axis=1))
    images = data.raw.boxes.images[chosen]
    order = np.lexsort((sides, images))
    firsts = np.searchsorted(images[order], np.arange(len(data.raw.images)))
    counts = np.bincount(images, minlength=len(data.raw.images))
    medians = np.full(len(counts), np.nan)
    has_some = counts > 0
    medians[has_some] = sides[order[(firsts + (counts - 1) // 2)[has_some]]]
    return medians


@check(
    Severity.WARNING,
    'Are objects of one split not annotated? What is not annotated is trained as background, and counts as '
    'wrongly found.',
)
def objects_per_image_differ(data: Examined) -> Found:
    """Splits whose images have, on average, less than a third or more than three times the objects."""
    images, objects = _split_counts(data), _object_counts(data)
    _need(data, 'train')
    means = {name: objects[name] / images[name] for name in images if objects[name]}
    train = means.pop('train')
    far = {
        name: abs(math.log(mean / train))
        for name, mean in means.items()
        if abs(math.log(mean / train)) >= math.log(_SHARE_FACTOR) and objects[name] >= _FEW_OBJECTS
    }
    details = {
        name: f'{means[name]:.1f} objects an image, the training {train:.1f}'
        for name in sorted(far, key=lambda name: -far[name])
    }
    return found_things('split', len(means), details)

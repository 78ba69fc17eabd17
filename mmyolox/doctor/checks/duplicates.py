"""Checks of images that come twice: in a split, or in two, so that figures of a validation are too good."""

import os
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.splits import SPLITS, without_copy_mark
from mmyolox.doctor.check import Severity, check, needed_pixels
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found
from mmyolox.doctor.near_copies import LIKENESS, nearest
from mmyolox.errors import counted


def _ranks(data: Examined) -> NDArray[np.int64]:
    """(I,) 0 for images of the training, 1 of the validation, 2 of the test.

    A test on the very images of the validation has its rank.
    """
    splits = data.raw.splits
    validated = [[*split.images.paths] for split in splits if split.name == 'val']
    names = [
        'val' if split.name == 'test' and [*split.images.paths] in validated else split.name
        for split in splits
    ]
    return np.array([[*SPLITS].index(name) for name in names], np.int64)[data.raw.image_splits]


def _groups_of(keys: Sequence[object]) -> NDArray[np.int64]:
    """(I,) the first image of the same key; images of the key None stand alone."""
    firsts: dict[object, int] = {}
    return np.array(
        [image if key is None else firsts.setdefault(key, image) for image, key in enumerate(keys)], np.int64
    )


def _same_files(data: Examined) -> NDArray[np.int64]:
    """(I,) the first image of the same path."""
    return _groups_of([os.path.abspath(path) for path in data.raw.images.paths])


def _first_of_split(groups: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """(I,) the first image of each one's group that is in its split."""
    return _groups_of([*zip(groups.tolist(), ranks.tolist(), strict=True)])


def _first_of_group(groups: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """(I,) of each one's group the first image of the lowest rank."""
    order = np.argsort(ranks, kind='stable')
    firsts = np.empty(len(groups), np.int64)
    firsts[groups[order[::-1]]] = order[::-1]  # of several the last assignment stays
    return firsts[groups]


def _found_in_split(data: Examined, groups: NDArray[np.int64]) -> Found:
    """The images of which the same split has another one before."""
    firsts = _first_of_split(groups, _ranks(data))
    return data.found_images(
        firsts != np.arange(len(firsts)), detail=lambda image: f'as {data.image_name(int(firsts[image]))}'
    )


def _found_between_splits(data: Examined, groups: NDArray[np.int64]) -> Found:
    """The images of the validation and test that come in a split before, too: train, val, test."""
    ranks = _ranks(data)
    firsts = _first_of_group(groups, ranks)
    return data.found_images(
        ranks[firsts] < ranks,
        detail=lambda image: f'as {data.image_name(int(firsts[image]))}',
        among=ranks > 0,
    )


def _copies(data: Examined) -> NDArray[np.int64]:
    """(I,) the first image of the same content but of another file; itself where there is none.

    Of a file that is listed twice all but the first entry stand alone, since that is another fault.
    """
    copies = data.files.first_copies
    return np.where(_same_files(data) == np.arange(len(copies)), copies, np.arange(len(copies)))


@check(
    Severity.WARNING,
    'Take the copies out: they count more than others in training, and are counted twice in figures.',
)
def copy_in_split(data: Examined) -> Found:
    """Copies of an image, byte by byte, in its split."""
    return _found_in_split(data, _copies(data))


@check(
    Severity.ERROR,
    'The figures of the validation and test are too good: they ask for what was learned by heart. Take these '
    'images out of one of the splits.',
)
def leak_between_splits(data: Examined) -> Found:
    """Images of the validation or test that are trained on, too, or that both of them have."""
    return _found_between_splits(data, data.files.first_copies)


def _annotations(data: Examined, image_boxes: NDArray[np.int64]) -> tuple[tuple[float, ...], ...]:
    """What is annotated in an image: the class, and the box to a pixel, in any order."""
    bboxes = np.nan_to_num(data.bboxes[image_boxes], posinf=0, neginf=0).round()
    labels = data.raw.boxes.labels[image_boxes, None]
    return tuple(sorted(map(tuple, np.hstack([labels, bboxes]).tolist())))


@check(
    Severity.WARNING,
    'Look which annotations are right, and take out the other copies.',
)
def copies_annotated_differently(data: Examined) -> Found:
    """Copies of an image, byte by byte, that have other boxes."""
    firsts = _copies(data)
    members = np.flatnonzero(np.bincount(firsts, minlength=len(firsts))[firsts] > 1)
    order = np.argsort(data.raw.boxes.images, kind='stable')
    starts = np.searchsorted(data.raw.boxes.images[order], np.arange(len(firsts) + 1))
    annotated = {
        image: _annotations(data, order[starts[image] : starts[image + 1]]) for image in members.tolist()
    }
    mask = np.zeros(len(firsts), np.bool_)
    mask[[image for image, boxes in annotated.items() if boxes != annotated[int(firsts[image])]]] = True
    return data.found_images(
        mask,
        detail=lambda image: (
            f'{counted(len(annotated[image]), "box")}; {data.image_name(int(firsts[image]))} has '
            f'{len(annotated[int(firsts[image])])}'
        ),
    )


@check(
    Severity.NOTE,
    'Frames of a film or of a fixed camera look like that: they add less than others. Copies that were '
    'augmented before do so, too: training augments anew each time.',
)
def near_copy_in_split(data: Examined) -> Found:
    """Images that look like another one of their split."""
    return _found_in_split(data, needed_pixels(data).near_groups)


@check(
    Severity.WARNING,
    'If they show the same scene, the figures are too good: put all pictures of a scene into one split. '
    'Pictures of a fixed camera look alike even where what matters in them differs.',
)
def near_leak_between_splits(data: Examined) -> Found:
    """Images of the validation or test that look like one of another split."""
    pixels, ranks = needed_pixels(data), _ranks(data)
    groups = pixels.near_groups
    members: defaultdict[int, list[int]] = defaultdict(list)
    is_joined = np.bincount(groups, minlength=len(groups))[groups] > 1
    for image in np.flatnonzero(is_joined).tolist():
        members[int(groups[image])].append(image)
    others = np.full(len(groups), -1)
    likeness = np.zeros(len(groups))
    for group in members.values():
        indices = np.array(group)
        for rank in (1, 2):
            own, before = indices[ranks[indices] == rank], indices[ranks[indices] < rank]
            if len(own) and len(before):
                best, values = nearest(pixels.thumbs[own], pixels.thumbs[before])
                others[own], likeness[own] = before[best], values
    return data.found_images(
        likeness >= LIKENESS,
        likeness,
        lambda image: f'like {data.image_name(int(others[image]))} (correlation {likeness[image]:.2f})',
        among=ranks > 0,
    )


def _names(data: Examined) -> list[str]:
    return [os.path.basename(name.replace('\\', '/')) for name in data.raw.images.names]


@check(
    Severity.WARNING,
    'The figures are too good: copies of one image are trained on and asked for. Split before the images are '
    'augmented, all copies of one to one side.',
)
def augmented_leak_between_splits(data: Examined) -> Found:
    """Images of the validation or test that Roboflow made of the same image as one of another split."""
    names = _names(data)
    sources = [without_copy_mark(name) for name in names]
    keys = [source if source != name else None for source, name in zip(sources, names, strict=True)]
    return _found_between_splits(data, _groups_of(keys))


@check(
    Severity.NOTE,
    'Their content differs, so that this may be right. Look whether one has the labels of the other.',
)
def name_in_two_splits(data: Examined) -> Found:
    """Images of the validation or test that are called like one of another split, and are another image."""
    names = _names(data)
    ranks, groups = _ranks(data), _groups_of(names)
    firsts = _first_of_group(groups, ranks)
    copies = data.files.first_copies
    is_other = data.files.is_readable & (copies != copies[firsts])
    found = (ranks[firsts] < ranks) & is_other
    return data.found_images(
        found, detail=lambda image: f'as {data.image_name(int(firsts[image]))}', among=ranks > 0
    )

"""Checks of images by their annotations: what is in them, and whether all are used."""

import os.path as osp
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import NotExaminedError, Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import SHOWN, Example, Found, found_things
from mmyolox.errors import counted, one_line
from mmyolox.files import PICTURE_SUFFIXES, list_images

DETECTIONS = 100
"""How many detections an image may have in COCO's evaluation."""


@check(
    Severity.ERROR, 'Name the folder and the files of the split: it has nothing to train on, or to evaluate.'
)
def split_empty(data: Examined) -> Found:
    """Splits without an image, or without a usable box."""
    details = {}
    for number, split in enumerate(data.raw.splits):
        if not len(split.images):
            details[f'{split.name}: {one_line(split.source)}'] = 'no image'
        elif not (data.is_usable & (data.box_splits == number)).any():
            details[f'{split.name}: {one_line(split.source)}'] = 'no usable box'
    return found_things('split', len(data.raw.splits), details)


@check(
    Severity.NOTE,
    'Nothing need be done where nothing is to be found in them: they train the background. Look whether '
    'objects in them were not annotated.',
)
def image_without_box(data: Examined) -> Found:
    """Images without a box."""
    counts = data.derived(counts_of_boxes)
    return data.found_images(counts == 0)


@check(
    Severity.WARNING,
    'Look whether they were annotated at all. If so, leave some out, so that a batch has more to learn from.',
)
def images_mostly_without_box(data: Examined) -> Found:
    """Images of the training split without a box, where they are more than half of it."""
    own = np.isin(data.raw.image_splits, data.split_indices('train'))
    is_empty = own & (data.derived(counts_of_boxes) == 0)
    return data.found_images(is_empty & bool(2 * is_empty.sum() > own.sum()), among=own)


@check(
    Severity.NOTE,
    'COCO counts 100 detections an image at most: set max_per_img and the metric for more, or cut the images '
    'into tiles.',
)
def image_crowded(data: Examined) -> Found:
    """Images with more than 100 objects."""
    counts = np.bincount(data.raw.boxes.images[data.is_object], minlength=len(data.raw.images))
    return data.found_images(
        counts > DETECTIONS, counts.astype(np.float64), lambda image: counted(counts[image], 'object')
    )


@check(
    Severity.WARNING,
    'Join the entries: each lacks the boxes of the others, so that these are learned as background.',
)
def image_repeated(data: Examined) -> Found:
    """Images that have several entries in a split."""
    keys = [
        (split, osp.normpath(path))
        for split, path in zip(data.raw.image_splits.tolist(), data.raw.images.paths, strict=True)
    ]
    counts = Counter(keys)
    times = np.array([counts[key] for key in keys], np.int64)
    return data.found_images(times > 1, detail=lambda image: f'{times[image]} entries')


@check(
    Severity.NOTE,
    'Look whether they were forgotten: images beside the others that no split names are not read.',
)
def image_unlisted(data: Examined) -> Found:
    """Images in the folders of the splits that are in no split."""
    _need_all_splits(data)
    folders = {osp.abspath(split.folder) for split in data.raw.splits}
    outer = {one for one in folders if not any(one != other and _is_in(one, other) for other in folders)}
    named = {osp.abspath(path) for path in data.raw.images.paths}
    there = [str(path) for folder in sorted(outer) for path in list_images(folder, PICTURE_SUFFIXES)]
    lost = [path for path in there if path not in named]
    examples = tuple(Example(one_line(path)) for path in lost[:SHOWN])
    return Found('image', len(lost), len(there), examples)


@check(
    Severity.NOTE,
    'One image of five is held out, the same ones each time; make a split of your own where images belong '
    'together, as frames of a film do.',
)
def validation_missing(data: Examined) -> Found:
    """Data sets without a validation split."""
    _need_all_splits(data)
    lacks = not data.split_indices('val')
    return found_things('data set', 1, {one_line(data.raw.source): 'it has no split val'} if lacks else {})


@check(
    Severity.NOTE,
    'Number the annotations from 1: pycocotools takes the id 0 for "not matched", so that an object that is '
    'found counts as missed.',
)
def annotation_id_zero(data: Examined) -> Found:
    """Annotations of COCO with the id 0."""
    is_coco = np.array([split.format == 'coco' for split in data.raw.splits], np.bool_)[data.box_splits]
    numbers = data.raw.boxes.ids.numbers
    is_zero = np.zeros(len(is_coco), np.bool_) if numbers is None else numbers == 0
    return data.found_boxes(is_coco & is_zero, among=is_coco)


def counts_of_boxes(data: Examined) -> NDArray[np.int64]:
    """(I,) how many boxes each image has, of any use."""
    return np.bincount(data.raw.boxes.images, minlength=len(data.raw.images))


def _need_all_splits(data: Examined) -> None:
    """Raises NotExaminedError where a split could not be read."""
    if data.raw.faults.counts['split-unreadable']:
        raise NotExaminedError('a split that could not be read')


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(osp.join(folder, ''))

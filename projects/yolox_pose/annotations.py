"""Reading and checking of the keypoints in a COCO annotation file."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.annotations import AnnotationReport
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.datasets.coco_reading import Entry
from mmyolox.errors import UserError, first_few

from .skeleton import Skeleton
from .transforms import without_outliers

_REMEDY = "this is a detection file; take the data set's keypoint file (COCO's person_keypoints_*.json)"


def class_keypoints(file: CocoAnnotations, classes: Sequence[str], skeleton: Skeleton) -> list[list[int]]:
    """Which keypoints each class has: indices of ``skeleton.names``, in the order of the file's category.

    A category that names none, but whose annotations have keypoints, has those of the skeleton. So has any
    category of a file without annotations, as of COCO's test images.

    Raises:
        UserError: A category has keypoints that the skeleton lacks, or no class has any.
    """
    categories = {category['name']: category for category in file.categories}
    indices = []
    for name in classes:
        names = categories[name].get('keypoints') or ()
        if not names and (not file.annotations or _has_keypoints(file, categories[name])):
            names = skeleton.names
        lacking = [keypoint for keypoint in names if keypoint not in skeleton.names]
        if lacking:
            raise UserError(
                f'{file.path}: class {name} has keypoints that metainfo.skeleton lacks: '
                f'{first_few(lacking, 20)}; add them there, or set skeleton = None to take those of the file'
            )
        if len(set(names)) < len(names):
            raise UserError(f'{file.path}: class {name} names a keypoint twice: {first_few(names, 20)}')
        indices.append([skeleton.names.index(keypoint) for keypoint in names])
    if not any(indices):
        raise UserError(f'{file.path}: no class of {first_few(classes)} has keypoints; {_REMEDY}')
    return indices


def _has_keypoints(file: CocoAnnotations, category: Entry) -> bool:
    """Whether an annotation of a category has keypoints."""
    is_its = file.category_indices == file.categories.index(category)
    return any(file.field('keypoints', np.flatnonzero(is_its)))


def read_keypoints(
    file: CocoAnnotations,
    chosen: NDArray[np.int64],
    keypoints_of: Mapping[int, Sequence[int]],
    num_keypoints: int,
    report: AnnotationReport,
) -> NDArray[np.float32]:
    """The keypoints of annotations, and one note for each fault that had to be mended.

    Args:
        file: The file of the annotations.
        chosen: (N,) int64, which annotations of it.
        keypoints_of: Which of the K keypoints the annotations of a category list, by its id; see
            :func:`class_keypoints`.
        num_keypoints: The number of keypoints K.
        report: The report that gets the notes.

    Returns:
        (N, K, 3) x and y in pixels of the image, and COCO's visibility. Zeros for what is not labelled: in
        the file, because the class or the annotation has no keypoints, or because it is outside the image.

    Raises:
        UserError: A list of keypoints cannot be read, or none of the annotations has one.
    """
    annotations = [file.annotations[index] for index in chosen.tolist()]
    indices_of: defaultdict[int, list[int]] = defaultdict(list)
    for index, annotation in enumerate(annotations):
        if annotation.get('keypoints'):
            indices_of[annotation['category_id']].append(index)
    keypoints = np.zeros((len(annotations), num_keypoints, 3))
    for category_id, indices in indices_of.items():
        own = keypoints_of[category_id]
        keypoints[np.ix_(indices, own)] = _checked_keypoints(
            file, [annotations[i] for i in indices], len(own)
        )

    # Crowds need no keypoints.
    posed = [a for a in annotations if keypoints_of[a['category_id']]]
    single = [a for a in posed if not (a.get('iscrowd') or a.get('ignore'))]
    unlabelled = [a['id'] for a in single if not a.get('keypoints')]
    if unlabelled and len(unlabelled) == len(single):
        raise UserError(f"{file.path}: none of its {len(single)} annotations has 'keypoints'; {_REMEDY}")
    _note(report, unlabelled, 'have no keypoints, unlike their category; they stay as boxes', of=len(single))

    counts = (keypoints[..., 2] > 0).sum(1).tolist()
    miscounted = [
        f'{a["id"]} ({a["num_keypoints"]} instead of {count})'
        for a, count in zip(annotations, counts, strict=True)
        if a.get('keypoints') and a.get('num_keypoints', count) != count
    ]
    _note(report, miscounted, 'have a wrong num_keypoints, which was counted anew', of=len(annotations))

    inside = without_outliers(keypoints, file.image_sizes(chosen)[:, None])
    lost = (keypoints[..., 2] > inside[..., 2]).any(1)
    outside = [annotations[index]['id'] for index in np.flatnonzero(lost)]
    what = 'have keypoints outside their image, which count as not labelled'
    _note(report, outside, what, of=len(annotations))
    return inside.astype(np.float32)


def _checked_keypoints(
    file: CocoAnnotations, annotations: Sequence[Entry], count: int
) -> NDArray[np.float64]:
    """The lists of N annotations of one category as (N, ``count``, 3), finite and with valid visibilities."""
    for annotation in annotations:
        listed = annotation['keypoints']
        if not isinstance(listed, list):
            raise UserError(f'{_named(file, annotation)}: keypoints is {listed!r}; needed is a list')
        check_length(file, annotation, count)
        if not {*map(type, listed)} <= {int, float}:
            raise UserError(f'{_named(file, annotation)}: keypoints has other values than numbers: {listed}')
    numbers = chain.from_iterable(a['keypoints'] for a in annotations)
    values = np.fromiter(numbers, np.float64).reshape(len(annotations), count, 3)
    invalid = ~np.isfinite(values).all(2) | ~np.isin(values[..., 2], (0, 1, 2))
    if invalid.any():
        index, number = np.argwhere(invalid)[0]
        raise UserError(
            f'{_named(file, annotations[index])}: its keypoint no. {number + 1} is '
            f'{values[index, number].tolist()}; needed are finite x and y and a visibility of '
            f'0 (not labelled), 1 (hidden) or 2 (seen); such annotations: {invalid.any(1).sum()}'
        )
    labelled = values[values[..., 2] > 0, :2]
    if labelled.size and (labelled <= 1).all():
        raise UserError(
            f'{file.path}: x and y of all keypoints are at most 1, as fractions of the image are; '
            'needed are pixels: multiply x by the width and y by the height of the image'
        )
    return values


def check_length(file: CocoAnnotations, annotation: Entry, count: int) -> None:
    """Checks that an annotation lists as many keypoints as its category has, ``count``.

    Raises:
        UserError: It does not.
    """
    listed = len(annotation['keypoints'])
    if listed != 3 * count:
        raise UserError(
            f'{_named(file, annotation)}: keypoints has {listed} numbers; needed are {3 * count}: '
            f'x, y and visibility for each of the {count} keypoints of its category'
        )


def _named(file: CocoAnnotations, annotation: Entry) -> str:
    return f'{file.path}: annotation {annotation["id"]}'


def _note(report: AnnotationReport, names: Sequence[Any], what: str, of: int) -> None:
    """Tells of annotations by their ids, if there are any."""
    if names:
        report.notes.append(f'{len(names)} of {of} annotations {what}: {first_few(names)}')

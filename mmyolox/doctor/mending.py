"""Mending a data set: what has one right answer is done, and everything that is done is told."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmyolox.datasets.annotations import MIN_SIDE
from mmyolox.errors import counted

from .checks.boxes import finite_boxes
from .diagnosis import Diagnosis
from .examined import Examined
from .found import Example

_FAULTS: Mapping[str, str] = {
    'entry-unreadable': 'left out',
    'image-unknown': 'left out',
    'category-unknown': 'left out',
    'line-unreadable': 'left out',
    'class-unknown': 'left out',
    'object-unreadable': 'left out',
    'keypoints-unreadable': 'keypoints left out',
    'names-unreadable': 'called by the index',
    'name-index-missing': 'numbered anew',
    'nc-differs': 'the names counted',
    'keypoint-shape-unreadable': 'keypoints left out',
    'value-unreadable': 'written anew: sizes of the file, flags 0, the area of the box',
    'id-repeated': 'numbered anew',
    'image-listed-twice': 'listed once',
    'polygon': 'its box written',
    'byte-order-mark': 'written without',
    'path-guessed': 'written at a path of its own',
}
"""What becomes of faults that readers noted."""

_REWRITTEN: Mapping[str, str] = {'annotation-id-zero': 'numbered from 1', 'class-repeated': 'joined'}
"""What becomes of findings when ids are given anew, and classes are told apart by their names."""

_UNREAD_IMAGES = (
    *('image-missing', 'image-empty', 'image-undecodable', 'image-truncated', 'image-too-large'),
    *('file-unreadable', 'annotation-missing', 'size-unknown'),
)
"""The checks whose images are left out, and those whose size nobody knows where such a check was not made."""

_COPIES = ('copy-in-split', 'leak-between-splits')
"""The checks whose images are left out where others of their split stay."""


class Change(NamedTuple):
    """Something that was done.

    Attributes:
        check: The name of the check that found it.
        action: What was done: ``'left out'``, ``'cut to the image'``.
        place: Where.
        detail: The figures.
    """

    check: str
    action: str
    place: str
    detail: str


@dataclass
class Mended:
    """A data set with what has one right answer done: I images, T boxes of which some are left out.

    Attributes:
        data: The data set as it was examined.
        classes: The C names; empty for a class that is none.
        is_image_kept: (I,) which images stay.
        is_box_kept: (T,) which boxes stay; only in images that do.
        images: (T,) the image of each box.
        bboxes: (T, 4) xyxy, pixels.
        areas: (T,) square pixels.
        keypoints: (T, K, 3), pixels; None without.
        changes: What was done.
    """

    data: Examined
    classes: list[str]
    is_image_kept: NDArray[np.bool_]
    is_box_kept: NDArray[np.bool_]
    images: NDArray[np.int64]
    bboxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    keypoints: NDArray[np.float32] | None
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, data: Examined) -> 'Mended':
        """The data set before anything is done."""
        return cls(
            data=data,
            classes=[*data.raw.classes],
            is_image_kept=np.ones(len(data.raw.images), np.bool_),
            is_box_kept=np.ones(len(data.raw.boxes), np.bool_),
            images=data.raw.boxes.images.copy(),
            bboxes=data.bboxes.copy(),
            areas=data.raw.boxes.areas.copy(),
            keypoints=None if data.keypoints is None else data.keypoints.copy(),
        )

    def tell_boxes(
        self, check: str, action: str, boxes: Iterable[int], detail: Callable[[int], str] | None = None
    ) -> None:
        """Notes what was done to boxes; by default their figures are those that they had."""
        for box in boxes:
            example = self.data.box_example(box)
            text = (detail or self.data.box_text)(box)
            self.changes.append(Change(check, action, example.place, text))

    def tell(self, check: str, action: str, examples: Iterable[Example]) -> None:
        """Notes what was done elsewhere."""
        self.changes += [Change(check, action, one.place, one.detail) for one in examples]


def mend(diagnosis: Diagnosis) -> Mended:
    """Mends what a diagnosis found, as far as it has one right answer.

    Left out are: what could not be read; images that cannot be, and all but the first of equal ones, unless
    their annotations differ or nothing would be left of a split; boxes that are not finite, have no area or
    lie outside; all but the first of equal boxes. Boxes are cut to their image, swapped corners put right,
    and fractions made pixels. Entries of one image are joined. Areas and counts of keypoints are written
    where they contradict the rest, keypoints outside of their image or at (0, 0) become not labelled.

    Args:
        diagnosis: The diagnosis; checks that were not made mend nothing.
    """
    mended = Mended.of(diagnosis.data)
    found = {finding.check.name: finding.found for finding in diagnosis.findings}
    indices = {name: one.indices for name, one in found.items() if one.indices is not None}
    tell_rewritten(mended, diagnosis)
    with np.errstate(all='ignore'):
        leave_out_images(mended, indices)
        join_images(mended, 'image-repeated' in indices)
        mend_boxes(mended, indices)
        leave_out_copies(mended)
        mend_areas(mended, indices.get('area-unlike-box'))
        mend_keypoints(mended, indices)
    mend_classes(mended)
    return mended


def tell_rewritten(mended: Mended, diagnosis: Diagnosis) -> None:
    """Notes what is put right by writing all anew."""
    for finding in diagnosis.findings:
        if finding.check.name in _REWRITTEN:
            mended.tell(finding.check.name, _REWRITTEN[finding.check.name], finding.found.examples)
    for kind, faults in mended.data.raw.faults.kept.items():
        if kind in diagnosis.checked and kind in _FAULTS:
            mended.tell(kind, _FAULTS[kind], (Example(*fault) for fault in faults))


def leave_out_images(mended: Mended, indices: Mapping[str, NDArray[np.int64]]) -> None:
    """Leaves out images that cannot be read, and copies, but not the last images of a split for these.

    Without a validation split one is held out, for which two images are needed.
    """
    raw, splits = mended.data.raw, mended.data.raw.image_splits
    chosen = dict(indices)
    for kind, files in (
        ('file-unreadable', raw.images.label_files),
        ('annotation-missing', raw.images.paths),
    ):
        places = {fault.place for fault in raw.faults.kept[kind]}
        chosen[kind] = np.flatnonzero(np.fromiter((file in places for file in files), np.bool_, len(files)))
    chosen['size-unknown'] = np.flatnonzero(~np.isfinite(mended.data.sizes[:, 0]))
    least = 1 if mended.data.split_indices('val') else 2
    differing = indices.get('copies-annotated-differently', np.empty(0, np.int64))
    for name in (*_UNREAD_IMAGES, *_COPIES):
        images = chosen.get(name, np.empty(0, np.int64))
        if name == 'copy-in-split':
            images = np.setdiff1d(images, differing)
        images = images[mended.is_image_kept[images]]
        if name in _COPIES:
            counts = np.bincount(splits[mended.is_image_kept], minlength=len(raw.splits))
            lost = np.bincount(splits[images], minlength=len(raw.splits))
            images = images[(counts - lost >= least)[splits[images]]]
        mended.is_image_kept[images] = False
        mended.tell(name, 'left out', (Example(mended.data.image_name(image)) for image in images.tolist()))
    mended.is_box_kept &= mended.is_image_kept[mended.images]


def join_images(mended: Mended, is_found: bool) -> None:
    """Moves the boxes of later entries of an image to its first entry in the split."""
    if not is_found:
        return
    raw = mended.data.raw
    firsts: dict[tuple[int, str], int] = {}
    targets = np.arange(len(mended.is_image_kept))
    for image in np.flatnonzero(mended.is_image_kept).tolist():
        key = (int(raw.image_splits[image]), raw.images.paths[image])
        first = firsts.setdefault(key, image)
        if first != image:
            mended.is_image_kept[image] = False
            targets[image] = first
            place = Example(mended.data.image_name(image), f'entry {raw.images.ids[image]}')
            mended.tell('image-repeated', f'joined with entry {raw.images.ids[first]}', [place])
    mended.images = targets[mended.images]


def mend_boxes(mended: Mended, indices: Mapping[str, NDArray[np.int64]]) -> None:
    """Puts boxes right, cuts them to their image, and leaves out those of no use."""
    data = mended.data
    sizes = np.nan_to_num(data.sizes[mended.images], nan=np.inf)
    none = np.empty(0, np.int64)
    misread = _kept(mended, indices.get('boxes-as-corners', none))
    mended.bboxes[misread, 2:] -= mended.bboxes[misread, :2]
    mended.tell_boxes('boxes-as-corners', 'width and height taken as the corner', misread.tolist())
    for name, action, power in (
        ('boxes-in-fractions', 'multiplied by the size of the image', 1),
        ('boxes-in-pixels', 'divided by the size of the image', -1),
    ):
        boxes = _kept(mended, indices.get(name, none))
        mended.bboxes[boxes] *= np.tile(data.sizes[mended.images[boxes]], 2) ** power
        mended.tell_boxes(name, action, boxes.tolist())
    swapped = _kept(mended, indices.get('box-inverted', none))
    corners = mended.bboxes[swapped].reshape(-1, 2, 2)
    mended.bboxes[swapped] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    mended.tell_boxes('box-inverted', 'corners swapped', swapped.tolist())
    is_finite = finite_boxes(mended.bboxes)
    cut = np.clip(mended.bboxes, 0, np.tile(sizes, 2))
    is_flat = (mended.bboxes[:, 2:] - mended.bboxes[:, :2]).min(axis=1) < MIN_SIDE
    is_gone = (cut[:, 2:] - cut[:, :2]).min(axis=1) < MIN_SIDE
    for name, mask in (
        ('box-not-finite', ~is_finite),
        ('box-without-area', is_finite & is_flat),
        ('box-outside', is_finite & ~is_flat & is_gone),
    ):
        lost = np.flatnonzero(mask & mended.is_box_kept)
        mended.is_box_kept[lost] = False
        mended.tell_boxes(name, 'left out', lost.tolist())
    over = _kept(mended, indices.get('box-over-border', none))
    mended.tell_boxes('box-over-border', 'cut to the image', over.tolist())
    mended.bboxes = np.where(is_finite[:, None], cut, mended.bboxes)


def leave_out_copies(mended: Mended) -> None:
    """Leaves out all but the first of equal objects of an image, also of entries that were joined."""
    boxes = mended.data.raw.boxes
    chosen = np.flatnonzero(mended.is_box_kept & ~boxes.is_crowd)
    columns = np.concatenate(
        [mended.images[chosen, None], boxes.labels[chosen, None], mended.bboxes[chosen]], axis=1
    )
    _, firsts = np.unique(columns, axis=0, return_index=True)
    copies = np.setdiff1d(chosen, chosen[firsts])
    mended.is_box_kept[copies] = False
    mended.tell_boxes('box-repeated', 'left out', copies.tolist())


def mend_areas(mended: Mended, wrong: NDArray[np.int64] | None) -> None:
    """Writes the area of the box where there is none, a wrong one, or one that is larger than what is cut."""
    own = (mended.bboxes[:, 2:] - mended.bboxes[:, :2]).prod(axis=1)
    if wrong is not None:
        wrong = _kept(mended, wrong)
        areas = mended.data.raw.boxes.areas
        mended.tell_boxes(
            'area-unlike-box', 'area of the box written', wrong.tolist(), lambda box: f'{areas[box]:.6g}'
        )
        mended.areas[wrong] = own[wrong]
    mended.areas = np.where((mended.areas > 0) & (mended.areas <= own), mended.areas, own)


def mend_keypoints(mended: Mended, indices: Mapping[str, NDArray[np.int64]]) -> None:
    """Takes the label from keypoints that cannot be where they are."""
    if mended.keypoints is None:
        return
    points = mended.keypoints
    sizes = mended.data.sizes[mended.images][:, None]
    is_beyond: NDArray[np.bool_] = (points[..., :2] < 0) | (points[..., :2] > sizes)
    for name, is_lost in (
        ('keypoint-at-origin', (points[..., 0] == 0) & (points[..., 1] == 0)),
        ('keypoint-outside-image', is_beyond[..., 0] | is_beyond[..., 1]),
    ):
        boxes = _kept(mended, indices.get(name, np.empty(0, np.int64)))
        taken = is_lost[boxes] & (points[boxes, :, 2] > 0)
        points[boxes] = np.where(taken[..., None], 0, points[boxes])
        for box, number in zip(boxes.tolist(), taken.sum(axis=1).tolist(), strict=True):
            mended.tell_boxes(name, 'marked as not labelled', [box], partial(_keypoints_text, number))
    counts = _kept(mended, indices.get('keypoint-count-differs', np.empty(0, np.int64)))
    written = mended.data.raw.boxes.keypoint_counts
    mended.tell_boxes(
        'keypoint-count-differs', 'counted anew', counts.tolist(), lambda box: f'num_keypoints {written[box]}'
    )


def _keypoints_text(number: int, box: int) -> str:
    return counted(number, 'keypoint')


def mend_classes(mended: Mended) -> None:
    """Takes blanks from names, and takes out what only groups others, as Roboflow's name of the project."""
    raw = mended.data.raw
    used = set(raw.boxes.labels.tolist())
    above = {one.above for split in raw.splits for one in split.categories if one.above != one.name}
    for label, name in enumerate(raw.classes):
        plain = ' '.join(name.split())
        if used and label not in used and name in above:
            mended.classes[label] = ''
            mended.tell('class-without-box', 'left out', [Example(name, 'it only groups others')])
        elif plain and plain != name and plain not in mended.classes:
            mended.classes[label] = plain
            mended.tell('class-name-padded', f'written {plain!r}', [Example(repr(name))])


def _kept(mended: Mended, boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some boxes that stay."""
    return boxes[mended.is_box_kept[boxes]]

"""Checks of keypoints: where they lie, whether their visibility is true, and what mirrors them."""

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import NotExaminedError, Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found, found_things
from mmyolox.doctor.skeletons import side_of
from mmyolox.errors import counted, one_line

_NEAR_BOX = 0.25
"""Of the box's side: keypoints may lie a little outside, as a fingertip of a box around the trunk."""
_ROUNDING = 1.0
_ENOUGH = 30
"""Objects of which a rule is told."""
_NEARLY_ALL = 0.98


def _keypoints(data: Examined) -> NDArray[np.float32]:
    """(T, K, 3), see :attr:`Examined.keypoints`; raises NotExaminedError where there are none."""
    if data.keypoints is None:
        raise NotExaminedError('keypoints')
    return data.keypoints


def _has_keypoints(data: Examined) -> NDArray[np.bool_]:
    """(T,) which boxes have a list of keypoints."""
    return _any(np.isfinite(_keypoints(data)[..., 2]))


def _any(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) whether a mask (T, K) holds for any keypoint."""
    return np.logical_or.reduce(mask, axis=1)


def _is_labelled(data: Examined) -> NDArray[np.bool_]:
    """(T, K) which keypoints are labelled: hidden or visible."""
    labelled: NDArray[np.bool_] = _keypoints(data)[..., 2] > 0
    return labelled


def _name(data: Examined, keypoint: int) -> str:
    names = data.raw.skeleton.names if data.raw.skeleton else ()
    return one_line(names[keypoint]) if keypoint < len(names) else f'keypoint {keypoint}'


def _point_text(data: Examined, box: int, keypoint: int) -> str:
    x, y, visibility = _keypoints(data)[box, keypoint].tolist()
    return f'{_name(data, keypoint)} at ({x:.5g}, {y:.5g}), visibility {visibility:g}'


def _found_points(data: Examined, mask: NDArray[np.bool_], badness: NDArray[np.floating]) -> Found:
    """The boxes with a keypoint at fault.

    Args:
        data: The data.
        mask: (T, K) the keypoints at fault.
        badness: (T, K) how bad each is.
    """
    shown = np.where(mask, badness, -np.inf)

    def detail(box: int) -> str:
        count = int(mask[box].sum())
        more = f', and {count - 1} more' if count > 1 else ''
        return _point_text(data, box, int(shown[box].argmax())) + more

    return data.found_boxes(_any(mask), shown.max(1, initial=-np.inf), detail, _has_keypoints(data))


def _is_at_origin(data: Examined) -> NDArray[np.bool_]:
    """(T, K) which keypoints lie at (0, 0), where the box does not, so that the corner cannot be meant."""
    is_elsewhere: NDArray[np.bool_] = data.bboxes[:, :2].max(axis=1) > _ROUNDING
    return (np.abs(_keypoints(data)[..., :2]).max(axis=2) == 0) & is_elsewhere[:, None]


def _distance(points: NDArray[np.floating], low: NDArray, high: NDArray) -> NDArray[np.float64]:
    """(T, K) how far points (T, K, 2) lie outside of what spans from ``low`` to ``high`` (T, 2), pixels."""
    return np.maximum(low[:, None] - points, points - high[:, None]).max(2)


@check(
    Severity.WARNING,
    'Training takes them as not labelled. Are they those of another image, or of another size of it?',
)
def keypoint_outside_image(data: Examined) -> Found:
    """Boxes with labelled keypoints outside of their image."""
    points = _keypoints(data)[..., :2]
    distance = _distance(points, np.zeros((len(points), 2)), data.box_sizes)
    return _found_points(data, _is_labelled(data) & (distance > _ROUNDING), distance)


@check(
    Severity.WARNING,
    'The box or the keypoints may be those of another object. Look at some, and correct one of the two.',
)
def keypoint_outside_box(data: Examined) -> Found:
    """Boxes with labelled keypoints farther outside than a quarter of their side."""
    low, high = data.bboxes[:, :2], data.bboxes[:, 2:]
    margin = _NEAR_BOX * np.abs(data.sides)
    distance = _distance(_keypoints(data)[..., :2], low - margin, high + margin)
    mask = _is_labelled(data) & (distance > _ROUNDING) & data.is_usable[:, None]
    return _found_points(data, mask & ~_is_at_origin(data), distance)


@check(
    Severity.ERROR,
    'They were not labelled: give them the visibility 0. As they are, the corner of the image is learned.',
)
def keypoint_at_origin(data: Examined) -> Found:
    """Boxes with keypoints that lie at (0, 0) and are marked as labelled."""
    return _found_points(data, _is_at_origin(data) & _is_labelled(data), _keypoints(data)[..., 2])


@check(
    Severity.WARNING,
    'Training does not use them. If they were labelled, give them the visibility 1 (hidden) or 2 (visible).',
)
def keypoint_placed_unlabelled(data: Examined) -> Found:
    """Boxes with keypoints that have a place and the visibility 0, which means not labelled."""
    keypoints = _keypoints(data)
    mask = (keypoints[..., 2] == 0) & (np.abs(keypoints[..., :2]).max(axis=2) > 0)
    return _found_points(data, mask, np.zeros(mask.shape))


@check(Severity.ERROR, 'Write 0 for not labelled, 1 for hidden and 2 for visible: training refuses others.')
def keypoint_visibility_unknown(data: Examined) -> Found:
    """Boxes with keypoints of a visibility other than 0, 1 or 2."""
    visibilities = _keypoints(data)[..., 2]
    mask = np.isfinite(visibilities) & ~np.isin(visibilities, (0, 1, 2))
    return _found_points(data, mask, np.abs(visibilities))


@check(
    Severity.NOTE,
    'If they can be seen, write 2. Training treats both alike; the figures of other programs may not.',
)
def keypoints_all_hidden(data: Examined) -> Found:
    """Boxes with labelled keypoints, where all of the data set are marked as hidden."""
    labelled = _is_labelled(data)
    is_hidden = bool((_keypoints(data)[labelled][:, 2] == 1).all())
    has_some = _any(labelled)
    return data.found_boxes(
        has_some & is_hidden,
        detail=lambda box: f'{counted(int(labelled[box].sum()), "keypoint")}, all with visibility 1',
        among=has_some,
    )


@check(
    Severity.WARNING,
    'COCO goes by it: an object with 0 is ignored in figures. Write the number of keypoints that have a '
    'visibility above 0.',
)
def keypoint_count_differs(data: Examined) -> Found:
    """Boxes whose `num_keypoints` is not the number of labelled keypoints."""
    counts, written = _is_labelled(data).sum(1), data.raw.boxes.keypoint_counts
    among = (written >= 0) & _has_keypoints(data)
    differences = np.abs(counts - written)
    return data.found_boxes(
        among & (differences > 0),
        differences.astype(np.float64),
        lambda box: f'num_keypoints {written[box]}, labelled are {counts[box]}',
        among,
    )


@check(
    Severity.ERROR,
    'Give each object all keypoints of its class, in the order of the names; those that were not labelled as '
    '0, 0, 0. Training refuses other lengths.',
)
def keypoints_of_other_number(data: Examined) -> Found:
    """Boxes with more or fewer keypoints than their class has."""
    labels, among = data.raw.boxes.labels, _has_keypoints(data)
    counts = np.isfinite(_keypoints(data)[..., 2]).sum(1)
    usual = np.zeros(len(data.raw.classes), np.int64)
    with_keypoints = np.unique(labels[among])
    for label in with_keypoints.tolist():
        usual[label] = np.bincount(counts[among & (labels == label)]).argmax()
    if data.raw.skeleton and len(with_keypoints) == 1:
        usual[with_keypoints] = len(data.raw.skeleton.names)
    expected = usual[labels]
    return data.found_boxes(
        among & (counts != expected),
        np.abs(counts - expected).astype(np.float64),
        lambda box: f'{counted(int(counts[box]), "keypoint")}, its class has {expected[box]}',
        among,
    )


@check(
    Severity.NOTE,
    'They train the box alone. Look whether their keypoints were forgotten.',
)
def keypoints_unlabelled(data: Examined) -> Found:
    """Objects of classes with keypoints of which no keypoint is labelled."""
    has_labelled = _any(_is_labelled(data))
    is_posed = np.bincount(data.raw.boxes.labels[has_labelled], minlength=len(data.raw.classes)) > 0
    among = data.is_object & is_posed[data.raw.boxes.labels]
    return data.found_boxes(among & ~has_labelled, among=among)


@check(Severity.WARNING, 'Look at them: so many keypoints do not lie at one point of an object.')
def keypoints_at_one_point(data: Examined) -> Found:
    """Boxes with three labelled keypoints or more, all at one point."""
    keypoints, labelled = _keypoints(data), _is_labelled(data)
    low = np.where(labelled[..., None], keypoints[..., :2], np.inf).min(1, initial=np.inf)
    high = np.where(labelled[..., None], keypoints[..., :2], -np.inf).max(1, initial=-np.inf)
    many = labelled.sum(1) >= 3
    spread = (high - low).max(1)
    mask = many & (spread < _ROUNDING) & (data.sides.max(1) > 4 * _ROUNDING)
    return data.found_boxes(
        mask,
        detail=lambda box: f'{int(labelled[box].sum())} keypoints within {spread[box]:.2g} pixels',
        among=many,
    )


@check(
    Severity.WARNING,
    'The model cannot find what it never saw. Label them, or take them out of the skeleton.',
)
def keypoint_never_labelled(data: Examined) -> Found:
    """Keypoints that are labelled in no object."""
    counts = _is_labelled(data).sum(0)
    details = {
        _name(data, keypoint): f'0 of {counted(int(counts.max(initial=0)), "object")}'
        for keypoint in np.flatnonzero(counts == 0).tolist()
    }
    return found_things('keypoint', len(counts), details)


@check(
    Severity.WARNING,
    'Mirrored images teach a left one at the place of a right one, or the other way round. Name the '
    'counterpart in the skeleton (`flip_pairs`, or `flip_idx` of YOLO).',
)
def flip_pair_missing(data: Examined) -> Found:
    """Keypoints of the left or right without their counterpart in the skeleton."""
    _keypoints(data)
    names = data.raw.skeleton.names if data.raw.skeleton else ()
    paired = {keypoint for pair in _flip_pairs(data) for keypoint in pair}
    alone = [keypoint for keypoint, name in enumerate(names) if side_of(name) and keypoint not in paired]
    return found_things('keypoint', len(names), {_name(data, keypoint): 'no pair' for keypoint in alone})


def _flip_pairs(data: Examined) -> tuple[tuple[int, int], ...]:
    pairs = data.raw.skeleton.flip_pairs if data.raw.skeleton else None
    return tuple(pair for pair in pairs or () if max(pair) < _keypoints(data).shape[1])


@check(
    Severity.WARNING,
    'Are they named by the sides of the image? Then the left one of somebody who looks into the camera is '
    'labelled as the right one: name them by the sides of the object.',
)
def flip_pair_never_flips(data: Examined) -> Found:
    """Pairs whose left keypoint lies left in the image, in nearly all objects."""
    keypoints, labelled = _keypoints(data), _is_labelled(data)
    pairs, details = _flip_pairs(data), {}
    for one, other in pairs:
        left, right = (one, other) if side_of(_name(data, one)) == 'left' else (other, one)
        both = labelled[:, left] & labelled[:, right]
        if side_of(_name(data, left)) != 'left' or both.sum() < _ENOUGH:
            continue
        share = (keypoints[both, left, 0] < keypoints[both, right, 0]).mean()
        if share >= _NEARLY_ALL:
            details[f'{_name(data, left)}, {_name(data, right)}'] = (
                f'in {share:.0%} of {counted(int(both.sum()), "object")} the first lies left'
            )
    return found_things('pair', len(pairs), details)


@check(
    Severity.ERROR,
    'Give all splits the same keypoints in the same order: what is learned as one is measured as another.',
)
def skeletons_differ(data: Examined) -> Found:
    """Splits whose keypoints have other names, or another order, than those of the first."""
    named = {
        f'{split.name}: {one_line(split.source)}': split.skeleton.names
        for split in data.raw.splits
        if split.skeleton
    }
    first = next(iter(named.values()), ())
    others = {place: names for place, names in named.items() if names != first}
    details = {
        place: one_line(f'{", ".join(names)}; not {", ".join(first)}') for place, names in others.items()
    }
    return found_things('split', len(named), details)

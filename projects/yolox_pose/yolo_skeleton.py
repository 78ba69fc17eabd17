"""The skeleton of a YOLO data set: what its YAML file says of the keypoints."""

from typing import Any

from mmyolox.datasets.yolo_files import keypoint_shape, read_description
from mmyolox.errors import UserError, first_few

NO_KEYPOINTS = 'there is no kpt_shape, so that the labels have no keypoints; use the config of a detector'
_COCO_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
_COCO_SIDED = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_SIDES = ('left', 'right')
_LIMBS = (
    'eye ear',
    'ear shoulder',
    'shoulder elbow',
    'elbow wrist',
    'shoulder hip',
    'hip knee',
    'knee ankle',
)
_COCO_LINKS = (
    *(tuple(f'{side}_{end}' for end in limb.split()) for limb in _LIMBS for side in _SIDES),
    *(tuple(f'{side}_{part}' for side in _SIDES) for part in ('eye', 'shoulder', 'hip')),
    *(('nose', f'{side}_eye') for side in _SIDES),
)
"""The lines of COCO's skeleton, which are drawn between keypoints of its names."""


def yolo_parts(path: str) -> dict[str, Any]:
    """The parts of a skeleton that the YAML file of a YOLO data set gives.

    ``kpt_shape`` is the number of keypoints, ``flip_idx`` says which one takes the place of each in a mirror
    image, and ``kpt_names`` has the names, of one class or of each. Where there are none, or classes differ
    in them, keypoints are called ``keypoint_0``, ``keypoint_1``, ...; but 17 that are mirrored like COCO's
    are COCO's. Lines are COCO's, between keypoints of its names.

    Args:
        path: The YAML file.

    Returns:
        What :meth:`.skeleton.Skeleton.of` takes, without ``flip_pairs`` where the file has no ``flip_idx``.

    Raises:
        UserError: The file cannot be read or has no ``kpt_shape``, or a list has another length.
    """
    data = read_description(path)
    count, _ = keypoint_shape(path, data)
    if not count:
        raise UserError(f'{path}: {NO_KEYPOINTS}')
    flip = _flip_indices(path, data.get('flip_idx') or [], count)
    names = _names(path, data.get('kpt_names') or [], count)
    if not names and flip == _COCO_FLIP:
        names = ['nose', *(f'{side}_{part}' for part in _COCO_SIDED for side in _SIDES)]
    names = names or [f'keypoint_{index}' for index in range(count)]
    links = [list(link) for link in _COCO_LINKS if {*link} <= {*names}]
    if not flip:
        return dict(keypoints=names, links=links)
    pairs = [[names[index], names[other]] for index, other in enumerate(flip) if index < other]
    return dict(keypoints=names, flip_pairs=pairs, links=links)


def _flip_indices(path: str, listed: Any, count: int) -> list[int]:
    texts = listed if isinstance(listed, list) else [listed]
    indices = [int(text) for text in texts if isinstance(text, str) and text.isdecimal()]
    if len(indices) < len(texts) or (indices and sorted(indices) != list(range(count))):
        raise UserError(f'{path}: flip_idx: {listed} does not have each of 0 to {count - 1} once')
    if any(indices[other] != index for index, other in enumerate(indices)):
        raise UserError(f'{path}: flip_idx: {listed} is not its own inverse, as mirroring twice is')
    return indices


def _names(path: str, listed: Any, count: int) -> list[str]:
    lists = list(listed.values()) if isinstance(listed, dict) else listed
    if lists and not isinstance(lists[0], list):
        lists = [lists]
    for names in lists:
        if not isinstance(names, list) or len(names) != count or len({*map(str, names)}) < count:
            raise UserError(
                f'{path}: kpt_names: {first_few(names, 5)}: kpt_shape asks for {count} names, each once'
            )
    return list(lists[0]) if lists and all(names == lists[0] for names in lists) else []

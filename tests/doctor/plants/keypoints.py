"""Faults of keypoints."""

from collections.abc import Callable

from tests.doctor.small_set import KEYPOINTS, SmallSet

from .plant import Plant


def person(change: Callable[[list[float], dict], None], only_first: bool = True):
    """Changes the entry of the first box of the training, or of all boxes; ``num_keypoints`` is counted anew.

    Args:
        change: Takes the keypoints (x, y, v, x, ...), and the entry that has them.
        only_first: Whether other boxes stay as they are.
    """

    def plant(small: SmallSet) -> None:
        for split in ('train',) if only_first else ('train', 'val'):
            with small.annotations(split) as content:
                for entry in content['annotations'][: 1 if only_first else None]:
                    entry['num_keypoints'] = None
                    change(entry['keypoints'], entry)
                    if entry['num_keypoints'] is None:
                        entry['num_keypoints'] = sum(value > 0 for value in entry['keypoints'][2::3])

    return plant


def set_point(place: int, *values: float, only_first: bool = True):
    """Gives a keypoint other values."""

    def change(keypoints: list[float], entry: dict) -> None:
        keypoints[3 * place : 3 * place + 3] = values

    return person(change, only_first)


def move_out_of_box(keypoints: list[float], entry: dict) -> None:
    """Puts the nose left of the box by half of its width; the box goes to where there is room for that."""
    x, _, width, _ = entry['bbox']
    for place in range(len(KEYPOINTS)):
        keypoints[3 * place] += 150 - x
    entry['bbox'][0] = 150
    keypoints[0] = 150 - width / 2


def to_one_point(keypoints: list[float], entry: dict) -> None:
    """Puts all keypoints to the middle of the box."""
    x, y, width, height = entry['bbox']
    for place in range(len(KEYPOINTS)):
        keypoints[3 * place : 3 * place + 2] = [x + width / 2, y + height / 2]


def hide(keypoints: list[float], entry: dict) -> None:
    keypoints[2::3] = [1] * len(KEYPOINTS)


def forget(keypoints: list[float], entry: dict) -> None:
    keypoints[:] = [0] * len(keypoints)


def miscount(keypoints: list[float], entry: dict) -> None:
    entry['num_keypoints'] = 0


def cut_short(keypoints: list[float], entry: dict) -> None:
    del keypoints[-3:]


def left_to_the_left(keypoints: list[float], entry: dict) -> None:
    """Names both pairs by the sides of the image."""
    for left, right in ((1, 2), (3, 4)):
        keypoints[3 * left], keypoints[3 * right] = sorted((keypoints[3 * left], keypoints[3 * right]))


def rename(names: list[str], *splits: str):
    """Gives the keypoints other names in some splits."""

    def plant(small: SmallSet) -> None:
        for split in splits:
            with small.annotations(split) as content:
                content['categories'][0]['keypoints'] = names

    return plant


ALONE = ['nose', 'left_eye', 'right_eye', 'left_hip', 'tail']
OTHER_ORDER = ['nose', 'right_eye', 'left_eye', 'left_hip', 'right_hip']
ALL = 4 * (24 + 8)

PLANTS = {
    'keypoint-outside-image': Plant(
        set_point(0, 400, 20, 2), keypoints=True, siblings={'keypoint-outside-box'}
    ),
    'keypoint-outside-box': Plant(person(move_out_of_box), keypoints=True),
    'keypoint-at-origin': Plant(set_point(0, 0, 0, 2), keypoints=True),
    'keypoint-placed-unlabelled': Plant(set_point(0, 30, 40, 0), keypoints=True),
    'keypoint-visibility-unknown': Plant(set_point(0, 30, 40, 3), keypoints=True),
    'keypoints-all-hidden': Plant(person(hide, only_first=False), keypoints=True, count=ALL),
    'keypoint-count-differs': Plant(person(miscount), keypoints=True),
    'keypoints-of-other-number': Plant(person(cut_short), keypoints=True),
    'keypoints-unlabelled': Plant(person(forget), keypoints=True),
    'keypoints-at-one-point': Plant(person(to_one_point), keypoints=True),
    'keypoint-never-labelled': Plant(set_point(0, 0, 0, 0, only_first=False), keypoints=True),
    'flip-pair-missing': Plant(rename(ALONE, 'train', 'val'), keypoints=True),
    'flip-pair-never-flips': Plant(person(left_to_the_left, only_first=False), keypoints=True, count=2),
    'skeletons-differ': Plant(rename(OTHER_ORDER, 'val'), keypoints=True),
}

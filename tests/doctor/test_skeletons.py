"""What COCO's categories say of keypoints, and what their names say of sides."""

import pytest

from mmyolox.doctor.raw import Skeleton
from mmyolox.doctor.skeletons import pairs_of_names, side_of, skeleton_of

NAMES = ['nose', 'left_eye', 'right_eye']


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({}, None),
        (dict(keypoints=[]), None),
        (dict(keypoints='nose'), None),
        (dict(keypoints=NAMES), Skeleton((*NAMES,), ((1, 2),))),
        (dict(keypoints=['top', 'bottom']), Skeleton(('top', 'bottom'), None)),
        (
            dict(keypoints=['top', 'bottom'], flip_pairs=[['bottom', 'top'], ['a', 'top'], 3]),
            Skeleton(('top', 'bottom'), ((1, 0),)),
        ),
        (
            dict(keypoints=NAMES, skeleton=[[1, 2], [3, 1], [0, 1], [3, 4], ['1', 2], [1], None, [True, 2]]),
            Skeleton((*NAMES,), ((1, 2),), ((0, 1), (2, 0))),
        ),
        (dict(keypoints=[1, 2], skeleton='lines'), Skeleton(('1', '2'), None)),
    ],
)
def test_a_category_describes_keypoints(fields, expected):
    assert skeleton_of([dict(id=1, name='none'), dict(id=2, name='one', **fields)]) == expected


@pytest.mark.parametrize(
    ('names', 'pairs'),
    [
        (['LeftEye', 'right eye'], ((0, 1),)),
        (['eye_r', 'nose', 'eye_l'], ((0, 2),)),
        (['left_front_paw', 'right_back_paw'], None),
        (['nose'], None),
        ([], None),
    ],
)
def test_names_say_which_are_pairs(names, pairs):
    assert pairs_of_names(names) == pairs


@pytest.mark.parametrize(
    ('name', 'side'),
    [('left_eye', 'left'), ('eye R', 'right'), ('nose', ''), ('left_right', ''), ('lefty', ''), ('', '')],
)
def test_a_name_says_its_side(name, side):
    assert side_of(name) == side

"""Keypoints of splits with few objects, of several classes, and without any."""

import pytest

from mmyolox.doctor.check import Check, NotExaminedError
from mmyolox.doctor.checks import keypoints
from mmyolox.doctor.raw import Skeleton
from tests.doctor.made_data import Made, examined

NAN = [float('nan')] * 3
BOX = (0, 0, 100, 100, 200, 200)
SKELETON = Skeleton(('nose', 'left_eye', 'right_eye'), ((1, 2),))
CHECKS = {name: check for name, check in vars(keypoints).items() if isinstance(check, Check)}


def with_keypoints(*lists, boxes=None, skeleton=SKELETON):
    """Objects in the box (100, 100) to (200, 200), with these keypoints."""
    made = Made(['a.jpg'], boxes or [BOX] * len(lists), keypoints=lists)
    return examined({'train': made}, skeleton=skeleton)


@pytest.mark.parametrize('name', CHECKS)
def test_without_keypoints_nothing_is_checked(name):
    if name == 'skeletons_differ':
        assert not CHECKS[name].find(examined({'train': Made(['a'])})).count
        return
    with pytest.raises(NotExaminedError, match='keypoints'):
        CHECKS[name].find(examined({'train': Made(['a'], [BOX])}))


@pytest.mark.parametrize('name', CHECKS)
def test_without_a_skeleton_nothing_fails(name):
    data = with_keypoints([[150, 150, 2], [160, 160, 2]], [NAN, NAN], skeleton=None)
    assert CHECKS[name].find(data).total >= 0


@pytest.mark.parametrize(('x', 'count'), [(100, 0), (75, 0), (74, 0), (73, 1), (225, 0), (227, 1), (-5, 1)])
def test_a_quarter_of_the_box_is_near(x, count):
    data = with_keypoints([[x, 150, 2], [150, 150, 2], [160, 150, 0]])
    assert keypoints.keypoint_outside_box.find(data).count == count


@pytest.mark.parametrize(
    ('point', 'count'),
    [([640, 480, 2], 0), ([641, 480, 1], 0), ([642, 480, 1], 1), ([642, 480, 0], 0), ([-2, 5, 2], 1)],
)
def test_labelled_keypoints_lie_in_the_image_to_a_pixel(point, count):
    data = with_keypoints([[150, 150, 2], point, [160, 150, 2]])
    found = keypoints.keypoint_outside_image.find(data)
    assert found.count == count
    assert not count or 'left_eye' in found.examples[0].detail


@pytest.mark.parametrize(('corner', 'count'), [(100, 1), (0, 0)])
def test_the_corner_of_the_image_may_be_meant_by_a_box_there(corner, count):
    boxes = [(0, 0, corner, corner, 200, 200)]
    data = with_keypoints([[0, 0, 2], [150, 150, 2], [0, 0, 0]], boxes=boxes)
    assert keypoints.keypoint_at_origin.find(data).count == count


def test_the_worst_is_told_first_with_the_number_of_others():
    data = with_keypoints(
        [[250, 150, 2], [150, 150, 2], [160, 150, 2]], [[300, 150, 2], [400, 150, 2], [160, 150, 2]]
    )
    details = [one.detail for one in keypoints.keypoint_outside_box.find(data).examples]
    assert details == [
        'left_eye at (400, 150), visibility 2, and 1 more',
        'nose at (250, 150), visibility 2',
    ]


def test_classes_may_have_their_own_number_of_keypoints():
    three, two = [[150, 150, 2]] * 3, [[150, 150, 2], [150, 160, 2], NAN]
    boxes = [BOX, BOX, *[(0, 1, *BOX[2:])] * 3]
    data = with_keypoints(three, three, two, two, three, boxes=boxes)
    found = keypoints.keypoints_of_other_number.find(data)
    assert [example.detail for example in found.examples] == ['3 keypoints, its class has 2']


def test_of_one_class_the_skeleton_says_how_many_there_are():
    two = [[150, 150, 2], [150, 160, 2], NAN]
    assert keypoints.keypoints_of_other_number.find(with_keypoints(two, two)).count == 2


def person(left: float, right: float) -> list[list[float]]:
    return [[150, 120, 2], [left, 130, 2], [right, 130, 2]]


@pytest.mark.parametrize(
    ('facing', 'away', 'count'), [(0, 29, 0), (0, 30, 1), (1, 49, 1), (2, 48, 0), (30, 0, 0)]
)
def test_pairs_that_never_flip_need_objects_enough(facing, away, count):
    data = with_keypoints(*[person(160, 140)] * facing, *[person(140, 160)] * away)
    assert keypoints.flip_pair_never_flips.find(data).count == count


def test_a_pair_may_name_the_right_one_first():
    skeleton = Skeleton(('nose', 'r_eye', 'l_eye'), ((1, 2),))
    data = with_keypoints(*[person(160, 140)] * 40, skeleton=skeleton)
    found = keypoints.flip_pair_never_flips.find(data)
    assert [example.place for example in found.examples] == ['l_eye, r_eye']


def test_hidden_ones_are_told_where_all_are():
    hidden, seen = [[150, 150, 1]] * 3, [[150, 150, 2]] * 3
    assert keypoints.keypoints_all_hidden.find(with_keypoints(hidden, hidden)).count == 2
    assert not keypoints.keypoints_all_hidden.find(with_keypoints(hidden, seen)).count
    unlabelled = [[0, 0, 0]] * 3
    assert not keypoints.keypoints_all_hidden.find(with_keypoints(unlabelled)).count


def test_skeletons_of_splits_are_compared():
    data = examined(
        {'train': Made(['a'], [BOX], keypoints=[[[150, 150, 2]]]), 'val': Made(['b'])}, skeleton=SKELETON
    )
    assert not keypoints.skeletons_differ.find(data).count

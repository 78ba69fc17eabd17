"""The keypoints of a data set, as its metainfo and its annotations have them."""

import numpy as np
import pytest

from mmyolox.analysis.skeleton import Skeleton
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError

SPEC = dict(
    keypoints=['nose', 'left', 'right'],
    flip_pairs=[['left', 'right']],
    links=[['nose', 'left'], ['nose', 'right']],
    sigmas=[0.1, 0.2, 0.3],
)


def skeleton(*own, **changes):
    return Skeleton.of_metainfo(
        dict(classes=('a', 'b'), skeleton=SPEC | changes, class_keypoints=own or None)
    )


def test_names_become_indices():
    assert skeleton() == Skeleton(
        names=('nose', 'left', 'right'),
        flip_indices=(0, 2, 1),
        sigmas=(0.1, 0.2, 0.3),
        links=((0, 1), (0, 2)),
        class_keypoints=((0, 1, 2), (0, 1, 2)),
    )


@pytest.mark.parametrize('metainfo', [dict(classes=('a',)), dict(classes=('a',), skeleton=None)])
def test_a_data_set_without_keypoints_has_no_skeleton(metainfo):
    assert Skeleton.of_metainfo(metainfo) is None


def test_without_pairs_a_keypoint_takes_its_own_place_in_a_mirror():
    plain = skeleton(flip_pairs=None, links=())
    assert (plain.flip_indices, plain.links) == ((0, 1, 2), ())


def test_the_keypoints_of_a_class_come_where_the_skeleton_has_them():
    found = skeleton((2, 0), ()).spread(
        [[1, 2, 3, 4, 5, 6], [], None, [7, 8, 9, 0, 0, 0]], np.array([0, 1, 0, 0]), 'x.json'
    )
    expected = np.zeros((4, 3, 3))
    expected[0, 2], expected[0, 0], expected[3, 2] = [1, 2, 3], [4, 5, 6], [7, 8, 9]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ('values', 'label', 'message'),
    [
        ([1, 2, 3], 0, r'x\.json: keypoints no\. 1 are no list of 6 numbers, 3 for each of the 2 keypoints'),
        ([1, 2, 'x', 4, 5, 6], 0, 'no list of 6 numbers'),
        ([1, 2, [3], 4, 5, 6], 0, 'no list of 6 numbers'),
        (5, 0, 'no list of 6 numbers'),
        ([1, 2, 3], 1, 'no list of 0 numbers'),
    ],
)
def test_keypoints_of_another_number_or_kind_are_named(values, label, message):
    with pytest.raises(UserError, match=message) as caught:
        skeleton((0, 1), ()).spread([None, values], np.array([0, label]), 'x.json')
    assert '\n' not in str(caught.value)


def test_annotations_without_keypoints_have_zeros():
    box = dict(image_id=1, category_id=1, bbox=[0, 0, 9, 9], iscrowd=0)
    annotations = [dict(box, id=1), dict(box, id=2, keypoints=[1, 2, 2, 3, 4, 1, 0, 0, 0])]
    images = [dict(id=1, file_name='1.jpg', width=10, height=10)]
    file = CocoAnnotations.of('t.json', images, annotations, [dict(id=1, name='a')], ['keypoints'])
    found = skeleton().read_keypoints(file, np.array([1, 0]), np.array([0, 0]))
    np.testing.assert_array_equal(found, [[[1, 2, 2], [3, 4, 1], [0, 0, 0]], np.zeros((3, 3))])

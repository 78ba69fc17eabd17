"""What the keypoint data set mends in a file, and what it refuses."""

import numpy as np
import pytest

from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.tests.files import (
    BOX,
    IMAGES,
    POINTS,
    SPEC,
    annotation,
    content_of,
    random_content,
    two_people,
)


@pytest.fixture
def warnings(monkeypatch):
    """The lines that were told about keypoints."""
    lines = []
    monkeypatch.setattr(
        'mmyolox.datasets.annotations.print_log', lambda line, logger, level: lines.append(line)
    )
    return lines


# Mended and told


@pytest.mark.parametrize('content', [two_people(), random_content(12), content_of(IMAGES)])
def test_nothing_is_told_of_a_clean_file(make, warnings, content):
    make(content)
    assert warnings == []


def test_people_without_keypoints_stay_as_boxes(make, warnings):
    content = two_people()
    del content['annotations'][1]['keypoints']
    content['annotations'].append(annotation(9, 1, (0, 0, 9, 9), []) | dict(num_keypoints=0))
    content['annotations'].append(annotation(10, 1, (0, 0, 9, 9), [], iscrowd=1))
    dataset = make(content)
    assert [len(dataset.get_data_info(i)['bboxes']) for i in range(2)] == [2, 2]
    assert dataset.get_data_info(0)['keypoints'].tolist() == [POINTS, [[0, 0, 0]] * 5]
    told = '2 of 3 annotations have no keypoints, unlike their category; they stay as boxes: 8, 9'
    assert warnings == [f'{dataset.ann_file}: {told}']


def test_keypoints_outside_the_image_are_not_labelled(make, warnings):
    outside = [[-0.1, 10, 2], [80, 60, 2], [80.1, 30, 1], [0, 0, 2], [20, 61, 0]]
    dataset = make(two_people(keypoints=np.ravel(outside).tolist(), num_keypoints=4))
    found = dataset.get_data_info(0)['keypoints'][1]
    assert found.tolist() == [[0, 0, 0], [80, 60, 2], [0, 0, 0], [0, 0, 2], [0, 0, 0]]
    told = '1 of 2 annotations have keypoints outside their image, which count as not labelled: 8'
    assert warnings == [f'{dataset.ann_file}: {told}']


def test_unlabelled_keypoints_are_all_zero(make, warnings):
    dataset = make(two_people(keypoints=[300, -20, 0] * 5, num_keypoints=0))
    assert not dataset.get_data_info(0)['keypoints'][1].any()
    assert warnings == []


@pytest.mark.parametrize('claimed', [3, 5, 0, None])
def test_num_keypoints_that_lies_is_told(make, warnings, claimed):
    dataset = make(two_people(num_keypoints=claimed))
    told = (
        f'1 of 2 annotations have a wrong num_keypoints, which was counted anew: 8 ({claimed} instead of 4)'
    )
    assert warnings == [f'{dataset.ann_file}: {told}']
    assert dataset.get_data_info(0)['keypoints'].tolist() == [POINTS, POINTS]


def test_num_keypoints_need_not_be_there(make, warnings):
    content = two_people()
    del content['annotations'][0]['num_keypoints']
    make(content)
    assert warnings == []


def test_only_the_first_are_named(make, warnings):
    people = [annotation(i, 0, BOX, POINTS, num_keypoints=1) for i in range(20)]
    make(content_of(IMAGES, people))
    assert warnings[0].endswith(': 0 (1 instead of 4), 1 (1 instead of 4), 2 (1 instead of 4), ...')


def test_dropped_boxes_drop_their_keypoints(make):
    people = [annotation(i, 0, BOX, np.full((5, 3), [i, i, 2])) for i in range(1, 5)]
    people[1]['bbox'] = [5, 5, 0, 9]
    people[2]['bbox'] = [500, 5, 9, 9]
    entry = make(content_of(IMAGES, people)).get_data_info(0)
    assert entry['keypoints'][:, 0, 0].tolist() == [1, 4]
    assert entry['id'] == [1, 4]
    assert len(entry['areas']) == 2


@pytest.mark.parametrize(
    ('area', 'wanted'),
    [(123.5, 123.5), (None, 1600), (0, 1600)],
)
def test_area_of_the_box_stands_in(make, area, wanted):
    content = two_people(bbox=[10, 5, 40, 40], area=area)
    assert make(content).get_data_info(0)['areas'][1] == wanted
    del content['annotations'][1]['area']
    assert make(content).get_data_info(0)['areas'][1] == 1600


def test_area_of_a_clipped_box(make):
    content = two_people(bbox=[60, 40, 100, 100], area=None)
    assert make(content).get_data_info(0)['areas'][1] == 400


def test_nothing_but_crowds(make, warnings):
    people = [annotation(i, 0, BOX, [], iscrowd=1) for i in range(2)]
    entry = make(content_of(IMAGES, people), test_mode=True).get_data_info(0)
    assert entry['is_crowd'].all()
    assert not entry['keypoints'].any()
    assert warnings == []


# Refused


NUMBERS = np.ravel(POINTS).tolist()


def test_fractions_of_the_image_in_place_of_pixels(make):
    content = two_people()
    for person in content['annotations']:
        person['keypoints'] = (np.array(POINTS) / [100, 100, 1]).ravel().tolist()
    with pytest.raises(UserError, match=r'at most 1.* needed are pixels'):
        make(content)
    content['annotations'][0]['keypoints'] = NUMBERS
    assert make(content).get_data_info(0)['keypoints'][0].tolist() == POINTS


@pytest.mark.parametrize(
    ('keypoints', 'told'),
    [
        (NUMBERS[:-1], r'annotation 8: keypoints has 14 numbers; needed are 15'),
        (NUMBERS + [1, 1, 2], r'annotation 8: keypoints has 18 numbers; needed are 15'),
        (POINTS, r'annotation 8: keypoints has 5 numbers; needed are 15'),
        ([[1]] * 15, r'annotation 8: keypoints has other values than numbers'),
        (['1'] * 15, r'annotation 8: keypoints has other values than numbers'),
        (NUMBERS[:-1] + [None], r'annotation 8: keypoints has other values than numbers'),
        (NUMBERS[:-1] + [True], r'annotation 8: keypoints has other values than numbers'),
        ('all', r"annotation 8: keypoints is 'all'; needed is a list"),
        (NUMBERS[:-1] + [3], r'annotation 8: its keypoint no. 5 is \[40\.0, 44\.0, 3\.0\]'),
        (NUMBERS[:-1] + [0.5], r'annotation 8: its keypoint no. 5 is \[40\.0, 44\.0, 0\.5\]'),
        (NUMBERS[:-1] + [-1], r'annotation 8: its keypoint no. 5 .* such annotations: 1'),
        ([float('nan'), *NUMBERS[1:]], r'annotation 8: its keypoint no. 1 is \[nan, 10\.0, 2\.0\]'),
        ([*NUMBERS[:10], float('inf'), *NUMBERS[11:]], r'annotation 8: its keypoint no. 4'),
    ],
)
def test_keypoints_that_cannot_be_read(make, keypoints, told):
    with pytest.raises(UserError, match=r'ann\.json: ' + told) as error:
        make(two_people(keypoints=keypoints))
    assert '\n' not in str(error.value)


def test_keypoints_of_no_annotation(make):
    content = two_people()
    for entry in content['annotations']:
        del entry['keypoints']
    with pytest.raises(
        UserError, match=r"ann\.json: none of its 2 annotations has 'keypoints'; .* keypoint file"
    ):
        make(content)


def test_a_detection_file(make):
    content = two_people()
    del content['categories'][0]['keypoints']
    for entry in content['annotations']:
        del entry['keypoints']
    with pytest.raises(UserError, match=r'ann\.json: no class of person has keypoints; .* keypoint file'):
        make(content)


def test_names_that_the_skeleton_lacks(make):
    spec = dict(keypoints=['head', 'left_hand', 'right_hand'])
    told = (
        r'class person has keypoints that metainfo\.skeleton lacks: left_foot, right_foot; .*skeleton = None'
    )
    with pytest.raises(UserError, match=told):
        make(two_people(), metainfo=dict(skeleton=spec))


def test_a_name_twice(make):
    content = two_people()
    content['categories'][0]['keypoints'] = ['head', 'head', 'left_hand', 'right_hand', 'left_foot']
    with pytest.raises(UserError, match='class person names a keypoint twice'):
        make(content)


def test_a_skeleton_at_fault(make):
    with pytest.raises(UserError, match='sigmas'):
        make(two_people(), metainfo=dict(skeleton=SPEC | dict(sigmas=[0.1])))

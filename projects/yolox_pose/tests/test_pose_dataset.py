"""The keypoint data set: what it makes of a file, what it mends, and what it refuses."""

import json

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset
from pose_files import NAMES, SPEC, annotation, content_of, open_pose, random_content, write_pose
from pycocotools.coco import COCO

from mmyolox.projects.yolox_pose.dataset import YOLOXPoseCocoDataset
from mmyolox.projects.yolox_pose.skeleton import Skeleton
from mmyolox.registry import DATASETS
from mmyolox.utils import UserError

BOX = (10, 5, 50, 45)
POINTS = [[20, 10, 2], [12, 30, 1], [48, 30, 2], [0, 0, 0], [40, 44, 2]]
IMAGES = [(0, 80, 60), (1, 64, 64)]


@pytest.fixture
def make(tmp_path):
    """Writes a content and opens it."""

    def build(content, **kwargs):
        return open_pose(write_pose(tmp_path, content), **kwargs)

    return build


@pytest.fixture
def warnings(monkeypatch):
    """The lines that were told about keypoints."""
    lines = []
    monkeypatch.setattr(
        'mmyolox.projects.yolox_pose.annotations.print_log', lambda line, logger, level: lines.append(line)
    )
    return lines


def two_people(**second):
    """Two people in the first image, none in the second."""
    people = [annotation(7, 0, BOX, POINTS), annotation(8, 0, (0, 0, 80, 60), POINTS) | second]
    return content_of(IMAGES, people)


def test_entry(make):
    dataset = make(two_people(iscrowd=1))
    first, empty = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['bboxes'].tolist() == [[10, 5, 50, 45], [0, 0, 80, 60]]
    assert first['keypoints'].tolist() == [POINTS, POINTS]
    assert first['areas'].tolist() == [960, 2880]
    assert first['is_crowd'].tolist() == [False, True]
    assert (first['id'], empty['id']) == ([7, 8], [])
    for entry, count in ((first, 2), (empty, 0)):
        assert (entry['keypoints'].shape, entry['keypoints'].dtype) == ((count, 5, 3), np.float32)
        assert (entry['areas'].shape, entry['areas'].dtype) == ((count,), np.float32)
    assert dataset.skeleton == Skeleton.of(SPEC)


def test_metainfo(make):
    info = make(two_people()).metainfo
    assert info['skeleton'] == Skeleton.of(SPEC).spec()
    assert json.loads(json.dumps(info['skeleton'])) == info['skeleton']
    assert info['class_keypoints'] == [[0, 1, 2, 3, 4]]
    assert (info['classes'], info['cat_ids']) == (('person',), [1])
    assert (info['num_keypoints'], info['dataset_name']) == (5, 'ann')
    assert info['flip_indices'] == [0, 2, 1, 4, 3]
    assert info['sigmas'].dtype == np.float32


def test_built_from_a_config(tmp_path):
    root = write_pose(tmp_path, two_people())
    config = dict(
        type='YOLOXPoseCocoDataset',
        ann_file='ann.json',
        data_root=str(root),
        data_prefix=dict(img='images'),
        metainfo=dict(classes=['person'], dataset_name='puppets', skeleton=SPEC),
    )
    dataset = DATASETS.build(config)
    assert isinstance(dataset, YOLOXPoseCocoDataset)
    assert dataset.metainfo['dataset_name'] == 'puppets'


def test_the_skeleton_of_the_file_is_the_default(make):
    dataset = make(two_people(), metainfo=dict())
    assert dataset.metainfo['classes'] == ('person',)
    assert dataset.skeleton.names == tuple(NAMES)
    assert dataset.skeleton.flip_indices == (0, 2, 1, 4, 3)
    assert dataset.skeleton.links == ((0, 1), (0, 2))


@pytest.mark.parametrize('seed', range(3))
def test_equal_to_pycocotools(make, tmp_path, seed, warnings):
    dataset = make(random_content(12, seed))
    reference = COCO(str(tmp_path / 'ann.json'))
    for index in range(12):
        entry = dataset.get_data_info(index)
        anns = reference.loadAnns(reference.getAnnIds([entry['img_id']]))
        wanted = np.array([ann['keypoints'] for ann in anns], np.float32).reshape(-1, 5, 3)
        np.testing.assert_array_equal(entry['keypoints'], wanted)
        np.testing.assert_allclose(entry['areas'], [ann['area'] for ann in anns])
        assert entry['id'] == [ann['id'] for ann in anns]
    assert warnings == []


# Several classes


def farm(**changes):
    """Birds and dogs with names of their own, some in common, and stones without any."""
    categories = [
        dict(id=4, name='dog', keypoints=['tail', 'head', 'left_ear', 'right_ear']),
        dict(id=9, name='stone'),
        dict(id=2, name='bird', keypoints=['head', 'left_wing', 'right_wing']),
    ]
    boxes = dict(image_id=0, bbox=[1, 1, 70, 50])
    dog = boxes | dict(id=1, category_id=4, keypoints=[1, 2, 2, 3, 4, 1, 5, 6, 2, 7, 8, 2], num_keypoints=4)
    bird = boxes | dict(id=2, category_id=2, keypoints=[11, 12, 2, 13, 14, 2, 0, 0, 0], num_keypoints=2)
    stone = boxes | dict(id=3, category_id=9)
    images = content_of(IMAGES)['images']
    return dict(images=images, annotations=[dog, bird, stone], categories=categories) | changes


def test_classes_share_keypoints_by_name(make, warnings):
    dataset = make(farm(), metainfo=dict(classes=('bird', 'stone', 'dog')))
    names = ['tail', 'head', 'left_ear', 'right_ear', 'left_wing', 'right_wing']
    assert dataset.metainfo['skeleton']['keypoints'] == names
    assert dataset.metainfo['class_keypoints'] == [[1, 4, 5], [], [0, 1, 2, 3]]
    assert dataset.metainfo['cat_ids'] == [2, 9, 4]
    entry = dataset.get_data_info(0)
    assert entry['labels'].tolist() == [2, 0, 1]
    dog, bird, stone = entry['keypoints']
    assert dog.tolist() == [[1, 2, 2], [3, 4, 1], [5, 6, 2], [7, 8, 2], [0, 0, 0], [0, 0, 0]]
    assert bird.tolist() == [[0, 0, 0], [11, 12, 2], [0, 0, 0], [0, 0, 0], [13, 14, 2], [0, 0, 0]]
    assert not stone.any()
    assert warnings == []


def test_one_of_several_classes(make):
    spec = dict(keypoints=['left_wing', 'right_wing', 'head', 'beak'], sigmas=[0.1] * 4)
    dataset = make(farm(), metainfo=dict(classes=('bird',), skeleton=spec))
    assert dataset.metainfo['class_keypoints'] == [[2, 0, 1]]
    assert dataset.get_data_info(0)['keypoints'].tolist() == [
        [[13, 14, 2], [0, 0, 0], [11, 12, 2], [0, 0, 0]]
    ]


def test_a_category_without_names_has_those_of_the_skeleton(make):
    content = two_people()
    del content['categories'][0]['keypoints']
    dataset = make(content)
    assert dataset.metainfo['class_keypoints'] == [[0, 1, 2, 3, 4]]
    assert dataset.get_data_info(0)['keypoints'].tolist() == [POINTS, POINTS]


# Mended and told


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
    assert warnings[0].endswith(
        ': 0 (1 instead of 4), 1 (1 instead of 4), 2 (1 instead of 4), ... (20 in all)'
    )


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
    [(123.5, 123.5), (None, 1600), (0, 1600), (-5, 1600), (float('nan'), 1600), ('12', 1600), (True, 1)],
)
def test_area_of_the_box_stands_in(make, area, wanted):
    content = two_people(bbox=[10, 5, 40, 40], area=area)
    assert make(content).get_data_info(0)['areas'][1] == wanted
    del content['annotations'][1]['area']
    assert make(content).get_data_info(0)['areas'][1] == 1600


def test_area_of_a_clipped_box(make):
    content = two_people(bbox=[60, 40, 100, 100], area=None)
    assert make(content).get_data_info(0)['areas'][1] == 400


# Refused


NUMBERS = np.ravel(POINTS).tolist()


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
        (NUMBERS[:-1] + [-1], r'annotation 8: its keypoint no. 5 .* 1 annotations have such'),
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


# Edges


@pytest.mark.parametrize('test_mode', [False, True])
def test_nobody_at_all(make, warnings, test_mode):
    dataset = make(content_of(IMAGES), test_mode=test_mode)
    assert len(dataset) == 2
    assert dataset.get_data_info(0)['keypoints'].shape == (0, 5, 3)
    assert warnings == []


def test_images_to_be_tested_need_neither_annotations_nor_names(make):
    content = content_of(IMAGES)
    del content['annotations'], content['categories'][0]['keypoints']
    dataset = make(content, test_mode=True)
    assert dataset.metainfo['class_keypoints'] == [[0, 1, 2, 3, 4]]
    assert len(dataset) == 2


def test_nothing_but_crowds(make, warnings):
    people = [annotation(i, 0, BOX, [], iscrowd=1) for i in range(2)]
    entry = make(content_of(IMAGES, people)).get_data_info(0)
    assert entry['is_crowd'].all()
    assert not entry['keypoints'].any()
    assert warnings == []


def test_subsets_and_wrappers(make):
    dataset = make(random_content(8))
    subset = dataset.get_subset([3, 5])
    assert subset.skeleton == dataset.skeleton
    np.testing.assert_array_equal(subset.get_data_info(0)['keypoints'], dataset.get_data_info(3)['keypoints'])
    assert ClassBalancedDataset(dataset, oversample_thr=0.5).metainfo['num_keypoints'] == 5

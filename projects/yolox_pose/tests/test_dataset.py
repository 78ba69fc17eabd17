"""The keypoint data set: what it makes of a file, what it mends, and what it refuses."""

import json

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset
from pycocotools.coco import COCO

from mmyolox.projects.yolox_pose.dataset import YOLOXPoseCocoDataset
from mmyolox.projects.yolox_pose.skeleton import Skeleton
from mmyolox.projects.yolox_pose.tests.files import (
    IMAGES,
    NAMES,
    POINTS,
    SPEC,
    content_of,
    random_content,
    two_people,
    write_pose,
)
from mmyolox.registry import DATASETS


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


def test_what_is_to_be_found_has_keypoints(make):
    annotations = make(two_people(), test_mode=True).ground_truth()['annotations']
    assert [len(one['keypoints']) for one in annotations] == [15, 15]


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
def test_equal_to_pycocotools(make, tmp_path, seed):
    dataset = make(random_content(12, seed))
    reference = COCO(str(tmp_path / 'ann.json'))
    for index in range(12):
        entry = dataset.get_data_info(index)
        anns = reference.loadAnns(reference.getAnnIds([entry['img_id']]))
        wanted = np.array([ann['keypoints'] for ann in anns], np.float32).reshape(-1, 5, 3)
        np.testing.assert_array_equal(entry['keypoints'], wanted)
        np.testing.assert_allclose(entry['areas'], [ann['area'] for ann in anns])
        assert entry['id'] == [ann['id'] for ann in anns]


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


def test_classes_share_keypoints_by_name(make):
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


# Edges


@pytest.mark.parametrize('test_mode', [False, True])
def test_nobody_at_all(make, test_mode):
    dataset = make(content_of(IMAGES), test_mode=test_mode)
    assert len(dataset) == 2
    assert dataset.get_data_info(0)['keypoints'].shape == (0, 5, 3)


def test_images_to_be_tested_need_neither_annotations_nor_names(make):
    content = content_of(IMAGES)
    del content['annotations'], content['categories'][0]['keypoints']
    dataset = make(content, test_mode=True)
    assert dataset.metainfo['class_keypoints'] == [[0, 1, 2, 3, 4]]
    assert len(dataset) == 2


def test_subsets_and_wrappers(make):
    dataset = make(random_content(8))
    subset = dataset.get_subset([3, 5])
    assert subset.skeleton == dataset.skeleton
    np.testing.assert_array_equal(subset.get_data_info(0)['keypoints'], dataset.get_data_info(3)['keypoints'])
    assert ClassBalancedDataset(dataset, oversample_thr=0.5).metainfo['num_keypoints'] == 5

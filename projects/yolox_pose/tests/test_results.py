"""What the keypoints of an exported pose model are, for what draws and evaluates them."""

import numpy as np
import torch

from mmyolox.apis.evaluate import coco_data
from mmyolox.apis.results import as_detections, as_instances, keypoint_tools
from mmyolox.deploy import Detections, ModelInfo
from mmyolox.projects.yolox_pose.skeleton import Skeleton

INFO = ModelInfo(
    ('cat', 'dog'), (64, 64), points=('nose', 'tail', 'paw'), links=((0, 2),), class_points=((0, 1), (2,))
)
FOUND = Detections(
    np.float32([[1, 2, 30, 40], [5, 6, 7, 8]]),
    np.float32([0.9, 0.4]),
    np.array([1, 0]),
    np.arange(18, dtype=np.float32).reshape(2, 3, 3),
)


def test_instances_have_the_fields_of_the_head():
    instances = as_instances(FOUND, keypoint_tools(INFO))
    assert instances.keypoints.tolist() == FOUND.points[..., :2].tolist()
    assert instances.keypoint_scores.tolist() == FOUND.points[..., 2].tolist()
    assert torch.equal(instances.bbox_scores, instances.scores)
    again = as_detections(instances, keypoint_tools(INFO))
    for field in ('bboxes', 'scores', 'labels', 'points'):
        np.testing.assert_array_equal(getattr(again, field), getattr(FOUND, field))


def test_the_skeleton_is_that_of_the_file():
    meta = keypoint_tools(INFO).dataset_meta(INFO)
    skeleton = Skeleton.of(meta['skeleton'])
    assert skeleton.names == INFO.points
    assert meta['skeleton']['links'] == [['nose', 'paw']]
    assert meta['class_keypoints'] == ((0, 1), (2,))


def test_a_detector_has_no_keypoints():
    plain = ModelInfo(('cat',), (64, 64))
    assert keypoint_tools(plain) is None
    assert 'keypoints' not in as_instances(FOUND, keypoint_tools(plain))


def test_keypoints_are_evaluated_with_the_recorded_skeleton():
    dataset, metric = coco_data(INFO, 'a.json', 'images')
    assert (dataset.type, metric.type) == ('YOLOXPoseCocoDataset', 'YOLOXPoseCocoMetric')
    assert dataset.metainfo.skeleton.keypoints == list(INFO.points)
    recorded = dict(dataset.metainfo.skeleton, sigmas=[0.1, 0.2, 0.3])
    dataset, _ = coco_data(INFO, 'a.json', 'images', dict(skeleton=recorded, dataset_name='zoo'))
    assert dataset.metainfo.skeleton.sigmas == [0.1, 0.2, 0.3]
    assert 'dataset_name' not in dataset.metainfo

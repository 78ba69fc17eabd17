"""Cases of what our metrics keep of an evaluation."""

import numpy as np
import pytest

from mmyolox.analysis import Detections
from mmyolox.errors import UserError
from tests.analysis.pose_cases import truth_of


@pytest.fixture
def truth():
    """Two images, of which the second has an object with six keypoints."""
    pose = np.array([[x, 2 * x, 2] for x in range(10, 70, 10)], float)
    return truth_of([pose], [1])


def rows(truth, joints=6):
    """A detection at the object, as a metric keeps it."""
    pose = truth.keypoints[0, :joints].ravel()
    return np.concatenate([truth.bboxes[0], [0.5, 0], pose])[None].astype(np.float32)


def test_keypoints_come_with_their_boxes(truth):
    found = Detections.of_images([(0, np.zeros((0, 24), np.float32)), (1, rows(truth))], truth)
    assert found.images.tolist() == [1]
    np.testing.assert_array_equal(found.keypoints, truth.keypoints)
    np.testing.assert_array_equal(found.bboxes, truth.bboxes)


def test_a_metric_of_boxes_has_no_keypoints(truth):
    found = Detections.of_images([(1, rows(truth, joints=0))], truth)
    assert found.keypoints is None
    np.testing.assert_array_equal(found.bboxes, truth.bboxes)


@pytest.mark.parametrize('results', [[], [(0, np.zeros((0, 24), np.float32))]])
def test_nothing_found_has_no_keypoint(truth, results):
    found = Detections.of_images(results, truth)
    assert len(found) == 0
    assert found.keypoints.shape == (0, 6, 3)


def test_keypoints_that_are_no_numbers_are_named(truth):
    bad = rows(truth)
    bad[0, 9] = np.nan
    message = r'the detections: 1 of 2 detections have a keypoint that is no numbers; the boxes: no\. 1: \[10'
    with pytest.raises(UserError, match=message):
        Detections.of_images([(1, np.concatenate([rows(truth), bad]))], truth)

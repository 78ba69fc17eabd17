"""The predictions of YOLOXPoseHead: keypoints of the kept cells, in pixels of the original image."""

import numpy as np
import pytest
import torch

from mmyolox.apis.detectors import prepare_network
from mmyolox.projects.yolox_pose.head import YOLOXPoseHead
from mmyolox.projects.yolox_pose.tests.cases import pose_head, pose_model, random_outputs, random_people
from mmyolox.projects.yolox_pose.tests.plain_ota import flatten
from tests.models.given_outputs import mapped

FLIPPED = pose_head().skeleton.flip_indices
SIZE = (128, 160)
IDENTITY = dict(matrix=np.eye(3), ori_shape=SIZE)


def some_outputs(counts=(3, 2), noise=0.1):
    return random_outputs(random_people(counts, SIZE, (40, 110)), SIZE, noise)


def keypoints_of(outputs, image, bbox, priors):
    """Keypoints and their scores of the cell that predicts ``bbox`` (4,) in input pixels."""
    raw = flatten(outputs.bbox_preds)[image]
    centers, sides = raw[:, :2] * priors[:, 2:] + priors[:, :2], raw[:, 2:].exp() * priors[:, 2:]
    boxes = torch.cat([centers - sides / 2, centers + sides / 2], dim=1)
    n = int((boxes - bbox).abs().sum(dim=1).argmin())
    points = flatten(outputs.offsets)[image, n].view(-1, 2) * priors[n, 2] + priors[n, :2]
    return points, flatten(outputs.vis_logits)[image, n].sigmoid()


@pytest.mark.parametrize(
    ('matrix', 'is_mirrored'),
    [
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], False),
        ([[0.32, 0, 3], [0, 0.5, 7.5], [0, 0, 1]], False),
        ([[-1, 0, 160], [0, 1, 0], [0, 0, 1]], True),
        ([[-0.25, 0, 160], [0, 0.25, 12], [0, 0, 1]], True),
        ([[-1, 0, 160], [0, -1, 128], [0, 0, 1]], False),
    ],
    ids=['as it is', 'letterbox', 'mirrored', 'letterbox, mirrored', 'turned'],
)
def test_keypoints_are_those_of_the_kept_cells_in_pixels_of_the_original(matrix, is_mirrored):
    outputs = some_outputs((2, 3), noise=0.3)
    head, matrix = pose_head(), torch.tensor(matrix, dtype=torch.float64)
    metas = [dict(matrix=np.diag([0.5, 0.5, 1.0]), ori_shape=(9999, 9999))]
    metas += [dict(matrix=matrix.numpy(), ori_shape=(9999, 9999))]
    found = head.predict(outputs, metas)[1]
    found = found[(found.bboxes > 0).all(dim=1)]  # not clipped
    assert len(found) > 10
    priors, inverse = head.priors(outputs), matrix.inverse().float()
    for one in found:
        corners = one.bboxes.view(2, 2) @ matrix[:2, :2].T.float() + matrix[:2, 2].float()
        bbox = torch.cat([corners.amin(dim=0), corners.amax(dim=0)])
        points, scores = keypoints_of(outputs, 1, bbox, priors)
        points = points @ inverse[:2, :2].T + inverse[:2, 2]
        if is_mirrored:
            points, scores = points[list(FLIPPED)], scores[list(FLIPPED)]
        assert torch.allclose(one.keypoints[0], points, atol=2e-3)
        assert torch.allclose(one.keypoint_scores[0], scores, atol=1e-6)


def test_fields_of_a_prediction():
    outputs = some_outputs()
    for found in pose_head().predict(outputs, [IDENTITY] * 2):
        count = len(found)
        assert set(found.keys()) == {
            *('bboxes', 'scores', 'labels'),
            *('keypoints', 'keypoint_scores', 'bbox_scores'),
        }
        assert found.keypoints.shape == (count, 17, 2)
        assert found.keypoint_scores.shape == (count, 17)
        assert found.keypoints.dtype == found.keypoint_scores.dtype == torch.float32
        assert torch.equal(found.bbox_scores, found.scores)
        for name in ('keypoints', 'keypoint_scores'):
            column = found.get(name)
            assert column.untyped_storage().nbytes() == column.nbytes


def test_detections_are_those_of_the_detector():
    outputs = some_outputs()
    head = pose_head()
    for found, expected in zip(
        head.predict(outputs, [IDENTITY] * 2),
        super(YOLOXPoseHead, head).predict(outputs, [IDENTITY] * 2),
        strict=True,
    ):
        for name in ('bboxes', 'scores', 'labels'):
            assert torch.equal(found.get(name), expected.get(name))


def test_keypoints_are_not_clipped():
    outputs = some_outputs((1,))
    for level in outputs.offsets:
        level.fill_(1000.0)
    [found] = pose_head().predict(outputs, [IDENTITY])
    assert float(found.keypoints.min()) > max(SIZE)


def test_no_detections():
    outputs = some_outputs()
    for level in outputs.obj_logits:
        level[0] = -50
    none, some = pose_head().predict(outputs, [IDENTITY] * 2)
    assert len(none) == 0 < len(some)
    assert none.keypoints.shape == (0, 17, 2)
    assert none.keypoint_scores.shape == (0, 17)
    assert none.bbox_scores.shape == (0,)


@torch.no_grad()
@pytest.mark.parametrize('fuse', [True, False])
def test_networks_in_bfloat16_predict_near_those_in_float32(fuse):
    torch.manual_seed(0)
    model = pose_model('nano').eval()
    model.bbox_head.test_cfg.score_thr = 0.0
    images = 255 * torch.rand(1, 3, 96, 128)
    expected = model(images)
    prepare_network(model, fuse, torch.bfloat16)
    outputs = model(images)
    assert {x.dtype for levels in outputs for x in levels} == {torch.bfloat16}
    for levels, truths in zip(outputs, expected, strict=True):
        assert all(torch.allclose(x.float(), y, atol=0.1) for x, y in zip(levels, truths, strict=True))
    [found] = model.bbox_head.postprocess(outputs, [IDENTITY])
    rounded = mapped(torch.Tensor.float, outputs)
    [expected] = model.bbox_head.postprocess(rounded, [IDENTITY])
    for name in ('keypoints', 'keypoint_scores', 'bboxes'):
        assert found.get(name).dtype == torch.float32
        assert torch.equal(found.get(name), expected.get(name))

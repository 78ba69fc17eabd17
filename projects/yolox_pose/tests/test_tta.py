"""Test-time augmentation: a mirrored view gives the same joints."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from torch import nn

from mmyolox.models import YOLOXTTAModel
from mmyolox.models.detector import pack_prediction
from mmyolox.projects.yolox_pose.head_module import PoseOutputs
from mmyolox.projects.yolox_pose.tests.cases import pose_head, random_outputs, random_people

SIZE = (128, 160)
MIRROR = np.array([[-1.0, 0, SIZE[1]], [0, 1, 0], [0, 0, 1]])


class Scripted(nn.Module):
    """A detector that predicts, from the raw outputs that it is given for images."""

    def __init__(self):
        super().__init__()
        self.bbox_head = pose_head()

    def test_step(self, data):
        metas = data['data_samples']['metas']
        return list(map(pack_prediction, self.bbox_head.predict(data['inputs'], metas), metas))


def mirrored(outputs, flip_indices):
    """What a network that mirrors with its input gives for mirrored images."""
    cls_logits, bbox_preds, obj_logits, offsets, vis_logits = ([x.flip(3) for x in y] for y in outputs)
    flips = list(flip_indices)

    def turned(x):
        """The distance from the left edge of a cell becomes that from its right edge."""
        return torch.cat([1 - x[:, :1], x[:, 1:]], dim=1)

    points = [x.unflatten(1, (-1, 2))[:, flips].transpose(1, 2) for x in offsets]
    points = [turned(x).transpose(1, 2).flatten(1, 2) for x in points]
    return PoseOutputs(
        cls_logits,
        [turned(x) for x in bbox_preds],
        obj_logits,
        points,
        [x[:, flips] for x in vis_logits],
    )


def merger(iou_threshold):
    return YOLOXTTAModel(dict(nms=dict(iou_threshold=iou_threshold), max_per_img=300), module=Scripted())


def view(outputs, matrix):
    metas = [dict(matrix=matrix, ori_shape=SIZE, img_id=i) for i in range(2)]
    return outputs, dict(metas=metas)


def steps(model, *views):
    inputs, data_samples = zip(*views, strict=True)
    return model.test_step(dict(inputs=list(inputs), data_samples=list(data_samples)))


def some_outputs():
    people = random_people((2, 3), SIZE, (40, 110))
    return random_outputs(people, SIZE, 0.1)


def test_a_mirrored_view_predicts_the_same_joints():
    outputs, model = some_outputs(), merger(0.9)
    flips = model.module.bbox_head.skeleton.flip_indices
    plain = steps(model, view(outputs, np.eye(3)))
    flipped = steps(model, view(mirrored(outputs, flips), MIRROR))
    for one, other in zip(plain, flipped, strict=True):
        one, other = one.pred_instances, other.pred_instances
        assert len(one) == len(other) > 5
        assert torch.allclose(one.bboxes, other.bboxes, atol=1e-3)
        assert torch.allclose(one.keypoints, other.keypoints, atol=1e-3)
        assert torch.allclose(one.keypoint_scores, other.keypoint_scores, atol=1e-6)


@pytest.mark.parametrize('views', [1, 2])
def test_merging_keeps_the_joints_of_the_surer_view(views):
    outputs, model = some_outputs(), merger(0.9)
    other = mirrored(outputs, model.module.bbox_head.skeleton.flip_indices)
    for level in other[2]:
        level += 0.1
    merged = steps(model, view(outputs, np.eye(3)), view(other, MIRROR))
    alone = steps(model, view(other, MIRROR))
    for sample, expected in zip(merged, alone, strict=True):
        assert isinstance(sample, DetDataSample)
        found, expected = sample.pred_instances, expected.pred_instances
        assert torch.allclose(found.keypoints[: len(expected)], expected.keypoints, atol=1e-3)
        assert torch.equal(found.bbox_scores, found.scores)

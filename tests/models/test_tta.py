"""YOLOXTTAModel merges the detections of several views."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from mmyolox.models import YOLOXTTAModel
from mmyolox.registry import MODELS

BOX = [10.0, 10.0, 50.0, 50.0]
SHIFTED = [11.0, 10.0, 51.0, 50.0]
OTHER = [60.0, 60.0, 90.0, 90.0]


class Scripted(nn.Module):
    """A detector whose test_step hands on what it is given."""

    def test_step(self, data):
        return data['data_samples']


def merger(iou_threshold=0.65, max_per_img=300):
    return YOLOXTTAModel(
        dict(nms=dict(iou_threshold=iou_threshold), max_per_img=max_per_img), module=Scripted()
    )


def view(*detections, img_id=0):
    """The prediction of a view from (box, score, label)."""
    boxes, scores, labels = zip(*detections, strict=True) if detections else ([], [], [])
    sample = DetDataSample(metainfo=dict(img_id=img_id, ori_shape=(100, 100)))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        scores=torch.tensor(scores).float(),
        labels=torch.tensor(labels).long(),
    )
    return sample


def rows(sample):
    """Detections as (x1, score, label)."""
    found = sample.pred_instances
    return [
        (float(bbox[0]), round(float(score), 4), int(label))
        for bbox, score, label in zip(found.bboxes, found.scores, found.labels, strict=True)
    ]


@pytest.mark.parametrize(
    ('views', 'expected'),
    [
        # The same object in both views: the surer one stays.
        ([[(BOX, 0.6, 0)], [(SHIFTED, 0.8, 0)]], [(11.0, 0.8, 0)]),
        ([[(BOX, 0.6, 0)], [(SHIFTED, 0.8, 1)]], [(11.0, 0.8, 1), (10.0, 0.6, 0)]),
        ([[(BOX, 0.6, 0)], [(OTHER, 0.8, 0)]], [(60.0, 0.8, 0), (10.0, 0.6, 0)]),
        ([[(BOX, 0.6, 0)], []], [(10.0, 0.6, 0)]),
        ([[], []], []),
        ([[(BOX, 0.6, 0), (OTHER, 0.3, 2)]], [(10.0, 0.6, 0), (60.0, 0.3, 2)]),
        ([[(BOX, 0.1, 0)], [(BOX, 0.3, 0)], [(BOX, 0.2, 0)]], [(10.0, 0.3, 0)]),
    ],
)
def test_views_of_an_image_are_merged(views, expected):
    [merged] = merger().merge_preds([[view(*detections) for detections in views]])
    assert rows(merged) == expected


def test_the_threshold_decides():
    views = [[view((BOX, 0.6, 0)), view((SHIFTED, 0.8, 0))]]
    assert [len(merger(thr).merge_preds(views)[0].pred_instances) for thr in (0.9, 0.99)] == [1, 2]


@pytest.mark.parametrize(('max_per_img', 'scores'), [(1, [0.8]), (2, [0.8, 0.6]), (-1, [0.8, 0.6, 0.2])])
def test_the_best_are_kept(max_per_img, scores):
    views = [view((BOX, 0.6, 0), (BOX, 0.2, 1)), view((OTHER, 0.8, 0))]
    [merged] = merger(max_per_img=max_per_img).merge_preds([views])
    assert [score for _, score, _ in rows(merged)] == scores


def test_each_image_keeps_its_own_detections_and_meta():
    images = [[view((BOX, 0.6, 0), img_id=i), view((OTHER, 0.5, i), img_id=i)] for i in range(3)]
    merged = merger().merge_preds(images)
    assert [sample.img_id for sample in merged] == [0, 1, 2]
    assert [rows(sample) for sample in merged] == [[(10.0, 0.6, 0), (60.0, 0.5, i)] for i in range(3)]


def test_annotations_are_carried_along_and_views_left_alone():
    first, second = view((BOX, 0.6, 0)), view((SHIFTED, 0.8, 0))
    first.gt_instances = InstanceData(bboxes=torch.tensor([BOX]), labels=torch.tensor([0]))
    [merged] = merger().merge_preds([[first, second]])
    assert merged.gt_instances.bboxes.tolist() == [BOX]
    assert rows(first) == [(10.0, 0.6, 0)]


def test_all_fields_of_a_detection_come_along():
    views = [view((BOX, 0.6, 0)), view((OTHER, 0.8, 0))]
    for i, sample in enumerate(views):
        sample.pred_instances.keypoints = torch.full((1, 17, 2), float(i))
    [merged] = merger().merge_preds([views])
    assert merged.pred_instances.keypoints[:, 0, 0].tolist() == [1.0, 0.0]


def test_a_step_takes_batches_view_by_view():
    # As from tta_collate: an entry a view, each a batch of two images.
    by_view = [
        [view((BOX, 0.6, 0), img_id=0), view((OTHER, 0.5, 1), img_id=1)],
        [view((SHIFTED, 0.8, 0), img_id=0), view((BOX, 0.4, 1), img_id=1)],
    ]
    merged = merger().test_step(dict(inputs=[None, None], data_samples=by_view))
    assert [rows(sample) for sample in merged] == [[(11.0, 0.8, 0)], [(60.0, 0.5, 1), (10.0, 0.4, 1)]]


def test_registered_by_name():
    assert MODELS.get('YOLOXTTAModel') is YOLOXTTAModel

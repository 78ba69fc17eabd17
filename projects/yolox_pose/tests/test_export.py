"""Exports of YOLOX-Pose in ONNX Runtime against PyTorch."""

import functools

import numpy as np
import onnx
import pytest
import torch

from mmyolox.checkpoints.record import InputRecord
from mmyolox.deploy import ModelInfo
from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export.formats import export_model
from mmyolox.export.network import ExportNetwork
from mmyolox.export.verify import verify
from mmyolox.projects.yolox_pose.tests.cases import COCO_SKELETON, TEST_CFG, pose_model
from tests.export import models as helpers

SMALL = dict(keypoints=['nose', 'left_eye', 'right_eye', 'tail'], links=[['nose', 'tail']])


@functools.cache
def shared_model(randomise, count):
    """A model with ``count`` keypoints and random weights, that nobody changes."""
    model = pose_model('nano', SMALL if count == 4 else COCO_SKELETON)
    model.bbox_head.test_cfg.update(TEST_CFG, score_thr=0.3, max_per_img=40)
    return randomise(model, ('person',))


def expected_points(model, images, decode):
    """The points' columns (B, N, 3K), in a loop over levels and cells."""
    outputs = model(torch.from_numpy(images))
    rows = []
    for stride, offsets, vis in zip((8, 16, 32), outputs.offsets, outputs.vis_logits, strict=True):
        for y in range(vis.shape[2]):
            for x in range(vis.shape[3]):
                points = offsets[:, :, y, x].reshape(len(images), -1, 2)
                if decode:
                    points = (points + torch.tensor([x, y])) * stride
                rows.append(torch.cat([points, vis[:, :, y, x].sigmoid()[..., None]], dim=2).flatten(1))
    return torch.stack(rows, dim=1).numpy()


@pytest.mark.parametrize('form', ['raw', 'decoded'])
@pytest.mark.parametrize('count', [4, 17])
def test_rows(tmp_path, form, count):
    model, images = shared_model(helpers.randomised, count), helpers.noise(2, 3, 64, 96)
    path = helpers.export_onnx(model, tmp_path / 'a.onnx', helpers.options(form=form, batch=2))
    rows = helpers.run(path, images)['output']
    assert rows.shape == (2, 126, 6 + 3 * count)
    np.testing.assert_allclose(
        rows[..., 6:], expected_points(model, images, form == 'decoded'), **helpers.CLOSE
    )
    boxes = helpers.expected_predictions(model, images, form == 'decoded')
    np.testing.assert_allclose(rows[..., :6], boxes, **helpers.CLOSE)


def test_any_batch_and_size(tmp_path):
    model = shared_model(helpers.randomised, 4)
    chosen = helpers.options((64, 64), dynamic_batch=True, dynamic_size=True, simplify=True)
    path = helpers.export_onnx(model, tmp_path / 'a.onnx', chosen)
    for shape in (1, 3, 64, 96), (4, 3, 96, 32):
        images = helpers.noise(*shape)
        points = helpers.run(path, images)['output'][..., 6:]
        np.testing.assert_allclose(points, expected_points(model, images, True), **helpers.CLOSE)


@pytest.mark.parametrize('preprocess', [False, True])
@pytest.mark.parametrize('size', [(64, 96), (96, 160)])
def test_detections_with_their_points(tmp_path, size, preprocess):
    model = shared_model(helpers.randomised, 4)
    chosen = helpers.options(size, form='end2end', dynamic_batch=True, preprocess=preprocess)
    path = helpers.export_onnx(model, tmp_path / 'a.onnx', chosen)
    images, scale = helpers.noise(4, 3, *size).round(), 1
    given = images
    if preprocess:  # images of twice the size, whose halves are the network's input
        scale = 2
        given = images.transpose(0, 2, 3, 1).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    found = helpers.run(path, given)
    matrix = np.diag([1 / scale, 1 / scale, 1.0])
    limit = (size[0] * scale, size[1] * scale) if preprocess else (10**6, 10**6)
    wanted = helpers.expected_detections(model, images, matrix, limit)
    assert found['points'].shape == (4, 40, 4, 3)
    assert found['num'].min() > 3
    helpers.assert_agree(found, wanted)
    for image, instances in enumerate(wanted):
        count = int(found['num'][image])
        given_points = found['points'][image]
        points = np.concatenate([instances.keypoints, instances.keypoint_scores[..., None]], axis=2)
        apart = np.abs(points[:, None] - given_points[None, :count]).max(axis=(2, 3)).min(axis=1)
        assert (apart > 0.1).sum() <= len(points) // 20
        assert not given_points[count:].any()


def test_no_detection(tmp_path):
    model = shared_model(helpers.randomised, 4)
    path = helpers.export_onnx(model, tmp_path / 'a.onnx', helpers.options(form='end2end', score_thr=1.0))
    found = helpers.run(path, helpers.noise(1, 3, 64, 96))
    assert found['num'].tolist() == [0]
    assert not found['points'].any()


def test_metadata(tmp_path):
    model = pose_model('nano', SMALL)
    model.bbox_head.test_cfg.update(TEST_CFG)
    model.dataset_meta = dict(classes=('cat',), class_keypoints=[[0, 3]])
    model.input_record = InputRecord()
    path = helpers.export_onnx(model.eval(), tmp_path / 'a.onnx', helpers.options((32, 32)))
    info = ModelInfo.from_json(onnx.load(path).metadata_props[0].value)
    assert info.points == ('nose', 'left_eye', 'right_eye', 'tail')
    assert info.links == ((0, 3),)
    assert info.class_points == ((0, 3),)


def test_trained_outputs_stay():
    """The exported network is a copy."""
    model, images = shared_model(helpers.randomised, 4), torch.from_numpy(helpers.noise(1, 3, 64, 96))
    before = [level.clone() for part in model(images) for level in part]
    ExportNetwork(model, helpers.options())(images)
    assert all(
        torch.equal(a, b) for a, b in zip(before, (x for part in model(images) for x in part), strict=True)
    )


def report_of(tmp_path, form):
    """Verifies an export of a model that finds people in noise."""
    model = shared_model(helpers.randomised, 4)
    chosen = helpers.options((64, 96), form=form)
    images = list(helpers.noise(2, 3, 64, 96).transpose(0, 2, 3, 1).astype(np.uint8))
    path = export_model(FORMATS['onnx'], model, tmp_path / 'a', chosen)
    return verify(model, path, chosen, images)


@pytest.mark.parametrize('form', ['decoded', 'end2end'])
def test_points_are_verified(tmp_path, form):
    report = report_of(tmp_path, form)
    assert report.objects > 3
    assert report.keypoints < 1e-4
    assert 'of their sides in keypoints' in report.describe()


def test_swapped_points_are_no_export(tmp_path, monkeypatch):
    keypoint_columns = type(shared_model(helpers.randomised, 4).bbox_head).keypoint_columns

    def swapped(*args, **kwargs):
        columns = keypoint_columns(*args, **kwargs)
        return columns.unflatten(1, (4, 3))[:, [1, 0, 3, 2]].flatten(1, 2)

    monkeypatch.setattr('mmyolox.projects.yolox_pose.YOLOXPoseHead.keypoint_columns', swapped)
    with pytest.raises(UserError, match=r'a\.onnx does not compute what PyTorch does.*keypoints are'):
        report_of(tmp_path, 'end2end')
    assert not list(tmp_path.iterdir())

"""Suppression inside the graph against the head's own."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.structures import InstanceData

from mmyolox.deploy import ModelInfo
from mmyolox.export.end2end import suppression_graph
from mmyolox.models.postprocess import label_candidates
from mmyolox.nms import images_nms
from tests.export.models import (
    THRESHOLDS,
    assert_agree,
    expected_detections,
    export_onnx,
    noise,
    options,
    run,
    shared_detector,
    small_detector,
)


def suppress(info, candidates, class_scores, opset=17, **more):
    """The outputs of the graph by name."""
    graph = suppression_graph(info, 'batch', opset)
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(None, dict(candidates=candidates, class_scores=class_scores, **more))
    return dict(zip(names, outputs, strict=True))


def expected(info, candidates, class_scores):
    """What the head's own suppression makes of candidates: an (n, 6) array of rows for each image."""
    batch, count, _ = candidates.shape
    rows = InstanceData(
        images=torch.arange(batch).repeat_interleave(count),
        bboxes=torch.from_numpy(candidates).flatten(0, 1),
        class_scores=torch.from_numpy(class_scores).mT.flatten(0, 1),
    )
    found = label_candidates(rows, info.score_thr, info.multi_label)
    keep = images_nms(
        found.bboxes, found.scores, found.labels, found.images, info.iou_thr, info.max_per_img, info.nms_pre
    )
    found = found[keep]
    table = torch.cat([found.bboxes, found.scores[:, None], found.labels[:, None]], dim=1).numpy()
    return [table[(found.images == image).numpy()] for image in range(batch)]


def assert_equal(outputs, tables, most):
    assert outputs['num'].tolist() == [len(table) for table in tables]
    for image, table in enumerate(tables):
        count = len(table)
        given = [outputs[name][image] for name in ('bboxes', 'scores', 'labels')]
        assert [len(part) for part in given] == [most] * 3
        np.testing.assert_array_equal(np.column_stack([part[:count] for part in given]), table)
        for part, empty in zip(given, (0, 0, -1), strict=True):
            assert (part[count:] == empty).all()


def random_candidates(batch=2, count=200, classes=4, seed=0, steps=None):
    """Boxes that overlap, and scores, with ``steps`` of so few values that many are equal."""
    rng = np.random.default_rng(seed)
    centers, sides = rng.uniform(0, 100, (batch, count, 2)), rng.uniform(1, 40, (batch, count, 2))
    scores = rng.random((batch, classes, count))
    if steps:
        scores = (scores * steps).round() / steps
    corners = np.concatenate([centers - sides / 2, centers + sides / 2], axis=2)
    return corners.astype(np.float32), scores.astype(np.float32)


def info_of(**kwargs):
    defaults = dict(score_thr=0.1, iou_thr=0.5, max_per_img=60, nms_pre=-1, form='end2end')
    return ModelInfo(classes=tuple('abcd'), input_size=(64, 64), **defaults | kwargs)


@pytest.mark.parametrize('multi_label', [True, False])
@pytest.mark.parametrize('steps', [None, 8])
@pytest.mark.parametrize('opset', [13, 17, 20])
def test_equals_the_head_on_random_boxes(multi_label, steps, opset):
    info = info_of(multi_label=multi_label)
    for seed in range(10):
        given = random_candidates(seed=seed, steps=steps)
        assert_equal(suppress(info, *given, opset), expected(info, *given), 60)


@pytest.mark.parametrize('nms_pre', [1, 7, 30, 799, 800, 30000])
@pytest.mark.parametrize('steps', [None, 8])
@pytest.mark.parametrize('multi_label', [True, False])
def test_only_the_best_candidates_are_looked_at(nms_pre, steps, multi_label):
    info = info_of(nms_pre=nms_pre, multi_label=multi_label, iou_thr=0.3)
    crowd, scores = random_candidates(steps=steps)
    scores[1, :, 3:] = 0  # the other image has few
    assert_equal(suppress(info, crowd, scores), expected(info, crowd, scores), 60)


@pytest.mark.parametrize(
    ('kwargs', 'shape'),
    [
        (dict(score_thr=1.0), (2, 200, 4)),
        (dict(score_thr=0.0, iou_thr=1.0, max_per_img=300), (4, 200, 4)),
        (dict(max_per_img=300), (1, 3, 4)),
        (dict(max_per_img=1), (3, 50, 4)),
        (dict(), (2, 200, 1)),
        (dict(multi_label=False), (2, 200, 1)),
        (dict(iou_thr=0.0), (1, 200, 2)),
    ],
)
def test_edges(kwargs, shape):
    info = info_of(**kwargs)
    given = random_candidates(*shape)
    assert_equal(suppress(info, *given), expected(info, *given), info.max_per_img)


def test_a_score_at_the_threshold_is_none():
    bboxes = np.float32([[[0, 0, 9, 9], [20, 20, 29, 29]]])
    outputs = suppress(info_of(score_thr=0.25), bboxes, np.float32([[[0.25, 0.2500001]]]))
    assert outputs['num'].tolist() == [1]
    assert outputs['bboxes'][0, 0].tolist() == [20, 20, 29, 29]


def test_thresholds_are_as_fine_as_given():
    pairs = [(0, 0, 100, 1), (0, 9, 100, 10), (0, 0, 66, 1), (0, 9, 65, 10)]  # they overlap by 0.66 and 0.65
    bboxes = np.float32([[*pairs, (0, 19, 1, 20), (0, 29, 1, 30)]])
    scores = np.float32([[[0.9, 0.8, 0.7, 0.6, 0.0016, 0.0014]]])
    outputs = suppress(info_of(score_thr=0.0015, iou_thr=0.655), bboxes, scores)
    np.testing.assert_array_equal(outputs['scores'][0, :5], np.float32([0.9, 0.8, 0.6, 0.0016, 0]))


def test_boxes_without_area_and_scores_that_are_no_number():
    bboxes = np.float32([[[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9], [0, 0, 9, 9]]])
    scores = np.float32([[[0.9, 0.8, np.nan, 0.7]]])
    outputs = suppress(info_of(), bboxes, scores)
    assert outputs['num'].tolist() == [3]
    np.testing.assert_array_equal(outputs['scores'][0, :3], np.float32([0.9, 0.8, 0.7]))


def test_boxes_and_points_of_an_image_that_is_scaled_unequally():
    outputs = suppress(
        info_of(points=('nose', 'tail'), preprocessing=True, max_per_img=2),
        np.float32([[[-5, 10, 60, 30]]]),
        np.float32([[[0], [0], [0.9], [0]]]),
        keypoint_columns=np.float32([[[4, 8, 0.75, 60, -60, 0.25]]]),
        scale=np.float32([0.5, 0.25]),
        image_size=np.float32([90, 100]),
    )
    assert outputs['labels'].tolist() == [[2, -1]]
    assert outputs['bboxes'].tolist() == [[[0, 40, 90, 100], [0, 0, 0, 0]]]
    assert outputs['points'][0, 0].tolist() == [[8, 32, 0.75], [120, -240, 0.25]]
    assert not outputs['points'][0, 1].any()


CASES = {
    'none': dict(score_thr=1.0),
    'more than fit': dict(score_thr=0.0, nms=dict(iou_threshold=0.95), max_per_img=300),
    'all': dict(score_thr=0.0, nms=dict(iou_threshold=0.95), max_per_img=1000),
    'single label': dict(multi_label=False),
    'few candidates': dict(nms_pre=40, max_per_img=100),
}


@pytest.mark.parametrize('case', CASES)
def test_files_equal_the_model(tmp_path, case):
    model = small_detector(test_cfg=THRESHOLDS | CASES[case])
    chosen = options((96, 160), form='end2end', batch=4, simplify=case == 'more than fit')
    images = noise(4, 3, 96, 160)
    found = run(export_onnx(model, tmp_path / 'a.onnx', chosen), images)
    wanted = expected_detections(model, images)
    assert found['bboxes'].shape == (4, model.bbox_head.test_cfg.max_per_img, 4)
    assert (found['num'].sum() == 0) == (case == 'none')
    assert (found['num'].min() >= 300) == (case in ('more than fit', 'all'))
    assert_agree(found, wanted)


def test_any_batch_and_size(tmp_path):
    model = shared_detector()
    chosen = options((64, 64), form='end2end', dynamic_batch=True, dynamic_size=True)
    path = export_onnx(model, tmp_path / 'a.onnx', chosen)
    for shape in (1, 3, 64, 64), (4, 3, 96, 160), (3, 3, 160, 64):
        images = noise(*shape)
        found = run(path, images)
        assert found['num'].min() > 0
        assert_agree(found, expected_detections(model, images))


def test_only_standard_operators(tmp_path):
    path = export_onnx(shared_detector(), tmp_path / 'a.onnx', options(form='end2end', simplify=True))
    graph = onnx.load(path)
    assert {node.domain for node in graph.graph.node} <= {'', 'ai.onnx'}
    assert [entry.domain for entry in graph.opset_import] == ['']

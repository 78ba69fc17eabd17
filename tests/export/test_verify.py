"""Verification: what agrees passes, what does not is removed."""

import functools
import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mmyolox.apis import ExportedDetector, detect
from mmyolox.apis.evaluate import coco_data, evaluate, image_dataset
from mmyolox.deploy import Detections, ExportedModel
from mmyolox.deploy.formats import FORMATS
from mmyolox.errors import UserError
from mmyolox.export.description import describe
from mmyolox.export.differences import clear_score_of, match, prediction_differences
from mmyolox.export.formats import export_model
from mmyolox.export.inputs import made_images
from mmyolox.export.options import Precision
from mmyolox.export.verify import compare, reference_detector, verify
from tests.export.calm_models import calmed, keeping_options
from tests.export.models import options, shared_detector, small_detector

ONNX = FORMATS['onnx']


@pytest.fixture
def images():
    return made_images((64, 96), 3, count=3)


def detections(*rows):
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


@pytest.mark.parametrize(
    'asked',
    [
        dict(form='raw', batch=2),
        dict(form='decoded', colour='rgb', dynamic_batch=True, dynamic_size=True),
    ],
    ids=str,
)
def test_a_right_file_passes(tmp_path, images, asked):
    chosen = options(**asked)
    path = export_model(ONNX, calm_detector(), tmp_path / 'a', chosen)
    report = verify(calm_detector(), path, chosen, images)
    assert report.images == 3
    assert report.objects > 10
    assert report.matched > 0.98
    assert path.is_file()
    assert 'predictions differ by up to' in report.describe()


@functools.cache
def calm_detector():
    return calmed(shared_detector())


@pytest.mark.parametrize(
    'asked', [dict(form='end2end', preprocess=True), dict(precision=Precision('fp16'))], ids=str
)
def test_a_nearly_right_file_passes(tmp_path, images, asked):
    chosen = keeping_options(**asked)
    path = export_model(ONNX, calm_detector(), tmp_path / 'a', chosen)
    report = verify(calm_detector(), path, chosen, images)
    assert report.objects > 100
    assert report.limits.predictions is None
    spoil(path, 'stem.conv.weight', lambda weight: -weight)
    with pytest.raises(UserError, match='was removed'):
        verify(calm_detector(), path, chosen, images)


def spoil(path, wanted, change):
    """Changes a weight of an ONNX file."""
    graph = onnx.load(path)
    weight = next(entry for entry in graph.graph.initializer if wanted in entry.name)
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)), weight.name))
    onnx.save(graph, path)


@pytest.mark.parametrize(
    ('asked', 'wanted', 'change', 'line'),
    [
        (
            dict(form='raw'),
            'conv_reg.0.bias',
            lambda bias: bias + 0.1,
            'largest difference of a prediction is 0.1',
        ),
        (dict(form='raw'), 'conv_obj.1.bias', lambda bias: bias + 0.5, 'largest difference of a prediction'),
        (
            dict(form='raw'),
            'conv_obj.1.bias',
            lambda bias: bias * np.nan,
            'difference of a prediction is inf',
        ),
        (
            dict(form='end2end'),
            'stem.conv.weight',
            lambda w: w[:, ::-1].copy(),
            'of the objects are found by both',
        ),
        (dict(form='end2end'), 'conv_cls.0.bias', lambda bias: bias + 0.1, 'scores differ by'),
    ],
)
def test_a_wrong_file_is_removed(tmp_path, images, asked, wanted, change, line):
    chosen = options(**asked)
    path = export_model(ONNX, shared_detector(), tmp_path / 'a', chosen)
    spoil(path, wanted, change)
    with pytest.raises(UserError, match=f'was removed: .*{line}'):
        verify(shared_detector(), path, chosen, images)
    assert not path.exists()


def test_predictions_of_another_shape():
    with pytest.raises(UserError, match=r'returns \(1, 2, 8\), PyTorch \(1, 3, 8\)'):
        prediction_differences(np.zeros((1, 2, 8), np.float32), np.zeros((1, 3, 8), np.float32), 3)


def test_differences_of_boxes_scores_and_keypoints():
    wanted = np.zeros((1, 1, 5 + 2 + 6), np.float32)
    wanted[0, 0, 2] = 100
    predictions = wanted.copy()
    # a width, a class, a keypoint's x and another's score
    predictions[0, 0, [2, 6, 7, 12]] += [2, 0.25, 0.5, 0.75]
    assert prediction_differences(predictions, wanted, 2) == (0.5, 0.75)


BOX, OTHER = (10, 10, 20, 20, 0.9, 1), (50, 50, 60, 70, 0.8, 0)


@pytest.mark.parametrize(
    ('first', 'second', 'clear', 'matched', 'pixels', 'scores'),
    [
        ([], [], 0, 0, 0, []),
        ([BOX], [], 1, 0, 0, []),
        ([], [BOX], 1, 0, 0, []),
        ([BOX, OTHER], [BOX, OTHER], 4, 4, 0, [0, 0, 0, 0]),
        ([BOX], [(*BOX[:5], 0)], 2, 0, 0, []),
        ([BOX], [(10, 10, 20, 21, 0.4, 1)], 2, 2, 1, [0.5, 0.5]),
        # below what is clear on one side: found, and looked for from the other side only
        ([BOX], [(*BOX[:4], 0.2, 1)], 1, 1, 0, [0.7]),
        ([BOX], [(15, 10, 25, 20, 0.9, 1)], 2, 0, 0, []),
        ([(0, 5, 0, 9, 0.9, 1)], [(0, 5, 0, 9, 0.9, 1)], 2, 2, 0, [0, 0]),  # clipped to nothing
    ],
)
def test_objects_that_both_find(first, second, clear, matched, pixels, scores):
    result = match(detections(*first), detections(*second), 0.8, 0.3)
    assert (result.objects, result.clear, result.matched) == (len(first), clear, matched)
    assert result.pixels == pytest.approx(pixels)
    assert result.scores == pytest.approx(scores)


@pytest.mark.parametrize(
    ('found', 'wanted'),
    [
        ([], 0),
        ([[]], 0),
        ([[BOX], [OTHER]], 0.3),
        ([[], [(*BOX[:4], 0.1, 1), (*BOX[:4], 0.4, 1)], [(*BOX[:4], 0.2, 1)]], 0.2),
    ],
)
def test_what_is_clear(found, wanted):
    assert clear_score_of([detections(*rows) for rows in found]) == pytest.approx(wanted)


def test_nothing_found_by_either_passes(tmp_path):
    chosen = options(form='end2end', score_thr=1.0)
    path = export_model(ONNX, shared_detector(), tmp_path / 'a', chosen)
    report = compare(shared_detector(), ExportedModel(path), chosen, made_images((64, 96), 3))
    assert (report.objects, report.matched, report.fault()) == (0, 1.0, None)


def test_made_images_differ_in_size():
    sizes = {image.shape for image in made_images((32, 64), 1, count=5)}
    assert len(sizes) == 5
    assert all(height >= 25 and width >= 51 and channels == 1 for height, width, channels in sizes)


def test_ap_of_both(tmp_path, images, capsys):
    """The model's own detections are the ground truth."""
    model = calm_detector()
    chosen = options(score_thr=0.2)
    path = export_model(ONNX, model, tmp_path / 'a', chosen)
    exported = ExportedModel(path)
    entries = []
    truth = [sample.pred_instances for sample in detect(reference_detector(model, exported.info), images)]
    for number, (image, found) in enumerate(zip(images, truth, strict=True)):
        cv2.imwrite(str(tmp_path / f'{number}.png'), image)
        for box, label in zip(found.bboxes.tolist(), found.labels.tolist(), strict=True):
            entries.append(
                dict(
                    id=len(entries) + 1,
                    image_id=number,
                    category_id=label,
                    bbox=[box[0], box[1], box[2] - box[0], box[3] - box[1]],
                )
            )
    sizes = [dict(zip(('height', 'width'), image.shape[:2], strict=True)) for image in images]
    content = dict(
        images=[dict(size, id=number, file_name=f'{number}.png') for number, size in enumerate(sizes)],
        annotations=entries,
        categories=[dict(id=label, name=f'thing {label}') for label in range(3)],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    data, metric = coco_data(exported.info, tmp_path / 'a.json', tmp_path)

    def ap(detector):
        return evaluate(detector, image_dataset(data, 3), metric, batch_size=2)['coco/bbox_mAP']

    first = ap(reference_detector(model, exported.info))
    assert ap(ExportedDetector(exported)) == pytest.approx(first, abs=0.001)
    assert first > 0.4
    spoil(path, 'conv_cls.0.bias', lambda bias: bias[::-1].copy())
    worse = ExportedModel(path, info=replace(exported.info, iou_thr=0.3))
    assert ap(ExportedDetector(worse)) < first


def with_keypoints(count, shift=0.0, order=slice(None)):
    """Objects in a row, of 40 x 20 pixels, with 3 keypoints each."""
    rng = np.random.default_rng(0)
    left = 50 * np.arange(count, dtype=np.float32)
    bboxes = np.stack([left, 0 * left, left + 40, 0 * left + 20], axis=1)
    keypoints = rng.uniform(0, 20, (count, 3, 3)).astype(np.float32)
    keypoints[..., 0] += left[:, None] + shift
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    return Detections(bboxes, scores, np.zeros(count, np.int64), keypoints[:, order])


@pytest.mark.parametrize(('shift', 'distance'), [(0.0, 0.0), (2.0, 0.05)])
def test_distance_of_keypoints(shift, distance):
    """In longer sides of the boxes, here of 40 pixels; each object counts for either model."""
    result = match(with_keypoints(4), with_keypoints(4, shift), 0.9, 0.3)
    assert result.keypoints.shape == (24,)
    np.testing.assert_allclose(result.keypoints, distance, atol=1e-6)


def test_keypoints_in_another_order_or_without_a_value():
    swapped = match(with_keypoints(4), with_keypoints(4, order=[1, 0, 2]), 0.9, 0.3)
    assert np.median(swapped.keypoints) > 0.05
    assert np.isinf(match(with_keypoints(4), with_keypoints(4, np.nan), 0.9, 0.3).keypoints).all()


def test_no_keypoints_of_detectors_and_of_nothing():
    nothing = with_keypoints(0)
    assert not len(match(nothing, nothing, 0.9, 0.3).keypoints)
    plain = replace(with_keypoints(2), points=None)
    assert not len(match(plain, plain, 0.9, 0.3).keypoints)


def test_the_thresholds_are_those_of_the_export_and_the_model_stays():
    model = small_detector()
    before = dict(model.bbox_head.test_cfg)
    info, images = describe(model, options(score_thr=0.2, max_per_img=1000)), made_images((64, 96), 3, 1)

    def found(**changes):
        (sample,) = detect(reference_detector(model, replace(info, **changes)), images)
        return sample.pred_instances

    assert 0 < len(found(iou_thr=0.2)) < len(found(iou_thr=1.0))
    assert 0 < len(found(score_thr=0.4)) < len(found())
    assert len(found(max_per_img=3)) == 3
    assert 0 < len(found(iou_thr=1.0, multi_label=False)) < len(found(iou_thr=1.0))
    assert dict(model.bbox_head.test_cfg) == before

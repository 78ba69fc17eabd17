"""The keypoint metric against pycocotools itself."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.evaluation.coco_curves import BACKENDS
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS
from mmyolox.projects.yolox_pose.tests.eval_cases import (
    CATEGORIES,
    CLASSES,
    SKELETON,
    detections,
    evaluate,
    exact_figures,
    keypoint_file,
    make_metric,
    reference,
)
from mmyolox.registry import METRICS

PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_m', 'mAP_l')
RECALLS = ('AR@20', 'AR_50@20', 'AR_75@20', 'AR_m@20', 'AR_l@20')


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'ann.json'
        path.write_text(json.dumps(content))
        return str(path)

    return write


def figures(ann_file, samples, classes=CLASSES, skeleton=SKELETON, **options):
    metric = make_metric(ann_file, classes, skeleton, **options)
    metric.process({}, samples)
    return exact_figures(metric)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('classes', [CLASSES, ('stone', 'plant', 'animal'), ('animal',), ('plant', 'stone')])
@pytest.mark.parametrize('seed', range(3))
def test_equal_to_pycocotools(write, classes, seed, backend):
    content = keypoint_file(seed)
    samples = detections(content, classes, seed=seed)
    wanted = reference(content, samples, classes)
    np.testing.assert_allclose(
        figures(write(content), samples, classes, backend=backend), wanted, rtol=0, atol=1e-9
    )
    assert 0.1 < wanted[0] < 0.9


@pytest.mark.parametrize('backend', BACKENDS)
def test_equal_with_the_keypoints_of_people(write, backend):
    names = list(COCO_SIGMAS)
    skeleton = dict(keypoints=names, flip_pairs=[], sigmas=list(COCO_SIGMAS.values()))
    content = keypoint_file(5)
    rng = np.random.default_rng(5)
    content['categories'] = [dict(id=1, name='person', keypoints=names)]
    for one in content['annotations']:
        points = np.array(one['bbox'][:2]) + rng.random((17, 2)) * one['bbox'][2:]
        visibility = rng.choice(3, (17, 1)) * (rng.random() > 0.2)
        one |= dict(category_id=1, num_keypoints=int((visibility > 0).sum()))
        one['keypoints'] = np.hstack([points, visibility]).ravel().tolist()
    samples = detections(content, ('person',), skeleton)
    wanted = reference(content, samples, ('person',), skeleton)
    found = figures(write(content), samples, ('person',), skeleton, backend=backend)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize('limit', [1, 3, 20])
def test_detections_over_the_limit_do_not_count(write, limit):
    content = keypoint_file(1)
    samples = detections(content, seed=1)
    assert max(len(one['pred_instances']['scores']) for one in samples) > 40
    found = figures(write(content), samples, keypoint_nums=[limit])
    np.testing.assert_allclose(found, reference(content, samples, max_dets=limit), rtol=0, atol=1e-9)


def test_all_figures_are_reported_with_those_of_the_boxes(write):
    content = keypoint_file()
    samples = detections(content)
    items = [*PRECISIONS, *RECALLS, 'mAP_s', 'AR@100']
    found = evaluate(write(content), samples, metric_items=items)
    boxes = YOLOXCocoMetric(write(content), metric_items=[*PRECISIONS, 'mAP_s', 'AR@100'])
    boxes.dataset_meta = dict(classes=CLASSES)
    boxes.process({}, samples)
    wanted = zip((*PRECISIONS, *RECALLS), reference(content, samples), strict=True)
    keypoints = {f'coco/keypoints_{name}': round(value, 3) for name, value in wanted}
    assert found == keypoints | boxes.evaluate(len(samples))


def test_by_default_the_precisions_are_reported(write):
    content = keypoint_file()
    found = evaluate(write(content), detections(content))
    boxes = {f'coco/bbox_{name}' for name in (*PRECISIONS, 'mAP_s')}
    assert set(found) == {f'coco/keypoints_{name}' for name in PRECISIONS} | boxes


def test_each_class_has_a_figure_of_its_own(write):
    content = keypoint_file()
    samples = detections(content)
    found = evaluate(write(content), samples, classwise=True)
    for name in ('animal', 'plant'):
        alone = dict(content, categories=[one for one in CATEGORIES if one['name'] == name])
        wanted = round(reference(alone, samples)[0], 3)
        assert found[f'coco/{name}_keypoints_precision'] == wanted != found[f'coco/{name}_precision']
    assert math.isnan(found['coco/stone_keypoints_precision'])
    assert found['coco/stone_precision'] > 0


def test_num_keypoints_is_counted(write):
    content = keypoint_file(2)
    samples = detections(content, seed=2)
    wanted = figures(write(content), samples)
    for change in (lambda one: one.pop('num_keypoints'), lambda one: one.update(num_keypoints=99)):
        changed = keypoint_file(2)
        for one in changed['annotations']:
            change(one)
        assert figures(write(changed), samples) == wanted


def test_without_area_that_of_the_box_counts(write):
    content = keypoint_file(2)
    samples = detections(content, seed=2)
    for one in content['annotations']:
        one['area'] = one['bbox'][2] * one['bbox'][3]
    wanted = reference(content, samples)
    for one in content['annotations']:
        del one['area']
    np.testing.assert_allclose(figures(write(content), samples), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize('keypoints', [None, []])
def test_an_object_without_keypoints_is_ignored(write, keypoints):
    content = keypoint_file(3)
    samples = detections(content, seed=3)
    wanted = figures(write(content), samples)
    unlabelled = [one for one in content['annotations'] if not one['num_keypoints'] and not one['iscrowd']]
    assert len(unlabelled) > 5
    for one in unlabelled:
        one['keypoints'] = keypoints
    assert figures(write(content), samples) == wanted


def test_nothing_detected_is_an_ap_of_zero(write):
    content = keypoint_file()
    samples = detections(content)
    for one in samples:
        one['pred_instances'] = {key: value[:0] for key, value in one['pred_instances'].items()}
    found = evaluate(write(content), samples)
    assert len(found) == 11
    assert set(found.values()) == {0.0}


def test_results_of_two_processes_make_the_figures_of_one(write):
    content = keypoint_file(4)
    samples = detections(content, seed=4)
    one = make_metric(write(content))
    one.process({}, samples)
    halves = [make_metric(write(content)) for _ in range(2)]
    for rank, half in enumerate(halves):
        for part in (samples[rank:20:2], samples[20 + rank :: 2]):
            half.process({}, part)
    merged = halves[1].results + halves[0].results
    assert exact_figures(one, merged) == exact_figures(one)


def test_arrays_are_taken_too(write):
    content = keypoint_file()
    samples = detections(content)
    wanted = evaluate(write(content), samples)
    for one in samples:
        one['pred_instances'] = {key: value.numpy() for key, value in one['pred_instances'].items()}
    assert evaluate(write(content), samples) == wanted


def test_results_are_one_array_an_image(write):
    content = keypoint_file()
    samples = detections(content)
    metric = make_metric(write(content))
    metric.process({}, samples)
    for (image_id, rows), one in zip(metric.results, samples, strict=True):
        predicted = one['pred_instances']
        points = torch.cat([predicted['keypoints'], predicted['keypoint_scores'][..., None]], dim=2)
        assert image_id == one['img_id']
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows[:, 6:].reshape(-1, 5, 3), points)


def test_written_results_give_the_same_figures(write, tmp_path):
    content = keypoint_file(1)
    samples = detections(content, seed=1)
    path = write(content | dict(info={}))
    evaluate(path, samples, outfile_prefix=str(tmp_path / 'new/out'))
    written = json.loads((tmp_path / 'new/out.keypoints.json').read_text())
    assert {entry['category_id']: len(entry['keypoints']) for entry in written} == {4: 12, 1: 6}
    precision = []
    for category_id, sigmas in ((4, [0.03, 0.08, 0.08, 0.1]), (1, [0.05, 0.03])):
        entries = [entry for entry in written if entry['category_id'] == category_id]
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(path)
            evaluation = COCOeval(truth, truth.loadRes(entries), 'keypoints')
            evaluation.params.catIds = [category_id]
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        precision.append(evaluation.stats[0])
    assert np.mean(precision) == pytest.approx(figures(path, samples)[0], abs=1e-9)
    boxes = json.loads((tmp_path / 'new/out.bbox.json').read_text())
    assert len(boxes) == sum(len(one['pred_instances']['scores']) for one in samples) > len(written)


def test_format_only_needs_no_annotations(write, tmp_path):
    content = keypoint_file()
    samples = detections(content)
    del content['annotations']
    options = dict(format_only=True, outfile_prefix=str(tmp_path / 'out'))
    assert evaluate(write(content), samples, **options) == {}
    assert json.loads((tmp_path / 'out.keypoints.json').read_text())


def test_unknown_item(write):
    with pytest.raises(UserError, match=r"metric_items: there is no 'AR@25'"):
        make_metric(write(keypoint_file()), metric_items=['AR@25'])


def test_other_keypoints_than_those_of_the_file(write):
    metric = METRICS.build(dict(type='YOLOXPoseCocoMetric', ann_file=write(keypoint_file())))
    skeleton = dict(SKELETON, keypoints=['head', 'left', 'right', 'leg', 'base'])
    with pytest.raises(UserError, match=r'ann\.json: class animal has keypoints .* lacks: tail'):
        Evaluator([metric]).dataset_meta = dict(classes=CLASSES, skeleton=skeleton)


def test_wrong_number_of_keypoints(write):
    content = keypoint_file()
    broken = next(one for one in content['annotations'] if one['category_id'] == 4)
    broken['keypoints'] = broken['keypoints'][:9]
    with pytest.raises(
        UserError, match=rf'annotation {broken["id"]}: keypoints has 9 numbers; needed are 12'
    ):
        make_metric(write(content))


def test_detection_file(write):
    content = keypoint_file()
    content['categories'] = [dict(id=one['id'], name=one['name']) for one in CATEGORIES]
    for one in content['annotations']:
        del one['keypoints']
    with pytest.raises(UserError, match='this is a detection file'):
        make_metric(write(content))


def test_data_set_without_keypoints(write):
    metric = METRICS.build(dict(type='YOLOXPoseCocoMetric', ann_file=write(keypoint_file())))
    with pytest.raises(UserError, match='must be YOLOXPoseCocoDataset'):
        metric.dataset_meta = dict(classes=CLASSES)


def test_model_with_another_number_of_keypoints(write):
    content = keypoint_file()
    samples = detections(content)
    for one in samples:
        for key in ('keypoints', 'keypoint_scores'):
            one['pred_instances'][key] = one['pred_instances'][key][:, :4]
    with pytest.raises(UserError, match='predicts 4 keypoints, but the skeleton of the data set has 5'):
        make_metric(write(content)).process({}, samples)

"""The COCO metric against pycocotools itself, with the classes in any order."""

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.datasets.annotations import UNBOUNDED
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric, coco_curves
from mmyolox.evaluation.coco_curves import BACKENDS, IOU_THRESHOLDS, Comparison
from mmyolox.evaluation.coco_summary import PRECISIONS, Figure, figures_of
from mmyolox.registry import METRICS
from tests.evaluation.coco_cases import (
    IDS,
    NAMES,
    crowded,
    detections,
    evaluate,
    exact_figures,
    ground_truth,
    reference,
    sample,
)
from tests.processes import in_processes


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'ann.json'
        path.write_text(json.dumps(content))
        return str(path)

    return write


CLASS_ORDERS = [NAMES, ('bird', 'dog', 'cat'), ('cat', 'bird', 'dog'), ('cat', 'dog'), ('bird',)]


def test_equal_to_mmdet_where_the_classes_are_in_the_order_of_the_file(write):
    content = ground_truth() | dict(info={})
    path = write(content)
    samples = [dict(one, ori_shape=(100, 200)) for one in detections(content, NAMES)]
    figures = []
    for name in ('mmdet.CocoMetric', 'mmyolox.YOLOXCocoMetric'):
        metric = METRICS.build(dict(type=name, ann_file=path))
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, samples)
        figures.append(metric.evaluate(len(samples)))
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)
    assert figures[0]['coco/bbox_mAP'] > 0.1


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('classes', CLASS_ORDERS)
@pytest.mark.parametrize('seed', range(3))
def test_equal_to_pycocotools(write, classes, seed, backend):
    content = ground_truth(seed)
    samples = detections(content, classes, seed)
    wanted = reference(content, classes, samples).stats
    options = dict(proposal_nums=(100, 1, 10), backend=backend)
    _, figures = exact_figures(write(content), classes, samples, **options)
    np.testing.assert_allclose(figures, wanted, rtol=0, atol=1e-6)
    assert wanted[0] > 0.05
    _, metrics = evaluate(write(content), classes, samples, **options)
    keys = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    assert metrics == {f'coco/bbox_{key}': round(wanted[i], 3) for i, key in enumerate(keys)}


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('max_dets', [(1, 10, 100), (100, 300, 1000), (3, 100, 120)])
@pytest.mark.parametrize('seed', range(3))
def test_equal_in_crowds_ties_and_all_sizes(write, seed, max_dets, backend):
    content, samples = crowded(seed)
    wanted = reference(content, NAMES, samples, max_dets)
    curves, figures = exact_figures(write(content), NAMES, samples, proposal_nums=max_dets, backend=backend)
    np.testing.assert_allclose(figures, wanted.stats, rtol=0, atol=1e-6)
    assert min(wanted.stats) > 0.01
    order = np.argsort(IDS)  # pycocotools sorts its categories
    np.testing.assert_allclose(curves.precision[:, :, order], wanted.eval['precision'], rtol=0, atol=1e-6)
    np.testing.assert_allclose(curves.recall[:, order], wanted.eval['recall'], rtol=0, atol=1e-6)


@pytest.mark.parametrize('backend', BACKENDS)
def test_equal_at_other_iou_thresholds(write, backend):
    content, samples = crowded(0)
    wanted = reference(content, NAMES, samples, iou_thrs=[0.3, 0.75]).stats
    options = dict(proposal_nums=(1, 10, 100), iou_thrs=[0.3, 0.75], backend=backend)
    _, figures = exact_figures(write(content), NAMES, samples, **options)
    np.testing.assert_allclose(figures, wanted, rtol=0, atol=1e-6)
    assert figures[1] == -1  # 0.5 is not among the thresholds


def test_without_faster_coco_eval_pycocotools_takes_over(write, monkeypatch):
    content, samples = crowded(0)
    path = write(content)
    _, wanted = exact_figures(path, NAMES, samples)
    lines = []
    monkeypatch.setattr(coco_curves, 'print_log', lambda line, *_: lines.append(line))
    monkeypatch.setitem(sys.modules, 'faster_coco_eval', None)
    _, figures = exact_figures(path, NAMES, samples)
    np.testing.assert_allclose(figures, wanted, rtol=0, atol=1e-6)
    (line,) = lines
    assert 'pip install faster-coco-eval' in line


def test_recalls_are_named_by_their_limit(write):
    content = ground_truth()
    samples = detections(content, NAMES)
    stats = reference(content, NAMES, samples).stats
    items = ['AR@1', 'AR@10', 'AR@100', 'AR_s@100', 'AR_m@100', 'AR_l@100']
    options = dict(proposal_nums=(100, 1, 10), metric_items=items)
    _, metrics = evaluate(write(content), NAMES, samples, **options)
    assert metrics == {f'coco/bbox_{item}': round(stats[6 + i], 3) for i, item in enumerate(items)}


def test_figures_of_fewer_areas_and_with_recalls_by_threshold():
    comparison = Comparison((5, 20), IOU_THRESHOLDS, areas=('all', 'large'), recall_ious=(0.5, 0.75))
    figures = figures_of(comparison)
    precisions = ('mAP', 'mAP_50', 'mAP_75', 'mAP_l')
    assert tuple(figures) == (*precisions, 'AR@5', 'AR@20', 'AR_50@20', 'AR_75@20', 'AR_l@20')
    assert figures['AR_75@20'] == Figure(is_recall=True, iou=0.75, area='all', max_dets=20)
    assert figures['mAP_l'].area == 'large'


@pytest.mark.parametrize('backend', BACKENDS)
def test_what_a_comparison_adds_reaches_the_library(write, backend):
    class Different(Comparison):
        """Only one class, its crowds as single objects, and all areas alike."""

        def covers(self, label):
            return label == 1

        def object_fields(self, file, index, label):
            return dict(iscrowd=0)

        def parameters(self, label):
            return dict(areaRng=[[0, 1e10]] * 4)

    content, samples = crowded(0)
    metric = YOLOXCocoMetric(write(content), backend=backend)
    metric.comparisons = (Different((100,), np.array([0.5, 0.6])),)
    metric.dataset_meta = dict(classes=NAMES)
    metric.process({}, samples)
    curves = metric.curves(metric.results)
    for one in content['annotations']:
        one['iscrowd'] = 0
    wanted = reference(content, NAMES, samples, iou_thrs=[0.5, 0.6])
    assert (curves.recall[:, [0, 2]] == -1).all()
    recall = np.repeat(wanted.eval['recall'][:, 0, :1, 2:], 4, axis=1)
    np.testing.assert_allclose(curves.recall[:, 1], recall, rtol=0, atol=1e-6)


def test_each_class_gets_its_own_figure(write):
    content = ground_truth()
    only_cats = [a for a in content['annotations'] if a['category_id'] == 3]
    samples = [
        sample(a['image_id'], np.array(a['bbox']) + [0, 0, *a['bbox'][:2]], [0], [0.9]) for a in only_cats
    ]
    _, metrics = evaluate(write(content), ('cat', 'bird', 'dog'), samples, classwise=True)
    assert metrics['coco/cat_precision'] > 0.99
    assert metrics['coco/dog_precision'] == metrics['coco/bird_precision'] == 0


def test_totals_come_before_the_figures_of_classes(write):
    content = ground_truth()
    _, metrics = evaluate(write(content), NAMES, detections(content, NAMES), classwise=True)
    names = list(metrics)
    assert names[0] == 'coco/bbox_mAP'  # what `save_best='auto'` goes by
    assert names[-3:] == [f'coco/{name}_precision' for name in NAMES]


def test_class_without_objects_has_no_figure(write):
    content = ground_truth()
    content['annotations'] = [a for a in content['annotations'] if a['category_id'] != 90]
    _, metrics = evaluate(write(content), NAMES, detections(content, NAMES), classwise=True)
    assert math.isnan(metrics['coco/bird_precision'])
    mean = (metrics['coco/dog_precision'] + metrics['coco/cat_precision']) / 2
    assert metrics['coco/bbox_mAP'] == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize('classes', [NAMES, NAMES[::-1], NAMES[1:2]])
def test_what_is_said_of_a_class_is_its_own(write, classes):
    content = ground_truth()
    samples = detections(content, classes)
    bad = dict(content['annotations'][0], id=900, bbox=[math.nan, 3, 4, 5], category_id=3)
    found = [one['category_id'] for one in content['annotations'] if not one.get('iscrowd')]
    path = write(content | dict(annotations=[*content['annotations'], bad]))
    metric, metrics = evaluate(path, classes, samples, classwise=True)
    assert [row.name for row in metric.by_class] == list(classes)
    for row in metric.by_class:
        assert row.objects == found.count(IDS[NAMES.index(row.name)])  # not the box that is left out
        assert round(row.precisions['AP'], 3) == metrics[f'coco/{row.name}_precision']


def test_annotations_counted_from_zero_or_named(write):
    content = ground_truth()
    samples = detections(content, NAMES)
    _, wanted = evaluate(write(content), NAMES, samples)
    for name in (lambda number: number - 1, lambda number: f'uuid-{number}'):
        renamed = ground_truth()
        for annotation in renamed['annotations']:
            annotation['id'] = name(annotation['id'])
        assert evaluate(write(renamed), NAMES, samples)[1] == wanted


def test_image_ids_may_be_huge_or_texts(write):
    content = ground_truth()
    _, wanted = evaluate(write(content), NAMES, detections(content, NAMES))
    for rename in (lambda number: 2**60 + number, lambda number: f'{number:03}.jpg'):
        renamed = ground_truth()
        for image in renamed['images']:
            image['id'] = rename(image['id'])
        for annotation in renamed['annotations']:
            annotation['image_id'] = rename(annotation['image_id'])
        assert evaluate(write(renamed), NAMES, detections(renamed, NAMES))[1] == wanted


def test_area_and_iscrowd_may_be_absent(write):
    content = ground_truth()
    for annotation in content['annotations']:
        annotation['iscrowd'] = 0
    samples = detections(content, NAMES)
    _, wanted = evaluate(write(content), NAMES, samples)
    for annotation in content['annotations']:
        del annotation['iscrowd'], annotation['area']
    assert evaluate(write(content), NAMES, samples)[1] == wanted


@pytest.mark.parametrize('bad', [math.nan, math.inf, 1e300])
def test_boxes_that_nothing_finds_are_told_and_those_of_no_numbers_left_out(write, monkeypatch, bad):
    told = []
    monkeypatch.setattr(
        'mmyolox.evaluation.coco_metric.print_log',
        lambda line, *_: line.startswith('/') and told.append(line),
    )
    content = ground_truth()
    samples = detections(content, NAMES)
    path = write(content)
    _, expected = evaluate(path, NAMES, samples)
    assert not told
    other = dict(content['annotations'][0], id=900, bbox=[bad, 3, 4, 5])
    write(content | dict(annotations=[*content['annotations'], other]))
    assert evaluate(path, NAMES, samples)[1] == expected
    assert told == [f'{path}: the evaluation has 1 boxes {UNBOUNDED} (left out): annotation ids 900']
    told.clear()
    flat = content | dict(annotations=[*content['annotations'], dict(other, bbox=[1, 1, 0, 5], area=0)])
    write(flat)
    _, figures = exact_figures(path, NAMES, samples, proposal_nums=(100, 1, 10))
    np.testing.assert_allclose(figures, reference(flat, NAMES, samples).stats, rtol=0, atol=1e-6)
    (line,) = told
    assert line.endswith(
        '1 boxes without area, which count as objects that nothing finds: annotation ids 900'
    )


def test_a_file_of_crowds_cannot_be_evaluated(write, tmp_path):
    content = ground_truth()
    for annotation in content['annotations']:
        annotation['iscrowd'] = 'true'
    path, count = write(content), len(content['annotations'])
    with pytest.raises(UserError, match=f'ann.json: all {count} boxes are crowds .iscrowd.'):
        YOLOXCocoMetric(path)
    YOLOXCocoMetric(path, format_only=True, outfile_prefix=str(tmp_path / 'out'))


def test_a_file_without_boxes_is_told(write, monkeypatch):
    told = []
    monkeypatch.setattr('mmyolox.evaluation.coco_metric.print_log', lambda line, *_: told.append(line))
    YOLOXCocoMetric(path := write(ground_truth() | dict(annotations=[])))
    assert told == [f'{path} has no box: the figures will be -1, and say nothing of a checkpoint']


def test_ignored_boxes_count_as_in_pycocotools_and_are_told(write, monkeypatch):
    told = []
    monkeypatch.setattr('mmyolox.evaluation.coco_metric.print_log', lambda line, *_: told.append(line))
    content = ground_truth()
    samples = detections(content, NAMES)
    for flags, annotation in zip(
        (dict(ignore=1), dict(ignore=1, iscrowd=1)), content['annotations'], strict=False
    ):
        annotation.update(dict(iscrowd=0) | flags)
    path = write(content)
    _, figures = exact_figures(path, NAMES, samples, proposal_nums=(100, 1, 10))
    np.testing.assert_allclose(figures, reference(content, NAMES, samples).stats, rtol=0, atol=1e-6)
    first = content['annotations'][0]['id']
    assert [line for line in told if line.startswith(path)] == [
        f"{path}: 1 boxes have ignore=1, which COCO's evaluation does not read: they count as objects; set "
        f'iscrowd=1 where they are none (annotation ids {first})'
    ]


def test_nothing_detected_is_an_ap_of_zero(write):
    content = ground_truth()
    samples = [sample(image['id'], [], [], []) for image in content['images']]
    path = write(content)
    figures = evaluate(path, NAMES, samples)[1]
    # No object is large.
    assert figures.pop('coco/bbox_mAP_l') == -1
    assert figures == dict.fromkeys((f'coco/bbox_mAP{end}' for end in ('', '_50', '_75', '_s', '_m')), 0.0)
    _, metrics = evaluate(path, NAMES, samples, metric_items=['mAP_50', 'AR@100'])
    assert metrics == {'coco/bbox_mAP_50': 0.0, 'coco/bbox_AR@100': 0.0}


@pytest.mark.parametrize('is_found', [True, False])
def test_nothing_to_find_is_no_zero(write, is_found):
    content = ground_truth() | dict(annotations=[])
    boxes = ([[1, 1, 9, 9]], [0.5], [0]) if is_found else ([], [], [])
    samples = [sample(image['id'], *boxes) for image in content['images']]
    figures = evaluate(write(content), NAMES, samples)[1]
    assert set(figures.values()) == {-1}


def test_results_are_one_small_array_an_image(write):
    content, samples = crowded(0)
    metric = YOLOXCocoMetric(write(content))
    metric.process({}, samples[:50])
    metric.process({}, samples[50:])
    assert [image_id for image_id, _ in metric.results] == [one['img_id'] for one in samples]
    for (_, rows), one in zip(metric.results, samples, strict=True):
        predicted = {key: value.numpy() for key, value in one['pred_instances'].items()}
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows[:, :4], predicted['bboxes'])
        np.testing.assert_array_equal(rows[:, 4], predicted['scores'])
        np.testing.assert_array_equal(rows[:, 5], predicted['labels'])


def test_the_detections_of_the_last_evaluation_are_kept(write):
    content, samples = crowded(0)
    metric = YOLOXCocoMetric(write(content))
    metric.dataset_meta = dict(classes=NAMES)
    assert metric.last_results == []
    for batch in (samples, samples[:3]):
        metric.process({}, batch)
        expected = list(metric.results)
        metric.evaluate(len(batch))
        assert [image_id for image_id, _ in metric.last_results] == [one['img_id'] for one in batch]
        for (_, rows), (_, own) in zip(metric.last_results, expected, strict=True):
            np.testing.assert_array_equal(rows, own)


@pytest.mark.parametrize('count', [2, 3])
@pytest.mark.parametrize('size', [1, 2, 40, 41])
@pytest.mark.parametrize('is_filled', [False, True])
def test_several_processes_evaluate_as_one(write, count, size, is_filled):
    """Each has every so many-th image; one may have none, and some are there twice to fill the last batch."""
    content, samples = crowded(0)
    for image in content['images']:
        image['id'] = f'image {image["id"]}'
    for annotation in content['annotations']:
        annotation['image_id'] = f'image {annotation["image_id"]}'
    samples = [dict(one, img_id=f'image {one["img_id"]}') for one in samples][:size]
    path = write(content)

    def evaluate(shown):
        metric = YOLOXCocoMetric(path, classwise=True, metric_items=[*PRECISIONS, 'AR@100'])
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, shown) if shown else None
        figures = metric.evaluate(size)
        assert metric.results == []
        return figures, metric.last_results, metric.by_class

    figures, expected, by_class = evaluate(samples)
    padded = (samples * count)[: -(-size // count) * count] if is_filled else samples
    first, *others = in_processes(lambda rank: evaluate(padded[rank::count]), count)
    np.testing.assert_equal(first[0], figures)
    assert first[2] == by_class
    assert [name for name, _ in first[1]] == [name for name, _ in expected]
    for (_, rows), (_, own) in zip(first[1], expected, strict=True):
        np.testing.assert_array_equal(rows, own)
    for other in others:
        np.testing.assert_equal(other[0], figures)
        assert other[1] == []


def test_no_objects_are_exchanged_but_the_figures(write, monkeypatch, tmp_path):
    content, samples = crowded(0)
    path = write(content)
    monkeypatch.chdir(tmp_path)  # in which MMEngine's would make a folder

    def evaluate(rank):
        for name in ('gather_object', 'all_gather_object', 'collect_results'):
            monkeypatch.setattr(f'mmengine.dist.dist.{name}', None)
        monkeypatch.setattr('mmengine.evaluator.metric.collect_results', None)
        metric = YOLOXCocoMetric(path)
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, samples[rank::2])
        return metric.evaluate(len(samples))

    one, two = in_processes(evaluate, 2)
    assert one == two
    assert one['coco/bbox_mAP'] > 0
    assert os.listdir(tmp_path) == [Path(path).name]


def test_an_image_that_the_file_lacks_ends_all_processes(write):
    content, samples = crowded(0)
    path = write(content)

    def evaluate(rank):
        metric = YOLOXCocoMetric(path)
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, [dict(samples[rank], img_id=samples[rank]['img_id'] if rank else 'none')])
        return metric.evaluate(2)

    with pytest.raises(UserError, match="no image with the id 'none'"):
        in_processes(evaluate, 2)


def test_format_only_writes_results_for_images_without_annotations(write, tmp_path):
    content = ground_truth()
    samples = detections(content, ('bird', 'dog', 'cat'))
    del content['annotations']
    prefix = str(tmp_path / 'out')
    options = dict(format_only=True, outfile_prefix=prefix)
    _, metrics = evaluate(write(content), ('bird', 'dog', 'cat'), samples, **options)
    assert metrics == {}
    written = json.loads((tmp_path / 'out.bbox.json').read_text())
    assert {entry['category_id'] for entry in written} == set(IDS)
    wanted = [
        (one['img_id'], (90, 7, 3)[label], score, [x1, y1, x2 - x1, y2 - y1])
        for one in samples
        for (x1, y1, x2, y2), label, score in zip(
            *(one['pred_instances'][key].tolist() for key in ('bboxes', 'labels', 'scores')), strict=True
        )
    ]
    keys = ('image_id', 'category_id', 'score', 'bbox')
    assert [tuple(entry[key] for key in keys) for entry in written] == wanted


def test_written_detections_give_the_same_figures(write, tmp_path):
    content, samples = crowded(1)
    path = write(content)
    evaluate(path, NAMES, samples, outfile_prefix=str(tmp_path / 'new/out'), proposal_nums=(1, 10, 100))
    content['annotations'] = [dict(one, id=one['id'] + 1) for one in content['annotations']]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(write(content))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / 'new/out.bbox.json')), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    _, figures = exact_figures(path, NAMES, samples, proposal_nums=(1, 10, 100))
    np.testing.assert_allclose(figures, evaluation.stats, rtol=0, atol=1e-6)


def test_nothing_detected_is_written_as_an_empty_list(write, tmp_path):
    content = ground_truth()
    samples = [sample(image['id'], [], [], []) for image in content['images']]
    evaluate(write(content), NAMES, samples, outfile_prefix=str(tmp_path / 'out'))
    assert json.loads((tmp_path / 'out.bbox.json').read_text()) == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(metric='segm'), "metric='segm': YOLOXCocoMetric evaluates boxes only"),
        (dict(metric=['bbox', 'proposal']), 'evaluates boxes only'),
        (dict(metric_items=['mAP', 'mAP_05']), "metric_items: there is no 'mAP_05'; did you mean"),
        (dict(metric_items=['AR@300'], proposal_nums=(1, 10, 100)), "metric_items: there is no 'AR@300'"),
        (dict(backend='faster-coco-eval'), "backend: there is no 'faster-coco-eval'; did you mean"),
        (dict(format_only=True), 'format_only=True needs outfile_prefix'),
        (dict(outfile_prefix='/dev/null/out'), 'out.bbox.json cannot be written: .*; name another folder'),
    ],
)
def test_wrong_option(write, options, message):
    with pytest.raises(UserError, match=message):
        YOLOXCocoMetric(write(ground_truth()), **options)


def test_image_that_the_file_lacks(write):
    content = ground_truth()
    samples = detections(content, NAMES)
    samples[3]['img_id'] = 999
    with pytest.raises(UserError, match=r'ann\.json has no image with the id 999'):
        evaluate(write(content), NAMES, samples)


def test_evaluation_needs_no_mmdet():
    code = (
        'import sys, mmyolox.evaluation; '
        'print([name for name in ("mmdet", "faster_coco_eval", "pycocotools") if name in sys.modules])'
    )
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == '[]\n'


@pytest.mark.parametrize('ann_file', ['', 'none.json'])
def test_absent_file(tmp_path, ann_file):
    with pytest.raises(UserError, match=r'ann_file is not set|none\.json not found'):
        YOLOXCocoMetric(ann_file and str(tmp_path / ann_file))


def test_file_without_annotations_is_not_evaluated(write):
    content = ground_truth()
    del content['annotations']
    with pytest.raises(UserError, match="no list of 'annotations'"):
        YOLOXCocoMetric(write(content))


def test_class_that_the_file_lacks_is_found_before_training(write):
    config = dict(type='YOLOXCocoMetric', ann_file=write(ground_truth()))
    evaluator = Evaluator([METRICS.build(config)])
    with pytest.raises(UserError, match=r"ann\.json has no class 'dogs'; did you mean dog\?"):
        evaluator.dataset_meta = dict(classes=('cat', 'dogs'))


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(classwise=True),
        dict(metric_items=['AR@100', 'mAP_50']),
        dict(iou_thrs=[0.5], proposal_nums=(10, 50), metric_items=['mAP', 'AR@50'], classwise=True),
        dict(prefix='mine'),
    ],
)
def test_the_names_of_figures_are_known_before(write, options):
    path, samples = write(ground_truth(0)), detections(ground_truth(0), NAMES, 0)
    metric = YOLOXCocoMetric(path, **options)
    metric.dataset_meta = dict(classes=NAMES)
    _, metrics = evaluate(path, NAMES, samples, **options)
    assert metric.figure_names() == list(metrics)


def test_a_figure_at_a_threshold_that_is_not_evaluated_is_not_promised(write):
    metric = YOLOXCocoMetric(write(ground_truth()), iou_thrs=[0.6, 0.75])
    metric.dataset_meta = dict(classes=NAMES)
    assert metric.figure_names() == [
        f'coco/bbox_{name}' for name in ('mAP', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    ]

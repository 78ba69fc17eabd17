"""The COCO metric against pycocotools itself, with the classes in any order."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.registry import METRICS
from mmyolox.utils import UserError

NAMES = ('dog', 'cat', 'bird')
IDS = (7, 3, 90)


def ground_truth(seed=0, first_id=1):
    """12 images of 200x100 with up to 6 boxes each, some of them crowds, and no ``info``."""
    rng = np.random.default_rng(seed)
    images = [dict(id=i + 5, file_name=f'{i}.jpg', width=200, height=100) for i in range(12)]
    annotations = []
    for image in images:
        for _ in range(rng.integers(1, 7)):
            x, y, w, h = (rng.uniform(0, [100, 50, 100, 50]) + [0, 0, 4, 4]).round(2).tolist()
            annotations.append(
                dict(
                    id=len(annotations) + first_id,
                    image_id=image['id'],
                    category_id=int(rng.choice(IDS)),
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=int(rng.random() < 0.1),
                )
            )
    categories = [dict(id=i, name=name) for i, name in zip(IDS, NAMES, strict=True)]
    return dict(images=images, annotations=annotations, categories=categories)


def detections(content, classes, seed=0):
    """Data samples with shaken ground truth, wrong classes among it, and false alarms."""
    rng = np.random.default_rng(seed)
    name_of = dict(zip(IDS, NAMES, strict=True))
    samples = []
    for image in content['images']:
        anns = [a for a in content['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in anns] + [[9, 9, 30, 30]])
        names = [name_of[a['category_id']] for a in anns] + [classes[0]]
        boxes = boxes + rng.normal(0, 2, boxes.shape)
        boxes[:, 2:] += boxes[:, :2]
        labels = [
            classes.index(name) if name in classes and rng.random() > 0.2 else int(rng.integers(len(classes)))
            for name in names
        ]
        samples.append(sample(image['id'], boxes, labels, rng.random(len(names))))
    return samples


def sample(img_id, boxes, labels, scores):
    return dict(
        img_id=img_id,
        ori_shape=(100, 200),
        pred_instances=dict(
            bboxes=torch.tensor(np.asarray(boxes), dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor(labels, dtype=torch.int64),
            scores=torch.tensor(np.asarray(scores), dtype=torch.float32),
        ),
    )


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'ann.json'
        path.write_text(json.dumps(content))
        return str(path)

    return write


def evaluate(ann_file, classes, samples, **kwargs):
    metric = YOLOXCocoMetric(ann_file, **kwargs)
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples)
    with contextlib.redirect_stdout(io.StringIO()):
        return metric, metric.evaluate(len(samples))


def reference_stats(content, classes, samples):
    """The 12 figures of pycocotools, from the detections as they are."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(info={}, **content)
        truth.createIndex()
        id_of = dict(zip(NAMES, IDS, strict=True))
        results = []
        for one in samples:
            predicted = one['pred_instances']
            for box, label, score in zip(
                *(predicted[key] for key in ('bboxes', 'labels', 'scores')), strict=True
            ):
                x1, y1, x2, y2 = box.tolist()
                results.append(
                    dict(
                        image_id=one['img_id'],
                        category_id=id_of[classes[int(label)]],
                        bbox=[x1, y1, x2 - x1, y2 - y1],
                        score=score.item(),
                    )
                )
        evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
        evaluation.params.catIds = [id_of[name] for name in classes]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


CLASS_ORDERS = [NAMES, ('bird', 'dog', 'cat'), ('cat', 'bird', 'dog'), ('cat', 'dog'), ('bird',)]


@pytest.mark.parametrize('classes', CLASS_ORDERS)
@pytest.mark.parametrize('seed', range(3))
def test_equal_to_pycocotools(write, monkeypatch, classes, seed):
    # mmdet rounds to three decimals; the figures before that have to agree to six.
    exact = []
    summarize = COCOeval.summarize

    def keep_stats(self):
        summarize(self)
        exact.append(self.stats)

    content = ground_truth(seed)
    samples = detections(content, classes, seed)
    wanted = reference_stats(content, classes, samples)
    monkeypatch.setattr(COCOeval, 'summarize', keep_stats)
    _, metrics = evaluate(write(content), classes, samples, proposal_nums=(1, 10, 100))
    np.testing.assert_allclose(exact[0], wanted, rtol=0, atol=1e-6)
    assert wanted[0] > 0.05
    keys = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    assert metrics == {f'coco/bbox_{key}': pytest.approx(wanted[i], abs=5.1e-4) for i, key in enumerate(keys)}


def test_each_class_gets_its_own_figure(write):
    content = ground_truth()
    only_cats = [a for a in content['annotations'] if a['category_id'] == 3]
    samples = [
        sample(a['image_id'], np.array(a['bbox']) + [0, 0, *a['bbox'][:2]], [0], [0.9]) for a in only_cats
    ]
    _, metrics = evaluate(write(content), ('cat', 'bird', 'dog'), samples, classwise=True)
    assert metrics['coco/cat_precision'] > 0.99
    assert metrics['coco/dog_precision'] == metrics['coco/bird_precision'] == 0


def test_annotations_counted_from_zero_or_named(write):
    content = ground_truth()
    samples = detections(content, NAMES)
    _, wanted = evaluate(write(content), NAMES, samples)
    for name in (lambda number: number - 1, lambda number: f'uuid-{number}'):
        renamed = ground_truth()
        for annotation in renamed['annotations']:
            annotation['id'] = name(annotation['id'])
        assert evaluate(write(renamed), NAMES, samples)[1] == wanted


def test_area_and_iscrowd_may_be_absent(write):
    content = ground_truth()
    for annotation in content['annotations']:
        annotation['iscrowd'] = 0
    samples = detections(content, NAMES)
    _, wanted = evaluate(write(content), NAMES, samples)
    for annotation in content['annotations']:
        del annotation['iscrowd'], annotation['area']
    assert evaluate(write(content), NAMES, samples)[1] == wanted


def test_nothing_detected_is_an_ap_of_zero(write):
    content = ground_truth()
    samples = [sample(image['id'], [], [], []) for image in content['images']]
    path = write(content)
    assert set(evaluate(path, NAMES, samples)[1].values()) == {0.0}
    assert 'coco/bbox_mAP' in evaluate(path, NAMES, samples)[1]
    _, metrics = evaluate(path, NAMES, samples, metric_items=['mAP_50', 'AR@100'])
    assert metrics == {'coco/bbox_mAP_50': 0.0, 'coco/bbox_AR@100': 0.0}


def test_format_only_writes_results_for_images_without_annotations(write, tmp_path):
    content = ground_truth()
    samples = detections(content, NAMES)
    del content['annotations']
    prefix = str(tmp_path / 'out')
    _, metrics = evaluate(write(content), NAMES, samples, format_only=True, outfile_prefix=prefix)
    assert metrics == {}
    written = json.loads((tmp_path / 'out.bbox.json').read_text())
    assert len(written) == sum(len(one['pred_instances']['labels']) for one in samples)
    assert {entry['category_id'] for entry in written} == set(IDS)


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
    with pytest.raises(UserError, match=r"ann\.json has no class 'dogs'; did you mean 'dog'\?"):
        evaluator.dataset_meta = dict(classes=('cat', 'dogs'))

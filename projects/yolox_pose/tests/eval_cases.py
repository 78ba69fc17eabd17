"""Made keypoint files and detections, and pycocotools' own evaluation of them."""

import contextlib
import io

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.evaluation.coco_summary import figures_of, value_of
from mmyolox.projects.yolox_pose.keypoint_metric import YOLOXPoseCocoMetric
from mmyolox.projects.yolox_pose.skeleton import Skeleton

SIGMAS = dict(head=0.03, left=0.08, right=0.08, tail=0.1, base=0.05)
CATEGORIES = [
    dict(id=4, name='animal', keypoints=['head', 'left', 'right', 'tail']),
    dict(id=1, name='plant', keypoints=['base', 'head']),  # not in the order of the skeleton
    dict(id=9, name='stone'),
]
SKELETON = dict(
    keypoints=list(SIGMAS), flip_pairs=[['left', 'right']], links=[], sigmas=list(SIGMAS.values())
)
CLASSES = tuple(category['name'] for category in CATEGORIES)


def keypoint_file(seed=0, images=40):
    """Objects of three categories, the last without keypoints, their image ids in disorder.

    Some images are empty, some objects tiny, crowds or without a labelled keypoint.
    """
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:images].tolist()
    annotations = []
    for image_id in ids:
        for _ in range(int(rng.choice([0, 1, 3, 9]))):
            category = CATEGORIES[int(rng.choice(3, p=[0.5, 0.4, 0.1]))]
            annotations.append(_annotation(rng, image_id, category, len(annotations) + 1))
    entries = [dict(id=i, file_name=f'{i}.jpg', width=640, height=480) for i in ids]
    return dict(images=entries, annotations=annotations, categories=[dict(one) for one in CATEGORIES])


def _annotation(rng, image_id, category, number):
    sides = np.exp(rng.uniform(1.5, 6, 2))
    corner = rng.uniform(0, 300, 2)
    count = len(category.get('keypoints', ()))
    points = corner + rng.random((count, 2)) * sides
    visibility = rng.choice(3, (count, 1)) * (rng.random() > 0.2)
    return dict(
        id=number,
        image_id=image_id,
        category_id=category['id'],
        bbox=[*corner.tolist(), *sides.tolist()],
        area=float(sides.prod() * rng.uniform(0.3, 0.9)),
        iscrowd=int(rng.random() < 0.1),
        keypoints=np.where(visibility > 0, np.hstack([points, visibility]), 0).ravel().tolist(),
        num_keypoints=int((visibility > 0).sum()),
    )


def detections(content, classes=CLASSES, skeleton=SKELETON, seed=0):
    """Data samples: every object found up to 12 times, and false alarms, with scores that tie."""
    rng = np.random.default_rng(seed)
    names = skeleton['keypoints']
    own = {one['id']: (one['name'], one.get('keypoints', [])) for one in content['categories']}
    samples = []
    for image in content['images']:
        rows = [
            (rng.uniform(0, 300, 4), rng.uniform(0, 300, (len(names), 2)), int(rng.integers(len(classes))))
        ]
        for one in content['annotations']:
            name, columns = own[one['category_id']]
            if one['image_id'] != image['id'] or name not in classes:
                continue
            for _ in range(int(rng.integers(1, 13))):
                size = np.sqrt(one['area'])
                points = rng.uniform(0, 300, (len(names), 2))
                exact = np.reshape(one['keypoints'], (-1, 3))[:, :2]
                shaken = exact + rng.normal(0, 0.1, exact.shape) * size * rng.random()
                points[[names.index(column) for column in columns]] = shaken
                box = np.array(one['bbox']) + rng.normal(0, 0.05, 4) * size
                rows.append((box, points, classes.index(name)))
        samples.append(sample(image['id'], *map(list, zip(*rows, strict=True)), rng))
    for empty in samples[::7]:
        empty['pred_instances'] = {key: value[:0] for key, value in empty['pred_instances'].items()}
    return samples


def sample(image_id, boxes, points, labels, rng):
    """A data sample as metrics get it; boxes are xywh."""
    bboxes = np.array(boxes)
    bboxes[:, 2:] = bboxes[:, :2] + np.abs(bboxes[:, 2:])
    points = np.array(points)
    scores = torch.tensor(rng.random(len(bboxes)).round(1) * 0.8 + 0.1, dtype=torch.float32)
    return dict(
        img_id=image_id,
        id=[1, 2],
        gt_instances={},
        pred_instances=dict(
            bboxes=torch.tensor(bboxes, dtype=torch.float32),
            scores=scores,
            bbox_scores=scores,
            labels=torch.tensor(labels),
            keypoints=torch.tensor(points, dtype=torch.float32),
            keypoint_scores=torch.tensor(rng.uniform(0.1, 1, points.shape[:2]), dtype=torch.float32),
        ),
    )


def make_metric(ann_file, classes=CLASSES, skeleton=SKELETON, **options):
    metric = YOLOXPoseCocoMetric(ann_file, **options)
    metric.dataset_meta = dict(classes=classes, skeleton=skeleton)
    return metric


def evaluate(ann_file, samples, classes=CLASSES, skeleton=SKELETON, **options):
    """The figures as they are reported."""
    metric = make_metric(ann_file, classes, skeleton, **options)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def exact_figures(metric, results=None):
    """The keypoint figures before they are rounded, in COCO's order."""
    curves = metric.curves(metric.results if results is None else results, 'keypoints')
    return [value_of(figure, curves) for figure in figures_of(curves.comparison).values()]


def results_of(samples, category, label, columns):
    """The detections of a category in COCO's result format."""
    entries = []
    for one in samples:
        predicted = {key: value.double().numpy() for key, value in one['pred_instances'].items()}
        for i in np.flatnonzero(predicted['labels'] == label):
            x1, y1, x2, y2 = predicted['bboxes'][i].tolist()
            points = np.hstack([predicted['keypoints'][i], predicted['keypoint_scores'][i][:, None]])
            entries.append(
                dict(
                    image_id=one['img_id'],
                    category_id=category['id'],
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    keypoints=points[columns].ravel().tolist(),
                    score=float(predicted['scores'][i]),
                )
            )
    return entries


def reference(content, samples, classes=CLASSES, skeleton=SKELETON, max_dets=20):
    """pycocotools' ten figures: the mean over categories, each evaluated alone with its sigmas."""
    precision, recall = [], []
    for category in content['categories']:
        if category['name'] not in classes or not category.get('keypoints'):
            continue
        columns = [skeleton['keypoints'].index(name) for name in category['keypoints']]
        entries = results_of(samples, category, classes.index(category['name']), columns)
        sigmas = np.array(Skeleton.of(skeleton).sigmas)[columns]
        evaluation = pycocotools_evaluation(content, entries, category['id'], sigmas, max_dets)
        precision.append(evaluation.eval['precision'][..., 0])
        recall.append(evaluation.eval['recall'][..., 0])
    found = np.concatenate(precision, axis=2), np.concatenate(recall, axis=1)  # (T, R, C, A), (T, C, A)
    picks = [(slice(None), 0), (0, 0), (5, 0), (slice(None), 1), (slice(None), 2)]
    return [_mean(values[t][..., area]) for values in found for t, area in picks]


def _mean(values):
    return float(values[values > -1].mean()) if (values > -1).any() else -1.0


def pycocotools_evaluation(content, entries, category_id, sigmas, max_dets=20):
    """pycocotools on a whole file, as it is used everywhere."""
    annotations = [dict(one, id=number) for number, one in enumerate(content['annotations'], start=1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(content, info={}, annotations=annotations)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(entries), 'keypoints')
        evaluation.params.catIds = [category_id]
        evaluation.params.kpt_oks_sigmas = np.asarray(sigmas)
        evaluation.params.maxDets = [max_dets]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation

"""Made annotation files and detections, and pycocotools' own evaluation of them."""

import contextlib
import io

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.evaluation.coco_summary import figures_of, value_of

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


def crowded(seed):
    """80 images, their ids in disorder, with objects of all sizes and detections that tie.

    Some images have no object or no detection, some over 100 of a class; class 'bird' has no object.
    """
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:80].tolist()
    annotations, samples = [], []
    for image_id in ids:
        count = int(rng.choice([0, 1, 5, 25]))
        sides = np.exp(rng.uniform(1, 6, (count, 2)))
        boxes = np.concatenate([rng.uniform(0, 300, (count, 2)), sides], 1)
        for box in boxes:
            one = dict(
                id=len(annotations),  # counts from 0: pycocotools alone would get it wrong
                image_id=image_id,
                category_id=int(rng.choice(IDS[:2])),
                bbox=box.tolist(),
                area=float(box[2] * box[3] * rng.uniform(0.3, 1)),
                iscrowd=int(rng.random() < 0.1),
                ignore=int(rng.random() < 0.2),
            )
            annotations.append(one)
        found = np.concatenate([boxes[rng.integers(count, size=250)], boxes, boxes]) if count else boxes
        found = np.concatenate([found, rng.uniform(1, 200, (int(rng.choice([0, 4])), 4))])
        found[:, :2] += rng.normal(0, 0.1, (len(found), 2)) * found[:, 2:]
        found[:, 2:] += found[:, :2]
        found = found[: int(rng.choice([0, 50, 250]))]
        labels = rng.choice(3, len(found), p=[0.7, 0.2, 0.1])
        samples.append(sample(image_id, found, labels, rng.random(len(found)).round(2)))
    images = [dict(id=i, file_name=f'{i}.jpg', width=700, height=700) for i in ids]
    categories = [dict(id=i, name=name) for i, name in zip(IDS, NAMES, strict=True)]
    return dict(images=images, annotations=annotations, categories=categories), samples


def evaluate(ann_file, classes, samples, **kwargs):
    metric = YOLOXCocoMetric(ann_file, **kwargs)
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples)
    with contextlib.redirect_stdout(io.StringIO()):
        return metric, metric.evaluate(len(samples))


def reference(content, classes, samples, max_dets=(1, 10, 100), iou_thrs=None):
    """pycocotools' evaluation of the whole set at once, from the detections as they are."""
    annotations = [dict(one, id=number) for number, one in enumerate(content['annotations'], start=1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(content, info={}, annotations=annotations)
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
        evaluation.params.maxDets = list(max_dets)
        if iou_thrs is not None:
            evaluation.params.iouThrs = np.array(iou_thrs)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def exact_figures(ann_file, classes, samples, **kwargs):
    """The curves, and all figures before they are rounded."""
    metric = YOLOXCocoMetric(ann_file, **kwargs)
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples)
    curves = metric.curves(metric.results)
    return curves, [value_of(figure, curves) for figure in figures_of(curves.comparison).values()]

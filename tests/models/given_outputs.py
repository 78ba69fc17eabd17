"""A YOLOX head whose raw outputs are given, and its losses and predictions in plain loops."""

import math

import torch
from torch import nn

from mmyolox.models import HeadOutputs, YOLOXHead
from mmyolox.models.boxes import grid_priors

NUM_CLASSES = 3
STRIDES = (8, 16, 32)
TEST_CFG = dict(score_thr=0.1, multi_label=True, nms_pre=1000, nms=dict(iou_threshold=0.5), max_per_img=100)


class GivenOutputs(nn.Module):
    """Stands for the towers and hands on what it is given as the feature maps."""

    num_classes = NUM_CLASSES
    featmap_strides = STRIDES

    def forward(self, feats):
        return feats


def given_head(test_cfg=TEST_CFG, **kwargs):
    return YOLOXHead(
        head_module=dict(type=GivenOutputs),
        train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
        test_cfg=test_cfg,
        **kwargs,
    )


def random_outputs(size=(64, 64), batch=2, seed=0, spread=1.0):
    """Raw outputs of an input of ``size`` (h, w): lists of levels of class, box and objectness outputs."""
    torch.manual_seed(seed)
    levels = [(batch, size[0] // stride, size[1] // stride) for stride in STRIDES]
    return HeadOutputs(
        *([torch.randn(b, channels, h, w) * spread for b, h, w in levels] for channels in (NUM_CLASSES, 4, 1))
    )


def mapped(function, outputs):
    """Raw outputs after a function of each level."""
    return type(outputs)(*([function(level) for level in levels] for levels in outputs))


def flatten(outputs):
    """(B, N, C), (B, N, 4) and (B, N) of raw outputs and the priors (N, 3), cell by cell."""
    flat = [torch.cat([x.permute(0, 2, 3, 1).flatten(1, 2) for x in levels], dim=1) for levels in outputs]
    shapes = [tuple(x.shape[2:]) for x in outputs.cls_logits]
    return flat[0], flat[1], flat[2][..., 0], grid_priors(shapes, STRIDES, torch.device('cpu'))


def samples(*images, ignored=None):
    """The annotations of a batch: a list of (x1, y1, x2, y2, label) for each image, padded."""
    count = max(map(len, images))
    bboxes, labels = torch.zeros(len(images), count, 4), torch.full((len(images), count), -1)
    for i, image in enumerate(images):
        for j, (*bbox, label) in enumerate(image):
            bboxes[i, j], labels[i, j] = torch.tensor(bbox), label
    regions = torch.zeros(len(images), 0, 4) if ignored is None else torch.tensor(ignored).float()
    return dict(bboxes=bboxes, labels=labels, ignored_bboxes=regions)


def decode(raw, prior):
    x, y, stride = prior
    center_x, center_y = raw[0] * stride + x, raw[1] * stride + y
    width, height = math.exp(raw[2]) * stride, math.exp(raw[3]) * stride
    return [center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2]


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def entropy(logit, target):
    return -target * math.log(sigmoid(logit)) - (1 - target) * math.log(1 - sigmoid(logit))


def plain_losses(outputs, data_samples, gt_index):
    """The losses of matches ``gt_index`` (B, N), prior by prior."""
    cls_logits, raw_boxes, obj_logits, priors = (x.tolist() for x in flatten(outputs))
    totals = dict.fromkeys(['loss_cls', 'loss_bbox', 'loss_obj', 'loss_l1'], 0.0)
    for i, owners in enumerate(gt_index.tolist()):
        for n, owner in enumerate(owners):
            prior = priors[n]
            if owner < 0:
                center = [prior[0] + prior[2] / 2, prior[1] + prior[2] / 2]
                if not any(
                    is_inside(center, region) for region in data_samples['ignored_bboxes'][i].tolist()
                ):
                    totals['loss_obj'] += entropy(obj_logits[i][n], 0)
                continue
            truth, label = data_samples['bboxes'][i, owner].tolist(), int(data_samples['labels'][i, owner])
            overlap = iou(decode(raw_boxes[i][n], prior), truth)
            totals['loss_obj'] += entropy(obj_logits[i][n], 1)
            totals['loss_bbox'] += 5 * (1 - overlap**2)
            totals['loss_cls'] += sum(
                entropy(logit, overlap * (c == label)) for c, logit in enumerate(cls_logits[i][n])
            )
            totals['loss_l1'] += sum(
                abs(x - y) for x, y in zip(raw_boxes[i][n], encode(truth, prior), strict=True)
            )
    return {name: total / max(int((gt_index >= 0).sum()), 1) for name, total in totals.items()}


def is_inside(point, bbox):
    return bbox[0] < point[0] < bbox[2] and bbox[1] < point[1] < bbox[3]


def encode(bbox, prior):
    x, y, stride = prior
    sides = bbox[2] - bbox[0], bbox[3] - bbox[1]
    return [
        ((bbox[0] + bbox[2]) / 2 - x) / stride,
        ((bbox[1] + bbox[3]) / 2 - y) / stride,
        *(math.log(side / stride + 1e-8) for side in sides),
    ]


def plain_predictions(outputs, image, cfg):
    """(score, label, box in input pixels) of an image by falling score, before clipping."""
    cls_logits, raw_boxes, obj_logits, priors = (x.tolist() for x in flatten(outputs))
    found = []
    for n, prior in enumerate(priors):
        bbox = decode(raw_boxes[image][n], prior)
        scores = [sigmoid(logit) * sigmoid(obj_logits[image][n]) for logit in cls_logits[image][n]]
        labels = range(len(scores)) if cfg['multi_label'] else [scores.index(max(scores))]
        found += [(scores[label], label, bbox) for label in labels if scores[label] > cfg['score_thr']]
    kept = []
    for score, label, bbox in sorted(found, reverse=True)[: cfg['nms_pre']]:
        rivals = [other for _, rival, other in kept if rival == label]
        if all(iou(bbox, other) <= cfg['nms']['iou_threshold'] for other in rivals):
            kept.append((score, label, bbox))
    return kept[: cfg['max_per_img']]

"""Pose SimOTA image by image, from all pairs at once and loops: the rules of MMYOLO's, for tests."""

import math

import torch

EPS = 1e-7


def flatten(levels):
    """(B, N, C) of levels (B, C, H, W)."""
    return torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)


def plain_owners(outputs, people, priors, form, sigmas, oks_weight=3.0, vis_weight=0.0):
    """The ground truth that each prior learns, -1 for background: (B, N).

    Args:
        outputs: Five lists of levels.
        priors: (N, 3).
        sigmas: (K,).
    """
    flat = [flatten(levels) for levels in outputs]
    found = []
    for image, labels in enumerate(people['labels']):
        rows = labels >= 0
        truth = {name: people[name][image, rows] for name in ('bboxes', 'labels', 'keypoints', 'areas')}
        ious, costs, is_candidate = pair_costs(
            [x[image] for x in flat], truth, priors, sigmas, form, oks_weight, vis_weight
        )
        found.append(match(ious, costs, is_candidate))
    return torch.stack(found)


def pair_costs(flat, truth, priors, sigmas, form, oks_weight, vis_weight):
    """The IoUs (N, M), the costs (N, M) and the candidates (N,) of an image."""
    cls_logits, raw, obj_logits, offsets, vis_logits = flat
    strides = priors[:, 2:]
    centers = raw[:, :2] * strides + priors[:, :2]
    halves = raw[:, 2:].exp() * strides / 2
    ious = all_ious(torch.cat([centers - halves, centers + halves], dim=1), truth['bboxes'])
    points = offsets.unflatten(1, (-1, 2)) * strides[:, None] + priors[:, None, :2]
    is_labelled = truth['keypoints'][..., 2] > 0
    oks = all_oks(points, truth, sigmas, form)
    fits = torch.where(is_labelled.any(dim=1), oks, ious)
    scores = (cls_logits.sigmoid() * obj_logits.sigmoid()).sqrt()
    onehot = torch.nn.functional.one_hot(truth['labels'], scores.shape[1]).float()
    class_costs = entropy(scores[:, None], onehot[None]).sum(dim=2)
    inside, near = locate(priors, truth['bboxes'])
    costs = 100_000 * (~(inside & near)).float() - 3 * (ious + EPS).log() - oks_weight * (fits + EPS).log()
    costs = costs + class_costs
    if vis_weight:
        vis = entropy(vis_logits.sigmoid()[:, None], is_labelled.float()[None]).sum(dim=2)
        unknown = is_labelled.shape[1] * math.log(2)
        costs = costs + vis_weight * torch.where(is_labelled.any(dim=1), vis, unknown)
    return ious, costs, (inside | near).any(dim=1)


def all_ious(a, b):
    sides = torch.min(a[:, None, 2:], b[:, 2:]) - torch.max(a[:, None, :2], b[:, :2])
    inter = sides.clamp(min=0).prod(dim=2)
    areas = [(x[:, 2:] - x[:, :2]).prod(dim=1) for x in (a, b)]
    return inter / (areas[0][:, None] + areas[1] - inter).clamp(min=1e-6)


def all_oks(points, truth, sigmas, form):
    """(N, M) of predicted (N, K, 2) and annotated (M, K, 3) keypoints."""
    diagonals = (truth['bboxes'][:, 2:] - truth['bboxes'][:, :2]).norm(dim=1)
    sizes = diagonals if form == 'diagonal' else 2 * truth['areas'].sqrt()
    distances = (points[:, None] - truth['keypoints'][None, ..., :2]).square().sum(dim=3).sqrt()
    near = torch.exp(-((distances / sigmas / sizes[:, None].clamp(min=1e-8)) ** 2) / 2)
    weights = (truth['keypoints'][..., 2] > 0).float()
    return (near * weights).sum(dim=2) / weights.sum(dim=1).clamp(min=1e-8)


def entropy(p, target):
    return -(target * p.log().clamp(min=-100) + (1 - target) * (1 - p).log().clamp(min=-100))


def locate(priors, bboxes):
    """Whether cells' centres are inside boxes, and near their centres: (N, M) bool each."""
    cells = (priors[:, :2] + priors[:, 2:] / 2)[:, None]
    radius = 2.5 * priors[:, None, 2:]
    centers = (bboxes[:, :2] + bboxes[:, 2:]) / 2
    inside = ((cells > bboxes[:, :2]) & (cells < bboxes[:, 2:])).all(dim=2)
    near = ((cells > centers - radius) & (cells < centers + radius)).all(dim=2)
    return inside, near


def match(ious, costs, is_candidate):
    """The owner of each prior, from all pairs (N, M)."""
    owners = torch.full(is_candidate.shape, -1)
    if not is_candidate.any():
        return owners
    ious, costs = ious[is_candidate], costs[is_candidate]
    wanted = ious.topk(min(10, len(ious)), dim=0).values.sum(dim=0).int().clamp(min=1)
    takes = torch.zeros_like(costs, dtype=torch.bool)
    for gt, count in enumerate(wanted.tolist()):
        takes[costs[:, gt].sort(stable=True).indices[:count], gt] = True
    takers = takes.sum(dim=1)
    single, cheapest = takes.int().argmax(dim=1), costs.argmin(dim=1)
    owners[is_candidate] = torch.where(takers > 1, cheapest, torch.where(takers == 1, single, -1))
    return owners

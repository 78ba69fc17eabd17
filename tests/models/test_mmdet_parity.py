"""The detector and SimOTA against MMDetection's, an independent implementation."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from mmdet.models import necks as peer_necks
from mmdet.models.backbones import CSPDarknet
from mmdet.models.dense_heads import YOLOXHead as PeerHead
from mmdet.models.task_modules.assigners import SimOTAAssigner as PeerAssigner
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from mmyolox.models import YOLODetector
from tests.models.sim_ota_cases import KINDS, dense_ious, random_problem

NUM_CLASSES = 5
WIDEN = 0.125
ASSIGNER = dict(type='SimOTAAssigner', center_radius=2.5)
TEST_CFG = dict(
    score_thr=0.05, multi_label=False, nms_pre=30000, nms=dict(iou_threshold=0.65), max_per_img=1000
)
# The same function as mmdet's Swish, rounded as ours: layers of random weights would amplify the last bits.
SILU = dict(type='SiLU', inplace=True)
# Our names, which are MMYOLO's, to MMDetection's; all others are the same in both.
RENAMED = (
    (r'^bbox_head\.head_module\.', 'bbox_head.'),
    (r'^neck\.reduce_layers\.2\.', 'neck.reduce_layers.0.'),
    (r'^neck\.top_down_layers\.0\.1\.', 'neck.reduce_layers.1.'),
    (r'^neck\.top_down_layers\.0\.0\.', 'neck.top_down_blocks.0.'),
    (r'^neck\.top_down_layers\.1\.', 'neck.top_down_blocks.1.'),
    (r'^neck\.downsample_layers\.', 'neck.downsamples.'),
    (r'^neck\.bottom_up_layers\.', 'neck.bottom_up_blocks.'),
    (r'^neck\.out_layers\.', 'neck.out_convs.'),
)


class RecordingAssigner(PeerAssigner):
    """MMDetection's assigner, keeping its cost matrix."""

    def dynamic_k_matching(self, cost, pairwise_ious, num_gt, valid_mask):
        self.cost, self.ious, self.is_candidate = cost.clone(), pairwise_ious.clone(), valid_mask.clone()
        return super().dynamic_k_matching(cost, pairwise_ious, num_gt, valid_mask)


def peer_name(name):
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


@pytest.fixture(scope='module')
def pair():
    """Our detector and MMDetection's parts with the same random weights and statistics."""
    torch.manual_seed(0)
    ours = YOLODetector(
        backbone=dict(type='YOLOXCSPDarknet', deepen_factor=0.33, widen_factor=WIDEN),
        neck=dict(type='YOLOXPAFPN', deepen_factor=0.33, widen_factor=WIDEN),
        bbox_head=dict(
            type='YOLOXHead',
            use_l1=True,
            head_module=dict(type='YOLOXHeadModule', num_classes=NUM_CLASSES, widen_factor=WIDEN),
        ),
        train_cfg=dict(assigner=ASSIGNER),
        test_cfg=TEST_CFG,
        # The peer's: with another layout convolutions sum in another order.
        channels_last=False,
    )
    peer = build_peer()
    randomise(ours)
    peer.load_state_dict({peer_name(name): value for name, value in ours.state_dict().items()}, strict=True)
    return ours, peer


def build_peer():
    """MMDetection's backbone, neck and head of the same size; it finds its parts in its own scope."""
    widths = [int(c * WIDEN) for c in (256, 512, 1024)]
    peer = nn.Module()
    with DefaultScope.overwrite_default_scope('mmdet'):
        peer.backbone = CSPDarknet(deepen_factor=0.33, widen_factor=WIDEN, act_cfg=SILU)
        peer.neck = peer_necks.YOLOXPAFPN(
            in_channels=widths, out_channels=widths[0], num_csp_blocks=1, act_cfg=SILU
        )
        peer.bbox_head = PeerHead(
            num_classes=NUM_CLASSES,
            in_channels=widths[0],
            feat_channels=widths[0],
            act_cfg=SILU,
            train_cfg=ConfigDict(assigner=ASSIGNER),
            test_cfg=ConfigDict(TEST_CFG),
        )
    peer.bbox_head.use_l1 = True
    return peer


def randomise(model):
    """Weights and statistics under which the outputs differ visibly from prior to prior."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = 1.0
    head = model.bbox_head.head_module
    for conv in (*head.multi_level_conv_cls, *head.multi_level_conv_obj):
        nn.init.normal_(conv.weight, std=0.1)
    for conv in head.multi_level_conv_reg:
        nn.init.normal_(conv.weight, std=0.05)
        conv.bias.data[2:] = 2.0  # boxes that overlap one another and the border
    # With this momentum, one pass in training mode sets the statistics to those of its images.
    model.train()(random_images(8, (128, 128)))
    for norm in norms:
        norm.momentum = 0.03


def random_images(batch, size):
    """Coarse patterns of grey levels; those of plain noise average out in the deep layers."""
    coarse = torch.rand(batch, 3, size[0] // 16, size[1] // 16) * 200
    return F.interpolate(coarse, size, mode='bilinear') + torch.rand(batch, 3, *size) * 55


def annotate(counts, size, kind):
    """Padded ground truths of a batch: ``bboxes`` (B, M, 4) and ``labels`` (B, M)."""
    extent = torch.tensor([size[1], size[0]]).float()
    bboxes, labels = torch.zeros(len(counts), max(counts), 4), torch.full((len(counts), max(counts)), -1)
    for image, count in enumerate(counts):
        sides = torch.ones(count, 2) if kind == 'one_pixel' else 2 + torch.rand(count, 2) * extent / 2
        reach = 3 if kind == 'outside' else 1
        corners = (torch.rand(count, 2) * reach - (reach - 1) / 2) * extent
        bboxes[image, :count] = torch.cat([corners, corners + sides], dim=1)
        labels[image, :count] = torch.randint(NUM_CLASSES, (count,))
    return dict(bboxes=bboxes, labels=labels, ignored_bboxes=torch.zeros(len(counts), 0, 4))


def peer_losses(peer, images, data_samples):
    """MMDetection's losses of our batch form."""
    truths = [
        InstanceData(bboxes=bboxes[labels >= 0], labels=labels[labels >= 0])
        for bboxes, labels in zip(data_samples['bboxes'], data_samples['labels'], strict=True)
    ]
    outputs = peer.bbox_head(peer.neck(peer.backbone(images)))
    return peer.bbox_head.loss_by_feat(*outputs, truths, [{}] * len(images))


@pytest.mark.parametrize('size', [(64, 64), (96, 160)])
@pytest.mark.parametrize('training', [False, True])
def test_forward_equals_mmdet(pair, size, training):
    ours, peer = (copy.deepcopy(model).train(training) for model in pair)
    images = random_images(2, size)
    expected = peer.bbox_head(peer.neck(peer.backbone(images)))
    for levels, expected_levels in zip(ours(images), expected, strict=True):
        for x, y in zip(levels, expected_levels, strict=True):
            assert float(y.std()) > 0.05
            assert torch.allclose(x, y, atol=1e-4)


@pytest.mark.parametrize(
    ('counts', 'kind'),
    [
        ((0, 0), 'inside'),
        ((1,), 'inside'),
        ((0, 7, 20), 'inside'),
        ((60, 3), 'inside'),
        ((5, 30), 'outside'),
        ((1, 1), 'outside'),
        ((12, 60), 'one_pixel'),
    ],
)
@pytest.mark.parametrize('size', [(64, 64), (64, 128)])
def test_losses_and_gradients_equal_mmdet(pair, counts, kind, size):
    ours, peer = (model.eval() for model in pair)
    torch.manual_seed(sum(counts))
    images = random_images(len(counts), size)
    data_samples = annotate(counts, size, kind)
    losses, expected = ours(images, data_samples, 'loss'), peer_losses(peer, images, data_samples)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        assert torch.allclose(loss, expected[name], atol=1e-4, rtol=1e-4), name
    gradients = [
        torch.autograd.grad(sum(parts.values()), model.bbox_head.parameters(), materialize_grads=True)
        for model, parts in ((ours, losses), (peer, expected))
    ]
    shapes = dict(ours.bbox_head.named_parameters())
    by_name = dict(zip((name for name, _ in peer.bbox_head.named_parameters()), gradients[1], strict=True))
    for name, gradient in zip(shapes, gradients[0], strict=True):
        other = by_name[name.removeprefix('head_module.')]
        assert torch.allclose(gradient, other, atol=1e-4 * float(1 + other.abs().max())), name


def plain_nms(instances, iou_threshold):
    """Indices of the kept boxes by falling score: class by class, one box after the other."""
    kept = []
    for i in instances.scores.argsort(descending=True).tolist():
        rivals = [j for j in kept if instances.labels[j] == instances.labels[i]]
        if all(
            iou(instances.bboxes[i].tolist(), instances.bboxes[j].tolist()) <= iou_threshold for j in rivals
        ):
            kept.append(i)
    return kept


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


@pytest.mark.parametrize('scale', [(1.0, 1.0), (0.5, 0.5), (1.6, 1.25)])
def test_predictions_equal_mmdet(pair, scale):
    ours, peer = (model.eval() for model in pair)
    torch.manual_seed(3)
    images = random_images(3, (64, 128))
    width, height = 128 / scale[0], 64 / scale[1]
    matrix = torch.tensor([*scale, 1.0]).diag().numpy()
    metas = [dict(matrix=matrix, ori_shape=(height, width), scale_factor=scale)] * 3
    with torch.no_grad():
        outputs = peer.bbox_head(peer.neck(peer.backbone(images)))
        expected = peer.bbox_head.predict_by_feat(*outputs, metas, rescale=True, with_nms=False)
        predictions = ours(images, dict(metas=metas), 'predict')
    for sample, truth in zip(predictions, expected, strict=True):
        count = len(truth)
        truth = truth[plain_nms(truth, 0.65)]
        found = sample.pred_instances
        assert 5 < len(truth) == len(found) < 0.95 * count
        limit = torch.tensor([width, height, width, height])
        assert torch.allclose(found.bboxes, truth.bboxes.clamp(min=0).minimum(limit), atol=1e-4)
        assert torch.allclose(found.scores, truth.scores, atol=1e-5)
        assert torch.equal(found.labels, truth.labels)


def peer_assignment(problem):
    """MMDetection's assignment of a single image: (N,) row of the ground truth or -1, and the recorder."""
    assigner = RecordingAssigner(iou_calculator=dict(type='mmdet.BboxOverlaps2D'))
    scores = problem.cls_logits[0].sigmoid() * problem.obj_logits[0, :, None].sigmoid()
    strides = problem.priors[:, 2:]
    priors = torch.cat([problem.priors[:, :2] + strides / 2, strides, strides], dim=1)
    result = assigner.assign(
        InstanceData(bboxes=problem.pred_bboxes[0], scores=scores.sqrt(), priors=priors),
        InstanceData(bboxes=problem.gt_bboxes[0], labels=problem.gt_labels[0]),
    )
    return result.gt_inds - 1, assigner


def right_owners(cost, ious):
    """Which owners are right for each candidate if ties, up to rounding, may be broken either way.

    Args:
        cost: (V, M) of candidates and ground truths.
        ious: (V, M).

    Returns:
        (V, M + 1) bool, the last column for no owner.
    """
    slack = 1e-4 + 2e-7 * cost.abs()
    sums = ious.topk(min(10, len(ious)), dim=0).values.sum(dim=0)
    fewest, most = ((sums + rounding).int().clamp(min=1) for rounding in (-1e-5, 1e-5))
    columns = cost.T.sort(dim=1).values
    below = torch.searchsorted(columns, (cost - slack).T.contiguous()).T
    up_to = torch.searchsorted(columns, (cost + slack).T.contiguous(), right=True).T
    is_sure, is_possible = up_to <= fewest, below < most
    sure, possible = is_sure.sum(dim=1, keepdim=True), is_possible.sum(dim=1, keepdim=True)
    alone = is_possible & (sure == is_sure.int())
    cheapest = (cost <= (cost + slack).amin(dim=1, keepdim=True) + slack) & (possible > 1)
    return torch.cat([alone | cheapest, sure == 0], dim=1)


@pytest.mark.parametrize('kind', KINDS)
def test_sim_ota_equals_mmdet_in_a_thousand_cases(kind):
    identical = 0
    for seed in range(25):
        batch = random_problem(kind, seed)
        assignment = batch.assign()
        overlaps = dense_ious(batch, assignment)
        for i, (gt_index, ious) in enumerate(zip(assignment.gt_index, overlaps, strict=True)):
            expected, peer = peer_assignment(batch.image(i))
            identical += torch.equal(gt_index, expected)
            is_positive = gt_index >= 0
            if not (expected >= 0).any():
                assert not is_positive.any()
                continue
            assert not is_positive[~peer.is_candidate].any()
            owners = gt_index[peer.is_candidate]
            allowed = right_owners(peer.cost, peer.ious)
            assert allowed.gather(1, (owners % allowed.shape[1])[:, None]).all(), (seed, i)
            overlaps = peer.ious.gather(1, owners.clamp(min=0)[:, None])[:, 0] * (owners >= 0)
            assert torch.allclose(ious[peer.is_candidate], overlaps, atol=1e-6)
    # Only problems full of ties may be settled differently.
    assert identical >= (0 if kind == 'equal_logits' else 90), identical

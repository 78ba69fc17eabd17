"""The losses of YOLOXPoseHead against a plain loop, and their edge cases."""

import math

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from mmyolox.deploy.letterbox import Size
from mmyolox.engine.batch_size import random_losses
from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.head import YOLOXPoseHead
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS
from mmyolox.projects.yolox_pose.tests.cases import (
    COCO_SKELETON,
    TEST_CFG,
    pose_head,
    pose_model,
    random_outputs,
    random_people,
)
from mmyolox.projects.yolox_pose.tests.plain_ota import flatten
from tests.models.given_outputs import mapped

SIGMAS = list(COCO_SIGMAS.values())
SIZE = (128, 160)
IDENTITY = dict(matrix=np.eye(3), ori_shape=SIZE)
POSE_LOSSES = ('loss_cls', 'loss_kpt', 'loss_vis')


def a_batch(counts=(3, 2), unlabelled=(), seed=0, size=SIZE):
    """People and raw outputs; the keypoints of some people, pairs of image and row, are not labelled."""
    people = random_people(counts, size, (40, 110), seed=seed)
    for image, row in unlabelled:
        people['keypoints'][image, row] = 0
    return people, random_outputs(people, size, 0.1, seed=seed)


def trainable(outputs):
    return mapped(torch.Tensor.requires_grad_, outputs)


def matches(head, outputs, people):
    """What the assigner, which has its own tests, makes of the outputs."""
    return head.assign(outputs, head.priors(outputs), people).gt_index


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def entropy(logit, target):
    return -target * math.log(sigmoid(logit)) - (1 - target) * math.log(1 - sigmoid(logit))


def plain_oks(predicted, annotated, size):
    labelled = [i for i, (_, _, visibility) in enumerate(annotated) if visibility > 0]
    near = [
        math.exp(-(math.dist(predicted[i], annotated[i][:2]) ** 2) / (2 * (SIGMAS[i] * size) ** 2))
        for i in labelled
    ]
    return sum(near) / len(near) if near else None


def plain_iou(raw, prior, bbox):
    x, y, stride = prior
    center, half = (raw[0] * stride + x, raw[1] * stride + y), [math.exp(r) * stride / 2 for r in raw[2:]]
    low, high = ([c + sign * h for c, h in zip(center, half, strict=True)] for sign in (-1, 1))
    inter = math.prod(max(min(high[i], bbox[i + 2]) - max(low[i], bbox[i]), 0) for i in (0, 1))
    areas = math.prod(2 * h for h in half) + (bbox[2] - bbox[0]) * (bbox[3] - bbox[1])
    return inter / (areas - inter)


def plain_losses(head, outputs, people):
    """The losses that keypoints take part in, prior by prior, from the matches."""
    cls_logits, raw_boxes, _, offsets, vis_logits = (flatten(levels).tolist() for levels in outputs)
    priors = head.priors(outputs).tolist()
    classes = kpt = vis = 0.0
    positives = counted = visible = 0
    for image, owners in enumerate(matches(head, outputs, people).tolist()):
        for n, owner in enumerate(owners):
            if owner < 0:
                continue
            x, y, stride = priors[n]
            bbox, annotated = (people[key][image, owner].tolist() for key in ('bboxes', 'keypoints'))
            area = float(people['areas'][image, owner])
            diagonal = math.dist(bbox[:2], bbox[2:])
            size = diagonal if head.loss_pose.form == 'diagonal' else 2 * math.sqrt(area)
            raw = offsets[image][n]
            points = [(raw[2 * k] * stride + x, raw[2 * k + 1] * stride + y) for k in range(17)]
            oks = plain_oks(points, annotated, size)
            fit = plain_iou(raw_boxes[image][n], priors[n], bbox) if oks is None else math.sqrt(oks)
            classes += entropy(cls_logits[image][n][0], fit)
            positives += 1
            if oks is not None:
                is_labelled = [float(visibility > 0) for _, _, visibility in annotated]
                kpt += 30 * (1 - oks)
                vis += sum(map(entropy, vis_logits[image][n], is_labelled))
                counted += 1
                visible += sum(is_labelled)
    losses = (classes / max(positives, 1), kpt / max(counted, 1), vis / max(visible, 1))
    return dict(zip(POSE_LOSSES, losses, strict=True))


@pytest.mark.parametrize('form', ['diagonal', 'coco'])
@pytest.mark.parametrize(
    'unlabelled', [(), [(0, 0)], [(0, 1), (1, 0), (1, 1)]], ids=['all labelled', 'one not', 'an image not']
)
def test_losses_equal_a_plain_loop(form, unlabelled):
    head = pose_head(form=form)
    people, outputs = a_batch(unlabelled=unlabelled)
    losses = head.loss(outputs, people)
    assert set(losses) == {'loss_cls', 'loss_obj', 'loss_bbox', 'loss_kpt', 'loss_vis'}
    for name, expected in plain_losses(head, outputs, people).items():
        assert losses[name].shape == ()
        assert losses[name].dtype == torch.float32
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4), name


@pytest.mark.parametrize(
    ('counts', 'unlabelled'),
    [((0,), ()), ((0, 0), ()), ((2, 1), [(0, 0), (0, 1), (1, 0)]), ((0, 1), [(1, 0)])],
    ids=['one empty image', 'two empty images', 'nobody labelled', 'both'],
)
def test_without_labelled_keypoints_the_pose_losses_are_zero_and_connected(counts, unlabelled):
    people, outputs = a_batch(counts, unlabelled)
    outputs = trainable(outputs)
    losses = pose_head(use_l1=True).loss(outputs, people)
    assert float(losses['loss_kpt'].detach()) == float(losses['loss_vis'].detach()) == 0
    sum(losses.values()).backward()
    learns = [bool(sum(counts)), bool(sum(counts)), True, False, False]
    for levels, learning in zip(outputs, learns, strict=True):
        # A gradient of zeros, not none: distributed training waits for every parameter.
        assert all(x.grad is not None for x in levels)
        assert any(bool(torch.count_nonzero(x.grad)) for x in levels) == learning


def test_people_without_labelled_keypoints_are_learned_as_boxes():
    people, outputs = a_batch((2,), [(0, 1)])
    head = pose_head()
    gt_index = matches(head, outputs, people)
    assert set(gt_index.flatten().tolist()) == {-1, 0, 1}
    outputs = trainable(outputs)
    sum(head.loss(outputs, people).values()).backward()
    grads = [flatten([x.grad for x in levels])[0] for levels in outputs]
    boxes, keypoints = (grads[i].abs().sum(dim=1) > 0 for i in (1, 3))
    assert torch.equal(boxes, gt_index[0] >= 0)
    assert torch.equal(keypoints, gt_index[0] == 0)


def test_keypoints_that_are_not_labelled_do_not_pull():
    people, outputs = a_batch((1,))
    people['keypoints'][0, 0, :5, 2] = 2
    people['keypoints'][0, 0, 5:] = 0
    outputs = trainable(outputs)
    pose_head().loss(outputs, people)['loss_kpt'].backward()
    grad = flatten([x.grad for x in outputs.offsets])[0].unflatten(1, (17, 2))
    assert (grad[:, :5].abs().sum(dim=(0, 2)) > 0).all()
    assert torch.count_nonzero(grad[:, 5:]) == 0


def test_crowds_are_no_negatives():
    people, outputs = a_batch((1,))
    people['ignored_bboxes'] = torch.tensor([[[-9.0, -9, 999, 999]]])
    outputs = trainable(outputs)
    head = pose_head()
    head.loss(outputs, people)['loss_obj'].backward()
    learning = flatten([x.grad for x in outputs.obj_logits])[..., 0] != 0
    assert torch.equal(learning, matches(head, outputs, people) >= 0)


def test_weight_of_the_keypoint_loss():
    people, outputs = a_batch()
    heads = [pose_head(), pose_head()]
    heads[1].loss_pose.loss_weight = 3.0
    thirty, three = (float(head.loss(outputs, people)['loss_kpt']) for head in heads)
    assert thirty == pytest.approx(10 * three)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('is_autocast', [False, True])
def test_losses_of_half_precision_are_computed_in_float32(dtype, is_autocast):
    people, outputs = a_batch((3, 4), size=(128, 1280))
    half = mapped(lambda level: level.to(dtype), outputs)
    head = pose_head(use_l1=True)
    with torch.autocast('cpu', dtype, is_autocast):
        losses = head.loss(half, people)
    expected = head.loss(mapped(torch.Tensor.float, half), people)
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(expected[name]), rel=1e-5)


@torch._dynamo.config.patch(automatic_dynamic_shapes=False)
def test_compiles_into_one_graph_for_any_number_of_people():
    head = pose_head(use_l1=True, assigner=dict(vis_weight=0.5))
    names = ('bboxes', 'labels', 'ignored_bboxes', 'keypoints', 'areas')

    def loss(outputs, *values):
        return head.loss(outputs, dict(zip(names, values, strict=True)))

    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    for count in (3, 9):
        people, outputs = a_batch((count, 2), [(0, 1)])
        for name in ('bboxes', 'labels', 'keypoints', 'areas'):
            torch._dynamo.mark_dynamic(people[name], 1)
        arguments = [people[name] for name in names]
        copies = mapped(torch.clone, outputs)
        plain, outputs = trainable(copies), trainable(outputs)
        expected, losses = loss(plain, *arguments), compiled(outputs, *arguments)
        sum(expected.values()).backward()
        sum(losses.values()).backward()
        assert all(torch.equal(losses[name], expected[name]) for name in expected)
        for levels, truths in zip(outputs, plain, strict=True):
            assert all(torch.equal(x.grad, y.grad) for x, y in zip(levels, truths, strict=True))
        assert counter.frame_count == 1


# --- building ----------------------------------------------------------------------------------------------


def test_one_oks_under_both_names_of_mmyolo():
    head = pose_head()
    assert head.assigner_oks_calculator is head.loss_pose
    assert {'loss_pose.sigmas', 'assigner_oks_calculator.sigmas'} <= set(head.state_dict())
    assert head.loss_pose.sigmas.tolist() == pytest.approx(SIGMAS)


def test_builds_and_predicts_without_train_cfg():
    model = pose_model('nano')
    head = YOLOXPoseHead(
        skeleton=COCO_SKELETON,
        head_module=dict(type='YOLOXPoseHeadModule', num_classes=1, widen_factor=0.0625),
        loss_pose=dict(type='OksLoss'),
        test_cfg=TEST_CFG,
    )
    assert head.assigner is None
    assert model.bbox_head.head_module.num_keypoints == head.head_module.num_keypoints == 17
    feats = [torch.rand(1, 16, 4 >> i, 4 >> i) for i in range(3)]
    assert len(head.eval().predict(feats, [IDENTITY])) == 1
    with pytest.raises(UserError, match='train_cfg'):
        head.loss(feats, a_batch()[0])


def test_a_number_of_keypoints_that_is_not_the_skeletons():
    with pytest.raises(UserError, match='num_keypoints=5, but the skeleton has 17 keypoints'):
        pose_model('nano', num_keypoints=5)


def test_the_assigner_of_the_detector():
    with pytest.raises(UserError, match=r'train_cfg\.assigner\.type: .* not SimOTAAssigner'):
        YOLOXPoseHead(
            skeleton=COCO_SKELETON,
            head_module=dict(type='YOLOXPoseHeadModule', num_classes=1),
            loss_pose=dict(type='OksLoss'),
            train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
        )


def test_a_batch_size_is_tried_with_keypoints():
    model = pose_model('nano', feat_channels=64, stacked_convs=1).train()
    losses = random_losses(model, 2, Size(128, 96), torch.device('cpu'))
    assert len(losses) == 5
    assert all(loss.isfinite() and loss > 0 for loss in losses)

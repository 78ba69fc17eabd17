"""The losses of YOLOXHead against a plain loop, and their edge cases."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounter

from mmyolox.errors import UserError
from mmyolox.fake_device import LiveBytes
from mmyolox.models import HeadOutputs, MatchedBatch, PairCosts, YOLOXHead
from mmyolox.models.boxes import bbox_ious, decode_bboxes, encode_bboxes
from mmyolox.models.levels import flatten_levels
from mmyolox.models.losses import all_reduce_mean
from mmyolox.registry import MODELS
from tests.models.given_outputs import (
    GivenOutputs,
    decode,
    entropy,
    flatten,
    given_head,
    iou,
    is_inside,
    mapped,
    plain_losses,
    random_outputs,
    samples,
)

TWO_IMAGES = samples([(4, 4, 40, 60, 1), (20, 8, 52, 30, 2), (30, 30, 31, 31, 0)], [(0, 0, 64, 64, 0)])


def matches(head, outputs, data_samples):
    """What the assigner, which has its own tests, makes of the outputs."""
    _, raw_boxes, obj_logits, priors = flatten(outputs)
    bboxes, labels = data_samples['bboxes'], data_samples['labels']
    return head.assigner.assign(
        decode_bboxes(raw_boxes, priors), outputs.cls_logits, obj_logits, priors, bboxes, labels
    )


def dense_overlaps(outputs, assignment, data_samples):
    """The overlaps (B, N) of predictions with their ground truths; of background with any."""
    _, raw_boxes, _, priors = flatten(outputs)
    gts = assignment.gt_index.clamp(min=0)[..., None].expand(-1, -1, 4)
    return bbox_ious(decode_bboxes(raw_boxes, priors), data_samples['bboxes'].gather(1, gts))


def trainable(outputs):
    return mapped(torch.Tensor.requires_grad_, outputs)


@pytest.mark.parametrize('size', [(64, 64), (32, 96), (96, 64)])
@pytest.mark.parametrize('use_l1', [False, True])
def test_losses_equal_a_plain_loop(size, use_l1):
    head, outputs = given_head(use_l1=use_l1), random_outputs(size)
    losses = head.loss(outputs, TWO_IMAGES)
    expected = plain_losses(outputs, TWO_IMAGES, matches(head, outputs, TWO_IMAGES).gt_index)
    assert set(losses) == set(expected) - (set() if use_l1 else {'loss_l1'})
    for name, loss in losses.items():
        assert loss.shape == ()
        assert float(loss.detach()) == pytest.approx(expected[name], rel=1e-4), name


def test_weights_of_the_losses():
    outputs = random_outputs()
    plain = given_head(use_l1=True).loss(outputs, TWO_IMAGES)
    head = given_head(use_l1=True, loss_bbox_weight=10.0, loss_l1_weight=3.0)
    factors = dict(loss_cls=1, loss_bbox=2, loss_obj=1, loss_l1=3)
    for name, loss in head.loss(outputs, TWO_IMAGES).items():
        assert float(loss) == pytest.approx(factors[name] * float(plain[name]), rel=1e-5)


def test_l1_can_be_switched_on_later():
    head = given_head()
    head.use_l1 = True
    assert 'loss_l1' in head.loss(random_outputs(), TWO_IMAGES)


@pytest.mark.parametrize(
    'data_samples',
    [samples([]), samples([], []), samples([(200, 200, 220, 230, 1)], [(-90, -90, -50, -50, 0)])],
    ids=['one image', 'two images', 'boxes outside'],
)
def test_without_positives_only_objectness_learns(data_samples):
    batch = len(data_samples['labels'])
    outputs = trainable(random_outputs(batch=batch))
    losses = given_head(use_l1=True).loss(outputs, data_samples)
    assert all(float(losses[name].detach()) == 0 for name in ('loss_cls', 'loss_bbox', 'loss_l1'))
    # Divided by one, not by no positives.
    background = -(1 - flatten(outputs)[2].detach().sigmoid()).log().sum()
    assert float(losses['loss_obj'].detach()) == pytest.approx(float(background), rel=1e-4)
    sum(losses.values()).backward()
    for levels, learns in zip(outputs, (False, False, True), strict=True):
        # A gradient of zeros, not none: distributed training waits for every parameter.
        assert all(x.grad is not None and bool(torch.count_nonzero(x.grad)) == learns for x in levels)


def losses_of_flat_outputs(outputs, data_samples, gt_index):
    """The losses of matches ``gt_index`` (B, N), with autograd, from one flat list of positives."""
    cls_logits, raw_boxes, obj_logits, priors = flatten(outputs)
    images, rows = (gt_index >= 0).nonzero(as_tuple=True)
    gts = gt_index[images, rows]
    bboxes, labels = (data_samples[name][images, gts] for name in ('bboxes', 'labels'))
    count = max(len(rows), 1)
    raw, cells = raw_boxes[images, rows], priors[rows]
    ious = bbox_ious(decode_bboxes(raw, cells), bboxes)
    targets = F.one_hot(labels, cls_logits.shape[2]) * ious.detach()[:, None]
    bce = functools.partial(F.binary_cross_entropy_with_logits, reduction='sum')
    return dict(
        loss_cls=bce(cls_logits[images, rows], targets) / count,
        loss_obj=bce(obj_logits, (gt_index >= 0).float()) / count,
        loss_bbox=5 * (1 - ious**2).sum() / count,
        loss_l1=F.l1_loss(raw, encode_bboxes(bboxes, cells), reduction='sum') / count,
    )


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_gradients_equal_those_of_flat_outputs(memory_format):
    head, given = given_head(use_l1=True), random_outputs((64, 96), batch=3)
    data_samples = samples(
        [(4, 4, 40, 60, 1), (20, 8, 52, 30, 2), (30, 30, 31, 31, 0)],
        [],
        [(0, 0, 64, 64, 0), (0, 0, 64, 64, 2)],
    )
    gt_index = matches(head, given, data_samples).gt_index
    outputs, expected = (
        trainable(mapped(lambda level: level.clone(memory_format=memory_format), given)) for _ in range(2)
    )
    losses = head.loss(outputs, data_samples)
    sum(losses.values()).backward()
    plain = losses_of_flat_outputs(expected, data_samples, gt_index)
    sum(plain.values()).backward()
    for name, loss in losses.items():
        assert float(loss.detach()) == pytest.approx(float(plain[name].detach()), rel=1e-5), name
    for levels, truths in zip(outputs, expected, strict=True):
        for x, truth in zip(levels, truths, strict=True):
            assert torch.allclose(x.grad, truth.grad, atol=1e-6)
    assert all(x.grad.is_contiguous(memory_format=memory_format) for x in outputs.cls_logits)


def test_regressions_that_overflow_on_background_stay_out():
    outputs = random_outputs()
    gt_index = matches(given_head(), outputs, TWO_IMAGES).gt_index
    background = (gt_index < 0)[:, :64].unflatten(1, (8, 8))
    outputs.bbox_preds[0][:, 2:].masked_fill_(background[:, None], 1000.0)
    outputs = trainable(outputs)
    losses = given_head(use_l1=True).loss(outputs, TWO_IMAGES)
    sum(losses.values()).backward()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert all(bool(x.grad.isfinite().all()) for levels in outputs for x in levels)


def test_class_logits_are_not_copied_as_a_whole():
    priors, classes, batch = 2100, 80, 8
    torch.manual_seed(0)
    levels = ([torch.randn(batch, c, n, n) for n in (40, 20, 10)] for c in (classes, 4, 1))
    outputs = trainable(HeadOutputs(*levels))
    corners = torch.rand(batch, 6, 2) * 300
    data_samples = dict(
        bboxes=torch.cat([corners, corners + 20], dim=2),
        labels=torch.randint(classes, (batch, 6)),
        ignored_bboxes=torch.zeros(batch, 0, 4),
    )
    head = given_head()
    head.assigner.max_pairs = priors * classes
    with LiveBytes((outputs, data_samples)) as memory:
        sum(head.loss(outputs, data_samples).values()).backward()
    gradients = 4 * batch * priors * (classes + 5)
    assert memory.peak < 1.4 * gradients


@torch._dynamo.config.patch(automatic_dynamic_shapes=False)
def test_compiles_into_one_graph_for_any_number_of_boxes():
    head = given_head(use_l1=True)

    def loss(outputs, bboxes, labels, ignored_bboxes):
        return head.loss(outputs, dict(bboxes=bboxes, labels=labels, ignored_bboxes=ignored_bboxes))

    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    graphs = []
    for size, count in [((64, 96), 3), ((64, 96), 9), ((128, 160), 5)]:
        data_samples = samples(
            [(8, 8, 20 + 4 * i, 60 - 2 * i, i % 3) for i in range(count)], [(0, 0, 50, 40, 1)]
        )
        for name in ('bboxes', 'labels'):
            torch._dynamo.mark_dynamic(data_samples[name], 1)
        arguments = tuple(data_samples[name] for name in ('bboxes', 'labels', 'ignored_bboxes'))
        plain, outputs = trainable(random_outputs(size)), trainable(random_outputs(size))
        expected, losses = loss(plain, *arguments), compiled(outputs, *arguments)
        sum(expected.values()).backward()
        sum(losses.values()).backward()
        assert all(torch.equal(losses[name], expected[name]) for name in expected)
        for levels, truths in zip(outputs, plain, strict=True):
            assert all(torch.equal(x.grad, y.grad) for x, y in zip(levels, truths, strict=True))
        graphs.append(counter.frame_count)
    assert graphs == [1, 1, 2]  # one for each size of the input


def test_overlaps_of_slots_have_gradients_where_they_are_filled():
    head, outputs = given_head(), trainable(random_outputs())
    assignment = matches(head, outputs, TWO_IMAGES)
    matched = MatchedBatch.of(outputs, assignment, head.priors(outputs), TWO_IMAGES)
    assert matched.ious.dtype == torch.float32
    overlaps = dense_overlaps(outputs, assignment, TWO_IMAGES) * assignment.is_positive
    assert torch.equal(assignment.per_prior(matched.ious), overlaps)
    assert torch.count_nonzero(matched.ious[assignment.is_empty]) == 0
    assert torch.equal(matched.class_scores, matched.ious)
    assert not matched.class_scores.requires_grad
    matched.ious.sum().backward()
    has_gradient = torch.cat([x.grad.abs().sum(1).flatten(1) for x in outputs.bbox_preds], dim=1) > 0
    assert torch.equal(has_gradient, overlaps > 0)


def test_an_image_without_boxes_beside_one_with():
    head, outputs = given_head(), random_outputs()
    data_samples = samples([], [(8, 8, 50, 50, 1)])
    expected = plain_losses(outputs, data_samples, matches(head, outputs, data_samples).gt_index)
    for name, loss in head.loss(outputs, data_samples).items():
        assert float(loss) == pytest.approx(expected[name], rel=1e-4)


def test_boxes_of_one_pixel_and_without_area_give_finite_losses():
    outputs = trainable(random_outputs())
    data_samples = samples([(30, 30, 31, 31, 0), (10, 10, 10, 10, 1)], [(63, 63, 64, 64, 2)])
    losses = given_head(use_l1=True).loss(outputs, data_samples)
    sum(losses.values()).backward()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert all(bool(x.grad.isfinite().all()) for levels in outputs for x in levels)


def test_a_prior_that_two_boxes_want_learns_one():
    head, outputs = given_head(), random_outputs()
    box = (8, 8, 40, 40)
    twice = samples([(*box, 1), (*box, 1)], [])
    once = samples([(*box, 1)], [])
    for name, loss in head.loss(outputs, twice).items():
        assert float(loss) == pytest.approx(float(head.loss(outputs, once)[name]), rel=1e-5)


@pytest.mark.parametrize(
    'ignored',
    [
        [[[0, 0, 40, 64]], [[0, 0, 0, 0]]],
        [[[10, 10, 20, 20], [40, 40, 64, 64]], [[-10, -10, 80, 80], [0, 0, 0, 0]]],
        [[[4, 4, 12, 12]], [[70, 0, 90, 64]]],
    ],
)
def test_background_in_ignored_regions_does_not_count(ignored):
    head, outputs = given_head(), random_outputs()
    data_samples = {**TWO_IMAGES, 'ignored_bboxes': torch.tensor(ignored).float()}
    matched = matches(head, outputs, data_samples)
    expected = plain_losses(outputs, data_samples, matched.gt_index)
    losses, without = head.loss(outputs, data_samples), head.loss(outputs, TWO_IMAGES)
    assert float(losses['loss_obj']) == pytest.approx(expected['loss_obj'], rel=1e-4)
    assert {k: v for k, v in losses.items() if k != 'loss_obj'} == {
        k: v for k, v in without.items() if k != 'loss_obj'
    }


def test_objects_in_ignored_regions_still_count():
    outputs = trainable(random_outputs())
    head = given_head()
    everything = {**TWO_IMAGES, 'ignored_bboxes': torch.tensor([[[-9, -9, 99, 99]]] * 2).float()}
    head.loss(outputs, everything)['loss_obj'].backward()
    learning = torch.cat([x.grad.flatten(1) for x in outputs.obj_logits], dim=1) != 0
    assert learning.any()
    assert torch.equal(learning, matches(head, outputs, everything).is_positive)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('is_autocast', [False, True])
def test_losses_of_half_precision_are_computed_in_float32(dtype, is_autocast):
    outputs = mapped(lambda level: level.to(dtype), random_outputs((64, 1280)))
    data_samples = samples([(1201.3, 4.1, 1203.7, 40.9, 1)], [(0, 0, 640.5, 64, 0)])
    head = given_head(use_l1=True)
    with torch.autocast('cpu', dtype, is_autocast):
        losses = head.loss(outputs, data_samples)
    expected = head.loss(mapped(torch.Tensor.float, outputs), data_samples)
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(expected[name]), rel=1e-5)


def test_sizes_may_change_from_batch_to_batch():
    head = given_head()
    for size in ((64, 64), (96, 64), (64, 64)):
        outputs = random_outputs(size)
        expected = plain_losses(outputs, TWO_IMAGES, matches(head, outputs, TWO_IMAGES).gt_index)
        assert float(head.loss(outputs, TWO_IMAGES)['loss_bbox']) == pytest.approx(
            expected['loss_bbox'], rel=1e-4
        )


def test_a_head_may_add_costs_and_losses():
    class WithMore(YOLOXHead):
        """Takes its cells from the last row of cells, and has a loss more."""

        def pair_costs(self, outputs, pred_bboxes, priors, data_samples):
            assert pred_bboxes.shape == (2, len(priors), 4)
            count = data_samples['labels'].shape[1]
            last = torch.full((2, count, 1), 5 * 8 + 4)
            return PairCosts(last, torch.zeros(last.shape), 50.0)

        def losses(self, outputs, matched):
            losses = super().losses(outputs, matched)
            return dict(losses, loss_owner=matched.assignment.gt_index[:, 5 * 8 + 4].sum())

    head = WithMore(head_module=dict(type=GivenOutputs), train_cfg=dict(assigner=dict(type='SimOTAAssigner')))
    outputs, data_samples = random_outputs(), samples([(20, 28, 52, 60, 0)], [(20, 28, 52, 60, 1)])
    losses = head.loss(outputs, data_samples)
    assert set(losses) == {'loss_cls', 'loss_bbox', 'loss_obj', 'loss_owner'}
    assert int(losses['loss_owner']) == 0  # its only ground truth, not -1
    assert int(matches(given_head(), outputs, data_samples).gt_index[:, 5 * 8 + 4].sum()) < 0


class IoUAwareHead(YOLOXHead):
    """The objectness of a positive prior learns the overlap of its box, as in docs/extend.md."""

    def objectness_loss(self, outputs, matched):
        logits = flatten_levels(outputs.obj_logits)[..., 0].float()
        ious = matched.assignment.per_prior(matched.class_scores)
        losses = F.binary_cross_entropy_with_logits(logits, ious, reduction='none')
        return losses.masked_fill(matched.is_ignored, 0).sum()


def test_a_head_may_learn_the_overlap_as_objectness():
    outputs, data_samples = (
        trainable(random_outputs()),
        {**TWO_IMAGES, 'ignored_bboxes': torch.zeros(2, 1, 4)},
    )
    data_samples['ignored_bboxes'][0, 0] = torch.tensor([10.0, 10.0, 30.0, 30.0])
    head = IoUAwareHead(
        head_module=dict(type=GivenOutputs), train_cfg=dict(assigner=dict(type='SimOTAAssigner'))
    )
    losses, plain = head.loss(outputs, data_samples), given_head().loss(outputs, data_samples)
    assert {k: v for k, v in losses.items() if k != 'loss_obj'} == {
        k: v for k, v in plain.items() if k != 'loss_obj'
    }
    _, raw_boxes, obj_logits, priors = (x.tolist() for x in flatten(outputs))
    gt_index = matches(head, outputs, data_samples).gt_index
    total = 0.0
    for i, owners in enumerate(gt_index.tolist()):
        for n, owner in enumerate(owners):
            center = [priors[n][0] + priors[n][2] / 2, priors[n][1] + priors[n][2] / 2]
            if owner >= 0:
                target = iou(decode(raw_boxes[i][n], priors[n]), TWO_IMAGES['bboxes'][i, owner].tolist())
                total += entropy(obj_logits[i][n], target)
            elif i or not is_inside(center, [10, 10, 30, 30]):
                total += entropy(obj_logits[i][n], 0)
    assert float(losses['loss_obj'].detach()) == pytest.approx(total / int((gt_index >= 0).sum()), rel=1e-4)


@pytest.mark.parametrize(
    ('name', 'method'), [('loss_cls', 'class_loss'), ('loss_bbox', 'bbox_loss'), ('loss_l1', 'l1_loss')]
)
def test_each_loss_is_a_method_whose_sum_is_divided_by_the_positives(monkeypatch, name, method):
    head, outputs = given_head(use_l1=True), random_outputs()
    plain = head.loss(outputs, TWO_IMAGES)
    monkeypatch.setattr(head, method, lambda outputs, matched: matched.assignment.is_positive.sum() * 3.0)
    losses = head.loss(outputs, TWO_IMAGES)
    assert float(losses.pop(name)) == 3
    assert losses == {other: loss for other, loss in plain.items() if other != name}


def test_mean_over_one_process_is_the_value_itself():
    value = torch.tensor(3.0)
    mean = all_reduce_mean(value)
    mean += 1
    assert float(value) == 3


def test_registered_by_name():
    cfg = dict(type='YOLOXHead', head_module=dict(type='YOLOXHeadModule', num_classes=3))
    with torch.device('meta'):
        assert isinstance(MODELS.build(cfg), YOLOXHead)


def test_class_weights_multiply_the_class_loss_of_their_objects():
    outputs = random_outputs()
    plain, weighted = given_head(), given_head(class_weights=[0.5, 2, 0])
    expected = 0.0
    assignment = matches(plain, outputs, TWO_IMAGES)
    count = int(assignment.is_positive.sum())
    for label, weight in ((0, 0.5), (1, 2.0), (2, 0.0)):
        # What the objects of one class cost: those of the others have scores to reach, and no weight.
        alone = given_head(class_weights=[float(other == label) for other in range(3)])
        expected += weight * float(alone.loss(outputs, TWO_IMAGES)['loss_cls'])
    losses, unweighted = weighted.loss(outputs, TWO_IMAGES), plain.loss(outputs, TWO_IMAGES)
    assert float(losses['loss_cls']) == pytest.approx(expected, rel=1e-5)
    for name in ('loss_bbox', 'loss_obj'):
        assert torch.equal(losses[name], unweighted[name])
    cls_logits = flatten(outputs)[0]
    by_hand, overlaps = 0.0, dense_overlaps(outputs, assignment, TWO_IMAGES)
    for image, prior in assignment.is_positive.nonzero().tolist():
        label = int(TWO_IMAGES['labels'][image, assignment.gt_index[image, prior]])
        target = F.one_hot(torch.tensor(label), 3) * overlaps[image, prior]
        cost = F.binary_cross_entropy_with_logits(cls_logits[image, prior], target, reduction='sum')
        by_hand += [0.5, 2, 0][label] * float(cost)
    assert float(losses['loss_cls']) == pytest.approx(by_hand / count, rel=1e-5)


def test_ones_and_none_are_the_same():
    outputs = random_outputs()
    losses = [given_head(class_weights=weights).loss(outputs, TWO_IMAGES) for weights in (None, [1, 1, 1])]
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(loss, losses[1][name]) for name, loss in losses[0].items())


def test_as_many_weights_as_classes():
    with pytest.raises(UserError, match='class_weights has 2 numbers, but there are 3 classes'):
        given_head(class_weights=[1, 2])

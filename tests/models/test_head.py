"""The losses of YOLOXHead against a plain loop, and their edge cases."""

import pytest
import torch
from given_outputs import flatten, given_head, plain_losses, random_outputs, samples

from mmyolox.models import YOLOXHead
from mmyolox.models.bbox import decode_bboxes
from mmyolox.models.head import all_reduce_mean
from mmyolox.registry import MODELS

TWO_IMAGES = samples([(4, 4, 40, 60, 1), (20, 8, 52, 30, 2), (30, 30, 31, 31, 0)], [(0, 0, 64, 64, 0)])


def matches(head, outputs, data_samples):
    """What the assigner, which has its own tests, makes of the outputs."""
    cls_logits, raw_boxes, obj_logits, priors = flatten(outputs)
    bboxes, labels = data_samples['bboxes'], data_samples['labels']
    return head.assigner.assign(
        decode_bboxes(raw_boxes, priors), cls_logits, obj_logits, priors, bboxes, labels
    )


def trainable(outputs):
    return tuple([x.requires_grad_() for x in levels] for levels in outputs)


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
    learning = torch.cat([x.grad.flatten(1) for x in outputs[2]], dim=1) != 0
    assert learning.any()
    assert torch.equal(learning, matches(head, outputs, everything).is_positive)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('is_autocast', [False, True])
def test_losses_of_half_precision_are_computed_in_float32(dtype, is_autocast):
    outputs = tuple([x.to(dtype) for x in levels] for levels in random_outputs((64, 1280)))
    data_samples = samples([(1201.3, 4.1, 1203.7, 40.9, 1)], [(0, 0, 640.5, 64, 0)])
    head = given_head(use_l1=True)
    with torch.autocast('cpu', dtype, is_autocast):
        losses = head.loss(outputs, data_samples)
    expected = head.loss(tuple([x.float() for x in levels] for levels in outputs), data_samples)
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


def test_mean_over_one_process_is_the_value_itself():
    value = torch.tensor(3.0)
    mean = all_reduce_mean(value)
    mean += 1
    assert float(value) == 3


def test_registered_by_name():
    cfg = dict(type='YOLOXHead', head_module=dict(type='YOLOXHeadModule', num_classes=3))
    with torch.device('meta'):
        assert isinstance(MODELS.build(cfg), YOLOXHead)

"""OKS against pycocotools and by hand, and the loss made of it."""

import math

import numpy as np
import pytest
import torch
from pycocotools.cocoeval import COCOeval

from mmyolox.errors import UserError
from mmyolox.projects.yolox_pose.oks import FORMS, OksLoss, compute_oks, keypoint_spreads
from mmyolox.projects.yolox_pose.skeleton import COCO_SIGMAS
from mmyolox.projects.yolox_pose.tests.cases import random_people

SIGMAS = tuple(COCO_SIGMAS.values())


def coco_oks(predicted, people):
    """pycocotools' similarities (D, G) of keypoints (D, K, 2) to annotated people without a batch axis."""
    evaluation = COCOeval(iouType='keypoints')
    evaluation.params.kpt_oks_sigmas = np.array(SIGMAS)
    evaluation._dts[0, 0] = [
        dict(keypoints=np.concatenate([points, np.ones((17, 1))], axis=1).flatten().tolist(), score=-i)
        for i, points in enumerate(predicted.double().numpy())
    ]
    corners = people['bboxes'].double().numpy()
    evaluation._gts[0, 0] = [
        dict(keypoints=points.flatten().tolist(), area=area, bbox=[*box[:2], *(box[2:] - box[:2])], ignore=0)
        for points, area, box in zip(
            people['keypoints'].double().numpy(), people['areas'].double().tolist(), corners, strict=True
        )
    ]
    return torch.from_numpy(evaluation.computeOks(0, 0))


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_coco_form_equals_pycocotools(dtype, tolerance):
    largest = 0.0
    for seed in range(40):
        batch = random_people((12,), (480, 640), (4, 480), seed=seed)
        people = {name: value[0].to(dtype) for name, value in batch.items()}
        torch.manual_seed(seed)
        sides = (people['bboxes'][:, 2:] - people['bboxes'][:, :2])[:, None]
        noise = torch.randn(12, 17, 2, dtype=dtype) * sides * 10 ** (-3 * torch.rand(12, 1, 1))
        predicted = people['keypoints'][..., :2] + noise
        spreads = keypoint_spreads(
            'coco', torch.tensor(SIGMAS, dtype=dtype), people['bboxes'], people['areas']
        )
        points, visibility = people['keypoints'].split([2, 1], dim=2)
        found = compute_oks(predicted[:, None], points, visibility[..., 0] > 0, spreads)
        expected = coco_oks(predicted, people)
        assert expected.diagonal().std() > 0.1
        largest = max(largest, float((found - expected).abs().max()))
    assert largest < tolerance


@pytest.mark.parametrize(
    ('form', 'spread'), [('diagonal', 0.1 * math.hypot(30, 40)), ('coco', 2 * 0.1 * math.sqrt(900))]
)
def test_forms_by_hand(form, spread):
    bboxes, areas = torch.tensor([10.0, 20, 40, 60]), torch.tensor(900.0)
    spreads = keypoint_spreads(form, torch.tensor([0.1, 0.2]), bboxes, areas)
    assert spreads.tolist() == pytest.approx([spread, 2 * spread])
    targets = torch.tensor([[15.0, 30], [20, 50]])
    predicted = targets + torch.tensor([[spread, 0], [0, 4 * spread]])
    oks = compute_oks(predicted, targets, torch.tensor([True, True]), spreads)
    assert float(oks) == pytest.approx((math.exp(-1 / 2) + math.exp(-2)) / 2)


def test_keypoints_that_are_not_labelled_do_not_count():
    targets, spreads = torch.zeros(2, 3, 2), torch.ones(2, 3)
    predicted = torch.tensor([[0.0, 0], [100, 100], [1, 0]]).expand(2, 3, 2)
    is_labelled = torch.tensor([[True, False, True], [False, True, False]])
    oks = compute_oks(predicted, targets, is_labelled, spreads)
    assert oks.tolist() == pytest.approx([(1 + math.exp(-0.5)) / 2, 0])


def test_without_labelled_keypoints_it_is_zero_and_has_no_gradient():
    predicted = torch.rand(1, 3, 2, requires_grad=True)
    oks = compute_oks(predicted, torch.zeros(3, 2), torch.zeros(3, dtype=torch.bool), torch.full((3,), 1e-10))
    oks.sum().backward()
    assert oks.tolist() == [0]
    assert torch.count_nonzero(predicted.grad) == 0


@pytest.mark.parametrize('form', FORMS)
def test_objects_without_area_give_finite_values_and_gradients(form):
    spreads = keypoint_spreads(form, torch.tensor(SIGMAS), torch.tensor([5.0, 5, 5, 5]), torch.tensor(0.0))
    predicted = torch.randn(17, 2).mul_(1e4).requires_grad_()
    oks = compute_oks(predicted, torch.zeros(17, 2), torch.ones(17, dtype=torch.bool), spreads)
    oks.backward()
    assert oks.isfinite()
    assert predicted.grad.isfinite().all()


def test_loss_is_the_weighted_sum_of_what_counts():
    loss = OksLoss(SIGMAS, loss_weight=30.0)
    oks = torch.tensor([[0.25, 0.5, float('nan')]])
    assert float(loss(oks, torch.tensor([[True, True, False]]))) == 30 * 1.25


def test_targets_are_taken_apart():
    keypoints = torch.tensor([[[[1.0, 2, 2], [0, 0, 0]], [[3, 4, 1], [5, 6, 2]], [[0, 0, 0]] * 2]])
    bboxes = torch.tensor([[[0.0, 0, 3, 4], [0, 0, 6, 8], [0, 0, 0, 0]]])
    targets = OksLoss([0.1, 0.2]).targets(dict(keypoints=keypoints, bboxes=bboxes, areas=torch.zeros(1, 3)))
    assert targets.is_labelled.tolist() == [[[True, False], [True, True], [False, False]]]
    assert targets.has_labels.tolist() == [[True, True, False]]
    slots = targets.at_slots(torch.tensor([[1, 1, 0]]))
    assert slots.keypoints[0, :, 0].tolist() == [[3, 4], [3, 4], [1, 2]]
    assert slots.spreads[0].flatten().tolist() == pytest.approx([1, 2, 1, 2, 0.5, 1])
    assert slots.has_labels.all()
    assert slots.oks(slots.keypoints).tolist() == [[1, 1, 1]]


@pytest.mark.parametrize('stored', [torch.ones(3), torch.ones(17), None], ids=str)
def test_loading_keeps_the_sigmas_of_the_config(stored):
    loss = OksLoss([0.1, 0.2, 0.3])
    assert list(loss.state_dict()) == ['sigmas']
    given = {} if stored is None else dict(sigmas=stored)
    result = loss.load_state_dict(given, strict=True)
    assert result.missing_keys == result.unexpected_keys == []
    assert loss.sigmas.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert list(given) == ([] if stored is None else ['sigmas'])


def test_a_form_that_there_is_not():
    with pytest.raises(UserError, match="form='area': choose one of diagonal, coco"):
        OksLoss(SIGMAS, form='area')

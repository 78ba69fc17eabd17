"""SimOTA: its rules by hand and the batched form against itself; test_mmdet_parity.py has the peer's."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmyolox.fake_device import LiveBytes
from mmyolox.models.assigner import Assignment, PairCosts, SimOTAAssigner
from mmyolox.models.boxes import grid_priors
from mmyolox.registry import TASK_UTILS
from tests.models.sim_ota_cases import KINDS, Problem, dense_ious, random_problem

CELLS = 8
FAR = [-500, -500, -490, -490]


class SizeRecorder(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if torch.is_tensor(leaf)]
        self.largest = max([self.largest, *sizes])
        return out


def grid_problem(bboxes, labels=None, predicted=None, everywhere=FAR, num_classes=2):
    """An image of 8 x 8 cells of stride 8: what some cells predict, and all others. All logits are 0."""
    priors = grid_priors([(CELLS, CELLS)], (8,), torch.device('cpu'))
    preds = torch.tensor(everywhere).float().repeat(1, len(priors), 1)
    for index, bbox in (predicted or {}).items():
        preds[0, index] = torch.tensor(bbox)
    return Problem(
        preds,
        torch.zeros(1, len(priors), num_classes),
        torch.zeros(1, len(priors)),
        priors,
        torch.tensor(bboxes).float().reshape(1, -1, 4),
        torch.tensor([labels or [0] * len(bboxes)]).reshape(1, -1),
    )


def cell(x, y):
    """The index of a cell from its column and row."""
    return y * CELLS + x


def owners(assignment, image=0):
    """The ground truth of each positive prior."""
    return {i: j for i, j in enumerate(assignment.gt_index[image].tolist()) if j >= 0}


def test_one_box_without_overlap_takes_its_one_cheapest_prior():
    # All of its inner cells cost the same, so the first takes it.
    problem = grid_problem([[16, 16, 48, 48]])
    assignment = problem.assign()
    assert owners(assignment) == {cell(2, 2): 0}
    assert float(dense_ious(problem, assignment).max()) == 0


def test_a_box_takes_as_many_priors_as_its_overlaps_sum_up_to():
    box = [8.0, 8.0, 56.0, 56.0]
    predicted = {cell(x, y): box for x in (3, 4) for y in (3, 4)}
    predicted[cell(2, 3)] = [8.0, 8.0, 56.0, 20.0]
    problem = grid_problem([box], predicted=predicted)
    assignment = problem.assign()
    assert owners(assignment) == dict.fromkeys([cell(3, 3), cell(4, 3), cell(3, 4), cell(4, 4)], 0)
    assert dense_ious(problem, assignment)[assignment.is_positive].tolist() == [1.0] * 4


@pytest.mark.parametrize('topk', [1, 3, 10])
def test_no_more_than_the_best_candidates_count(topk):
    box = [0.0, 0.0, 64.0, 64.0]
    problem = grid_problem([box], everywhere=box)
    assert len(owners(problem.assign(candidate_topk=topk))) == topk


def test_fewer_priors_than_the_best_candidates():
    problem = grid_problem([[0.0, 0.0, 64.0, 64.0]], predicted={0: [0.0, 0.0, 64.0, 64.0]})
    per_prior = {name: getattr(problem, name)[:, :3] for name in ('pred_bboxes', 'cls_logits', 'obj_logits')}
    few = replace(problem, priors=problem.priors[:3], **per_prior)
    assert owners(few.assign()) == {0: 0}


@pytest.mark.parametrize(
    ('bbox', 'candidates'),
    [
        ([-100, -100, -50, -50], []),
        ([100, 0, 200, 64], []),
        # The centre of the box is 12 pixels off the image, cells within 20 pixels of it still count.
        ([-16, 20, -8, 36], [(0, y) for y in range(1, 6)]),
        ([30, 30, 31, 31], [(x, y) for x in range(1, 6) for y in range(1, 6)]),
        # A cell's centre on the edge is not inside: those of columns 0 and 7 are at 4 and 60.
        ([4, 0, 60, 64], [(x, y) for x in range(1, 7) for y in range(8)]),
    ],
)
def test_candidates_lie_in_a_box_or_near_its_centre(bbox, candidates):
    # Perfect predictions everywhere and a long list of best candidates make every candidate positive.
    problem = grid_problem([bbox], everywhere=bbox)
    assert set(owners(problem.assign(candidate_topk=64))) == {cell(x, y) for x, y in candidates}


def test_a_box_without_area_takes_one_prior_near_it():
    problem = grid_problem([[30, 30, 30, 30]], everywhere=[30, 30, 30, 30])
    assert owners(problem.assign()) == {cell(1, 1): 0}


def test_center_radius_is_in_strides():
    bbox = [31.5, 31.5, 32.5, 32.5]
    problem = grid_problem([bbox], everywhere=bbox)
    counts = [len(owners(problem.assign(candidate_topk=64, center_radius=r))) for r in (0.4, 1, 2, 2.6)]
    assert counts == [0, 4, 16, 36]


def test_priors_inside_and_near_come_before_those_that_are_only_one():
    # The best overlap is at a corner of the box, far from its centre; a prior near it without any wins.
    problem = grid_problem([[0, 0, 64, 64]], predicted={cell(0, 0): [0.0, 0.0, 64.0, 64.0]})
    assert set(owners(problem.assign())) == {cell(2, 2)}


def test_a_prior_that_two_want_goes_to_the_cheaper():
    inner, outer = [24.0, 24.0, 40.0, 40.0], [16.0, 16.0, 48.0, 48.0]
    for boxes in ([inner, outer], [outer, inner]):
        problem = grid_problem(boxes, predicted={cell(3, 3): [24.0, 24.0, 40.0, 41.0]})
        assignment = problem.assign()
        assert owners(assignment) == {cell(3, 3): boxes.index(inner)}
        assert float(dense_ious(problem, assignment)[0, cell(3, 3)]) == pytest.approx(16 / 17)


def test_the_class_decides_between_equal_boxes():
    box = [16, 16, 48, 48]
    problem = grid_problem([box, box], labels=[0, 1])
    problem.cls_logits[0, :, 1] = 2.0
    assert owners(problem.assign()) == {cell(2, 2): 1}
    assert owners(problem.assign(cls_weight=0.0)) == {cell(2, 2): 0}


def test_of_equal_costs_the_lower_index_wins():
    box = [0.0, 0.0, 64.0, 64.0]
    near = [cell(x, y) for y in range(2, 6) for x in range(2, 6)]
    assignment = grid_problem([box, box, box], everywhere=box).assign()
    assert owners(assignment) == dict.fromkeys(near[:10], 0)


def test_costs_below_zero_count_as_zero():
    # Overlaps of 1 and of 1 - 2**-23 cost -3.6e-7 and 0.
    box, nearly = [0.0, 0.0, 64.0, 64.0], [0.0, 0.0, 64.0 * (1 - 2**-23), 64.0]
    problem = grid_problem([box], predicted={cell(3, 3): nearly, cell(4, 4): box})
    assert owners(problem.assign(cls_weight=0.0)) == {cell(3, 3): 0}


def test_a_box_outside_takes_the_cheapest_prior_of_another():
    problem = grid_problem([[0, 0, 32, 32], [200, 200, 220, 220]], labels=[0, 1])
    problem.cls_logits[0, cell(1, 1), 1] = 2.0
    assert owners(problem.assign()) == {cell(0, 0): 0, cell(1, 1): 1}


def listed(*priors, cost=0.0, elsewhere=9.0):
    """Costs of some priors of each ground truth of an image."""
    index = torch.tensor([priors])
    return PairCosts(index, torch.full(index.shape, cost), elsewhere)


@pytest.mark.parametrize(
    ('costs', 'owner'),
    [
        (listed([cell(3, 4), cell(5, 2)], [cell(3, 4), cell(4, 3)]), {cell(5, 2): 0, cell(4, 3): 1}),
        (listed([cell(3, 4)], [cell(4, 3)]), {cell(3, 4): 0, cell(4, 3): 1}),
        # Not inside and near: dearer than anything that is.
        (listed([cell(0, 0)], [cell(7, 7)]), {cell(2, 2): 0}),
        (listed([cell(2, 2), cell(3, 3)], [cell(3, 3), cell(2, 2)], cost=20.0), {cell(3, 2): 0}),
    ],
)
def test_costs_of_some_pairs(costs, owner):
    # Nothing else tells the cells inside and near, nor the ground truths, apart.
    assert owners(grid_problem([[16, 16, 48, 48]] * 2).assign(costs)) == owner


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('max_pairs', [1, 4_000_000])
def test_costs_of_all_pairs_are_exact(kind, max_pairs):
    """The same cost, listed or elsewhere, in any order."""
    for seed in range(3):
        problem = random_problem(kind, seed, batch=3)
        batch, count, num_priors = *problem.gt_labels.shape, len(problem.priors)
        torch.manual_seed(seed)
        index = torch.rand(batch, count, num_priors).argsort(dim=2)
        costs = torch.full(index.shape, 8.0)
        everywhere = problem.assign(PairCosts(index[..., :0], costs[..., :0], 8.0), max_pairs=max_pairs)
        for width in (7, num_priors):
            some = PairCosts(index[..., :width], costs[..., :width], 8.0)
            assert torch.equal(problem.assign(some, max_pairs=max_pairs).gt_index, everywhere.gt_index)


@pytest.mark.parametrize('kind', KINDS)
def test_a_batch_equals_its_images_one_by_one(kind):
    problem = random_problem(kind, seed=7, batch=5)
    together = problem.assign()
    for i in range(5):
        alone = problem.image(i).assign()
        assert torch.equal(together.gt_index[i], alone.gt_index[0])


def test_more_padding_changes_nothing():
    problem = random_problem('scattered', seed=1)
    batch, count = problem.gt_labels.shape
    padded = replace(
        problem,
        gt_bboxes=torch.cat([problem.gt_bboxes, torch.rand(batch, 9, 4) * 64], dim=1),
        gt_labels=torch.cat([problem.gt_labels, torch.full((batch, 9), -1)], dim=1),
    )
    assert torch.equal(padded.assign().gt_index, problem.assign().gt_index)
    assert int(padded.assign().gt_index.max()) < count


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('max_pairs', [1, 2000])
def test_slices_change_nothing(kind, max_pairs):
    for seed in range(4):
        problem = random_problem(kind, seed, batch=2)
        whole, sliced = problem.assign(), problem.assign(max_pairs=max_pairs)
        assert torch.equal(whole.gt_index, sliced.gt_index)
        assert torch.equal(whole.slot_priors, sliced.slot_priors)
        assert torch.equal(whole.slot_gts, sliced.slot_gts)


@pytest.mark.parametrize(('max_pairs', 'bound'), [(1, 2 * 168), (2000, 2000), (4_000_000, 2 * 168 * 60)])
def test_temporaries_are_bounded(max_pairs, bound):
    problem = random_problem('crowded', seed=10, batch=2)
    assert problem.cls_logits.shape == (2, 168, 3)
    with SizeRecorder() as recorder:
        problem.assign(max_pairs=max_pairs, candidate_topk=2)
    rows_and_columns = (8 + 4 + 2) + (16 + 8 + 4)
    assert recorder.largest <= max(4 * bound, 2 * 2 * 60 * rows_and_columns)


@pytest.mark.parametrize('max_pairs', [1, 100_000, 10**9])
def test_memory_stays_within_what_the_docstring_says(max_pairs):
    batch, classes, objects, topk = 4, 20, 64, 10
    priors = grid_priors([(40, 40), (20, 20), (10, 10)], (8, 16, 32), torch.device('cpu'))
    torch.manual_seed(0)
    corners = torch.rand(batch, objects, 2) * 300
    problem = Problem(
        torch.rand(batch, len(priors), 4) * 320,
        torch.randn(batch, len(priors), classes),
        torch.randn(batch, len(priors)),
        priors,
        torch.cat([corners, corners + 30], dim=2),
        torch.randint(classes, (batch, objects)),
    )
    levels = problem.levels()
    arguments = {**vars(problem), 'cls_logits': levels}
    with LiveBytes(arguments) as memory:
        SimOTAAssigner(candidate_topk=topk, max_pairs=max_pairs).assign(**arguments)
    plane = 4 * min(max(max_pairs, classes * len(priors)), batch * len(priors) * objects)
    boxes = 16 * batch * (len(priors) + objects * topk)
    assert memory.peak <= 5 * plane + 6 * boxes


def test_no_temporary_has_a_class_for_each_pair():
    problem = random_problem('crowded', seed=2, batch=2)
    many_classes = replace(problem, cls_logits=torch.randn(2, 168, 100))
    with SizeRecorder() as recorder:
        many_classes.assign()
    assert recorder.largest <= max(2 * 168 * 100, 2 * 168 * 60 * 4)


@pytest.mark.parametrize('max_pairs', [1, 4_000_000])
def test_more_than_a_hundred_boxes_of_an_image_count(max_pairs):
    bboxes = [[8 * x + 1, 8 * y + 1, 8 * x + 7, 8 * y + 7] for y in range(8) for x in range(8)] * 3
    assignment = grid_problem(bboxes[:130]).assign(max_pairs=max_pairs)
    assert len(owners(assignment)) == 64
    later = grid_problem([[0, 0, 1, 1]] * 129 + [[40, 40, 56, 56]]).assign(max_pairs=max_pairs)
    assert 129 in owners(later).values()


@pytest.mark.parametrize('count', [0, 3])
def test_without_ground_truths_all_is_background(count):
    problem = grid_problem([[0, 0, 64, 64]] * count, labels=[-1] * count)
    assignment = problem.assign()
    assert not assignment.is_positive.any()
    assert assignment.gt_index.unique().tolist() == [-1]
    assert assignment.slot_priors.unique().tolist() == [-1] * (count > 0)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_scores_of_half_precision_are_matched_in_float32(dtype):
    problem = random_problem('scattered', seed=5)
    logits = {name: getattr(problem, name).to(dtype) for name in ('cls_logits', 'obj_logits')}
    half, rounded = replace(problem, **logits), replace(problem, **{k: v.float() for k, v in logits.items()})
    with torch.autocast('cpu', torch.bfloat16):
        assignment = half.assign()
    assert torch.equal(assignment.gt_index, rounded.assign().gt_index)


@pytest.mark.parametrize('kind', KINDS)
def test_each_positive_prior_fills_one_slot(kind):
    for seed in range(4):
        problem = random_problem(kind, seed)
        assignment = problem.assign()
        batch, objects = problem.gt_labels.shape
        assert assignment.slot_priors.shape == (batch, objects * 10)
        for i, is_filled in enumerate(assignment.is_filled):
            priors, gts = assignment.slot_priors[i, is_filled], assignment.slot_gts[i, is_filled]
            assert owners(assignment, i) == dict(zip(priors.tolist(), gts.tolist(), strict=True))
            assert len(priors) == int(assignment.is_positive[i].sum())
            assert torch.count_nonzero(assignment.slot_gts[i, ~is_filled]) == 0


def test_types_and_no_gradient():
    problem = random_problem('scattered', seed=3)
    problem.cls_logits.requires_grad_()
    assignment = problem.assign()
    assert isinstance(assignment, Assignment)
    assert assignment.gt_index.dtype == torch.int64
    assert torch.equal(assignment.is_positive, assignment.gt_index >= 0)


def test_arguments_are_left_alone():
    problem = random_problem('doubled', seed=3)
    before = copy.deepcopy(vars(problem))
    problem.assign(max_pairs=1)
    assert all(torch.equal(value, before[name]) for name, value in vars(problem).items())


@pytest.mark.parametrize('field', ['cls_logits', 'obj_logits', 'pred_bboxes'])
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_broken_predictions_do_not_stop_the_assignment(field, value):
    # The loss is where they are noticed: InvalidLossHook says what was in the batch.
    problem = random_problem('scattered', seed=3)
    broken = getattr(problem, field).clone()
    broken[0] = value
    assignment = replace(problem, **{field: broken}).assign()
    assert int(assignment.gt_index.max()) < problem.gt_labels.shape[1]
    assert torch.equal(assignment.gt_index[1:], problem.assign().gt_index[1:])


def test_registered_by_name():
    assigner = TASK_UTILS.build(dict(type='SimOTAAssigner', center_radius=1.5))
    assert isinstance(assigner, SimOTAAssigner)
    assert assigner.center_radius == 1.5


@pytest.mark.gpu
@pytest.mark.parametrize('kind', KINDS)
def test_a_gpu_gives_the_same(kind):
    for seed in range(4):
        problem = random_problem(kind, seed)
        on_gpu = Problem(**{name: value.cuda() for name, value in vars(problem).items()})
        is_same = on_gpu.assign().gt_index.cpu() == problem.assign().gt_index
        # Transcendental functions round differently, which decides ties at the cost of being outside.
        assert float(is_same.float().mean()) > 0.99

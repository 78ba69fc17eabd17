"""Boxes beside others: against loops over all pairs, and what SimOTA makes of a cell of the grid."""

import time
import tracemalloc
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch

from mmyolox.doctor.checks import pairs
from mmyolox.models.assigner import SimOTAAssigner
from mmyolox.models.boxes import grid_priors
from tests.doctor.made_data import Made, examined

NAMES = ['a.jpg', 'b.jpg', 'c.jpg']
STRIDES = (8, 16, 32)


def crowded(seed, count=300):
    """Boxes of a few places and sizes, some moved a little, in three images."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 120, (count, 2)).round(-1)
    sides = rng.choice([20, 40, 41, 100], (count, 2))
    moved = rng.choice([0, 0, 0.5, 3], (count, 2))
    corners = np.concatenate([places + moved, places + moved + sides], axis=1)
    return [(*rng.integers(0, (3, 2)).tolist(), *corner) for corner in corners.tolist()]


def iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if min(width, height) <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def best_partners(own, is_kind):
    """By a loop: the IoU of each box with the earlier one of its image that it shares most with."""
    best = [0.0] * len(own)
    for first, second in combinations(range(len(own)), 2):
        if own[first][0] == own[second][0] and is_kind(own[first], own[second]):
            best[second] = max(best[second], iou(own[first][2:], own[second][2:]))
    return [value if value >= pairs.SAME else 0.0 for value in best]


@pytest.mark.parametrize('seed', range(5))
def test_near_partners_are_those_of_a_loop(seed):
    own = crowded(seed, 800)
    own += own[:20]
    near = pairs.near_partners(examined({'train': Made(NAMES, own)}))
    firsts = [own.index(one) for one in own]
    copies = [first if first < index else -1 for index, first in enumerate(firsts)]
    assert near.equal.firsts.tolist() == copies
    distinct = [one if copy < 0 else (-1, *one[1:]) for one, copy in zip(own, copies, strict=True)]
    for found, is_same in ((near.same_class, True), (near.other_class, False)):
        expected = best_partners(
            distinct, lambda one, two, same=is_same: one[0] >= 0 and (one[1] == two[1]) is same
        )
        np.testing.assert_allclose(found.ious, expected)
        assert sum(value > 0 for value in expected) > 3
        for second, first in enumerate(found.firsts.tolist()):
            assert first < 0 or np.isclose(iou(own[first][2:], own[second][2:]), expected[second])


@pytest.mark.parametrize('shift', [0, 1e-4])
def test_thousands_of_boxes_at_one_place_take_little_memory(shift):
    own = [(0, 0, 10, 10, 50 + shift * number, 50) for number in range(3000)]
    data = examined({'train': Made(NAMES, own)})
    tracemalloc.start()
    near = pairs.near_partners(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ((near.equal if shift == 0 else near.same_class).firsts >= 0).sum() == 2999
    assert most < 4_000_000  # all 4.5 million pairs take 100


@pytest.mark.parametrize(('count', 'is_cut'), [(501, False), (502, True), (20_000, True)])
def test_of_a_pile_not_all_pairs_are_compared_and_that_is_told(count, is_cut):
    rng = np.random.default_rng(0)
    corners = [100, 100, 300, 250] + rng.uniform(-2, 2, (count, 4))
    own = [(1, 0, *corner) for corner in corners.tolist()]
    data = examined({'train': Made(NAMES, own)})
    start = time.process_time()
    near = data.derived(pairs.near_partners)
    assert time.process_time() - start < 30  # all 200 million pairs take minutes
    assert (near.same_class.firsts >= 0).sum() > 0.99 * count
    assert pairs.boxes_not_compared.find(data).indices.tolist() == [1] * is_cut


def test_pairs_are_told_apart_by_class_and_by_equality():
    own = [(0, 0, 10, 10, 50, 50), (0, 0, 10, 10, 50, 50), (0, 1, 10, 10, 50, 50), (0, 0, 10, 10, 50, 51)]
    data = examined({'train': Made(NAMES, [*own, (1, 0, 10, 10, 50, 50)])})
    checks = (pairs.box_repeated, pairs.box_nearly_repeated, pairs.box_of_two_classes)
    assert [check.find(data).indices.tolist() for check in checks] == [[1], [3], [2, 3]]
    example = pairs.box_of_two_classes.find(data).examples[0]
    assert example.detail == "'cat' and 'dog', IoU 1.000 with annotation 1"
    assert example.boxes == (2, 0)


def test_crowds_and_boxes_of_no_use_are_no_pairs():
    own = [(0, 0, 10, 10, 50, 50)] * 3 + [(0, 0, float('nan'), 10, 50, 50)] * 2 + [(0, 0, 9, 9, 9, 9)] * 2
    data = examined({'train': Made(NAMES, own, crowds=[1, 2])})
    assert all(one.firsts.max() < 0 for one in pairs.near_partners(data)[:3])


@pytest.mark.parametrize('seed', range(3))
def test_cells_are_counted_as_by_a_loop(seed):
    own = crowded(seed, 600)
    data = examined({'train': Made(NAMES, own, size=(640, 640))})
    cells = [(image, (x1 + x2) / 2 // 8, (y1 + y2) / 2 // 8) for image, _, x1, y1, x2, y2 in own]
    counts = Counter(cells)
    expected = [index for index, cell in enumerate(cells) if counts[cell] >= 3]
    assert sorted(pairs.cell_crowded.find(data).indices.tolist()) == expected
    assert expected


def unmatched(offsets, side, seed=0, batch=64):
    """The share of objects that SimOTA gives no prior to, with boxes as a network predicts at its start.

    Args:
        offsets: (M, 2) the centres of the objects of each image, from a cell's corner, pixels.
        side: How large they are.
        seed: The seed of the predictions.
        batch: How many images.
    """
    generator = torch.Generator().manual_seed(seed)
    shapes = [(320 // stride, 320 // stride) for stride in STRIDES]
    priors = grid_priors(shapes, STRIDES, torch.device('cpu'))
    count = len(priors)
    noise = torch.randn(batch, count, 4, generator=generator) * 0.3
    centres = priors[:, :2] + priors[:, 2:] * (0.5 + noise[..., :2])
    sides = priors[:, 2:] * noise[..., 2:].exp()
    predicted = torch.cat([centres - sides / 2, centres + sides / 2], dim=2)
    logits = [torch.randn(batch, 1, *shape, generator=generator) * 0.3 - 2 for shape in shapes]
    corners = torch.randint(10, 30, (batch, 1, 2), generator=generator) * 8.0
    places = corners + torch.tensor(offsets)
    own = side * (torch.randn(places.shape, generator=generator) * 0.2).exp()
    truth = torch.cat([places - own / 2, places + own / 2], dim=2)
    labels = torch.zeros(truth.shape[:2], dtype=torch.int64)
    scores = torch.randn(batch, count, generator=generator) * 0.3 - 2
    matched = SimOTAAssigner().assign(predicted, logits, scores, priors, truth, labels).gt_index
    served = [(matched == index).any(dim=1).float().mean().item() for index in range(len(offsets))]
    return 1 - sum(served) / len(served)


def test_of_three_objects_in_a_cell_a_third_is_not_served_at_the_start():
    assert unmatched([[2.0, 3.0], [5.0, 5.0], [4.0, 2.0]], side=12) > 0.3
    assert unmatched([[4.0, 4.0], [4.0, 20.0], [20.0, 4.0]], side=12) < 0.05

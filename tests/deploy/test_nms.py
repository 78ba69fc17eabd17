"""mmyolox/deploy/nms.py against the torch form and a plain loop."""

import numpy as np
import pytest
import torch

from mmyolox.deploy import nms
from mmyolox.deploy.nms import batched_nms, best_first
from mmyolox.nms import images_nms


def random_boxes(rng: np.random.Generator, count: int, classes: int, spread: float, steps: int = 0):
    """Boxes around a few centres; with ``steps`` only that many different scores and whole coordinates."""
    centres = rng.uniform(0, 640, (max(1, count // 8), 2))[rng.integers(0, max(1, count // 8), count)]
    centres = centres + rng.normal(0, spread, (count, 2))
    halves = rng.uniform(5, 60, (count, 2))
    bboxes = np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    if steps:
        bboxes, scores = bboxes.round(-1), np.float32(scores * steps).round() / np.float32(steps)
    return bboxes, scores, rng.integers(0, classes, count)


def torch_answer(bboxes, scores, labels, iou_threshold, max_num=-1, max_candidates=-1):
    images = torch.zeros(len(scores), dtype=torch.int64)
    tensors = (torch.from_numpy(array) for array in (bboxes, scores, labels))
    return images_nms(*tensors, images, iou_threshold, max_num, max_candidates).tolist()


@pytest.mark.parametrize('seed', range(60))
def test_equals_the_torch_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.choice([0, 1, 2, 17, 128, 129, 500, 1500]))
    classes = int(rng.choice([1, 2, 80]))
    boxes = random_boxes(rng, count, classes, float(rng.choice([1, 5, 50])), int(rng.choice([0, 7])))
    threshold = float(rng.choice([0.0, 0.45, 0.65, 1.0]))
    for max_num, max_candidates in [(-1, -1), (0, -1), (1, -1), (10, -1), (300, -1), (20, 100), (-1, 0)]:
        kept = batched_nms(*boxes, threshold, max_num, max_candidates).tolist()
        assert kept == torch_answer(*boxes, threshold, max_num, max_candidates)


@pytest.mark.parametrize('block', [1, 2, 5, 1000])
@pytest.mark.parametrize('worthwhile', [0.0, 1.0])
def test_no_way_of_going_through_the_boxes_changes_the_answer(monkeypatch, block, worthwhile) -> None:
    monkeypatch.setattr(nms, '_BLOCK', block)
    monkeypatch.setattr(nms, '_PAIRS', 3 * block)
    monkeypatch.setattr(nms, '_WORTHWHILE', worthwhile)
    boxes = random_boxes(np.random.default_rng(0), 300, 3, 5.0)
    assert batched_nms(*boxes, 0.5, 20).tolist() == torch_answer(*boxes, 0.5, 20)


def test_greedy_means_that_a_dropped_box_drops_none() -> None:
    bboxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert batched_nms(bboxes, scores, np.zeros(3, int), 0.4).tolist() == [0, 2]


def test_boxes_beyond_the_first_window_are_looked_at_when_they_are_needed() -> None:
    bboxes = np.tile(np.float32([0, 0, 10, 10]), (400, 1))
    bboxes[[300, 350, 399], :] += 100 * np.arange(1, 4, dtype=np.float32)[:, None]
    scores = np.linspace(1, 0, 400, dtype=np.float32)
    assert batched_nms(bboxes, scores, np.zeros(400, int), 0.5, 3).tolist() == [0, 300, 350]


def test_iou_must_exceed_the_threshold() -> None:
    bboxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert batched_nms(bboxes, scores, np.zeros(2, int), 0.5).tolist() == [0, 1]
    assert batched_nms(bboxes, scores, np.zeros(2, int), 0.499).tolist() == [0]


@pytest.mark.filterwarnings('error')
def test_what_is_no_number_or_has_no_area_suppresses_nothing() -> None:
    bboxes = np.array(
        [[0, 0, 9, 9], [np.nan, 0, 9, 9], [5, 5, 5, 5], [5, 5, 5, 5], [0, 0, np.inf, 9]], np.float32
    )
    scores = np.array([0.1, np.nan, 0.3, 0.4, np.nan], np.float32)
    labels = np.zeros(5, int)
    assert batched_nms(bboxes, scores, labels, 0.5).tolist() == torch_answer(bboxes, scores, labels, 0.5)


@pytest.mark.parametrize('count', [-1, 0, 1, 3, 4, 6, 9])
def test_the_best_come_first_and_equal_ones_in_order(count: int) -> None:
    scores = np.array([0.5, np.nan, 0.9, 0.5, 0.5, 0.1], np.float32)
    order = [2, 0, 3, 4, 5, 1]
    assert best_first(scores, count).tolist() == (order if count < 0 else order[:count])

"""NMS against a loop in float32, its limits, and its memory."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmyolox.nms import batched_nms, images_nms, nms

INF = float('inf')
NAN = float('nan')


def iou(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of a box (4,) with boxes (N, 4), step by step in float32 as the compiled ops compute it."""
    with np.errstate(all='ignore'):
        width = np.maximum(np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0]), np.float32(0))
        height = np.maximum(np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1]), np.float32(0))
        inter = width * height
        area = (box[2] - box[0]) * (box[3] - box[1])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return inter / (area + areas - inter)


def loop(bboxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> list[int]:
    """Greedy NMS, a box after the other."""
    boxes, classes = bboxes.numpy(), labels.numpy()
    kept: list[int] = []
    for index in np.argsort(-scores.numpy(), kind='stable').tolist():
        rivals = [other for other in kept if classes[other] == classes[index]]
        if not (iou(boxes[index], boxes[rivals]) > np.float32(iou_threshold)).any():
            kept.append(index)
    return kept


def random_boxes(n: int, classes: int, seed: int, objects: int = 300) -> tuple[Tensor, Tensor, Tensor]:
    """A detector's candidates: many boxes around each of some objects of one class, distinct scores."""
    generator = torch.Generator().manual_seed(seed)
    owner = torch.randint(objects, (n,), generator=generator)
    size = torch.rand(objects, 2, generator=generator)[owner] * 190 + 10
    centre = torch.rand(objects, 2, generator=generator)[owner] * 640
    centre += torch.randn(n, 2, generator=generator) * size * 0.1
    size *= torch.exp(torch.randn(n, 2, generator=generator) * 0.15)
    scores = (torch.randperm(n, generator=generator) + 1) / n
    return torch.cat([centre - size / 2, centre + size / 2], 1), scores, owner % classes


def grid_boxes(n: int, classes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Small whole-pixel boxes, some of 1 pixel or none, with duplicates, equal IoUs and equal scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(6, (n, 2), generator=generator).float()
    size = torch.randint(5, (n, 2), generator=generator).float()
    scores = torch.randint(1, 8, (n,), generator=generator) / 8
    return torch.cat([corner, corner + size], 1), scores, torch.randint(classes, (n,), generator=generator)


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self.elements = max(self.elements, value.numel() if isinstance(value, Tensor) else 0)
        return result


@pytest.mark.parametrize('classes', [1, 3, 80])
@pytest.mark.parametrize('make', [random_boxes, grid_boxes])
def test_equals_the_loop_in_random_cases(make: Any, classes: int) -> None:
    thresholds = (0.0, 0.2, 0.5, 0.65, 1.0)
    for seed in range(100):
        n = int(torch.randint(60, (1,), generator=torch.Generator().manual_seed(seed)))
        case = (*make(n, classes, seed), thresholds[seed % len(thresholds)])
        assert batched_nms(*case).tolist() == loop(*case), f'seed {seed}'


@pytest.mark.parametrize(('n', 'classes'), [(179, 1), (180, 1), (181, 1), (1500, 1), (1500, 4), (1500, 900)])
def test_equals_the_loop_across_blocks(n: int, classes: int) -> None:
    bboxes, scores, labels = random_boxes(n, classes, seed=n, objects=60)
    labels[: n // 2] = 0  # one class far larger than the others
    assert batched_nms(bboxes, scores, labels, 0.65).tolist() == loop(bboxes, scores, labels, 0.65)


@pytest.mark.parametrize('classes', [1, 80])
def test_50000_boxes_keep_the_greedy_set_in_little_memory(classes: int) -> None:
    """Greedy NMS is the only set that keeps just those boxes that no kept better one overlaps."""
    bboxes, scores, labels = random_boxes(50_000, classes, seed=0, objects=100)
    with Largest() as largest:
        keep = batched_nms(bboxes, scores, labels, 0.65)
    assert largest.elements <= 4 * 50_000  # the boxes themselves: 2.5e9 pairs are never there at once
    boxes, ranks, groups = bboxes.numpy(), scores.numpy(), labels.numpy()
    is_covered = np.zeros(len(boxes), dtype=bool)
    for index in keep.tolist():
        rivals = ((ranks < ranks[index]) & (groups == groups[index])).nonzero()[0]
        is_covered[rivals[iou(boxes[index], boxes[rivals]) > np.float32(0.65)]] = True
    assert sorted(keep.tolist()) == (~is_covered).nonzero()[0].tolist()
    assert (scores[keep].diff() < 0).all()


def test_long_chain_of_boxes_that_each_depend_on_the_one_before() -> None:
    left = torch.arange(2000) * 10.0
    bboxes = torch.stack([left, torch.zeros(2000), left + 100, torch.full((2000,), 50.0)], 1)
    keep = nms(bboxes, torch.linspace(1, 0.1, 2000), 0.5)  # a box overlaps the three on each side
    assert keep.tolist() == list(range(0, 2000, 4))


@pytest.mark.parametrize('n', [0, 1])
def test_none_and_one(n: int) -> None:
    keep = batched_nms(torch.ones(n, 4), torch.ones(n), torch.zeros(n, dtype=torch.int64), 0.5)
    assert keep.tolist() == list(range(n))
    assert keep.dtype == torch.int64


BOX = [10.0, 10, 20, 20]
EMPTY = [10.0, 10, 10, 20]


@pytest.mark.parametrize(
    ('boxes', 'scores', 'threshold', 'kept'),
    [
        pytest.param([BOX, BOX, BOX], [0.5, 0.5, 0.5], 0.5, [0], id='equal scores: the first stays'),
        pytest.param([BOX, EMPTY, EMPTY], [0.9, 0.8, 0.7], 0.0, [0, 1, 2], id='no area: no overlap'),
        pytest.param([[0.0, 0, 1, 1], [0.0, 0, 1, 1]], [0.1, 0.2], 0.5, [1], id='one pixel'),
        pytest.param(
            [[0.0, 0, 2, 1], [1.0, 0, 2, 1]], [0.9, 0.8], 0.5, [0, 1], id='IoU equals the threshold'
        ),
        pytest.param([[0.0, 0, 2, 1], [1.0, 0, 2, 1]], [0.9, 0.8], 0.49, [0], id='IoU above the threshold'),
        pytest.param([BOX, BOX, BOX], [NAN, 0.1, INF], 0.5, [2], id='infinite score is best'),
        pytest.param([BOX, BOX], [NAN, -INF], 0.5, [0], id='NaN score is lowest'),
        pytest.param([BOX, [60.0, 60, 70, 70]], [NAN, 0.1], 0.5, [1, 0], id='NaN score comes last'),
        pytest.param([[NAN, 10, 20, 20], BOX], [0.9, 0.8], 0.5, [0, 1], id='NaN coordinate overlaps nothing'),
        pytest.param(
            [[0.0, 0, 10, 10], [3.0, 0, 13, 10], [6.0, 0, 16, 10]],
            [0.9, 0.8, 0.7],
            0.5,
            [0, 2],
            id='a dropped box drops none',
        ),
    ],
)
def test_case(boxes: list[list[float]], scores: list[float], threshold: float, kept: list[int]) -> None:
    assert nms(torch.tensor(boxes), torch.tensor(scores), threshold).tolist() == kept


def test_classes_do_not_see_each_other() -> None:
    keep = batched_nms(
        torch.tensor([BOX] * 4), torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([7, 0, 7, -1]), 0.5
    )
    assert keep.tolist() == [3, 2, 1]


def test_large_labels_do_not_round_coordinates() -> None:
    """IoU 0.5003 and 0.4998: lost when the boxes are moved by label * 1281 pixels."""
    bboxes = torch.tensor([[0, 0, 1280, 1], [0, 0, 640.4, 1], [0, 2, 1280, 3], [0, 2, 639.7, 3]]) / 64
    labels = torch.full((4,), 1200)
    assert batched_nms(bboxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), labels, 0.5).tolist() == [0, 2, 3]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_computes_in_float32_whatever_the_dtype(dtype: torch.dtype) -> None:
    """Areas of 1e6 overflow in float16."""
    bboxes = torch.tensor([[0, 0, 1024, 1024], [0, 0, 1024, 512], [0, 0, 1024, 640]]).to(dtype)
    assert nms(bboxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 1]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_scores(dtype: torch.dtype) -> None:
    scores = torch.tensor([0.25, 0.5, 0.75], dtype=dtype)
    assert nms(torch.tensor([BOX, BOX, [0.0, 0, 5, 5]]), scores, 0.5).tolist() == [2, 1]


def test_autocast_changes_nothing() -> None:
    bboxes, scores, labels = random_boxes(1500, 3, seed=1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        keep = batched_nms(bboxes, scores, labels, 0.65)
    assert torch.equal(keep, batched_nms(bboxes, scores, labels, 0.65))


@pytest.mark.parametrize('max_num', [0, 1, 10, 300, 5000])
def test_max_num_is_the_head_of_the_full_result(max_num: int) -> None:
    bboxes, scores, labels = random_boxes(3000, 20, seed=2)
    bboxes[scores > 0.9], labels[scores > 0.9] = bboxes[0].clone(), 0  # the best 300 are one box
    full = batched_nms(bboxes, scores, labels, 0.65)
    assert torch.equal(batched_nms(bboxes, scores, labels, 0.65, max_num), full[:max_num])


def image_by_image(
    bboxes: Tensor, scores: Tensor, labels: Tensor, images: Tensor, max_num: int, max_candidates: int
) -> list[int]:
    """The loop on each image's best candidates."""
    kept: list[int] = []
    for image in images.unique().tolist():
        index = (images == image).nonzero().flatten()
        index = index[scores[index].argsort(descending=True, stable=True)]
        if max_candidates >= 0:
            index = index[:max_candidates]
        keep = loop(bboxes[index], scores[index], labels[index], 0.5)
        kept += index[keep if max_num < 0 else keep[:max_num]].tolist()
    return kept


@pytest.mark.parametrize('max_candidates', [-1, 0, 7, 40])
@pytest.mark.parametrize('max_num', [-1, 0, 1, 3, 1000])
@pytest.mark.parametrize('make', [random_boxes, grid_boxes])
def test_images_of_a_batch_are_as_each_alone(make: Any, max_num: int, max_candidates: int) -> None:
    for seed in range(8):
        bboxes, scores, labels = make(150, 3, seed)
        generator = torch.Generator().manual_seed(seed)
        # Image 0 has no box, 4 a single one, and the others come in any order.
        images = torch.tensor([1, 2, 3, 3, 3])[torch.randint(5, (150,), generator=generator)]
        images[17] = 4
        labels[:20] -= 5
        keep = images_nms(bboxes, scores, labels, images, 0.5, max_num, max_candidates)
        expected = image_by_image(bboxes, scores, labels, images, max_num, max_candidates)
        assert keep.tolist() == expected, f'seed {seed}'


def test_images_without_any_box() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    keep = images_nms(torch.zeros(0, 4), torch.zeros(0), nothing, nothing, 0.5, 10, 10)
    assert keep.shape == (0,)
    assert keep.dtype == torch.int64


def test_one_crowded_image_looks_at_more_boxes_than_the_others() -> None:
    """The best 300 boxes of image 0 are one object, so that its three kept ones come from all 900."""
    bboxes, scores, labels = random_boxes(1800, 1, seed=5)
    images = torch.arange(2).repeat(900)
    crowd = (images == 0) & (scores > scores[images == 0].sort(descending=True).values[300])
    bboxes[crowd] = torch.tensor(BOX)
    keep = images_nms(bboxes, scores, labels, images, 0.5, 3)
    assert keep.tolist() == image_by_image(bboxes, scores, labels, images, 3, -1)
    assert images[keep].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize('crowd', range(1, 12))
def test_no_box_behind_a_crowd_is_overlooked(crowd: int) -> None:
    bboxes = torch.tensor([BOX] * crowd + [[60.0, 60, 70, 70]])
    keep = batched_nms(bboxes, torch.linspace(1, 0.1, crowd + 1), torch.zeros(crowd + 1, dtype=int), 0.5, 2)
    assert keep.tolist() == [0, crowd]


@pytest.mark.parametrize('classes', [1, 4, 900])
def test_the_blocks_of_accelerators_give_the_same(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_boxes(3000, classes, seed=4)
    expected = batched_nms(*case, 0.65)
    module = import_module('mmyolox.nms')
    monkeypatch.setattr(module, '_CPU_BLOCK', module._ACCELERATOR_BLOCK)
    with Largest() as largest:
        assert torch.equal(batched_nms(*case, 0.65), expected)
    assert 180**2 < largest.elements <= module._ACCELERATOR_BLOCK**2


@pytest.mark.gpu
@pytest.mark.parametrize('classes', [1, 80])
def test_gpu_equals_cpu(classes: int) -> None:
    case = random_boxes(5000, classes, seed=3)
    assert torch.equal(batched_nms(*(part.cuda() for part in case), 0.65).cpu(), batched_nms(*case, 0.65))

"""Priors, decoding and its inverse, and overlaps of boxes."""

import math

import pytest
import torch

from mmyolox.models.boxes import (
    bbox_areas,
    bbox_ious,
    decode_bboxes,
    encode_bboxes,
    grid_priors,
    pairwise_ious,
    points_inside,
)

CPU = torch.device('cpu')


def random_bboxes(count, size=640.0):
    """Boxes of 1 to ``size`` pixels, corners anywhere in a canvas of that size."""
    corners = torch.rand(count, 2) * size
    return torch.cat([corners, corners + 1 + torch.rand(count, 2) * (size - 1)], dim=1)


def test_priors_are_the_corners_of_all_cells_row_by_row():
    priors = grid_priors([(2, 3), (1, 1)], (8, 16), CPU)
    expected = [[x * 8, y * 8, 8] for y in range(2) for x in range(3)] + [[0, 0, 16]]
    assert priors.tolist() == expected
    assert priors.dtype == torch.float32


@pytest.mark.parametrize('sizes', [[(80, 80), (40, 40), (20, 20)], [(68, 120), (34, 60), (17, 30)]])
def test_priors_follow_the_size_of_each_call(sizes):
    grid_priors([(4, 4), (2, 2), (1, 1)], (8, 16, 32), CPU)
    priors = grid_priors(sizes, (8, 16, 32), CPU)
    assert len(priors) == sum(h * w for h, w in sizes)
    assert priors[-1].tolist() == [(sizes[2][1] - 1) * 32, (sizes[2][0] - 1) * 32, 32]


def test_priors_are_made_on_the_device_asked_for():
    assert grid_priors([(2, 2)], (8,), torch.device('meta')).device.type == 'meta'


def test_as_many_strides_as_levels():
    with pytest.raises(ValueError, match='zip'):
        grid_priors([(2, 2), (1, 1)], (8,), CPU)


def test_decoding_by_hand():
    priors = torch.tensor([[16.0, 24.0, 8.0], [0.0, 32.0, 32.0]])
    raw = torch.tensor([[0.5, 0.25, 0.0, math.log(2)], [-0.5, 0.0, math.log(0.5), math.log(3)]])
    expected = torch.tensor([[16.0, 18.0, 24.0, 34.0], [-24.0, -16.0, -8.0, 80.0]])
    assert torch.allclose(decode_bboxes(raw, priors), expected, atol=1e-5)


def test_encoding_inverts_decoding():
    torch.manual_seed(0)
    priors = grid_priors([(8, 4), (4, 2), (2, 1)], (8, 16, 32), CPU)
    raw = torch.randn(len(priors), 4)
    assert torch.allclose(encode_bboxes(decode_bboxes(raw, priors), priors), raw, atol=1e-4)


def test_decoding_inverts_encoding():
    torch.manual_seed(0)
    priors = grid_priors([(80, 40)], (8,), CPU)
    bboxes = random_bboxes(len(priors))
    assert torch.allclose(decode_bboxes(encode_bboxes(bboxes, priors), priors), bboxes, atol=1e-3)


def test_a_box_without_area_encodes_to_finite_numbers():
    encoded = encode_bboxes(torch.tensor([[8.0, 8.0, 8.0, 8.0]]), torch.tensor([[0.0, 0.0, 8.0]]))
    assert encoded.tolist() == [[1.0, 1.0, pytest.approx(math.log(1e-8)), pytest.approx(math.log(1e-8))]]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_decoded_in_float32(dtype):
    priors = grid_priors([(160, 160)], (8,), CPU)
    raw = torch.tensor([0.125, 0.375, 0.0, 0.0], dtype=dtype).expand(1, len(priors), 4)
    bboxes = decode_bboxes(raw, priors)
    centers = (bboxes[..., :2] + bboxes[..., 2:]) / 2
    assert bboxes.dtype == torch.float32
    # Exact up to the last cell at 1272 pixels, where half precision has steps of one pixel or eight.
    assert torch.equal(centers[0], priors[:, :2] + torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_sides_of_half_precision_are_exact_too(dtype):
    torch.manual_seed(0)
    priors = grid_priors([(160, 160)], (8,), CPU)
    raw = torch.randn(len(priors), 4).to(dtype)
    with torch.autocast('cpu', dtype):
        bboxes = decode_bboxes(raw, priors)
    assert torch.equal(bboxes, decode_bboxes(raw.float(), priors))


@pytest.mark.parametrize(
    ('a', 'b', 'iou'),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0),
        ([0, 0, 2, 2], [5, 5, 6, 6], 0),
        ([0, 0, 10, 10], [4, 4, 5, 5], 0.01),
        ([-4, -4, 4, 4], [0, 0, 4, 4], 0.25),
        ([0, 0, 0.1, 0.1], [0, 0, 0.1, 0.1], 1),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),
        ([0, 0, 2, 2], [1, 1, 1, 1], 0),
        ([600, 600, 601, 601], [600, 600, 601, 602], 0.5),
    ],
)
def test_overlap_of_two_boxes(a, b, iou):
    a, b = torch.tensor(a).float(), torch.tensor(b).float()
    assert float(bbox_ious(a, b)) == pytest.approx(iou)
    assert float(bbox_ious(b, a)) == pytest.approx(iou)


def test_overlaps_broadcast_over_pairs():
    torch.manual_seed(0)
    a, b = random_bboxes(6), random_bboxes(4)
    pairs = bbox_ious(a[:, None], b[None])
    assert pairs.shape == (6, 4)
    for i in range(6):
        assert torch.equal(pairs[i], bbox_ious(a[i].expand(4, 4), b))
    assert float(pairs.max()) <= 1


def test_overlaps_of_all_pairs_equal_those_of_each_bit_for_bit():
    torch.manual_seed(0)
    a, b = random_bboxes(12).unflatten(0, (2, 6)), random_bboxes(80).unflatten(0, (2, 40))
    a[0, 0], b[0, 0], b[1, 3] = b[0, 1].clone(), torch.tensor([5.0, 5, 5, 5]), a[1, 2].clone()
    before = a.clone(), b.clone()
    assert torch.equal(pairwise_ious(a, b), bbox_ious(a[:, :, None], b[:, None]))
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


def test_boxes_and_priors_broadcast_over_a_batch():
    torch.manual_seed(0)
    priors = grid_priors([(8, 4)], (8,), CPU)
    picked = torch.randint(len(priors), (3, 5))
    raw = torch.randn(3, 5, 4)
    bboxes = decode_bboxes(raw, priors[picked])
    for i in range(3):
        assert torch.equal(bboxes[i], decode_bboxes(raw[i], priors[picked[i]]))
    assert torch.allclose(encode_bboxes(bboxes, priors[picked]), raw, atol=1e-4)


def test_areas():
    assert bbox_areas(torch.tensor([[0.0, 0, 2, 3], [-1, -1, 1, 1], [4, 4, 4, 9]])).tolist() == [6, 4, 0]


@pytest.mark.parametrize(
    ('point', 'inside'), [((1, 1), True), ((0, 1), False), ((2, 1), False), ((1, 2), False), ((3, 1), False)]
)
def test_a_point_on_the_edge_is_not_inside(point, inside):
    bboxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert points_inside(torch.tensor([point]).float(), bboxes).tolist() == [inside]


def test_a_box_without_area_has_nothing_inside():
    assert not points_inside(torch.zeros(1, 2), torch.zeros(3, 4)).any()

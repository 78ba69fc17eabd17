"""Keypoints under a matrix, in NumPy and in a batch: against plain loops, and there and back."""

import math

import numpy as np
import pytest
import torch

from mmyolox.datasets.canvas.geometry import (
    horizontal_flip,
    rotation,
    scaling,
    shearing,
    transform_bboxes,
    translation,
)
from mmyolox.deploy.letterbox import Size
from mmyolox.projects.yolox_pose.batch_augments import flip_keypoints, scale_keypoints
from mmyolox.projects.yolox_pose.tests.files import SWAPPED, people_in
from mmyolox.projects.yolox_pose.transforms import map_areas, map_keypoints, without_outliers

SIZE = Size(80, 60)
TRANSPOSE = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])


def vertical_flip(height):
    return np.array([[1.0, 0, 0], [0, -1, height], [0, 0, 1]])


def by_loop(people, matrix, size):
    """Keypoints of people after a map, in plain numbers."""
    (a, b, x0), (c, d, y0), _ = matrix.tolist()
    moved = []
    for person in people.tolist():
        points = []
        for x, y, v in person:
            u, w = a * x + b * y + x0, c * x + d * y + y0
            inside = 0 <= u <= size[0] and 0 <= w <= size[1]
            points.append([u, w, v] if v > 0 and inside else [0, 0, 0])
        moved.append([points[i] for i in SWAPPED] if a * d - b * c < 0 else points)
    return np.array(moved).reshape(-1, 5, 3)


def random_matrix(rng):
    mirror = [np.eye(3), horizontal_flip(SIZE[0]), vertical_flip(SIZE[1]), TRANSPOSE][rng.integers(4)]
    turned = rotation(rng.uniform(-180, 180)) @ shearing(*rng.uniform(-20, 20, 2))
    return translation(*rng.uniform(-40, 40, 2)) @ scaling(*rng.uniform(0.3, 2, 2)) @ turned @ mirror


def make(count=6, seed=0):
    return people_in(SIZE, count, np.random.default_rng(seed))[1].astype(np.float32)


def moved(keypoints, matrix, size=SIZE):
    return map_keypoints(keypoints, matrix, size, SWAPPED)


@pytest.mark.parametrize('seed', range(50))
def test_equals_a_loop(seed):
    rng = np.random.default_rng(seed)
    keypoints, matrix, size = make(int(rng.integers(8)), seed), random_matrix(rng), (100, 70)
    found = moved(keypoints, matrix, size)
    wanted = by_loop(keypoints, matrix, size)
    assert (found.dtype, found.shape) == (np.float32, keypoints.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_array_equal(found[..., 2], wanted[..., 2])


@pytest.mark.parametrize(
    ('matrix', 'swaps'),
    [
        (np.eye(3), False),
        (horizontal_flip(80), True),
        (vertical_flip(60), True),
        (horizontal_flip(80) @ vertical_flip(60), False),
        (translation(80, 60) @ rotation(180), False),
        (TRANSPOSE, True),
        (translation(60, 0) @ rotation(90), False),
        (scaling(0.5, 0.25), False),
    ],
)
def test_mirrors_swap_joints_and_turns_do_not(matrix, swaps):
    ramp = np.array([[[10 * i, 12 * i, 1 + i % 2] for i in range(1, 6)]], np.float32)
    found = moved(ramp, matrix, (200, 200))
    back = found[:, SWAPPED] if swaps else found
    points = np.concatenate([ramp[0, :, :2], np.ones((5, 1))], axis=1) @ matrix.T
    np.testing.assert_allclose(back[0, :, :2], points[:, :2], atol=1e-4)
    np.testing.assert_array_equal(back[..., 2], ramp[..., 2])


@pytest.mark.parametrize('flip', [horizontal_flip(80), vertical_flip(60)])
@pytest.mark.parametrize('seed', range(20))
def test_flip_twice_is_the_identity(flip, seed):
    keypoints = make(8, seed)
    keypoints[0, :4] = [[0, 0, 2], [80, 60, 1], [80, 0, 2], [0, 60, 2]]
    twice = moved(moved(keypoints, flip), flip)
    np.testing.assert_allclose(twice, keypoints, atol=1e-5)
    np.testing.assert_array_equal(twice[0, :4], keypoints[0, :4])
    np.testing.assert_array_equal(twice[..., 2], keypoints[..., 2])


@pytest.mark.parametrize('seed', range(20))
def test_the_inverse_matrix_leads_back(seed):
    keypoints, matrix = make(8, seed), random_matrix(np.random.default_rng(seed))
    shift = translation(*-transform_bboxes(np.array([[0.0, 0, *SIZE]]), matrix)[0, :2] + 0.01)
    there = moved(keypoints, shift @ matrix, (1000, 1000))
    back = moved(there, np.linalg.inv(shift @ matrix), (81, 61))
    inner = keypoints[..., :2].min(-1) > 0.01  # rounding puts what is on the border on either side of it
    np.testing.assert_allclose(back[inner], keypoints[inner], atol=1e-3)


@pytest.mark.parametrize(
    ('point', 'kept'),
    [
        ((0, 0), True),
        ((80, 60), True),
        ((80, 0), True),
        ((0, 60), True),
        ((-0.001, 30), False),
        ((80.001, 30), False),
        ((40, -0.001), False),
        ((40, 60.001), False),
    ],
)
def test_the_border_is_inside(point, kept):
    keypoints = np.array([[[*point, 2]] * 5], np.float32)
    wanted = [*map(np.float32, point), 2] if kept else [0, 0, 0]
    np.testing.assert_array_equal(without_outliers(keypoints, SIZE)[0, 0], wanted)
    np.testing.assert_array_equal(moved(keypoints, np.eye(3))[0, 0], wanted)


@pytest.mark.parametrize('width', [416, 640, 97, 333, 1])
@pytest.mark.parametrize('target', [64, 96, 320, 416])
def test_the_border_stays_the_border_when_scaled(width, target):
    keypoints = np.full((1, 5, 3), [width, 0, 2], np.float32)
    found = moved(keypoints, scaling(target / width, 1), (target, 1))
    assert found[0, 0].tolist() == [target, 0, 2]


def test_what_has_left_does_not_come_back():
    keypoints = np.array([[[10, 10, 2], [70, 50, 1], [30, 10, 2], [0, 0, 0], [5, 5, 2]]], np.float32)
    away = moved(keypoints, translation(-20, 0))
    assert away[0].tolist() == [[0, 0, 0], [50, 50, 1], [10, 10, 2], [0, 0, 0], [0, 0, 0]]
    back = moved(away, translation(20, 0))
    assert back[0].tolist() == [[0, 0, 0], [70, 50, 1], [30, 10, 2], [0, 0, 0], [0, 0, 0]]


def test_nobody():
    assert moved(make(0), horizontal_flip(80)).shape == (0, 5, 3)
    assert map_areas(np.zeros(0, np.float32), np.eye(3), SIZE).shape == (0,)


def test_arguments_are_left_alone():
    keypoints = make()
    before = keypoints.copy()
    moved(keypoints, horizontal_flip(80) @ scaling(0.1, 0.1))
    np.testing.assert_array_equal(keypoints, before)


@pytest.mark.parametrize('seed', range(10))
def test_areas_are_those_of_the_mapped_square(seed):
    matrix = random_matrix(np.random.default_rng(seed))
    corners = [matrix @ (x, y, 1) for x, y in ((0, 0), (3, 0), (3, 3), (0, 3))]
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    wanted = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2
    found = map_areas(np.array([9, 18], np.float32), matrix, (1, 1))
    np.testing.assert_allclose(found, [wanted, 2 * wanted], rtol=1e-5)
    assert found.dtype == np.float32


# In a batch


def batch(counts=(3, 0, 5, 1), seed=0):
    """(B, M, 5, 3) with zero rows as padding."""
    padded = np.zeros((len(counts), max(counts), 5, 3), np.float32)
    for row, count in enumerate(counts):
        padded[row, :count] = make(count, seed + row)
    return torch.from_numpy(padded)


@pytest.mark.parametrize('seed', range(10))
def test_batch_flip_equals_the_map_of_each_image(seed):
    keypoints = batch(seed=seed)
    flips = torch.from_numpy(np.random.default_rng(seed).random(4) < 0.5)
    found = flip_keypoints(keypoints, flips, 80, torch.tensor(SWAPPED))
    for people, before, is_flipped in zip(found, keypoints, flips, strict=True):
        wanted = moved(before.numpy(), horizontal_flip(80)) if is_flipped else before.numpy()
        np.testing.assert_allclose(people, wanted, atol=1e-5)


def test_batch_flip_twice_is_the_identity():
    keypoints, flips, swapped = batch(), torch.tensor([True, True, True, False]), torch.tensor(SWAPPED)
    keypoints[0, 0, :2] = torch.tensor([[0.0, 5, 2], [80, 5, 1]])
    twice = flip_keypoints(flip_keypoints(keypoints, flips, 80, swapped), flips, 80, swapped)
    assert torch.allclose(twice, keypoints, atol=1e-5)
    assert torch.equal(twice[0, 0, :2], keypoints[0, 0, :2])


def test_batch_padding_stays_zero():
    found = flip_keypoints(batch(), torch.ones(4).bool(), 80, torch.tensor(SWAPPED))
    unlabelled = batch()[:, :, list(SWAPPED), 2] == 0
    assert not found[unlabelled].any()
    assert not found[1].any()
    assert not scale_keypoints(batch(), torch.tensor([1.5, 2]))[1].any()


def test_batch_scale_and_back():
    keypoints, ratios = batch(), torch.tensor([1.5, 0.25])
    scaled = scale_keypoints(keypoints, ratios)
    np.testing.assert_allclose(
        scaled[0], moved(keypoints[0].numpy(), scaling(1.5, 0.25), (120, 60)), rtol=1e-6
    )
    assert torch.allclose(scale_keypoints(scaled, 1 / ratios), keypoints)
    assert torch.equal(scaled[..., 2], keypoints[..., 2])


@pytest.mark.parametrize('shape', [(2, 0, 5, 3), (1, 1, 5, 3)])
def test_batch_without_people(shape):
    nobody = torch.zeros(shape)
    flips = torch.ones(shape[0]).bool()
    assert torch.equal(flip_keypoints(nobody, flips, 80, torch.tensor(SWAPPED)), nobody)
    assert torch.equal(scale_keypoints(nobody, torch.tensor([2.0, math.pi])), nobody)

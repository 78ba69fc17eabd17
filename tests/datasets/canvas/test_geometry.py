"""Plane geometry: matrices and their inverses, boxes under them, and the letterbox's rounding."""

import numpy as np
import pytest
from mmdet.datasets.transforms import RandomAffine

from mmyolox.datasets.canvas import geometry
from mmyolox.datasets.canvas.geometry import (
    bboxes_touch,
    clip_bboxes,
    fit_matrix,
    horizontal_flip,
    is_axis_aligned,
    rectangle_corners,
    rotation,
    scaling,
    shearing,
    transform_bboxes,
    transform_points,
    translation,
)
from mmyolox.deploy.letterbox import Size


@pytest.mark.parametrize(
    ('name', 'values', 'inverse'),
    [
        ('translation', (3.5, -2), (-3.5, 2)),
        ('scaling', (4, 0.5), (0.25, 2)),
        ('rotation', (33,), (-33,)),
        ('shearing', (20, 0), (-20, 0)),
        ('shearing', (0, -9), (0, 9)),
        ('horizontal_flip', (7,), (7,)),
    ],
)
def test_inverse_undoes(name, values, inverse):
    make = getattr(geometry, name)
    assert make(*values).dtype == np.float64
    np.testing.assert_allclose(make(*values) @ make(*inverse), np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ('matrix', 'wanted'),
    [
        (translation(3, -2), (8, 5)),
        (scaling(2, 3), (10, 21)),
        (rotation(90), (-7, 5)),  # clockwise on screen: x goes to y
        (shearing(45, 0), (12, 7)),
        (shearing(0, 45), (5, 12)),
        (horizontal_flip(20), (15, 7)),
    ],
)
def test_point_goes_where_it_should(matrix, wanted):
    np.testing.assert_allclose(transform_points(np.array([5.0, 7.0]), matrix), wanted, atol=1e-12)


@pytest.mark.parametrize('value', [-30.0, -1.5, 0.0, 12.0])
def test_matrices_equal_mmdet(value):
    # mmdet's are float32.
    np.testing.assert_allclose(rotation(value), RandomAffine._get_rotation_matrix(value), atol=1e-6)
    np.testing.assert_allclose(
        shearing(value, -value), RandomAffine._get_shear_matrix(value, -value), atol=1e-6
    )
    np.testing.assert_allclose(scaling(value, value), RandomAffine._get_scaling_matrix(value), atol=1e-6)
    np.testing.assert_allclose(
        translation(value, 3), RandomAffine._get_translation_matrix(value, 3), atol=1e-6
    )


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_bboxes_are_the_hull_of_their_corners(dtype):
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.uniform(0, 50, (20, 2, 2)), axis=1).reshape(-1, 4).astype(dtype)
    matrix = translation(4, 5) @ rotation(25) @ shearing(5, 3) @ scaling(1.5, 0.7)
    mapped = transform_bboxes(boxes, matrix)
    assert mapped.dtype == dtype
    for box, hull in zip(boxes.astype(float), mapped, strict=True):
        corners = np.array([[x, y, 1] for x in box[[0, 2]] for y in box[[1, 3]]]) @ matrix.T
        wanted = [*corners[:, :2].min(0), *corners[:, :2].max(0)]
        np.testing.assert_allclose(hull, wanted, atol=1e-12 if dtype == np.float64 else 1e-5)


def test_flipped_twice_is_identity():
    boxes = np.array([[0, 0, 1, 1], [3, 2, 10, 9], [4.5, 0, 4.5, 0]], np.float32)
    once = transform_bboxes(boxes, horizontal_flip(10))
    assert once.tolist() == [[9, 0, 10, 1], [0, 2, 7, 9], [5.5, 0, 5.5, 0]]
    np.testing.assert_array_equal(transform_bboxes(once, horizontal_flip(10)), boxes)


def test_no_boxes():
    empty = np.zeros((0, 4), np.float32)
    assert transform_bboxes(empty, rotation(3)).shape == (0, 4)
    assert clip_bboxes(empty, (5, 5)).shape == (0, 4)
    assert bboxes_touch(empty, (5, 5)).shape == (0,)
    assert rectangle_corners(empty).shape == (0, 4, 2)


def test_corners_go_clockwise():
    assert rectangle_corners(np.array([[1, 2, 3, 4]])).tolist() == [[[1, 2], [3, 2], [3, 4], [1, 4]]]


def test_clip_knows_width_from_height():
    boxes = np.array([[-5, -6, 100, 100], [1, 2, 3, 4], [30, 0, 40, 5]], np.float32)
    clipped = clip_bboxes(boxes, (20, 10))
    assert clipped.dtype == np.float32
    assert clipped.tolist() == [[0, 0, 20, 10], [1, 2, 3, 4], [20, 0, 20, 5]]


@pytest.mark.parametrize(
    ('box', 'wanted'),
    [
        ((0, 0, 1, 1), True),
        ((19, 9, 30, 30), True),
        ((-5, -5, 0.5, 0.5), True),
        ((-5, -5, 40, 40), True),
        ((20, 0, 25, 5), False),  # beside: sharing a border is not touching
        ((0, 10, 5, 12), False),
        ((-5, 0, 0, 5), False),
        ((0, -5, 5, 0), False),
    ],
)
def test_touch(box, wanted):
    assert bboxes_touch(np.array([box], np.float32), (20, 10)).tolist() == [wanted]


@pytest.mark.parametrize(
    ('matrix', 'wanted'), [(scaling(-1, 2), True), (rotation(1), False), (shearing(1, 0), False)]
)
def test_axis_aligned(matrix, wanted):
    assert is_axis_aligned(translation(3, 4) @ matrix) is wanted


@pytest.mark.parametrize(
    ('source', 'target', 'wanted'),
    [
        ((640, 480), (640, 640), (640, 480)),
        ((480, 640), (640, 640), (480, 640)),
        ((500, 375), (640, 640), (640, 480)),
        ((427, 640), (640, 640), (427, 640)),
        ((333, 500), (640, 640), (426, 640)),  # 426.24: down
        ((500, 333), (416, 416), (416, 277)),  # 277.06: down
        ((101, 67), (416, 416), (416, 275)),  # 275.96: still down
        ((600, 450), (416, 416), (416, 312)),  # 600 * (416 / 600) is 415.99... in floats
        ((1280, 720), (640, 384), (640, 360)),
        ((720, 1280), (640, 384), (216, 384)),
        ((20, 10), (640, 640), (640, 320)),
        ((31, 31), (640, 384), (384, 384)),
        ((1, 1), (64, 64), (64, 64)),
        ((1, 1000), (64, 64), (1, 64)),  # 0.064 wide: one pixel remains
        ((1000, 1), (64, 64), (64, 1)),
    ],
)
def test_fit(source, target, wanted):
    np.testing.assert_allclose(
        fit_matrix(Size(*source), Size(*target)) @ [*source, 1], [*wanted, 1], atol=1e-9
    )
    assert (fit_matrix(Size(*source), Size(*target)) @ [0, 0, 1]).tolist() == [0, 0, 1]


def test_fit_rounds_like_megvii():
    rng = np.random.default_rng(0)
    for source in rng.integers(32, 1000, (2000, 2)).tolist():
        target = tuple(rng.choice([320, 416, 640, 800], 2).tolist())
        ratio = min(target[0] / source[0], target[1] / source[1])
        # Rounded first to where float error does not decide between a whole number and the one below.
        wanted = [int(round(side * ratio, 6)) for side in source]
        np.testing.assert_allclose(
            fit_matrix(Size(*source), Size(*target)) @ [*source, 1], [*wanted, 1], atol=1e-9
        )

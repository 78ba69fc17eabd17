"""mmyolox/deploy/letterbox.py draws what the test pipeline draws, bit for bit."""

import numpy as np
import pytest

from mmyolox.datasets.transforms import Letterbox, Sample, begin_scene
from mmyolox.deploy.letterbox import Size, fitted_size, letterbox, resize


def by_transform(image: np.ndarray, size: tuple[int, int]) -> dict:
    """The sample after our own transform."""
    return Letterbox().transform(begin_scene(Sample(img_scale=Size.of_shape(size)), image))


@pytest.mark.parametrize('seed', range(8))
def test_equals_the_transform_at_random_sizes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(25):
        height, width, channels = (int(rng.integers(1, stop)) for stop in (200, 200, 5))
        shades = int(rng.choice([2, 256]))
        image = (rng.integers(0, shades, (height, width, channels)) * (255 // (shades - 1))).astype(np.uint8)
        size = (32 * int(rng.integers(1, 6)), 32 * int(rng.integers(1, 6)))
        np.testing.assert_array_equal(letterbox(image, Size.of_shape(size)), by_transform(image, size)['img'])


@pytest.mark.parametrize(
    ('shape', 'size'),
    [
        ((64, 96), (64, 96)),  # as it is
        ((128, 192), (64, 96)),  # OpenCV averages 2 x 2 pixels
        ((256, 384), (64, 96)),
        ((32, 48), (64, 96)),
        ((1, 1), (64, 64)),
        ((1, 500), (64, 64)),
        ((500, 1), (64, 96)),
        ((77, 60), (320, 320)),
        ((1200, 1600), (320, 320)),
    ],
)
def test_special_sizes(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(letterbox(image, Size.of_shape(size)), by_transform(image, size)['img'])


def test_views_are_read_as_they_look() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    view = image[::-1, ::2, ::-1]
    np.testing.assert_array_equal(letterbox(view, Size(64, 64)), letterbox(view.copy(), Size(64, 64)))


def test_the_image_is_left_alone_and_the_canvas_is_grey() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    canvas = letterbox(image, Size(64, 64), pad_value=7)
    assert (canvas[32:] == 7).all()
    canvas[:] = 255
    assert not image.any()


def test_a_resized_image_has_the_size_and_a_constant_stays_constant() -> None:
    image = np.full((33, 47, 3), 201, np.uint8)
    assert (resize(image, Size(20, 90)) == np.full((90, 20, 3), 201)).all()


@pytest.mark.parametrize(
    ('source', 'target', 'size'),
    [
        ((480, 640), (640, 640), (480, 640)),
        ((77, 60), (320, 320), (320, 249)),  # 77 * (320 / 77) is less than 320 in floats
        ((427, 640), (416, 416), (277, 416)),  # 277.55, rounded down
        ((375, 500), (640, 640), (480, 640)),
        ((10, 1000), (320, 320), (3, 320)),
        ((1, 1000), (320, 320), (1, 320)),
    ],
)
def test_sides_are_rounded_down_to_whole_pixels(source, target, size) -> None:
    assert fitted_size(Size.of_shape(source), Size.of_shape(target)).shape_hw == size


@pytest.mark.parametrize('seed', range(3))
def test_the_fitted_size_is_that_of_the_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for height, width, target_height, target_width in rng.integers(1, 3000, (200, 4)).tolist():
        matrix = by_transform(
            np.broadcast_to(np.uint8(0), (height, width, 1)), (target_height, target_width)
        )['matrix']
        new_width, new_height = fitted_size(Size(width, height), Size(target_width, target_height))
        assert (matrix[0, 0], matrix[1, 1]) == (new_width / width, new_height / height)

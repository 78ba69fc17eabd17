"""The lazy picture: what one rendering draws, against pictures drawn step by step."""

import cv2
import numpy as np
import pytest

from mmyolox.datasets.canvas.geometry import horizontal_flip, rotation, scaling, transform_points, translation
from mmyolox.datasets.canvas.images import Pixels
from mmyolox.datasets.canvas.scene import FILL, Layer, Sample, take_image
from mmyolox.datasets.transforms import Scene
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from tests.datasets.transforms.pictures import edges, smooth

UPRIGHT = translation(3.3, -2.6) @ scaling(0.8, 0.9)
TILTED = translation(14.2, 5.1) @ rotation(12) @ scaling(1.1, 1.1)


def warped(image, matrix, size):
    """The picture (h, w, C) float at the pixel centres of a canvas, NaN outside: bilinear, by the book."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    source = transform_points(np.stack([x, y], -1), np.linalg.inv(matrix)) - 0.5
    limits = np.array(image.shape[1::-1]) - 1
    outside = ((source < -0.5) | (source > limits + 0.5)).any(-1)
    # The outermost half pixel has the border's colour, as in cv2.resize.
    source = source.clip(0, limits)
    low = np.minimum(source.astype(int), np.maximum(limits - 1, 0))
    (fx, fy), (x0, y0) = np.moveaxis(source - low, -1, 0)[..., None], np.moveaxis(low, -1, 0)
    x1, y1 = np.minimum(x0 + 1, limits[0]), np.minimum(y0 + 1, limits[1])
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return np.where(outside[..., None], np.nan, top * (1 - fy) + bottom * fy)


def interpolation_error(rendered, wanted):
    """The largest difference where ``wanted`` is not NaN."""
    assert np.isfinite(wanted).any()
    return np.nanmax(np.abs(rendered.astype(float) - wanted))


# Rendering one layer


@pytest.mark.parametrize('matrix', [UPRIGHT, TILTED, horizontal_flip(70) @ TILTED, scaling(0.31, 0.31)])
def test_layer_equals_bilinear_sampling(matrix):
    image = smooth((70, 50), channels=3)
    rendered = Scene(Size(80, 60), (Layer.of(Pixels(image), matrix),)).render()
    wanted = warped(image, matrix, (80, 60))
    # OpenCV places samples to 1/32 of a pixel and rounds to a level: 1.5 levels on a picture this smooth.
    assert interpolation_error(rendered, wanted) <= 1.5
    outside = ~edges(np.isnan(wanted[..., 0]).astype(np.uint8), 1) & np.isnan(wanted[..., 0])
    assert (rendered[outside] == FILL).all()


@pytest.mark.parametrize('matrix', [UPRIGHT, TILTED, scaling(-1, 1) @ translation(-75.3, 2)])
def test_layer_is_not_shifted(matrix):
    for ramp in np.mgrid[:50, :70] * 3:
        image = ramp.astype(np.uint8)[..., None].repeat(3, -1)
        wanted = warped(image, matrix, (80, 60))
        bias = np.nanmean(Scene(Size(80, 60), (Layer.of(Pixels(image), matrix),)).render() - wanted)
        # In levels, 3 a pixel: a quarter of a pixel would be 0.75. Rounding does not quite average out.
        assert abs(bias) < 0.2


def test_upright_layer_covers_the_pixels_whose_centres_it_covers():
    # 30.3 to 30.3 + 2 * 20: columns 30 to 69, half a source pixel from the border included.
    rendered = Scene(
        Size(100, 100),
        (Layer.of(Pixels(np.full((2, 2, 3), 200, np.uint8)), translation(30.3, 9.7) @ scaling(20, 20)),),
    ).render()
    wanted = np.full((100, 100, 3), FILL)
    wanted[10:50, 30:70] = 200
    np.testing.assert_array_equal(rendered, wanted)


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (2, 2)])
@pytest.mark.parametrize('degrees', [0, 20])
def test_tiny_pictures_do_not_vanish(size, degrees):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    matrix = translation(20.4, 20.4) @ rotation(degrees) @ scaling(3, 3)
    shown = (Scene(Size(64, 64), (Layer.of(Pixels(image), matrix),)).render() == 200).all(-1).sum()
    # The area, to within the pixels along the outline.
    assert abs(shown - 9 * size[0] * size[1]) <= 6 * (size[0] + size[1])
    assert shown > 0


@pytest.mark.parametrize('scale', [0.4, 1.0, 2.7, 8.0])
@pytest.mark.parametrize('move', [np.eye(3), translation(0.3, 0.6), rotation(7) @ scaling(0.9, 0.9)])
def test_no_seam_between_neighbours(scale, move):
    image = np.full((40, 40, 3), 200, np.uint8)
    side = 40 * scale
    tiles = [
        Layer.of(Pixels(image), translation(x, y) @ scaling(scale, scale))
        for x in (0, side)
        for y in (0, side)
    ]
    canvas = Size(round(2 * side), round(2 * side))
    rendered = Scene(canvas, tuple(tiles)).moved(move, canvas).render()
    centre = transform_points(np.array([side, side]), move).astype(int)
    reach = int(side / 2)
    around = rendered[centre[1] - reach : centre[1] + reach, centre[0] - reach : centre[0] + reach]
    assert (around == 200).all()


@pytest.mark.parametrize('scale', [(0.57, 0.926), (1.3, 1.3), (-1.3, 2.1), (1.7, -0.8), (-0.9, -0.6)])
@pytest.mark.parametrize('anchor', [(0, 0), (40, 30), (-7, 5), (11, -23), (80, 60), (95, 71)])
def test_upright_layer_at_a_whole_pixel(scale, anchor):
    image = smooth((70, 50))
    matrix = translation(*anchor) @ scaling(*scale)
    rendered = Scene(Size(80, 60), (Layer.of(Pixels(image), matrix),)).render()
    wanted = warped(image, matrix, (80, 60))
    is_shown = np.isfinite(wanted[..., 0])
    assert ((rendered == FILL).all(-1) >= ~is_shown).all()
    if is_shown.any():
        assert interpolation_error(rendered, wanted) <= 1.0
        # A quarter of a pixel would be about one level somewhere.
        assert abs(np.nanmean(rendered - wanted)) < 0.2


def test_whole_pixel_placement_is_cv2_resize():
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    matrix = translation(5, 7) @ scaling(60 / 45, 20 / 31)
    rendered = Scene(Size(90, 40), (Layer.of(Pixels(image), matrix),)).render()
    np.testing.assert_array_equal(rendered[7:27, 5:65], cv2.resize(image, (60, 20)))
    mirrored = Scene(Size(90, 40), (Layer.of(Pixels(image), horizontal_flip(90) @ matrix),)).render()
    np.testing.assert_array_equal(mirrored, rendered[:, ::-1])


@pytest.mark.parametrize(
    'matrix',
    [translation(200, 0), translation(0, -200), translation(-50, 0) @ rotation(30) @ scaling(0.1, 0.1)],
)
def test_layer_outside_draws_nothing(matrix):
    image = smooth((40, 30))
    below = Layer.of(Pixels(np.full((64, 64, 3), 7, np.uint8)), np.eye(3))
    assert (Scene(Size(64, 64), (Layer.of(Pixels(image), matrix),)).render() == FILL).all()
    assert (Scene(Size(64, 64), (below, Layer.of(Pixels(image), matrix))).render() == 7).all()


def test_later_layers_are_on_top():
    layers = [
        Layer.of(Pixels(np.full((10, 10, 3), level, np.uint8)), translation(5 * level, 0))
        for level in (0, 1, 2)
    ]
    row = Scene(Size(25, 10), tuple(layers)).render()[0, :, 0].tolist()
    assert row == [0] * 5 + [1] * 5 + [2] * 10 + [FILL] * 5


@pytest.mark.parametrize('channels', [1, 4])
@pytest.mark.parametrize('matrix', [UPRIGHT, TILTED, scaling(2, 2)])
def test_any_number_of_channels(channels, matrix):
    image = smooth((40, 30), channels=channels)
    scene = Scene.of(image).moved(matrix, Size(80, 60)).blended_with(Scene.of(smooth((80, 60), 1, channels)))
    rendered = scene.moved(horizontal_flip(80), Size(80, 60)).render()
    assert rendered.shape == (60, 80, channels)
    assert rendered.flags.c_contiguous
    for channel in range(channels):
        flat = [
            np.repeat(la.source.read()[0][..., channel : channel + 1], 3, 2)
            for s in (scene, scene.blend)
            for la in s.layers
        ]
        colour = Scene(scene.size, (Layer.of(Pixels(flat[0]), scene.layers[0].matrix),), Scene.of(flat[1]))
        wanted = colour.moved(horizontal_flip(80), Size(80, 60)).render()
        np.testing.assert_array_equal(rendered[..., channel], wanted[..., 0])


# Moving


def test_identity_returns_the_pixels():
    image = smooth((40, 30))
    assert Scene.of(image).render() is image
    assert Scene.of(image).moved(np.eye(3), Size(40, 30)).render() is image


@pytest.mark.parametrize('first', [UPRIGHT, TILTED])
@pytest.mark.parametrize('second', [UPRIGHT, TILTED])
def test_composed_equals_drawn_in_between(first, second):
    image = smooth((70, 50))
    once = Scene.of(image).moved(first, Size(90, 64)).moved(second, Size(80, 60)).render()
    drawn = Scene.of(image).moved(first, Size(90, 64)).render()
    twice = Scene.of(drawn).moved(second, Size(80, 60)).render()
    white = np.full_like(image, 255)
    outline = (
        Scene.of(Scene.of(white).moved(first, Size(90, 64)).render()).moved(second, Size(80, 60)).render()
    )
    inside = ~edges(outline, 3)
    # Two interpolations instead of one: a level, on a smooth picture and away from its outline.
    assert np.abs(once.astype(int) - twice)[inside].max() <= 2
    assert inside.mean() > 0.6


@pytest.mark.parametrize(
    ('matrix', 'slack'),
    [
        (translation(-40, 0), 0),
        (translation(33, -11), 0),
        (translation(20, 10) @ rotation(25), 1),  # the outline is interpolated
        (translation(-50, 0) @ scaling(3, 3), 3),  # sources are cropped by whole pixels
    ],
)
@pytest.mark.parametrize('blended', [False, True])
def test_what_the_canvas_cut_off_stays_cut_off(matrix, slack, blended):
    scene = Scene.of(np.full((50, 70, 3), 200, np.uint8)).moved(matrix, Size(70, 50))
    if blended:
        scene = scene.blended_with(Scene.of(np.full((50, 70, 3), 200, np.uint8)))
    before = scene.render()
    after = scene.moved(translation(100, 100), Size(300, 250)).render()
    assert (after[100:150, 100:170] != FILL).any()
    assert np.abs(after[100:150, 100:170].astype(int) - before)[~edges(before, 2)].max() == 0
    after[100 - slack : 150 + slack, 100 - slack : 170 + slack] = FILL
    assert (after == FILL).all()


def test_cropped_keeps_what_shows():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for matrix in (translation(-7.5, -3.2), translation(12, 25) @ scaling(-0.7, 1.3), translation(300, 0)):
        layer = Layer.of(Pixels(image), matrix)
        shown = Scene(Size(30, 20), (layer,)).render()
        np.testing.assert_array_equal(Scene(Size(30, 20), (layer.cropped(Size(30, 20)),)).render(), shown)
        left, top, right, bottom = layer.cropped(Size(30, 20)).region
        assert max(0, right - left) * max(0, bottom - top) < 30 * 40


@pytest.mark.parametrize(
    ('matrix', 'wanted'),
    [
        (np.eye(3), True),
        (translation(0.9, -0.9), True),  # less than a pixel is float error or rounding
        (translation(1.1, 0), False),
        (translation(0, -1.1), False),
        (rotation(10), False),
        (translation(10, 10) @ rotation(10) @ scaling(0.5, 0.5), True),
    ],
)
def test_fits(matrix, wanted):
    assert Layer.of(Pixels(np.zeros((30, 40, 3), np.uint8)), matrix).fits(Size(40, 30)) is wanted


# Blending


def test_average_rounds_down():
    a, b = (grid.astype(np.uint8)[..., None] for grid in np.mgrid[:256, :256])
    average = Scene.of(a.repeat(3, -1)).blended_with(Scene.of(b.repeat(3, -1))).render()
    wanted = (0.5 * a.astype(np.float32) + 0.5 * b.astype(np.float32)).astype(np.uint8)
    np.testing.assert_array_equal(average, wanted.repeat(3, -1))


@pytest.mark.parametrize('matrix', [UPRIGHT, TILTED])
def test_blended_is_moved_as_a_whole(matrix):
    lazy = Scene.of(smooth((70, 50))).moved(TILTED, Size(70, 50)).blended_with(Scene.of(smooth((70, 50), 1)))
    drawn = Scene.of(lazy.render())
    np.testing.assert_array_equal(
        lazy.moved(matrix, Size(70, 50)).render(), drawn.moved(matrix, Size(70, 50)).render()
    )


def test_flip_of_blended_is_not_drawn_in_between():
    lazy = Scene.of(smooth((70, 50))).moved(TILTED, Size(70, 50)).blended_with(Scene.of(smooth((70, 50), 1)))
    flipped = lazy.moved(horizontal_flip(70), Size(70, 50))
    assert flipped.layers[0].source is lazy.layers[0].source
    difference = np.abs(flipped.render()[:, ::-1].astype(int) - lazy.render())
    # The other way round half a level is rounded, and half a pixel of the outline is drawn, differently.
    white = Scene.of(np.full((50, 70, 3), 255, np.uint8)).moved(TILTED, Size(70, 50)).render()
    assert difference[~edges(white, 2)].max() <= 1


def test_blended_twice_halves_twice():
    levels = [np.full((4, 4, 3), level, np.uint8) for level in (10, 31, 255)]
    first, second, third = map(Scene.of, levels)
    assert (first.blended_with(second).blended_with(third).render() == (20 + 255) // 2).all()
    # A blended partner keeps its own halves.
    assert (third.blended_with(first.blended_with(second)).render() == (255 + 20) // 2).all()


def test_rendering_leaves_sources_alone():
    image, other = smooth((40, 30)), smooth((40, 30), 1)
    before = image.copy(), other.copy()
    Scene.of(image).blended_with(Scene.of(other)).moved(TILTED, Size(50, 50)).render()
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(other, before[1])


PHOTO = np.arange(0, 192, dtype=np.uint8).reshape(8, 8, 3)


@pytest.mark.parametrize(
    ('steps', 'values'),
    [
        ([lambda image: (image - np.float32(100)) / 58], '-1.7241 to 1.569'),
        ([lambda image: image / 255, lambda image: image[:, ::-1]], '0 to 0.74902'),
        ([lambda image: image.astype(np.uint16) * 256], '0 to 48896'),
        ([lambda image: image * np.nan], 'nan to nan'),
        ([lambda image: image.astype(int) - 1], '-1 to 190'),
    ],
)
def test_images_in_another_range_are_refused(steps, values):
    sample = Sample(scene=Scene.of(PHOTO), img_path='a.png')
    for step in steps:
        sample['img'] = step(sample['img'])
    with pytest.raises(UserError, match=rf'^a\.png: .* values from {values}, and they must stay at 0-255'):
        take_image(sample)


@pytest.mark.parametrize(
    ('image', 'steps', 'corner'),
    [
        (PHOTO, [lambda image: image / 255, lambda image: image * 255], 191),
        (PHOTO, [lambda image: (image - np.float32(32)) * np.float32(1.5)], 238),
        (PHOTO, [lambda image: image * np.float32(1), lambda image: image[-1:, -1:]], 191),
        (PHOTO // 64, [lambda image: image * np.float32(0.6)], 1),
        (PHOTO, [lambda image: image.astype(np.int64)], 191),
    ],
)
def test_images_in_the_range_of_pixels_are_rounded(image, steps, corner):
    sample = Sample(scene=Scene.of(image))
    for step in steps:
        sample['img'] = step(sample['img'])
    taken = take_image(sample)
    assert taken.dtype == np.uint8
    assert taken[-1, -1, -1] == corner

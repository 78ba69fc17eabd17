"""mmyolox/deploy/draw.py: where ink goes, and where not."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmyolox.deploy import DeployError, Detections, ModelInfo
from mmyolox.deploy.draw import class_colour, draw, ink_on, line_width

INFO = ModelInfo(('cat', 'dog'), (64, 64), points=('a', 'b', 'c'), links=((0, 1), (1, 2)))
GREY = np.full((120, 160, 3), 77, np.uint8)


def found(*bboxes, labels=None, scores=None, points=None) -> Detections:
    count = len(bboxes)
    return Detections(
        np.array(bboxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32) if scores is None else np.float32(scores),
        np.zeros(count, np.int64) if labels is None else np.array(labels),
        None if points is None else np.array(points, np.float32),
    )


def drawn(picture: np.ndarray, colour=None) -> set[tuple[int, int]]:
    """The pixels (x, y) of a colour, or all that are not as they were."""
    mask = (picture != GREY).any(axis=2) if colour is None else (picture == colour).all(axis=2)
    return {(int(x), int(y)) for y, x in np.argwhere(mask)}


def inked(pixels: np.ndarray, colour) -> np.ndarray:
    """Which pixels of a text's ground are nearer to the ink than to the colour."""
    ink, ground = (np.abs(pixels.astype(int) - shade).sum(axis=2) for shade in (ink_on(colour), colour))
    return ink < ground


def test_a_box_covers_its_pixels_and_the_image_is_left_alone() -> None:
    picture = draw(GREY, found((20, 40, 100, 90), labels=[1]), INFO)
    assert (GREY == 77).all()
    ink = {pixel for pixel in drawn(picture) if pixel[1] >= 40}
    assert {x for x, _ in ink} == set(range(20, 100))
    assert {y for _, y in ink} == set(range(40, 90))
    assert ink == drawn(picture, class_colour(1)) - {pixel for pixel in drawn(picture) if pixel[1] < 40}
    assert len(ink) == 2 * 80 + 2 * 48


def test_nothing_found_is_a_copy() -> None:
    picture = draw(GREY, found(), INFO)
    assert (picture == GREY).all()
    assert picture is not GREY


def test_the_best_is_on_top() -> None:
    picture = draw(GREY, found((20, 40, 100, 90), (20, 40, 100, 90), labels=[0, 1]), INFO)
    assert tuple(picture[60, 20]) == class_colour(0)


@pytest.mark.parametrize(
    'bbox',
    [(-50, -50, 500, 500), (0, 0, 0, 0), (160, 120, 160, 120), (-90, -90, -80, -80), (150, 100, 300, 300)],
)
def test_boxes_at_and_beyond_the_border(bbox) -> None:
    draw(GREY, found(bbox), INFO)


@pytest.mark.parametrize(('top', 'row'), [(40, 31), (5, 7), (-3, 2)])
def test_the_name_is_above_the_box_or_below_its_upper_edge(top: int, row: int) -> None:
    picture = draw(GREY, found((20, top, 100, 90)), INFO)
    assert inked(picture[row : row + 8, 22:60], class_colour(0)).sum() > 10


def test_names_and_scores_are_written_where_there_is_room() -> None:
    scores = [0.9, 0.456]
    picture = draw(GREY, found((20, 60, 90, 90), (140, 100, 158, 118), labels=[1, 0], scores=scores), INFO)
    for label, left, bottom in (1, 20, 60), (0, None, 100):
        colour = class_colour(label)
        ground = {pixel for pixel in drawn(picture, colour) if bottom - 12 <= pixel[1] < bottom}
        columns = {x for x, _ in ground}
        assert min(columns) == left if label else max(columns) == 159
        ink = inked(picture[bottom - 12 : bottom, min(columns) : max(columns) + 1], colour)
        assert 20 < ink.sum() < len(ground)


@pytest.mark.parametrize('scores', [(0.9,), (0.1,)])
def test_what_is_written_depends_on_the_score_and_the_name(scores) -> None:
    pictures = [
        draw(GREY, found((20, 60, 90, 90), labels=[0], scores=values), replace(INFO, classes=names))
        for values, names in ((scores, ('cat', 'dog')), (scores, ('car', 'dog')), ((0.55,), ('cat', 'dog')))
    ]
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] != pictures[2]).any()


def test_scores_have_two_decimals() -> None:
    one, same, other = (
        draw(GREY, found((20, 60, 90, 90), scores=[score]), INFO) for score in (0.456, 0.46, 0.47)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_name_wider_than_the_image_is_cut() -> None:
    info = replace(INFO, classes=('x' * 99, 'y'))
    assert draw(GREY[:6, :20], found((0, 0, 9, 5)), info).shape == (6, 20, 3)


def test_names_in_other_scripts_are_written_in_a_font_that_is_given() -> None:
    matplotlib = pytest.importorskip('matplotlib')
    font = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')
    pictures = [
        draw(GREY, found((20, 60, 90, 90)), replace(INFO, classes=(name, 'dog')), font=font)
        for name in ('кот', 'кит')
    ]
    assert (pictures[0] != pictures[1]).any()
    assert draw(GREY, found((20, 60, 90, 90)), replace(INFO, classes=('кот', 'dog'))).shape == GREY.shape
    with pytest.raises(DeployError, match='font absent: there is no such TrueType font'):
        draw(GREY, found((20, 60, 90, 90)), INFO, font='absent')


def test_pillow_is_named_where_it_is_absent(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'PIL', None)
    with pytest.raises(DeployError, match='drawing needs Pillow: pip install pillow'):
        draw(GREY, found(), INFO)


@pytest.mark.parametrize('channels', [1, 3, 4, 6])
def test_images_of_any_channels(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, channels), np.uint8)
    picture = draw(image, found((20, 40, 100, 90)), INFO)
    assert picture.shape == (120, 160, 3)
    assert tuple(picture[60, 20]) == class_colour(0)
    np.testing.assert_array_equal(picture[95:], np.broadcast_to(image[95:, :, :3], (25, 160, 3)))


def test_two_channels_are_refused() -> None:
    with pytest.raises(DeployError, match='an image of 2 channels: 1, 3 or more'):
        draw(GREY[..., :2], found(), INFO)


@pytest.mark.parametrize(
    ('scores', 'seen'),
    [((0.9, 0.9, 0.9), 'abc'), ((0.9, 0.2, 0.9), 'ac'), ((0.2, 0.9, 0.9), 'bc'), ((0, 0, 0), '')],
)
def test_points_and_lines_whose_points_are_seen(scores, seen) -> None:
    places = dict(a=(20, 110), b=(80, 110), c=(80, 70))
    points = [[(*place, score) for place, score in zip(places.values(), scores, strict=True)]]
    picture = draw(GREY, found((0, 0, 160, 40), points=points), INFO)
    below = {pixel for pixel in drawn(picture) if pixel[1] > 45}
    assert {name for name, place in places.items() if place in below} == set(seen)
    assert ((50, 110) in below) == ('a' in seen and 'b' in seen)
    assert ((80, 90) in below) == ('b' in seen and 'c' in seen)


def test_a_class_shows_its_own_points_only() -> None:
    info = replace(INFO, class_points=((0, 2), ()))
    points = [[(20, 110, 1), (80, 110, 1), (80, 70, 1)]] * 2
    picture = draw(GREY, found((0, 0, 9, 9), (0, 0, 9, 9), labels=[0, 1], points=points), info)
    assert {(x, y) in drawn(picture) for x, y in ((20, 110), (80, 70))} == {True}
    assert (80, 110) not in drawn(picture)


def test_a_point_with_the_least_score_is_drawn() -> None:
    points = [[(20, 110, 0.5), (80, 110, 0.4999), (80, 70, 0)]]
    ink = drawn(draw(GREY, found((0, 0, 9, 9), points=points), INFO, keypoint_score_thr=0.5))
    assert (20, 110) in ink
    assert (80, 110) not in ink


def test_points_beside_and_below_the_image_are_left_out() -> None:
    points = [[(150, 110, 1), (80, 130, 1), (170, 60, 1)]]
    ink = drawn(draw(GREY, found((0, 0, 9, 9), points=points), replace(INFO, links=())))
    disc = {(x - 150, y - 110) for x, y in ink if x > 90 or y > 90}
    assert {(x, y) for x in range(-2, 3) for y in range(-2, 3) if x**2 + y**2 <= 4} <= disc
    assert max(abs(value) for offset in disc for value in offset) == 2
    assert not disc.intersection((x, y) for x in (-2, 2) for y in (-2, 2))


def test_points_far_outside() -> None:
    points = [[(-1e6, 50, 1), (1e6, 50, 1), (80, -1e7, 1)]]
    draw(GREY, found((0, 0, 160, 40), points=points), INFO)


@pytest.mark.parametrize(('colour', 'ink'), [((255, 255, 255), (0, 0, 0)), ((200, 0, 0), (255, 255, 255))])
def test_ink_stands_out(colour, ink) -> None:
    assert ink_on(colour) == ink


def test_colours_are_bgr_and_lines_as_wide_as_the_image_asks_for() -> None:
    blue, green, red = class_colour(0)
    assert red > green > blue
    widths = [line_width(np.zeros((240, side, 3), np.uint8)) for side in (8, 320, 640, 1920)]
    assert widths == [1, 1, 2, 6]

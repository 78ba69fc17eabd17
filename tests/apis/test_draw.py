import cv2
import numpy as np
import pytest

from mmyolox.apis.draw import class_colour, contact_sheet, draw_boxes, draw_text, line_width, write_image
from mmyolox.errors import UserError

NAMES = ('one', 'two', 'three')


def blank(width=200, height=100):
    return np.full((height, width, 3), 50, np.uint8)


def painted(image, label):
    """Where an image has the colour of a class."""
    return (image == class_colour(label)).all(axis=2)


def test_the_outline_is_on_the_border_pixels_of_the_box():
    image = draw_boxes(blank(), [[20, 40, 60, 90]], [1], ['', '', ''])
    found = painted(image, 1)
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert found[40, 20:60].all()
    assert found[89, 20:60].all()
    assert found[40:90, 20].all()
    assert found[40:90, 59].all()
    assert (columns[0], columns[-1], rows[-1]) == (20, 59, 89)
    assert (image[41:89, 21:59] == 50).all()


def test_the_image_given_is_left_as_it_is():
    image = blank()
    assert draw_boxes(image, [[20, 40, 60, 90]], [0], NAMES) is not image
    assert (image == 50).all()


@pytest.mark.parametrize('bboxes', [[], np.zeros((0, 4), np.float32)])
def test_nothing_to_draw(bboxes):
    np.testing.assert_array_equal(draw_boxes(blank(), bboxes, [], NAMES), blank())


@pytest.mark.parametrize(
    'bbox', [[-50, -50, 30, 30], [150, 80, 900, 900], [300, 300, 400, 400], [5, 5, 5, 5], [-9, -9, -5, -5]]
)
def test_boxes_outside_or_without_area_do_no_harm(bbox):
    assert draw_boxes(blank(), [bbox], [2], NAMES).shape == (100, 200, 3)


def test_a_read_only_view_of_a_chw_array_can_be_drawn_on():
    chw = np.full((3, 100, 200), 50, np.uint8)
    chw.flags.writeable = False
    expected = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    np.testing.assert_array_equal(
        draw_boxes(chw.transpose(1, 2, 0), [[20, 40, 60, 90]], [0], NAMES), expected
    )


def test_the_best_score_is_on_top():
    bboxes = [[20, 40, 60, 90], [20, 40, 60, 90]]
    best_first = draw_boxes(blank(), bboxes, [0, 1], ['', ''], scores=[0.9, 0.2])
    assert painted(best_first, 0)[60, 20]
    best_last = draw_boxes(blank(), bboxes, [0, 1], ['', ''], scores=[0.2, 0.9])
    assert painted(best_last, 1)[60, 20]


def test_scores_are_written():
    without = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    ground = [painted(draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES, scores=[s]), 0) for s in (0.1, 0.8)]
    assert ground[0].sum() > painted(without, 0).sum()
    assert (ground[0] != ground[1]).any()


def test_scores_as_many_as_boxes():
    with pytest.raises(ValueError, match='zip'):
        draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES, scores=[0.1, 0.2])


@pytest.mark.parametrize(
    ('corner', 'rows'), [((20, 60), slice(0, 60)), ((20, 3), slice(3, 100)), ((20, -40), slice(0, 100))]
)
def test_text_is_above_its_point_or_below_it_at_the_top_edge(corner, rows):
    image = blank()
    draw_text(image, 'cell', corner, (255, 0, 0))
    changed = (image != 50).any(axis=2)
    assert changed[rows].sum() == changed.sum() > 100


@pytest.mark.parametrize('corner', [(190, 60), (-30, 60), (20, 60)])
def test_text_is_seen_whole(corner):
    at_corner, in_middle = blank(), blank()
    draw_text(at_corner, 'cell', corner, (255, 0, 0))
    draw_text(in_middle, 'cell', (100, 60), (255, 0, 0))
    assert (at_corner != 50).any(axis=2).sum() == (in_middle != 50).any(axis=2).sum()


@pytest.mark.parametrize(('colour', 'ink'), [((200, 255, 255), 0), ((120, 0, 0), 255)])
def test_ink_stands_out_from_its_ground(colour, ink):
    image = np.full((100, 200, 3), colour, np.uint8)
    draw_text(image, 'MMM', (20, 60), colour)
    # Smoothed lines at this size do not quite reach the ink.
    assert np.abs(image.astype(int) - ink).max(axis=2).min() < 60
    assert np.abs(image.astype(int) - np.array(colour)).max() > 60
    assert ((image.astype(int) - colour) * (1 if ink else -1) >= 0).all()


def test_a_name_that_the_font_lacks():
    image, expected = blank(), blank()
    draw_text(image, '猫', (20, 60), (255, 0, 0))
    draw_text(expected, '?', (20, 60), (255, 0, 0))
    np.testing.assert_array_equal(image, expected)


def test_neighbouring_classes_have_colours_far_apart():
    colours = np.array([class_colour(label) for label in range(81)], float)
    assert len(np.unique(colours, axis=0)) == 81
    assert (np.linalg.norm(np.diff(colours, axis=0), axis=1) > 120).all()
    assert class_colour(3) == class_colour(3)


@pytest.mark.parametrize(('size', 'expected'), [((20, 30), 1), ((480, 640), 2), ((1280, 720), 4)])
def test_line_width_follows_the_longer_side(size, expected):
    assert line_width(np.zeros((*size, 3), np.uint8)) == expected


@pytest.mark.parametrize(
    ('count', 'shape'), [(1, (30, 40, 3)), (2, (30, 80, 3)), (5, (60, 120, 3)), (9, (90, 120, 3))]
)
def test_contact_sheet_is_nearly_square(count, shape):
    assert contact_sheet([blank(40, 30)] * count).shape == shape


def test_contact_sheet_places_row_by_row_and_shrinks_what_is_large():
    images = [np.full((20, 40, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet([*images, np.full((80, 40, 3), 40, np.uint8)], cell=40)
    assert sheet.shape == (80, 80, 3)
    assert [sheet[y, x, 0] for y, x in ((0, 0), (0, 40), (40, 0), (40, 40))] == [10, 20, 30, 40]
    assert (sheet[20:40, :40] == 0).all()
    assert (sheet[40:80, 40:60] == 40).all()
    assert (sheet[40:80, 60:] == 0).all()


@pytest.mark.parametrize('name', ['new/folder/a.png', 'b.PNG', 'c.d.bmp', '\u732b.png'])
def test_write_image_makes_the_folder_and_keeps_the_pixels(tmp_path, name):
    image = draw_boxes(blank(), [[20, 40, 60, 90]], [0], NAMES)
    write_image(tmp_path / name, image)
    written = cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(written, image)


@pytest.mark.parametrize('name', ['photo.xyz', 'photo'])
def test_write_image_needs_a_known_suffix(tmp_path, name):
    with pytest.raises(UserError, match=f'{name}: OpenCV writes no files of this name'):
        write_image(tmp_path / name, blank())
    assert not list(tmp_path.iterdir())

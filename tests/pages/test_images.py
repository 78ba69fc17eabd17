"""Photos and boxes on them."""

from base64 import b64decode

import cv2
import numpy as np
import pytest

from mmyolox.pages import Box, Page, Photo, Picture, embed
from mmyolox.pages.images import kinds_on, panels_of
from tests.pages.sample import picture

PHOTO = Photo('', (100, 50))


def panel(*boxes, photo=PHOTO):
    return panels_of(Picture(photo, 't', panels=[('Boxes', boxes)]))[0]


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [((300, 600), (160, 320)), ((600, 100), (320, 53)), ((20, 30), (20, 30)), ((1, 5000), (1, 320))],
)
def test_photos_are_shrunk_to_their_longest_side(shape, expected):
    image = np.full((*shape, 3), (10, 100, 200), np.uint8)
    photo = embed(image, longest=320)
    assert photo.size_wh == shape[::-1]
    small = cv2.imdecode(np.frombuffer(b64decode(photo.jpeg), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape[:2] == expected
    assert np.abs(small.astype(int) - (10, 100, 200)).max() < 8


@pytest.mark.parametrize(
    ('box', 'view'),
    [
        ((10, 10, 20, 20), (0, 0, 100, 50)),
        ((-10, 0, 20, 60), (-10, 0, 110, 60)),
        ((50, 10, 900, 20), (0, 0, 125, 50)),
        ((float('nan'), float('inf'), 5, 5), (0, 0, 100, 50)),
    ],
)
def test_what_is_outside_of_a_photo_is_shown_up_to_a_quarter(box, view):
    assert panel(Box(box, 'a', 'truth')).view == view


def test_both_panels_show_the_same_part():
    boxes = [Box((-10, 0, 5, 5), 'a', 'hit')]
    first, second = panels_of(Picture(PHOTO, 't', panels=[('a', []), ('b', boxes)]))
    assert first.view == second.view == (-10, 0, 110, 50)
    assert (first.name, first.summary, second.name, second.summary) == ('a', 'none', 'b', '1 hit')


def test_corners_may_be_swapped_and_small_boxes_are_on_top():
    shapes = panel(Box((40, 5, 30, 1), 'small', 'hit'), Box((0, 0, 90, 40), 'large', 'hit')).shapes()
    assert [shape.text for shape in shapes] == ['✓ large', '✓ small']
    assert shapes[1].path == 'M30 1h10v4h-10z'


def test_boxes_with_nan_are_not_drawn_but_listed():
    one = picture()
    assert [len(panel.shapes()) for panel in panels_of(one)] == [4, 1]
    page = Page('t')
    page.section('s', one)
    assert 'nan 0.10' in page.html()


def test_texts_do_not_cover_one_another_and_the_gravest_come_first():
    boxes = [Box((10, 20, 60, 45), f'{index}', 'hit') for index in range(8)]
    boxes.append(Box((10, 20, 60, 45), 'm', 'missed'))
    shapes = panel(*boxes).shapes()
    places = {shape.text: shape.text_xy for shape in shapes if shape.text_xy}
    assert '? m' in places
    assert 1 < len(places) < 9
    heights = sorted(y for _, y in places.values())
    assert np.diff(heights).min() > panel().text_size


def test_texts_stay_in_view():
    for xyxy in ((95, 0, 100, 50), (0, 0, 100, 50), (0, 0, 1, 1), (99, 49, 100, 50)):
        one = panel(Box(xyxy, 'label', 'truth'))
        [shape] = one.shapes()
        x, y = shape.text_xy
        ends = [x - one.text_size * 5, x] if shape.anchor == 'end' else [x, x + 0.8 * one.text_size * 5]
        assert 0 <= ends[0] < ends[1] <= 100
        assert one.text_size <= y <= 50


def test_limbs_join_keypoints_that_are_there():
    one = picture()
    first = panels_of(one)[0]
    assert first.limbs_of(one.panels[0][1][0]) == 'M10 10L20 20'
    assert first.points_of(one.panels[0][1][0]) == 'M10 10h0M20 20h0'


def test_the_legend_has_the_kinds_that_occur():
    assert kinds_on([picture()]) == ['missed', 'false', 'hit', 'truth', 'ignored']
    assert kinds_on([picture(detections=False)]) == ['missed', 'hit', 'truth', 'ignored']
    assert kinds_on([]) == []


def test_the_photo_is_in_the_page_once():
    page = Page('t')
    page.section('s', picture())
    html = page.html()
    assert html.count('data:image/jpeg') == 1
    assert html.count('<use ') == 1

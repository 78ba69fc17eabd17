"""The boxes on the pictures of a report, and how many pictures there are."""

import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.pages import Box, Photo, Picture
from mmyolox.report.photos import BoxesOfImages, Crop, gallery, pixels_of, shown_names, within
from tests.report.cases import content, make_case, result


def pictures(count, size=100, boxes=0):
    box = Box((0, 0, 1, 1), 'a', 'hit')
    return [
        Picture(Photo('x' * size, (1, 1)), str(number), panels=[('Boxes', [box] * boxes)])
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ('made', 'room', 'most', 'taken'),
    [
        (pictures(9), 1000, 5, 5),
        (pictures(9), 350, 9, 3),
        (pictures(9), 10, 9, 1),  # one is always shown
        (pictures(9, boxes=1), 1500, 9, 2),  # boxes take room as well
        ([], 1000, 5, 0),
    ],
)
def test_as_many_pictures_as_there_is_room_for(made, room, most, taken):
    assert within(iter(made), room, most) == made[:taken]


def test_no_more_pictures_are_made_than_are_shown():
    made = iter(pictures(9))
    within(made, 10**6, 4)
    assert next(made).title == '4'


@pytest.mark.parametrize(('count', 'summaries'), [(6, []), (7, ['1 more']), (20, ['14 more'])])
def test_the_first_pictures_are_open(count, summaries):
    shown, *more = gallery(pictures(count), 'none')
    assert len(shown.pictures) == 6
    assert [fold.summary for fold in more] == summaries


def test_no_pictures_are_a_line():
    [callout] = gallery([], 'none are here')
    assert callout.title == 'none are here'


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['/a/b/1.jpg', '/a/b/2.jpg'], ['1.jpg', '2.jpg']),
        (['/a/b/1.jpg', '/a/c/1.jpg'], ['b/1.jpg', 'c/1.jpg']),
        (['1.jpg'], ['1.jpg']),
        (['/a/1.jpg', '/a/b/1.jpg'], ['1.jpg', 'b/1.jpg']),
        (['C:\\a\\1.jpg', 'C:\\a\\2.jpg'], ['1.jpg', '2.jpg']),
        (['/a/x\ny.jpg', '/a/\udcff.jpg'], ['x\\ny.jpg', '\\udcff.jpg']),
        ([], []),
    ],
)
def test_names_are_paths_without_what_all_share(paths, names):
    assert shown_names(paths) == names


def test_boxes_say_what_they_are(tmp_path):
    data = content(images=2, classes=('dog', 'cat'))
    data['annotations'] = [
        dict(id=number, image_id=1, category_id=1, bbox=bbox, area=400, iscrowd=crowd)
        for number, bbox, crowd in [(1, [0, 0, 20, 20], 0), (2, [50, 0, 20, 20], 0), (3, [0, 50, 60, 30], 1)]
    ]
    found = [
        result(1, 1, [0, 0, 20, 20], 0.95),  # right
        result(1, 1, [0, 1, 20, 20], 0.90),  # the same again
        result(1, 2, [0, 0, 20, 19], 0.85),  # as another class
        result(1, 1, [90, 60, 9, 9], 0.80),  # where nothing is
        result(1, 1, [10, 55, 20, 20], 0.75),  # in the crowd
        result(1, 1, [90, 0, 9, 9], 0.05),  # below the threshold
    ]
    analysis = analyse(make_case(tmp_path, data, found))
    drawn = BoxesOfImages(analysis).of(0)
    assert analysis.threshold > 0.05
    assert [(box.label, box.kind) for box in drawn.truth] == [
        ('dog', 'truth'),
        ('dog', 'missed'),
        ('dog (crowd)', 'ignored'),
    ]
    kinds = {box.label: box.kind for box in drawn.detections}
    assert kinds['dog 0.95'] == 'hit'
    assert (
        kinds.items()
        <= {
            'dog 0.95': 'hit',
            'dog 0.90 (duplicate)': 'false',
            'cat 0.85 (class)': 'false',
            'dog 0.80': 'false',
            'dog 0.75': 'ignored',
        }.items()
    )
    assert drawn.not_found == [drawn.truth[1]]
    assert BoxesOfImages(analysis).of(1).truth == []


def test_a_file_that_is_no_image_has_no_pixels(tmp_path):
    truth = make_case(tmp_path).truth
    assert pixels_of(truth, 0).shape == (90, 120, 3)
    with open(truth.paths[0], 'wb') as file:
        file.write(b'no image')
    assert pixels_of(truth, 0) is None


@pytest.mark.parametrize(
    ('corners', 'place'),
    [
        ((100, 100, 140, 120), (52, 52, 188, 168)),  # 48 pixels at least
        ((100, 100, 200, 120), (25, 25, 275, 195)),  # in parts of the longer side
        ((0, 0, 10, 10), (0, 0, 58, 58)),  # in the corner
        ((-30, -30, 600, 600), (0, 0, 300, 200)),
    ],
)
def test_a_crop_is_what_is_around_a_box(corners, place):
    pixels = np.arange(200 * 300 * 3, dtype=np.int64).reshape(200, 300, 3)
    crop = Crop.around(pixels, corners)
    left, top, right, bottom = place
    assert (crop.left, crop.top) == (left, top)
    np.testing.assert_array_equal(crop.pixels, pixels[top:bottom, left:right])


def test_a_box_outside_of_its_image_has_no_crop():
    assert Crop.around(np.zeros((20, 20, 3), np.uint8), (500, 500, 510, 510)) is None


def test_boxes_move_into_a_crop_and_are_cut_to_it():
    crop = Crop(np.zeros((50, 40, 3), np.uint8), 10, 20)
    boxes = [
        Box((15, 25, 30, 40), 'inside', 'truth', [(20, 30), None]),
        Box((0, 0, 200, 200), 'around', 'truth'),
        Box((0, 0, 9, 300), 'beside', 'truth'),
        Box((0, 71, 300, 80), 'below', 'truth'),
    ]
    moved = [*crop.moved(boxes)]
    assert [(box.label, box.xyxy) for box in moved] == [
        ('inside', (5, 5, 20, 20)),
        ('around', (0, 0, 40, 50)),
    ]
    assert moved[0].keypoints == [(10, 10), None]

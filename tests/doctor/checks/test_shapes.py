"""What all boxes share, and how many of them make it suspicious."""

import numpy as np
import pytest

from mmyolox.doctor.checks import shapes
from tests.doctor.made_data import Made, examined

NAMES = [f'{number}.jpg' for number in range(30)]


def boxes(count, images=30, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform(20, 300, (count, 2)).round(1)
    high = low + rng.uniform(20, 150, (count, 2)).round(1)
    return [(number % images, 0, *corners) for number, corners in enumerate(np.hstack([low, high]).tolist())]


def counts(own, check, **fields):
    return check.find(examined({'train': Made(NAMES, own, **fields)})).count


@pytest.mark.parametrize(('largest', 'count'), [(1.0, 10), (1.01, 0)])
def test_fractions_are_a_split_of_which_no_number_is_above_one(largest, count):
    own = [(0, 0, 0.1, 0.2, 0.5, 0.9)] * 9 + [(0, 0, 0.1, 0.2, 0.5, largest)]
    assert counts(own, shapes.boxes_in_fractions) == count


def test_fractions_in_one_split_are_found_there():
    splits = {'train': Made(NAMES, boxes(20)), 'val': Made(NAMES, [(0, 0, 0.1, 0.2, 0.5, 0.9)] * 3)}
    found = shapes.boxes_in_fractions.find(examined(splits))
    assert (found.count, found.total, found.splits) == (3, 23, {'val': 3})


def as_corners(own):
    return [(image, label, x1, y1, x1 + x2, y1 + y2) for image, label, x1, y1, x2, y2 in own]


def test_corners_are_seen_by_what_reaches_over_the_border():
    assert counts(as_corners(boxes(40)), shapes.boxes_as_corners) == 40
    assert counts(boxes(40), shapes.boxes_as_corners) == 0
    # In the upper left they could be either.
    small = [(image, label, *(value / 3 for value in bbox)) for image, label, *bbox in boxes(40)]
    assert counts(as_corners(small), shapes.boxes_as_corners) == 0
    # One box with a width below its x is no corner.
    assert counts([*as_corners(boxes(40)), (0, 0, 300, 10, 320, 400)], shapes.boxes_as_corners) == 0


@pytest.mark.parametrize(('same', 'others', 'count'), [(18, 2, 18), (17, 3, 0), (19, 0, 0)])
def test_one_size_is_that_of_nine_tenths(same, others, count):
    own = [(number, 0, 10 + number, 10, 40 + number, 50) for number in range(same)] + boxes(others)
    assert counts(own, shapes.boxes_of_one_size) == count


@pytest.mark.parametrize(('touching', 'others', 'count'), [(15, 5, 15), (14, 6, 0), (19, 0, 0)])
def test_three_quarters_at_the_border_are_suspicious(touching, others, count):
    own = [(number, 0, 0.5, 10 + number, 40, 90) for number in range(touching)] + boxes(others)
    assert counts(own, shapes.boxes_at_border) == count


@pytest.mark.parametrize(('times', 'count'), [(9, 0), (10, 10)])
def test_copies_have_the_same_corners_and_class(times, count):
    own = [(number, 0, 10, 10, 40, 50) for number in range(times)]
    assert counts([*own, (20, 1, 10, 10, 40, 50), *boxes(5)], shapes.box_copied) == count


@pytest.mark.parametrize(('crowds', 'only', 'many'), [(20, 20, 0), (19, 0, 19), (4, 0, 4), (3, 0, 0)])
def test_crowds_are_all_or_many(crowds, only, many):
    own = boxes(20)
    assert counts(own, shapes.crowds_only, crowds=range(crowds)) == only
    assert counts(own, shapes.crowds_many, crowds=range(crowds)) == many


def test_a_split_of_crowds_alone_is_told_beside_others():
    data = examined(
        {'train': Made(NAMES, boxes(3)), 'val': Made(['b.jpg', 'c.jpg'], boxes(2), crowds=[0, 1])}
    )
    found = shapes.crowds_only.find(data)
    assert (found.count, found.total, found.splits) == (2, 5, {'val': 2})


@pytest.mark.parametrize('name', [one for one in vars(shapes) if one.startswith(('box', 'crowds'))])
def test_without_boxes_nothing_is_found(name):
    assert counts([], getattr(shapes, name)) == 0

"""Where the checks of single boxes draw the line."""

import numpy as np
import pytest

from mmyolox.doctor.checks import boxes
from mmyolox.doctor.examined import Plan
from tests.doctor.made_data import Made, examined

NAN, INF = float('nan'), float('inf')
CHECKS = (
    boxes.box_not_finite,
    boxes.box_inverted,
    boxes.box_without_area,
    boxes.box_outside,
    boxes.box_over_border,
)


def data_of(*bboxes, size=(640, 480), plan=Plan((640, 640)), **fields):  # noqa: B008  # it is frozen
    own = [(0, 0, *bbox) for bbox in bboxes]
    return examined({'train': Made(['a.jpg'], own, size, **fields)}, plan)


@pytest.mark.parametrize(
    ('bbox', 'names'),
    [
        ((0, 0, 640, 480), set()),
        ((-1, -1, 641, 481), set()),  # rounding
        ((-1.1, 0, 40, 40), {'box-over-border'}),
        ((600, 400, 640, 481.5), {'box-over-border'}),
        ((640, 0, 700, 40), {'box-outside'}),  # it begins where the image ends
        ((639, 0, 700, 40), {'box-over-border'}),
        ((-50, 10, 0, 40), {'box-outside'}),
        ((10, 500, 60, 560), {'box-outside'}),
        ((60, 10, 10, 40), {'box-inverted'}),
        ((700, 10, 690, 40), {'box-inverted', 'box-outside'}),
        ((10, 10, 10, 40), {'box-without-area'}),
        ((10, 10, 10.0005, 40), {'box-without-area'}),
        ((10, 10, 10.01, 40), set()),
        ((NAN, 10, 60, 40), {'box-not-finite'}),
        ((10, 10, INF, 40), {'box-not-finite'}),
        ((-INF, -INF, INF, INF), {'box-not-finite'}),
        ((1e300, 0, 2e300, 9), {'box-outside'}),
    ],
)
def test_a_box_is_found_under_what_is_wrong_with_it(bbox, names):
    data = data_of(bbox)
    with np.errstate(all='ignore'):
        assert {check.name for check in CHECKS if check.find(data).count} == names


@pytest.mark.parametrize(
    ('side', 'scale', 'count'),
    [(3.9, (640, 640), 1), (4, (640, 640), 0), (4, (320, 320), 1), (4, (640, 320), 1)],
)
def test_tiny_is_measured_as_the_network_sees_it(side, scale, count):
    data = data_of((10, 10, 10 + side, 50), (10, 10, 90, 90), plan=Plan(scale))
    found = boxes.box_tiny.find(data)
    assert (found.count, found.total) == (count, 2)


def test_the_smallest_comes_first_with_both_sizes():
    data = data_of((10, 10, 13, 50), (10, 10, 12, 90), plan=Plan((320, 320)))
    found = boxes.box_tiny.find(data)
    assert found.indices.tolist() == [1, 0]
    assert found.examples[0].detail == '2 x 80 pixels, 1 x 40 for the network'
    assert str(found.examples[0]).startswith('train: a.jpg (annotation 2): ')


@pytest.mark.parametrize(
    ('bbox', 'count'), [((0, 0, 640, 480), 1), ((5, 3, 633, 474), 1), ((0, 0, 640, 460), 0)]
)
def test_huge_is_the_whole_image(bbox, count):
    assert boxes.box_huge.find(data_of(bbox)).count == count


@pytest.mark.parametrize(('height', 'count'), [(200, 0), (201, 1)])
def test_aspects_are_extreme_beyond_20_to_1(height, count):
    assert boxes.box_extreme_aspect.find(data_of((10, 10, 20, 10 + height))).count == count


@pytest.mark.parametrize(('area', 'count'), [(NAN, 0), (1, 0), (100, 0), (102, 0), (103, 1), (0, 1)])
def test_areas_may_be_smaller_than_the_box_and_not_larger(area, count):
    assert boxes.area_unlike_box.find(data_of((10, 10, 20, 20), areas=[area])).count == count


def test_a_crowd_is_no_object():
    bbox = (0, 0, 640, 3)
    for check in (boxes.box_tiny, boxes.box_extreme_aspect):
        assert check.find(data_of(bbox)).count == 1
        assert check.find(data_of(bbox, crowds=[0])).count == 0

"""Figures of splits against those of the training."""

import pytest

from mmyolox.doctor.check import NotExaminedError
from mmyolox.doctor.checks import splits
from tests.doctor.made_data import Made, examined


def boxes(count: int, label: int = 0, side: float = 50, images: int = 10):
    return [(number % images, label, 10, 10, 10 + side, 10 + side) for number in range(count)]


NAMES = [f'{number}.jpg' for number in range(10)]


@pytest.mark.parametrize(('count', 'found'), [(29, 1), (30, 0)])
def test_a_validation_is_tiny_by_its_objects(count, found):
    data = examined({'train': Made(NAMES, boxes(50)), 'val': Made(NAMES, boxes(count))})
    assert splits.validation_tiny.find(data).count == found


@pytest.mark.parametrize(
    ('cats', 'dogs', 'found'),
    [
        (40, 10, set()),
        (10, 40, {'cat', 'dog'}),  # 20% instead of 80%, and the other way round
        (15, 35, {'dog'}),  # 30% instead of 80%, which is no factor of 3
        (49, 1, set()),  # a tenth of the share, as may happen by chance
    ],
)
def test_shares_of_classes_differ_by_more_than_chance(cats, dogs, found):
    train = boxes(160) + boxes(40, 1)
    data = examined({'train': Made(NAMES, train), 'val': Made(NAMES, boxes(cats) + boxes(dogs, 1))})
    assert {example.place for example in splits.class_shares_differ.find(data).examples} == found


@pytest.mark.parametrize(('side', 'count'), [(50, 0), (99, 0), (101, 1), (26, 0), (24, 1)])
def test_sizes_of_objects_differ_by_a_factor_of_two(side, count):
    data = examined({'train': Made(NAMES, boxes(20)), 'val': Made(NAMES, boxes(20, side=side))})
    assert splits.object_sizes_differ.find(data).count == count


def test_a_crowd_in_one_image_does_not_decide_on_sizes():
    crowd = boxes(500, side=4, images=1)
    data = examined({'train': Made(NAMES, boxes(20) + crowd), 'val': Made(NAMES, boxes(20))})
    assert not splits.object_sizes_differ.find(data).count


def test_of_an_image_the_middle_object_counts():
    mixed = [box for side in (20, 50, 200) for box in boxes(10, side=side)]
    data = examined({'train': Made(NAMES, boxes(20)), 'val': Made(NAMES, mixed)})
    assert not splits.object_sizes_differ.find(data).count


def test_sizes_are_those_that_the_network_sees():
    small = [(image, label, x1 / 4, y1 / 4, x2 / 4, y2 / 4) for image, label, x1, y1, x2, y2 in boxes(20)]
    data = examined({'train': Made(NAMES, boxes(20)), 'val': Made(NAMES, small, size=(160, 120))})
    assert not splits.object_sizes_differ.find(data).count
    assert splits.image_sizes_differ.find(data).count == 1


def test_classes_in_one_split_alone_are_named_the_most_frequent_first():
    train = boxes(3) + boxes(2, 2) + boxes(4, 3)
    data = examined({'train': Made(NAMES, train), 'val': Made(NAMES, boxes(5) + boxes(1, 1))}, classes='abcd')
    assert [one.place for one in splits.class_only_in_training.find(data).examples] == ['d', 'c']
    assert [one.place for one in splits.class_only_in_validation.find(data).examples] == ['b']


@pytest.mark.parametrize(
    'check', ['validation_tiny', 'class_only_in_training', 'class_only_in_validation', 'class_shares_differ']
)
def test_without_objects_nothing_is_compared(check):
    data = examined({'train': Made(NAMES, boxes(5)), 'val': Made(NAMES)})
    with pytest.raises(NotExaminedError, match='val'):
        getattr(splits, check).find(data)

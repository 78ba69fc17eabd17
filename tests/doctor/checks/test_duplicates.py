"""Copies in a split and between splits, which may share their sources and their images."""

import pytest

from mmyolox.doctor.check import NotExaminedError
from mmyolox.doctor.checks import duplicates
from tests.doctor.made_data import Made, examined


def places(found) -> list[str]:
    return [example.place for example in found.examples]


def test_the_later_split_has_the_leak():
    data = examined(
        {
            'train': Made(['a', 'b'], contents=['1', '2']),
            'val': Made(['c', 'd'], contents=['2', '3']),
            'test': Made(['e', 'f'], contents=['3', '4']),
        }
    )
    found = duplicates.leak_between_splits.find(data)
    assert places(found) == ['val: c', 'test: e']
    assert [example.detail for example in found.examples] == ['as train: b', 'as val: d']
    assert (found.count, found.total) == (2, 4)
    assert found.splits == dict(val=1, test=1)


def test_splits_may_come_in_any_order():
    data = examined({'val': Made(['a'], contents=['1']), 'train': Made(['b'], contents=['1'])})
    assert places(duplicates.leak_between_splits.find(data)) == ['val: a']


def test_a_test_on_the_images_of_the_validation_is_no_leak():
    same = Made(['v', 'w'], contents=['1', '2'])
    data = examined({'train': Made(['t'], contents=['3']), 'val': same, 'test': same})
    assert not duplicates.leak_between_splits.find(data).count
    assert not duplicates.name_in_two_splits.find(data).count


def test_a_validation_on_the_images_of_the_training_is_a_leak():
    same = Made(['a', 'b'], contents=['1', '2'])
    assert duplicates.leak_between_splits.find(examined({'train': same, 'val': same})).count == 2


def test_copies_of_a_split_are_counted_but_for_the_first():
    contents = ['1', '2', '1', '1']
    data = examined({'train': Made(['a', 'b', 'c', 'd'], contents=contents)})
    found = duplicates.copy_in_split.find(data)
    assert places(found) == ['train: c', 'train: d']
    assert {example.detail for example in found.examples} == {'as train: a'}


def test_a_file_that_is_listed_twice_is_no_copy():
    data = examined({'train': Made(['a', 'a'], contents=['1', '1'])})
    assert not duplicates.copy_in_split.find(data).count
    assert not duplicates.copies_annotated_differently.find(data).count


@pytest.mark.parametrize(
    ('boxes', 'count'),
    [
        ([(0, 0, 1, 2, 30, 40), (0, 1, 5, 5, 9, 9), (1, 1, 5, 5, 9, 9), (1, 0, 1, 2, 30.2, 40)], 0),
        ([(0, 0, 1, 2, 30, 40), (1, 1, 1, 2, 30, 40)], 1),
        ([(0, 0, 1, 2, 30, 40), (1, 0, 1, 2, 33, 40)], 1),
        ([(0, 0, 1, 2, 30, 40)], 1),
        ([(0, 0, 1, 2, float('nan'), 40), (1, 0, 1, 2, float('nan'), 40)], 0),
        ([], 0),
    ],
)
def test_copies_have_the_same_boxes_in_any_order_to_a_pixel(boxes, count):
    data = examined({'train': Made(['a', 'b'], boxes, contents=['1', '1'])})
    assert duplicates.copies_annotated_differently.find(data).count == count


def test_names_are_compared_without_folders():
    data = examined({'train': Made(['train\\1.jpg', 'train/2.jpg']), 'val': Made(['val/1.jpg', 'val/3.jpg'])})
    assert places(duplicates.name_in_two_splits.find(data)) == ['val: val/1.jpg']


def test_what_needs_pixels_says_so():
    data = examined({'train': Made(['a'])})
    for check in (duplicates.near_copy_in_split, duplicates.near_leak_between_splits):
        with pytest.raises(NotExaminedError, match='pixels'):
            check.find(data)

"""Which classes are found, and which are not."""

import pytest

from mmyolox.doctor.checks import classes
from mmyolox.doctor.raw import Category
from tests.doctor.made_data import Made, examined
from tests.doctor.small_set import diagnosed, write_set

NAMES = ['a.jpg', 'b.jpg']


def boxes(*counts):
    return [(0, label, 10 + n, 10, 60 + n, 50) for label, count in enumerate(counts) for n in range(count)]


def places(check, data):
    return {example.place: example.detail for example in check.find(data).examples}


def test_few_are_counted_in_the_training_without_crowds():
    splits = {'train': Made(NAMES, boxes(25, 19), crowds=range(6)), 'val': Made(NAMES, boxes(0, 9))}
    found = classes.class_with_few_boxes.find(examined(splits))
    assert [(one.place, one.detail) for one in found.examples] == [
        ('cat', '19 objects'),
        ('dog', '19 objects'),
    ]


@pytest.mark.parametrize(('rare', 'names'), [(1, {'dog': '1, and 101 of cat'}), (2, {})])
def test_imbalance_is_beyond_a_hundred(rare, names):
    assert places(classes.class_imbalance, examined({'train': Made(NAMES, boxes(101, rare))})) == names


def test_classes_of_crowds_are_not_those_without_boxes():
    data = examined({'train': Made(NAMES, boxes(3, 2), crowds=[3, 4])}, classes=('cat', 'dog', 'bird'))
    assert places(classes.class_of_crowds, data) == {'dog': '2 crowd boxes'}
    assert places(classes.class_without_box, data) == {'bird': 'no box in any split'}


@pytest.mark.parametrize(
    ('names', 'alike', 'padded', 'numeric'),
    [
        (('cat', 'dog'), set(), set(), set()),
        (('Cat', 'cat '), {"'Cat', 'cat '"}, {"'cat '"}, set()),
        (('hot dog', 'hot_dog', '3'), {"'hot dog', 'hot_dog'"}, set(), {'3'}),
        (('a\nb', '日本'), set(), {"'a\\nb'"}, set()),
    ],
)
def test_names_are_looked_at_as_written(names, alike, padded, numeric):
    data = examined({'train': Made(NAMES, boxes(1, 1))}, classes=names)
    assert {*places(classes.class_names_alike, data)} == alike
    assert {*places(classes.class_name_padded, data)} == padded
    assert {*places(classes.class_name_numeric, data)} == numeric


@pytest.mark.parametrize('above', ['animals', 'cat'])
def test_a_category_that_groups_others_is_no_class(tmp_path, above):
    """As Roboflow writes one, perhaps of the name of a class."""
    small = write_set(tmp_path)
    for split in ('train', 'val'):
        with small.annotations(split) as content:
            for category in content['categories']:
                category['supercategory'] = above
            content['categories'].insert(0, dict(id=0, name=above, supercategory='none'))
    diagnosis = diagnosed(tmp_path)
    assert not diagnosis.findings
    assert diagnosis.data.raw.splits[0].categories[0] == Category(0, above, 'none')


def test_indices_of_one_name_are_named(tmp_path):
    small = write_set(tmp_path, 'yolo')
    path = small.root / 'data.yaml'
    path.write_text(path.read_text().replace('dog', 'cat'))
    data = diagnosed(tmp_path).data
    assert places(classes.class_repeated, data) == {'cat': f'0, 1 in {path}'}
    assert data.raw.classes == ('cat', 'bird')

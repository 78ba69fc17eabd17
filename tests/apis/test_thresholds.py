"""Thresholds of all classes, and of some."""

import pytest

from mmyolox.apis.thresholds import DEFAULT, Thresholds
from mmyolox.errors import UserError

CLASSES = 'cat', 'traffic light', 'a=b, c'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('0.5', [0.5] * 3),
        ('cat=0.4', [0.4, DEFAULT, DEFAULT]),
        ('traffic light=0.25,cat=1', [1, 0.25, DEFAULT]),
        ('0.1,cat=0.4', [0.4, 0.1, 0.1]),
        ('cat=0.4, 0', [0.4, 0, 0]),
        ('a=b, c=0.7,cat=.5', [0.5, DEFAULT, 0.7]),
    ],
)
def test_each_class_has_its_own_or_that_of_all(text, expected):
    assert Thresholds.parse(text).of(CLASSES).tolist() == expected


@pytest.mark.parametrize('text', ['', 'x', '1.5', '-1', 'nan', 'cat', 'cat=', 'cat=2', '0.5,', '0.3,cat'])
def test_what_is_no_threshold_is_told(text):
    with pytest.raises(UserError, match=r'--score-thr .*: a number from 0 to 1 is needed, or one for each'):
        Thresholds.parse(text)


def test_unknown_classes_are_told():
    with pytest.raises(UserError, match='--score-thr: no class is called dog; there are cat'):
        Thresholds.parse('dog=0.4,cat=0.1').of(CLASSES)


def test_they_are_written_as_they_hold():
    assert str(Thresholds.parse('cat=0.40')) == '0.3, cat 0.4'

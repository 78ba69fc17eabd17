"""Figures in the words of a person."""

import math
from types import SimpleNamespace

import pytest

from mmyolox.engine.figures import class_table, format_figures, short_figures


@pytest.mark.parametrize(
    ('metrics', 'expected'),
    [
        ({'coco/bbox_mAP': 0.4, 'coco/bbox_mAP_50': 0.7, 'coco/bbox_mAP_75': 0.3, 'coco/bbox_mAP_s': 0.1}, 0),
        ({'pascal_voc/mAP': 0.4, 'pascal_voc/AP50': 0.7}, 0),
        ({'coco/AP': 0.4, 'coco/AP .5': 0.7, 'coco/AP .75': 0.3, 'coco/AP (M)': 0.3, 'coco/AR': 1.0}, 0),
        ({'coco/bbox_mAP': 0.4, 'coco/bbox_mAP_50': 0.7, 'coco/cat_precision': 0.9}, 0),
    ],
    ids=['ours', 'VOC', 'MMPose', 'classwise'],
)
def test_precisions_have_one_name(metrics, expected):
    assert short_figures(metrics) == {'AP': 0.4, 'AP50': 0.7}


def test_of_two_kinds_the_name_says_which():
    names = ('keypoints_mAP', 'keypoints_mAP_50', 'bbox_mAP', 'bbox_mAP_50')
    figures = short_figures({f'coco/{name}': number for number, name in enumerate(names)})
    assert figures == {'keypoints AP': 0, 'keypoints AP50': 1, 'bbox AP': 2, 'bbox AP50': 3}


def test_other_metrics_are_the_first_three():
    metrics = {'a/score': 1, 'b/text': 'no number', 'b/other': 2.5, 'third': 3, 'fourth': 4}
    assert short_figures(metrics) == {'score': 1, 'other': 2.5, 'third': 3}
    assert short_figures({}) == {}


@pytest.mark.parametrize(('metric', 'name'), [('coco/bbox_mAP', 'AP'), ('a/score', 'score')])
def test_the_loss_of_a_validation_is_among_them(metric, name):
    metrics = {'val/loss_cls': 2.0, metric: 0.5, 'val/loss': 8.0}
    assert short_figures(metrics) == {name: 0.5, 'val loss': 8.0}


def test_nothing_to_find_is_no_zero():
    assert format_figures({'AP': -1.0, 'AP50': math.nan, 'x': 0.0}) == 'AP -  AP50 -  x 0.000'


def rows(*triples):
    return [
        SimpleNamespace(name=name, objects=objects, precisions=dict(AP=ap)) for name, objects, ap in triples
    ]


def test_a_table_of_classes_is_aligned_whatever_their_names():
    lines = class_table(rows(('cat', 3, 0.5), ('漢字\n', 12, -1.0), ('a dog', 0, 1.0)))
    assert lines == [
        'class   objects      AP',
        'cat           3   0.500',
        '漢字\\n       12       -',
        'a dog         0   1.000',
    ]
    assert class_table([]) == []


def test_a_long_name_leaves_room_for_the_figures():
    lines = class_table(rows(('x' * 300, 3, 0.5), ('cat', 3, 0.25)))
    assert [line[40:] for line in lines] == [
        '  objects      AP',
        '        3   0.500',
        '        3   0.250',
    ]
    assert lines[1].startswith('x' * 37 + '...  ')


def test_of_many_classes_the_worst():
    many = rows(*((str(number), 1, 1 - number / 100) for number in range(30)), ('absent', 0, -1.0))
    lines = class_table(many, limit=2)
    assert [line.split()[0] for line in lines] == ['class', '29', '28', 'the']
    assert lines[-1].startswith('the worst 2 of 31 classes')
    assert len(class_table(many)) == 32

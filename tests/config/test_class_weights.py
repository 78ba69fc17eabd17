"""Weights of classes by their names."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError
from mmyolox.tool_parser import OptionText

NANO = 'yolox_nano_fast_1xb8-50e_custom'
CLASSES = dict(classes=['cat', 'big dog', 'a:b'])


def weights(value, **options):
    cfg = load_config(NANO, CLASSES | options | dict(class_weights=value))
    return cfg.model.bbox_head.class_weights


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (None, None),
        ([1, 2, 0.5], [1, 2, 0.5]),
        (OptionText('1,2,0.5'), [1, 2, 0.5]),
        (OptionText('cat:2'), [2, 1, 1]),
        (OptionText('a:b:0,big dog:3'), [1, 3, 0]),
    ],
)
def test_what_a_command_line_says(value, expected):
    assert weights(value) == expected


@pytest.mark.parametrize(
    'line', ["class_weights = 'dog:0.5'", "model = dict(bbox_head=dict(class_weights=['dog:0.5']))"]
)
def test_what_a_file_says(tmp_path, line):
    path = tmp_path / 'weighted.py'
    path.write_text(f"_base_ = 'mmyolox::{NANO}.py'\nclasses = ('cat', 'dog')\n{line}\n")
    assert load_config(path).model.bbox_head.class_weights == [1, 0.5]


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('cat', "class_weights: 'cat' must be a name and a number, such as cat:2"),
        ('cat:', "'cat:' must be a name and a number"),
        ('caat:2', "there is no class 'caat'; did you mean cat"),
        ('wolf:2', r"class_weights: there is no class 'wolf'; there are cat, big dog, a:b$"),
        ('cat:2,cat:3', "class_weights: 'cat' stands there twice"),
        ('cat:-1', 'class_weights=.*: it must be at least 0'),
        ('cat:nan', 'class_weights=.*: it must be at least 0'),
        ('2', 'class_weights=2: YOLOXHead takes a list'),
        ('0,0,0', r'class_weights=\[0, 0, 0\]: one must be above 0'),
        ('cat:0,big dog:0,a:b:0', r'class_weights=.*: one must be above 0, or no class is learnt'),
    ],
)
def test_what_is_no_weight_is_named(value, message):
    with pytest.raises(UserError, match=message):
        weights(OptionText(value))


def test_names_need_the_names_of_the_classes():
    with pytest.raises(UserError, match=r'the config names no classes: add classes=\[\.\.\.\]'):
        load_config('yolox_nano_fast_8xb8-300e_coco', {'class_weights': OptionText('person:2')})

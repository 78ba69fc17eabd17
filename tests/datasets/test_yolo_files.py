"""The files of a YOLO data set. Most of their forms are in the tests of the data set and the converter."""

import re
from pathlib import Path

import pytest

from mmyolox.datasets.yolo_files import class_names, keypoint_shape, label_path, note_names, resolve
from mmyolox.errors import ReadingReport, UserError


@pytest.mark.parametrize(
    ('path', 'expected'),
    [
        ('x/images/train/a.b.jpg', 'x/labels/train/a.b.txt'),
        ('images/x/images/a.png', 'images/x/labels/a.txt'),
        ('x/images.jpg', 'x/images.txt'),
        ('x/a.jpg', 'x/a.txt'),
    ],
)
def test_label_path(path, expected):
    assert label_path(Path(path)).as_posix() == expected


@pytest.mark.parametrize('name', ['train/images', '../train/images', '/content/set/train/images'])
def test_a_path_is_found_below_the_folder_of_the_set(tmp_path, name):
    (tmp_path / 'train/images').mkdir(parents=True)
    assert resolve(name, [tmp_path]) == tmp_path / 'train/images'


def test_its_last_part_alone_is_another_path(tmp_path):
    (tmp_path / 'images').mkdir()
    with pytest.raises(UserError, match='test/images: no such folder or list of images'):
        resolve('../test/images', [tmp_path])


@pytest.mark.parametrize(
    ('shape', 'expected'), [(None, (0, 0)), (['17', '3'], (17, 3)), (['4', '2'], (4, 2))]
)
def test_keypoint_shape(shape, expected):
    assert keypoint_shape('a.yaml', {} if shape is None else dict(kpt_shape=shape)) == expected


@pytest.mark.parametrize(
    'shape', ['17', ['17'], ['0', '3'], ['17', '4'], ['x', '3'], [['1'], '3'], {'17': '3'}]
)
def test_a_keypoint_shape_that_is_none(shape):
    with pytest.raises(UserError, match=r'a\.yaml says kpt_shape: .*; \[K, 2\] or \[K, 3\] is needed'):
        keypoint_shape('a.yaml', dict(kpt_shape=shape))


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('train/_darknet.labels', 'valid/_darknet.labels'),
        ('train/_darknet.labels', 'test/_darknet.labels'),
        ('classes.txt', 'obj.names'),
    ],
)
def test_files_of_names_that_contradict_each_other(tmp_path, first, second):
    for name in (first, second):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('cat\ndog\n')
    assert class_names(tmp_path, None, {}) == ['cat', 'dog']
    (tmp_path / second).write_text('cat\r\ndog\r\ncow\r\n')
    assert class_names(tmp_path, None, {}) == ['cat', 'dog']
    (tmp_path / second).write_text('cat\ncow\ndog\n')
    words = f"{tmp_path / second} calls class 1 'cow', and {tmp_path / first} 'dog': correct one of them"
    with pytest.raises(UserError, match=re.escape(words)):
        class_names(tmp_path, None, {})
    assert class_names(tmp_path, None, dict(names=['dog'])) == ['dog']


def test_names_that_are_noted():
    report = ReadingReport()
    note_names(['cat', 'dog', 'cat', 'Dog'], report)
    assert report.note_lines() == [
        'class names that stand for several indices, taken as one class: 1 (cat)',
        "class names that only case, blanks or underscores tell apart: 1 ('dog', 'Dog')",
    ]
    note_names(['cat', 'dog'], none := ReadingReport())
    assert none.note_lines() == []

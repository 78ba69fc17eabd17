"""Building and writing COCO annotation files, and the report of a conversion."""

import json
import os

import pytest

from mmyolox.datasets.coco_file import read_coco
from tests.tools.tool_loading import load_tool

coco_json = load_tool('dataset_converters/coco_json.py')


@pytest.fixture
def coco():
    coco = coco_json.CocoFile(['cat', 'dog'], dict(keypoints=['nose']))
    image_id = coco.add_image('a/b.jpg', 40, 30)
    coco.add_annotation(image_id, 1, (1.0, 2.0, 4.00049, 8.0))
    coco.add_annotation(image_id, 1, (0.0, 0.0, 2.0, 2.0), area=3, iscrowd=1, keypoints=[1, 1, 2])
    return coco


def test_ids_count_from_1_and_fields_override(coco, tmp_path):
    coco.write(tmp_path / 'new' / 'file.json')
    content = json.loads((tmp_path / 'new' / 'file.json').read_text())
    assert content == coco.to_dict()
    assert content['categories'][1] == dict(id=2, name='dog', supercategory='', keypoints=['nose'])
    assert content['images'] == [dict(id=1, file_name='a/b.jpg', width=40, height=30)]
    first, second = content['annotations']
    assert first == dict(id=1, image_id=1, category_id=2, bbox=[1, 2, 3, 6], area=18.003, iscrowd=0)
    assert second == dict(
        id=2, image_id=1, category_id=2, bbox=[0, 0, 2, 2], area=3, iscrowd=1, keypoints=[1, 1, 2]
    )
    assert {'info', 'licenses'} < set(content)


def test_class_counts(coco):
    assert coco.class_counts() == {'cat': 0, 'dog': 2}


@pytest.mark.parametrize('bad', [float('nan'), object()])
def test_a_failed_write_leaves_the_old_file(coco, tmp_path, bad):
    path = tmp_path / 'file.json'
    path.write_text('old')
    coco.annotations[1]['area'] = bad
    with pytest.raises((ValueError, TypeError)):
        coco.write(path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [('file.json', 'old')]


@pytest.mark.parametrize(
    ('bbox', 'expected', 'clipped'),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4), 0),
        ((0, 0, 40, 30), (0, 0, 40, 30), 0),
        ((-1, 2, 3, 4), (0, 2, 3, 4), 1),
        ((1, 2, 41, 31), (1, 2, 40, 30), 1),
        ((39.5, 2, 99, 4), (39.5, 2, 40, 4), 1),
        ((40, 2, 99, 4), None, 0),
        ((-9, 2, 0, 4), None, 0),
        ((3, 2, 3, 4), None, 0),
        ((3, 4, 5, 2), None, 0),
        ((float('nan'), 2, 3, 4), None, 0),
        ((1, 2, float('inf'), 4), None, 0),
        ((1, -1e300, 3, 4), None, 0),
    ],
)
def test_checked_box(bbox, expected, clipped):
    report = coco_json.ConversionReport()
    assert report.checked_box(bbox, (40, 30), 'x.txt:7') == expected
    assert report.clipped == clipped
    assert [line.split(': ')[0] for line in report.skipped] == ['x.txt:7'] * (expected is None)


def test_summary(coco):
    report = coco_json.ConversionReport(clipped=2)
    report.skip('a.txt', 'is odd')
    report.note('things', [])
    report.note('others', 'abcdef')
    assert report.summary({'train': coco}).splitlines() == [
        'skipped: a.txt: is odd, skipped',
        'note: others: 6 (a, b, c, d, e, ...)',
        'note: boxes that reached outside their image, clipped to it: 2',
        'train.json: 1 image, 2 boxes (cat 0, dog 2)',
    ]


def test_a_file_name_that_is_no_utf8_is_found_again(coco, tmp_path):
    name = os.fsdecode('Käfer-'.encode() + b'\xe4.jpg')
    coco.add_image(name, 40, 30)
    coco.write(tmp_path / 'a.json')
    assert 'Käfer-\\udce4.jpg' in (tmp_path / 'a.json').read_text(encoding='utf-8')
    assert read_coco(str(tmp_path / 'a.json')).images[1]['file_name'] == name

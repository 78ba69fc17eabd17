"""Labels that were made wrong on purpose are found, ranked and written for review."""

import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.analysis.export_suspects import write_coco, write_cvat
from mmyolox.analysis.suspects import KINDS
from mmyolox.datasets.coco_file import read_coco
from mmyolox.errors import ReadingReport
from tests.analysis.random_cases import add_object, made_case
from tests.tools.tool_loading import load_tool

PLACES = [[10 + 40 * column, 10 + 40 * row, 20, 20] for row in range(2) for column in range(4)]


def perfect(images=5):
    """Objects of two classes, and a confident detection of each."""
    annotations, results = [], []
    for image in range(1, images + 1):
        for number, bbox in enumerate(PLACES):
            category = 1 + number % 2
            add_object(annotations, image, category, bbox)
            results.append(dict(image_id=image, category_id=category, bbox=bbox, score=0.9 + image / 100))
    return annotations, results


def no_box(annotations, results):
    annotations.pop(3)


def not_found(annotations, results):
    results.pop(3)


def other_class(annotations, results):
    annotations[3]['category_id'] = 1


def box_off(annotations, results):
    annotations[3]['bbox'] = [124, 24, 20, 20]


def planted(plant):
    annotations, results = perfect()
    plant(annotations, results)
    return analyse(made_case(annotations, results, images=5))


@pytest.mark.parametrize('plant', [no_box, not_found, other_class, box_off])
def test_a_label_at_fault_is_found_and_named(plant):
    found = planted(plant)
    (one,) = found.suspects
    assert one.kind == plant.__name__.replace('_', '-')
    assert one.image == 0
    assert found.case.truth.classes[one.label] == 'b'
    assert np.allclose(one.bbox, [130, 10, 150, 30], atol=0.1)
    assert 0.5 <= one.score <= 1
    assert (one.truth == -1) == (one.kind == 'no-box')
    assert (one.detection == -1) == (one.kind == 'not-found')
    assert one.reason


def test_right_labels_are_not_suspicious():
    annotations, results = perfect()
    assert analyse(made_case(annotations, results, images=5)).suspects == ()


def test_the_surer_a_detection_the_earlier_its_label_comes():
    annotations, results = perfect()
    for index in (35, 3, 19):
        annotations.pop(index)
    images = [one.image for one in analyse(made_case(annotations, results, images=5)).suspects]
    assert images == [4, 2, 0]


def test_detections_at_one_place_are_one_suspect():
    annotations, results = perfect()
    annotations.pop(3)
    results.append(results[3] | dict(score=0.8, bbox=[131, 10, 20, 20]))
    (one,) = analyse(made_case(annotations, results, images=5)).suspects
    assert one.score == pytest.approx(0.91)


def test_a_model_that_finds_little_makes_no_label_suspicious():
    annotations, results = perfect()
    assert analyse(made_case(annotations, results[:4], images=5)).suspects == ()


def all_planted():
    annotations, results = perfect()
    annotations[35]['category_id'] = 1
    annotations[27]['bbox'] = [124, 24, 20, 20]
    results.pop(19)
    annotations.pop(3)
    found = analyse(made_case(annotations, results, images=5))
    assert {one.kind for one in found.suspects} == set(KINDS)
    truth = dataclasses.replace(
        found.case.truth, classes=('a <&> "', 'b\x07é'), paths=[f'/photos/{i}/ä&.jpg' for i in range(5)]
    )
    return dataclasses.replace(found, case=dataclasses.replace(found.case, truth=truth))


def test_the_coco_file_is_read_by_our_reader(tmp_path):
    found = all_planted()
    write_coco(tmp_path / 'suspects.json', found)
    file = read_coco(str(tmp_path / 'suspects.json'), fields=['attributes'])
    assert [*file.file_names] == [f'{one}/ä&.jpg' for one in sorted({one.image for one in found.suspects})]
    assert len(file.ids) == len(found.suspects)
    for entry, one in zip(file.annotations, found.suspects, strict=True):
        x1, y1, x2, y2 = one.bbox
        assert np.allclose(entry['bbox'], [x1, y1, x2 - x1, y2 - y1])
        assert entry['category_id'] == one.label + 1
        assert entry['attributes']['kind'] == one.kind
        assert entry['attributes']['reason'] == one.reason


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('3.04.05\u202fPM', '3.04.05\u202fPM'),
        ('👩\u200d🚒\xa0ä', '👩\u200d🚒\xa0ä'),
        ('a\x00b\x1b', 'a?b?'),
        ('\udcff', '\\udcff'),
        ('\ufffe', '?'),
    ],
)
def test_the_cvat_file_has_every_character_that_xml_can_hold(tmp_path, name, shown):
    found = planted(no_box)
    truth = dataclasses.replace(found.case.truth, paths=[f'/photos/{name}.jpg'] * 5)
    found = dataclasses.replace(found, case=dataclasses.replace(found.case, truth=truth))
    write_cvat(tmp_path / 'suspects.xml', found)
    (image,) = ElementTree.parse(tmp_path / 'suspects.xml').getroot().findall('image')
    assert image.get('name') == f'{shown}.jpg'


def test_the_cvat_file_is_converted_by_our_converter(tmp_path):
    found = all_planted()
    write_cvat(tmp_path / 'suspects.xml', found)
    root = ElementTree.parse(tmp_path / 'suspects.xml').getroot()
    attributes = [{one.get('name'): one.text for one in box} for box in root.findall('image/box')]
    assert sorted(one['kind'] for one in attributes) == sorted(one.kind for one in found.suspects)
    report = ReadingReport()
    read = [*load_tool('dataset_converters/exports.py').read_cvat(tmp_path / 'suspects.xml', report)]
    assert not report.skipped
    assert [one.names[0] for one in read] == [
        f'{i}/ä&.jpg' for i in sorted({s.image for s in found.suspects})
    ]
    assert {one.name for image in read for one in image.objects} == {'b?é'}
    boxes = [one.box for image in read for one in image.objects]
    assert np.allclose(sorted(boxes), sorted(one.bbox for one in found.suspects), atol=0.01)

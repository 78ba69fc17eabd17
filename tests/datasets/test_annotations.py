"""Cleaning of boxes, class names, filtering and the report, for every annotation format."""

import logging

import numpy as np
import pytest

from mmyolox.datasets.annotations import (
    AnnotationReport,
    Finding,
    check_boxes,
    configured_classes,
    filter_images,
)
from mmyolox.datasets.table import AnnotationTable
from mmyolox.errors import UserError

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('bbox', 'verdict', 'cut'),
    [
        ((10, 20, 30, 40), 'good', (10, 20, 30, 40)),
        ((0, 0, 100, 50), 'good', (0, 0, 100, 50)),
        ((5, 5, 6, 6), 'good', (5, 5, 6, 6)),
        ((5, 5, 5.5, 5.5), 'good', (5, 5, 5.5, 5.5)),
        ((10, 20, 100.004, 50.001), 'good', (10, 20, 100, 50)),
        ((-5, -6, 10, 10), 'clipped', (0, 0, 10, 10)),
        ((90, 40, 120, 70), 'clipped', (90, 40, 100, 50)),
        ((-1e9, 0, 1e9, 50), 'clipped', (0, 0, 100, 50)),
        ((-1e300, 0, 1e300, 50), 'unbounded', None),
        ((10, 20, 10, 40), 'degenerate', None),
        ((10, 20, 30, 20), 'degenerate', None),
        ((30, 20, 10, 40), 'degenerate', None),
        ((10, 20, 10.0001, 40), 'degenerate', None),
        ((NAN, 20, 30, 40), 'unbounded', None),
        ((10, 20, INF, 40), 'unbounded', None),
        ((10, -INF, 30, 40), 'unbounded', None),
        ((10, 20, 2.0**31, 40), 'clipped', (10, 20, 100, 40)),
        ((10, 20, 2.0**31 + 1, 40), 'unbounded', None),
        ((200, 20, 230, 40), 'outside', None),
        ((-30, 20, -10, 40), 'outside', None),
        ((-30, 20, 0, 40), 'outside', None),
        ((99.9999, 20, 130, 40), 'outside', None),
    ],
)
def test_each_box_gets_one_verdict(bbox, verdict, cut):
    check = check_boxes(np.array([bbox], np.float64), np.array([[100, 50]]))
    names = ('unbounded', 'degenerate', 'outside', 'clipped')
    verdicts = {name: bool(getattr(check, name)[0]) for name in names}
    assert verdicts == {name: name == verdict for name in verdicts}
    assert check.bboxes.dtype == np.float32
    if cut:
        np.testing.assert_array_equal(check.bboxes[0], np.float32(cut))


def test_boxes_are_checked_against_their_own_image():
    boxes = np.array([[0, 0, 20, 20]] * 2, np.float64)
    check = check_boxes(boxes, np.array([[10, 30], [30, 30]]))
    assert check.clipped.tolist() == [True, False]
    assert check.bboxes.tolist() == [[0, 0, 10, 20], [0, 0, 20, 20]]


def test_no_boxes():
    check = check_boxes(np.zeros((0, 4)), np.zeros((0, 2)))
    assert check.bboxes.shape == (0, 4)
    assert AnnotationReport('f').record(check, []).shape == (0,)


def test_report_counts_and_names_the_first():
    some = [[-9, 0, -5, 5], [-1, 0, 5, 5], [1, 1, 2, 2], [0, 0, 1e300, 5]]
    boxes = np.array([[0, 0, 0, 5]] * 4 + some, np.float64)
    report = AnnotationReport('f.json')
    keep = report.record(check_boxes(boxes, np.array([10, 10])), list('abcdefgh'))
    assert keep.tolist() == [False] * 5 + [True] * 2 + [False]
    assert report.boxes == 2
    assert (report.degenerate, report.outside, report.clipped) == (
        Finding(4, ['a', 'b', 'c', 'd']),
        Finding(1, ['e']),
        Finding(1, ['f']),
    )
    report.other_classes.update(['dog', 'dog', 'cat'])
    assert report.losses() == (
        '1 with a coordinate that is not finite or beyond 2**31 (dropped): h; '
        '4 without area (dropped): a, b, c, ...; 1 outside the image (dropped): e; '
        '1 over the image border (clipped): f; 3 of classes not configured (left out): dog, cat'
    )


def test_report_logs_one_warning_or_nothing(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmyolox.datasets.annotations.print_log', lambda line, logger, level: lines.append((line, level))
    )
    report = AnnotationReport('f.json', boxes=7)
    report.log()
    assert lines == []
    report.clipped.note([3])
    report.log()
    assert lines == [('f.json: 7 boxes kept; 1 over the image border (clipped): 3', logging.WARNING)]


@pytest.mark.parametrize(
    ('metainfo', 'classes'),
    [
        ({}, None),
        (dict(classes=None), None),
        (dict(classes=['a']), ('a',)),
        (dict(classes=('b', 'a')), ('b', 'a')),
    ],
)
def test_configured_classes(metainfo, classes):
    assert configured_classes(metainfo) == classes


@pytest.mark.parametrize('classes', ['person', [], ['a', 'b', 'a']])
def test_classes_that_cannot_be_meant(classes):
    with pytest.raises(UserError, match=r'metainfo\.classes'):
        configured_classes(dict(classes=classes))


def entry(size=(100, 100), crowd=(False,)):
    bboxes = np.full((len(crowd), 4), (0, 0, 9, 9), np.float32)
    labels = np.zeros(len(crowd), np.int64)
    return dict(width=size[0], height=size[1], bboxes=bboxes, labels=labels, is_crowd=np.array(crowd, bool))


ENTRIES = [entry(), entry(crowd=()), entry(crowd=(True,)), entry(crowd=(True, False)), entry((31, 100))]


@pytest.mark.parametrize(
    ('filter_cfg', 'left'),
    [
        (None, [0, 1, 2, 3, 4]),
        (dict(filter_empty_gt=False), [0, 1, 2, 3, 4]),
        (dict(filter_empty_gt=True), [0, 3, 4]),
        (dict(min_size=32), [0, 1, 2, 3]),
        (dict(min_size=31), [0, 1, 2, 3, 4]),
        (dict(filter_empty_gt=True, min_size=32), [0, 3]),
    ],
)
def test_filter_keeps_background_and_small_images_unless_asked(filter_cfg, left):
    report = AnnotationReport('f', images=5, boxes=4)
    entries = [e | dict(img_id=i) for i, e in enumerate(ENTRIES)]
    assert filter_images(AnnotationTable.of(entries), filter_cfg, report).images('img_id').tolist() == left


def test_filtering_to_nothing_says_why():
    report = AnnotationReport('f.json', images=5, boxes=4)
    with pytest.raises(UserError) as error:
        filter_images(AnnotationTable.of(ENTRIES), dict(min_size=101, filter_empty_gt=True), report)
    assert str(error.value) == (
        'f.json: filter_cfg leaves none of 5 images to train on: 2 without a box, 5 smaller than 101 px'
    )


def test_a_file_whose_boxes_are_all_lost_says_why():
    report = AnnotationReport('f.json', images=5)
    report.degenerate.note([4, 5])
    with pytest.raises(UserError, match=r'^f\.json: no box is left.*2 without area \(dropped\): 4, 5$'):
        filter_images(AnnotationTable.of(ENTRIES), None, report)


def test_a_file_of_background_images_is_no_mistake():
    assert (
        len(filter_images(AnnotationTable.of([entry(crowd=())]), None, AnnotationReport('f', images=1))) == 1
    )


def test_unknown_filter_key_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"no key 'filter_empty'; did you mean filter_empty_gt\?"):
        filter_images(AnnotationTable.of(ENTRIES), dict(filter_empty=True), AnnotationReport('f'))

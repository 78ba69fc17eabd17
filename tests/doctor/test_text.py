"""A diagnosis as text and as JSON."""

import json

from mmyolox.doctor.as_json import as_json
from mmyolox.doctor.check import Check, NotExaminedError, Severity
from mmyolox.doctor.checks import CHECKS
from mmyolox.doctor.diagnosis import diagnose
from mmyolox.doctor.found import Found
from mmyolox.doctor.text import describe
from tests.doctor.made_data import Made, examined


def fails(data):
    raise ZeroDivisionError


def needs_more(data):
    raise NotExaminedError('patience')


def long_advice(data):
    return Found('class', 1, 2, advice='Some words, ' * 20)


def made():
    own = [(0, 0, 700, 10, 720, 30), (0, 1, 650, 10, 660, 30), (0, 1, 10, 10, 20, 50), (1, 1, 10, 10, 13, 50)]
    data = examined({'train': Made(['a\x1b.jpg', 'b.jpg'], own)})
    checks = [
        *(CHECKS[name] for name in ('box-tiny', 'box-outside', 'box-inverted')),
        Check('broken', Severity.NOTE, 'Things', 'Advice', fails),
        Check('impatient', Severity.NOTE, 'Things', 'Advice', needs_more),
        Check('windy', Severity.NOTE, 'Classes of wind', 'Advice', long_advice),
    ]
    return diagnose(data, checks)


def test_errors_come_first_with_the_worst_cases_and_the_advice():
    lines = describe(made(), shown=1, width=60).splitlines()
    assert lines[:7] == [
        'data      made',
        'train     2 images, 4 boxes  (coco: data.yaml)',
        'classes   2: dog 3, cat 1',
        'input     640 x 640',
        '',
        '1 error, 1 warning, 1 note; 4 checks made, 1 left out for want of patience; broken failed, by a '
        'fault of the doctor',
        '',
    ]
    assert [line.split()[:4] for line in lines[7:10]] == [
        ['error', 'box-outside', '2', '50.0%'],
        ['warning', 'box-tiny', '1', '50.0%'],
        ['note', 'windy', '1', '50.0%'],
    ]
    assert lines[11:17] == [
        'error box-outside: Boxes that lie wholly outside of their image',
        '  2 of 4 boxes (train 2)',
        '    train: a\\x1b.jpg (annotation 1): (700, 10, 720, 30) in 640 x 480',
        '    ...',
        '  -> Look whether the boxes belong to another image, or to',
        '     another size of it. Training leaves them out.',
    ]
    assert max(map(len, lines[-4:])) <= 60


def test_a_check_that_fails_leaves_the_others_and_is_told():
    diagnosis = made()
    assert 'ZeroDivisionError' in diagnosis.failed['broken']
    assert diagnosis.has_errors
    assert [one.check.name for one in diagnosis.findings] == ['box-outside', 'box-tiny', 'windy']


def test_json_has_all_that_was_found():
    content = json.loads(json.dumps(as_json(made()), allow_nan=False))
    assert content['checked'] == ['box-tiny', 'box-outside', 'box-inverted', 'windy']
    assert content['left_out'] == {'impatient': 'patience'}
    assert content['failed'] == ['broken']
    assert content['data']['splits'][0] == dict(
        name='train', format='coco', source='data.yaml', images=2, boxes=4
    )
    finding = content['findings'][0]
    assert (finding['name'], finding['severity'], finding['noun']) == ('box-outside', 'error', 'box')
    assert (finding['count'], finding['total'], finding['splits']) == (2, 4, {'train': 2})
    assert len(finding['examples']) == 2
    assert content['findings'][2]['advice'].startswith('Some words')


def test_nothing_found_says_so():
    diagnosis = diagnose(examined({'train': Made(['a.jpg'])}), [CHECKS['box-outside']])
    assert describe(diagnosis).endswith('\n\nnothing found; 1 check made')
    assert not diagnosis.has_errors

"""Results in COCO's format: read by either decoder, and refused in one line where they cannot be."""

import json

import numpy as np
import pytest

from mmyolox.analysis import Case, GroundTruth, results_file
from mmyolox.analysis.results_file import read_results
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError
from tests.analysis.random_cases import categories

ENTRY = dict(image_id=1, category_id=1, bbox=[1, 2, 3, 4], score=0.5)


def truth(ids=(1, 2), classes=2):
    images = [dict(id=i, file_name=f'{i}.jpg', width=100, height=80) for i in ids]
    return GroundTruth.of_annotations(CocoAnnotations.of('truth.json', images, [], categories(classes)))


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding='utf-8')
    return path


@pytest.mark.parametrize('has_msgspec', [True, False])
def test_every_entry_is_read_as_json_has_it(tmp_path, monkeypatch, has_msgspec):
    if not has_msgspec:
        monkeypatch.setattr(results_file, '_decoder', lambda: lambda raw: None)
    rng = np.random.default_rng(0)
    entries = [
        dict(
            image_id=int(rng.integers(1, 9)),
            category_id=int(rng.integers(1, 3)),
            bbox=rng.random(4).tolist(),
            score=float(rng.random()),
        )
        for _ in range(5000)
    ]
    results = read_results(str(write(tmp_path / 'found.json', entries)))
    assert results.image_ids == [one['image_id'] for one in entries]
    assert results.category_ids.tolist() == [one['category_id'] for one in entries]
    np.testing.assert_array_equal(results.bboxes, [one['bbox'] for one in entries])
    np.testing.assert_array_equal(results.scores, [one['score'] for one in entries])
    assert results.keypoints is None


WITHOUT_BOX = {name: value for name, value in ENTRY.items() if name != 'bbox'}


@pytest.mark.parametrize(
    'entry',
    [
        ENTRY | dict(image_id='1', id=7, area=12.5, segmentation=dict(counts='ab')),
        ENTRY | dict(image_id=1.0, category_id=2.0),
        ENTRY | dict(score=1, bbox=[1, 2.5, 1e3, 4]),
        ENTRY | dict(keypoints=[1, 2, 0.5]),
        ENTRY | dict(keypoints=[]),
        ENTRY | dict(keypoints=[1, 2, 3, 4]),
        ENTRY | dict(keypoints='abc'),
        ENTRY | dict(keypoints=None),
        ENTRY | dict(keypoints=0),
        ENTRY | dict(score=None),
        ENTRY | dict(image_id=2**70),
        ENTRY | dict(category_id=2**70),
        ENTRY | dict(category_id=1e300),
        ENTRY | dict(image_id=True),
        ENTRY | dict(score=float('nan'), bbox=[0, 0, float('inf'), 1]),
        WITHOUT_BOX | dict(keypoints=[1, 2, 0.5, 0, 7, 0.1]),
        WITHOUT_BOX,
        [ENTRY],
    ],
)
@pytest.mark.parametrize('place', [0, 1, 2])
def test_both_decoders_read_the_same(tmp_path, monkeypatch, entry, place):
    entries = [ENTRY] * 3
    entries[place] = entry
    path = str(write(tmp_path / 'found.json', entries))

    def read():
        try:
            return read_results(path)
        except UserError as error:
            return str(error)

    fast = read()
    monkeypatch.setattr(results_file, '_decoder', lambda: lambda raw: None)
    slow = read()
    if isinstance(slow, str):
        assert fast == slow
        assert '1 of 3 results have no valid' in slow
        assert '\n' not in slow
    else:
        assert (fast.image_ids, fast.keypoints) == (slow.image_ids, slow.keypoints)
        for name in ('category_ids', 'bboxes', 'scores'):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"images": [], "annotations": []}', r'an object \(its keys: images, annotations\)'),
        ('3', 'it holds no list'),
        ('', r'found\.json: the file is empty'),
        (' \n', r'found\.json: the file is empty'),
        ('[{]', 'found.json'),
        ('[] 3', 'found.json'),
        ([dict(ENTRY), 3], "1 of 2 results have no valid 'image_id'"),
        ([{name: value for name, value in ENTRY.items() if name != 'bbox'}], "no valid 'bbox'"),
        (
            [ENTRY | dict(bbox=[1, 2, 3])],
            r"no valid 'bbox' \(\[x, y, width, height\], numbers below 2\*\*63\): no. 0",
        ),
        ([ENTRY | dict(score='high')], "no valid 'score'"),
        ([ENTRY | dict(category_id=1.5)], "no valid 'category_id'"),
        (
            [ENTRY, ENTRY | dict(image_id=77)],
            r'1 of 2 results are of images that truth.json does not have.*77',
        ),
        ([ENTRY | dict(image_id='1')], "another data set; ids: '1'"),
        ([ENTRY | dict(image_id='\n\x1b[31m')], r"another data set; ids: '\\n\\x1b\[31m'"),
        ([ENTRY | dict(image_id='x' * 10**5)], r'ids: .x+\.\.\.x+.$'),
        ('[' * 10**5, 'not valid JSON'),
        ([ENTRY | dict(category_id=9)], r'are of categories that are no class of truth.json \(a, b\).*9'),
        ([ENTRY | dict(score=float('nan'))], r'1 of 1 detections have a score that is no number from 0 to 1'),
        ([ENTRY | dict(score=float('inf'))], 'no number from 0 to 1'),
        ([ENTRY | dict(score=1.5)], 'no number from 0 to 1: no. 0: 1.5'),
        ([ENTRY | dict(bbox=[0, 0, float('nan'), 1])], 'a box with a coordinate that is not finite'),
        ([ENTRY | dict(bbox=[5, 5, -1, 1])], 'a box of negative width or height'),
    ],
)
def test_what_is_no_result_of_the_data_set_is_refused_in_one_line(tmp_path, content, message):
    path = write(tmp_path / 'found.json', content)
    with pytest.raises(UserError, match=message) as caught:
        Case.of_results(truth(), path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('has_msgspec', [True, False])
def test_keypoints_that_are_null_are_absent(tmp_path, monkeypatch, has_msgspec):
    if not has_msgspec:
        monkeypatch.setattr(results_file, '_decoder', lambda: lambda raw: None)
    null, posed = ENTRY | dict(keypoints=None), ENTRY | dict(keypoints=[1, 2, 0.5])
    assert read_results(str(write(tmp_path / 'found.json', [null, ENTRY]))).keypoints is None
    assert read_results(str(write(tmp_path / 'found.json', [null, posed]))).keypoints == [[], [1, 2, 0.5]]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r'no\.json not found'):
        read_results(str(tmp_path / 'no.json'))


def test_no_detection_is_a_case(tmp_path):
    assert len(Case.of_results(truth(), write(tmp_path / 'found.json', '[]')).detections) == 0


def test_detections_are_sorted_by_image_and_score_and_named_by_the_file(tmp_path):
    entries = [
        dict(image_id=image, category_id=category, bbox=[x, 0, 10, 5], score=score)
        for image, category, x, score in (
            ('b', 2, 1, 0.3),
            ('a', 1, 2, 0.2),
            ('b', 1, 3, 0.9),
            ('a', 2, 4, 1.0),
        )
    ]
    case = Case.of_results(truth(['b', 'a']), write(tmp_path / 'nano.bbox.json', entries))
    found = case.detections
    assert case.name == 'nano'
    assert [case.truth.image_ids[index] for index in found.images] == ['a', 'a', 'b', 'b']
    assert found.bboxes[:, 0].tolist() == [4, 2, 3, 1]
    assert found.bboxes[0].tolist() == [4, 0, 14, 5]
    assert (found.labels.tolist(), found.scores.tolist()) == ([1, 0, 0, 1], [1.0, 0.2, 0.9, 0.3])


def test_scores_over_one_by_rounding_are_one(tmp_path):
    case = Case.of_results(truth(), write(tmp_path / 'found.json', [ENTRY | dict(score=1.0000001)]))
    assert case.detections.scores.tolist() == [1.0]

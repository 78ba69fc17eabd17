"""All of an analysis together: it says what cannot be measured, and fails on nothing."""

import numpy as np
import pytest

from mmyolox.analysis import Case, GroundTruth, analyse
from mmyolox.analysis.analysis import FALLBACK_THRESHOLD
from mmyolox.datasets.coco_file import CocoAnnotations
from mmyolox.errors import UserError
from tests.analysis.random_cases import made_case, random_case

THING = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20], area=400, iscrowd=0)
CROWD = THING | dict(iscrowd=1)
FOUND = dict(image_id=1, category_id=1, bbox=[10, 10, 20, 20], score=0.9)
WRONG = FOUND | dict(bbox=[100, 50, 20, 20])


@pytest.mark.parametrize(
    ('annotations', 'results', 'ap50', 'threshold', 'notes'),
    [
        ([], [], np.nan, FALLBACK_THRESHOLD, ['no object to find', 'no detection at all']),
        ([THING], [], 0.0, FALLBACK_THRESHOLD, ['1 of 2 classes without', 'no detection at all']),
        ([], [FOUND], np.nan, FALLBACK_THRESHOLD, ['no object to find', 'begin at a score of 0.90']),
        ([CROWD], [FOUND], np.nan, FALLBACK_THRESHOLD, ['no object to find', 'begin at']),
        ([THING], [WRONG], 0.0, FALLBACK_THRESHOLD, ['1 of 2 classes without', 'begin at']),
        ([THING], [FOUND], 1.0, 0.9, ['1 of 2 classes without', 'begin at']),
        ([THING], [FOUND, WRONG | dict(score=0.01)], 1.0, 0.9, ['1 of 2 classes without']),
    ],
)
def test_what_cannot_be_measured_is_said(annotations, results, ap50, threshold, notes):
    found = analyse(made_case(annotations, results))
    np.testing.assert_equal(found.errors.ap50, ap50)
    np.testing.assert_allclose(found.figures.overall['AP50'], ap50)
    assert found.threshold == threshold
    assert len(found.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, found.notes, strict=True))


def test_groups_of_images_have_to_be_as_many_as_images():
    with pytest.raises(UserError, match='2 groups are given for 20 images'):
        analyse(random_case(0)[0], ['a', 'b'])


def test_the_parts_agree():
    case, _, _ = random_case(41, crowds=0.1, images=40)
    found = analyse(case)
    assert found.errors.ap50 == pytest.approx(found.figures.overall['AP50'])
    matrix = found.confusion.matrix
    assert found.images.correct.sum() == np.trace(matrix[:-1, :-1])
    assert found.images.false_negatives.sum() == matrix[:-1].sum() - np.trace(matrix[:-1, :-1])
    best = found.curves.best_overall
    kept = found.images.correct.sum() + found.images.false_positives.sum()
    assert best.precision == pytest.approx(found.images.correct.sum() / kept)
    assert found.calibration.counts.sum() == found.matching.is_counted.sum()
    assert sum(group.objects for group in found.groupings[0].groups) == case.truth.object_counts.sum()


def test_impossible_boxes_and_other_classes_are_left_out_with_a_note():
    annotations = [
        THING,
        THING | dict(id=2, bbox=[0, 0, float('nan'), 5]),
        THING | dict(id=3, category_id=2),
    ]
    images = [dict(id=1, file_name='1.jpg', width=100, height=100)]
    file = CocoAnnotations.of('t.json', images, annotations, [dict(id=1, name='a'), dict(id=2, name='b')])
    truth = GroundTruth.of_annotations(file, ('a',))
    assert truth.ids == [1]
    assert [note.partition(': ')[2].split(' left')[0] for note in truth.notes] == [
        '1 box of classes that the model does not have',
        '1 box with a coordinate that is not finite or beyond 2**31',
    ]
    found = analyse(Case(truth, made_case([], []).detections))
    assert found.notes[:2] == truth.notes

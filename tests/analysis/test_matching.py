"""COCO's matching, beside pycocotools'."""

import numpy as np
import pytest

from mmyolox.analysis.matching import MOST, Matcher, match
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.coco_loops import matched_by_pycocotools
from tests.analysis.random_cases import made_case, random_case


def matching_of(case):
    return match(case, Overlaps.of(case.detections.images, case.detections.bboxes, case.truth))


CASES = {
    'plain': dict(),
    'crowds': dict(crowds=0.3),
    'ties': dict(step=0.25),
    'crowds and ties': dict(crowds=0.3, step=0.1),
    'one class': dict(classes=1),
    'crowds alone': dict(crowds=1.0),
    'more than count': dict(images=3, classes=1, wrong=300),
}


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('options', CASES.values(), ids=CASES)
def test_detections_are_of_the_objects_that_pycocotools_gives_them(options, seed):
    case, annotations, results = random_case(seed, **options)
    matching = matching_of(case)
    expected = matched_by_pycocotools(annotations, results, case)
    assert len(expected.objects) == len(case.detections) > 0
    np.testing.assert_array_equal(matching.objects, expected.objects)
    np.testing.assert_array_equal(matching.is_counted, expected.is_counted)
    np.testing.assert_array_equal(matching.is_correct, expected.is_correct)
    found = matching.detections[matching.detections >= 0]
    assert sorted(found.tolist()) == np.flatnonzero(expected.is_correct).tolist()
    np.testing.assert_array_equal(matching.is_wrong, expected.is_counted & ~expected.is_correct)


def test_the_first_hundred_of_a_class_in_an_image_count():
    annotations = [dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 10, 10], area=100, iscrowd=0)]
    wrong = [
        dict(image_id=1, category_id=category, bbox=[50, 50, 9, 9], score=0.9 - number / 1000)
        for category in (1, 2)
        for number in range(MOST)
    ]
    late = dict(image_id=1, category_id=1, bbox=[0, 0, 10, 10], score=0.1)
    matching = matching_of(made_case(annotations, [*wrong, late]))
    assert matching.is_counted.sum() == 2 * MOST
    assert matching.detections.tolist() == [-1]


@pytest.mark.parametrize(
    ('annotations', 'results'),
    [
        ([], []),
        ([dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 1, 1], area=1, iscrowd=0)], []),
        ([], [dict(image_id=1, category_id=2, bbox=[0, 0, 1, 1], score=0.5)]),
    ],
)
def test_without_objects_or_detections_nothing_is_matched(annotations, results):
    matching = matching_of(made_case(annotations, results))
    assert matching.objects.tolist() == [-1] * len(results)
    assert matching.detections.tolist() == [-1] * len(annotations)
    assert matching.is_wrong.all()


def test_a_box_of_one_pixel_is_found():
    box = [7, 8, 1, 1]
    annotations = [dict(id=1, image_id=1, category_id=1, bbox=box, area=1, iscrowd=0)]
    matching = matching_of(made_case(annotations, [dict(image_id=1, category_id=1, bbox=box, score=1.0)]))
    assert (matching.detections.tolist(), matching.ious.tolist()) == ([0], [1.0])


def greedy(case, overlaps, is_left_out, least_iou):
    """The object of each detection by a plain loop: one detection after the other takes its best one."""
    truth, found = case.truth, case.detections
    objects, taken, seen = [], set(), {}
    for index in range(len(found)):
        key = found.images[index], found.labels[index]
        seen[key] = seen.get(key, 0) + 1
        own = [
            (truth.is_crowd[other] or is_left_out[other], -iou, -other)
            for other, iou in zip(
                overlaps.objects[overlaps.detections == index],
                overlaps.ious[overlaps.detections == index],
                strict=True,
            )
            if iou >= least_iou and truth.labels[other] == found.labels[index] and other not in taken
        ]
        best = -min(own)[2] if own and seen[key] <= MOST else -1
        objects.append(best)
        if best >= 0 and not truth.is_crowd[best]:
            taken.add(best)
    return objects


@pytest.mark.parametrize('least_iou', [0.5, 0.6, 0.8])
@pytest.mark.parametrize('seed', range(4))
def test_all_at_once_is_one_detection_after_the_other(seed, least_iou):
    case, _, _ = random_case(seed, classes=1, objects=20, crowds=0.2, size=(80, 60), step=0.1 * (seed % 2))
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    is_left_out = np.random.default_rng(seed).random(len(case.truth.labels)) < 0.4
    matching = Matcher(case, overlaps).match(is_left_out, least_iou)
    expected = np.array(greedy(case, overlaps, is_left_out, least_iou))
    assert (expected >= 0).sum() > 10
    np.testing.assert_array_equal(matching.objects, expected)
    np.testing.assert_array_equal(
        matching.is_correct, (expected >= 0) & ~(is_left_out | case.truth.is_crowd)[expected]
    )


def test_a_detection_whose_object_goes_to_a_better_one_takes_another():
    """The second prefers the object of the first, so it takes that of the third, which takes the last."""
    annotations = [
        dict(id=number, image_id=1, category_id=1, bbox=[x, 0, 40, 10], area=400, iscrowd=0)
        for number, x in enumerate((0, 6, 14), start=1)
    ]
    results = [
        dict(image_id=1, category_id=1, bbox=[x, 0, 40, 10], score=score)
        for x, score in ((0, 0.9), (1, 0.8), (7, 0.7))
    ]
    assert matching_of(made_case(annotations, results)).objects.tolist() == [0, 1, 2]

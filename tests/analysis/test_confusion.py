"""The confusion matrix, beside a matcher of plain loops."""

import numpy as np
import pytest

from mmyolox.analysis.confusion import confusion
from mmyolox.analysis.matching import match
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.random_cases import made_case, random_case


def confusion_of(case, threshold):
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    matching = match(case, overlaps)
    return matching, confusion(case, overlaps, matching, threshold)


def iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    inside = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inside / (sum(areas) - inside)


def by_loop(case, matching, threshold):
    """Of each image: the correct detections, then the others by falling score, then what is left."""
    truth, found = case.truth, case.detections
    background = len(truth.classes)
    matrix = np.zeros((background + 1, background + 1), int)
    for image in range(len(truth.image_ids)):
        objects = [i for i in np.flatnonzero(truth.images == image) if not truth.is_crowd[i]]
        detections = [
            i
            for i in np.flatnonzero(found.images == image)
            if found.scores[i] >= threshold and matching.is_counted[i]
        ]
        for index in [i for i in detections if matching.is_correct[i]]:
            matrix[truth.labels[matching.objects[index]], found.labels[index]] += 1
            objects.remove(matching.objects[index])
            detections.remove(index)
        for index in sorted(detections, key=lambda i: -found.scores[i]):
            near = {i: iou(found.bboxes[index], truth.bboxes[i]) for i in objects}
            best = max(near, key=near.get, default=None)
            if best is not None and near[best] >= 0.5:
                matrix[truth.labels[best], found.labels[index]] += 1
                objects.remove(best)
            else:
                matrix[background, found.labels[index]] += 1
        for index in objects:
            matrix[truth.labels[index], background] += 1
    return matrix


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.8])
@pytest.mark.parametrize('crowds', [0.0, 0.2])
def test_the_matrix_of_200_random_images_equals_a_matcher_of_plain_loops(threshold, crowds):
    case, _, _ = random_case(7, images=200, classes=4, crowds=crowds)
    matching, found = confusion_of(case, threshold)
    np.testing.assert_array_equal(found.matrix, by_loop(case, matching, threshold))
    assert found.matrix[:-1].sum() == (~case.truth.is_crowd).sum()
    kept = matching.is_counted & (case.detections.scores >= threshold)
    assert found.matrix[:, :-1].sum() == kept.sum()
    assert np.trace(found.matrix[:-1, :-1]) == (kept & matching.is_correct).sum()


def test_swaps_are_the_pairs_taken_for_one_another():
    def thing(number, category):
        bbox = [30 * number, 0, 20, 20]
        return dict(id=number + 1, image_id=1, category_id=category, bbox=bbox, area=400, iscrowd=0)

    annotations = [thing(0, 1), thing(1, 2), thing(2, 2), thing(3, 3)]
    results = [
        dict(image_id=1, category_id=category, bbox=one['bbox'], score=0.9)
        for one, category in zip(annotations, (2, 1, 2, 1), strict=True)
    ]
    _, found = confusion_of(made_case(annotations, results, classes=3), 0.5)
    assert found.swaps() == [(0, 1, 2), (0, 2, 1)]


@pytest.mark.parametrize('count', [0, 1])
def test_background_alone(count):
    results = [dict(image_id=1, category_id=1, bbox=[0, 0, 5, 5], score=0.9)] * count
    _, found = confusion_of(made_case([], results, classes=1), 0.5)
    assert found.matrix.tolist() == [[0, 0], [count, 0]]

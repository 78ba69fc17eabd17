"""The errors of each image, and what they cost, by plain loops."""

import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.analysis.error_types import MISSED
from tests.analysis.random_cases import made_case, random_case


def average_precision(is_correct, objects):
    """The mean over the objects of the precision at each correct detection, without COCO's steps."""
    precisions = [sum(is_correct[: k + 1]) / (k + 1) for k in range(len(is_correct)) if is_correct[k]]
    return sum(precisions) / objects


def costs_by_loop(case, matching):
    """What each image's errors add to that mean, of all classes with objects, each error mended alone."""
    truth, found = case.truth, case.detections
    costs = np.zeros(len(truth.image_ids))
    known = [label for label, count in enumerate(truth.object_counts) if count]
    for label in known:
        objects = int(truth.object_counts[label])
        own = [i for i in np.flatnonzero(found.labels == label) if matching.is_counted[i]]
        own.sort(key=lambda i: -found.scores[i])
        is_correct = [bool(matching.is_correct[i]) for i in own]
        before = average_precision(is_correct, objects)
        for place, index in enumerate(own):
            if not is_correct[place]:
                without = is_correct[:place] + is_correct[place + 1 :]
                costs[found.images[index]] += (average_precision(without, objects) - before) / len(known)
        for index in np.flatnonzero((truth.labels == label) & ~truth.is_crowd):
            if matching.detections[index] < 0:
                costs[truth.images[index]] += 1 / objects / len(known)
    return costs


@pytest.mark.parametrize('options', [dict(), dict(crowds=0.2), dict(classes=1)])
def test_costs_equal_a_plain_loop(options):
    case, _, _ = random_case(21, **options)
    found = analyse(case)
    np.testing.assert_allclose(found.images.costs, costs_by_loop(case, found.matching), atol=1e-12)
    worst = found.images.worst
    assert (np.diff(found.images.costs[worst]) <= 0).all()
    assert set(worst.tolist()) == set(np.flatnonzero(found.images.costs > 0).tolist())


def test_counts_equal_a_plain_loop():
    case, _, _ = random_case(22, crowds=0.1)
    found = analyse(case)
    truth, detections, matching, images = case.truth, case.detections, found.matching, found.images
    for image in range(len(truth.image_ids)):
        kept = [
            i
            for i in np.flatnonzero(detections.images == image)
            if matching.is_counted[i] and detections.scores[i] >= found.threshold
        ]
        correct = sum(bool(matching.is_correct[i]) for i in kept)
        objects = int(((truth.images == image) & ~truth.is_crowd).sum())
        assert images.correct[image] == correct
        assert images.false_positives[image] == len(kept) - correct
        assert images.false_negatives[image] == objects - correct
        expected = 2 * correct / (len(kept) + objects) if kept or objects else np.nan
        np.testing.assert_allclose(images.f1[image], expected)
    assert images.type_counts[:, :MISSED].sum() == images.false_positives.sum()
    assert images.type_counts[:, MISSED].sum() == found.errors.counts[MISSED]


def test_without_errors_no_image_is_bad():
    thing = dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=0)
    found = analyse(made_case([thing], [dict(image_id=1, category_id=1, bbox=[0, 0, 9, 9], score=0.9)], 2))
    assert found.images.worst.tolist() == []
    np.testing.assert_array_equal(found.images.f1, [1.0, np.nan])

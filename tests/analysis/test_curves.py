"""Precision, recall, F1 and the thresholds, beside plain loops and pycocotools."""

import numpy as np
import pytest

from mmyolox.analysis.coco_figures import coco_figures
from mmyolox.analysis.curves import curves
from mmyolox.analysis.matching import match
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.coco_loops import evaluated
from tests.analysis.random_cases import made_case, random_case


def curves_of(case):
    matching = match(case, Overlaps.of(case.detections.images, case.detections.bboxes, case.truth))
    return matching, curves(case, matching, coco_figures(case))


def counted_by_loop(case, matching, label, threshold):
    """How many detections count, how many of them are correct, and how many objects there are."""
    kept = correct = 0
    for index in range(len(case.detections)):
        is_of_class = label is None or case.detections.labels[index] == label
        if is_of_class and matching.is_counted[index] and case.detections.scores[index] >= threshold:
            kept += 1
            correct += bool(matching.is_correct[index])
    objects = sum(
        label in (None, own) and not crowd
        for own, crowd in zip(case.truth.labels, case.truth.is_crowd, strict=True)
    )
    return kept, correct, objects


@pytest.mark.parametrize('options', [dict(), dict(crowds=0.3, step=0.1), dict(classes=1)])
def test_precision_recall_and_f1_equal_a_plain_loop(options):
    case, _, _ = random_case(3, **options)
    matching, found = curves_of(case)
    classes = len(case.truth.classes)
    for row in range(classes + 1):
        label = None if row == classes else row
        for column in range(0, 101, 5):
            kept, correct, objects = counted_by_loop(case, matching, label, found.thresholds[column])
            expected = [correct / kept if kept else np.nan, correct / objects, 2 * correct / (kept + objects)]
            own = [curve[row, column] for curve in (found.precision_at, found.recall_at, found.f1_at)]
            np.testing.assert_allclose(own, expected)


@pytest.mark.parametrize('step', [0.0, 0.1])
@pytest.mark.parametrize('seed', range(3))
def test_the_best_threshold_has_the_highest_f1_of_all_scores(seed, step):
    case, _, _ = random_case(seed, step=step, crowds=0.1)
    matching, found = curves_of(case)
    for label, best in [*enumerate(found.best), (None, found.best_overall)]:
        scores = case.detections.scores[
            (case.detections.labels == label) if label is not None else slice(None)
        ]
        f1 = {}
        for threshold in np.unique(scores):
            kept, correct, objects = counted_by_loop(case, matching, label, threshold)
            f1[threshold] = 2 * correct / (kept + objects)
        highest = max(f1.values())
        assert best.f1 == pytest.approx(highest)
        assert best.threshold == max(score for score, value in f1.items() if np.isclose(value, highest))
        kept, correct, objects = counted_by_loop(case, matching, label, best.threshold)
        assert (best.precision, best.recall) == pytest.approx((correct / kept, correct / objects))


@pytest.mark.parametrize('options', [dict(), dict(crowds=0.2, step=0.1), dict(classes=1)])
def test_the_figures_are_those_of_pycocotools(options):
    case, annotations, results = random_case(5, **options)
    figures, found = coco_figures(case), curves_of(case)[1]
    theirs = evaluated(annotations, results, len(case.truth.image_ids), len(case.truth.classes))
    names = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100', 'ARs', 'ARm', 'ARl')
    expected = np.where(theirs.stats < 0, np.nan, theirs.stats)
    np.testing.assert_allclose([figures.overall[name] for name in names], expected, atol=1e-12)
    precisions = theirs.eval['precision'][:, :, :, 0, -1]
    np.testing.assert_allclose(figures.precisions, precisions, atol=1e-12)
    np.testing.assert_allclose(found.precisions, precisions[0].T, atol=1e-12)
    np.testing.assert_allclose(found.mean_precisions, precisions.mean(2), atol=1e-12)
    np.testing.assert_allclose(figures.ap, precisions.mean((0, 1)), atol=1e-12)
    np.testing.assert_allclose(figures.ap75, precisions[5].mean(0), atol=1e-12)


@pytest.mark.parametrize('has_object', [True, False])
def test_without_a_correct_detection_there_is_no_threshold(has_object):
    annotations = [dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=0)][:has_object]
    results = [dict(image_id=1, category_id=1, bbox=[50, 50, 9, 9], score=0.5)]
    _, found = curves_of(made_case(annotations, results))
    assert np.isnan(found.best_overall.threshold)
    np.testing.assert_equal(found.best_overall.f1, 0.0 if has_object else np.nan)
    np.testing.assert_equal(found.recall_at[-1, 0], 0.0 if has_object else np.nan)
    assert found.precision_at[-1, 0] == 0

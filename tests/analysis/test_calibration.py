"""Scores beside the shares of correct detections, by a plain loop and by hotcoco."""

import numpy as np
import pytest

from mmyolox.analysis.calibration import calibration
from mmyolox.analysis.coco_figures import evaluated
from mmyolox.analysis.matching import match
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.random_cases import made_case, random_case


def calibration_of(case):
    matching = match(case, Overlaps.of(case.detections.images, case.detections.bboxes, case.truth))
    return matching, calibration(case, matching)


def gaps_by_loop(scores, is_correct):
    """The distance of mean score and precision in each of ten bins, and the counts."""
    bins = [[] for _ in range(10)]
    for score, correct in zip(scores.tolist(), is_correct.tolist(), strict=True):
        bins[min(int(score * 10), 9)].append((score, correct))
    return [(abs(np.mean(one, axis=0) @ [1, -1]), len(one)) if one else (0.0, 0) for one in bins]


@pytest.mark.parametrize('options', [dict(), dict(crowds=0.3, step=0.1), dict(classes=1, wrong=1)])
def test_the_errors_equal_a_plain_loop(options):
    case, _, _ = random_case(2, **options)
    matching, found = calibration_of(case)
    kept = matching.is_counted
    gaps = gaps_by_loop(case.detections.scores[kept], matching.is_correct[kept])
    assert found.counts.tolist() == [count for _, count in gaps]
    assert found.error == pytest.approx(sum(gap * count for gap, count in gaps) / kept.sum())
    assert found.largest_error == pytest.approx(max(gap for gap, _ in gaps))
    for label, error in enumerate(found.error_by_class):
        own = kept & (case.detections.labels == label)
        gaps = gaps_by_loop(case.detections.scores[own], matching.is_correct[own])
        assert error == pytest.approx(sum(gap * count for gap, count in gaps) / own.sum())


def test_the_error_is_that_of_hotcoco():
    case, _, _ = random_case(4)
    theirs = evaluated(case).calibration()
    _, found = calibration_of(case)
    assert (found.error, found.largest_error) == pytest.approx((theirs['ece'], theirs['mce']))


def test_without_detections_there_is_no_error():
    _, found = calibration_of(made_case([], []))
    assert np.isnan([found.error, found.largest_error, *found.error_by_class]).all()
    assert found.counts.sum() == 0

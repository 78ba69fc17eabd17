"""The types of errors, beside tidecv 1.0.1, hotcoco and cases made by hand."""

import numpy as np
import pytest

from mmyolox.analysis.coco_figures import evaluated
from mmyolox.analysis.error_types import MISSED, TYPES, error_types, shown_errors
from mmyolox.analysis.matching import match
from mmyolox.analysis.overlaps import Overlaps
from tests.analysis.random_cases import made_case, random_case


def errors_of(case):
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    return error_types(case, overlaps, match(case, overlaps))


def box(x, category=1, score=0.9, width=20.0):
    return dict(image_id=1, category_id=category, bbox=[x, 0, width, 20], score=score)


def thing(x, category=1, number=1, crowd=0):
    return dict(id=number, image_id=1, category_id=category, bbox=[x, 0, 20, 20], area=400, iscrowd=crowd)


@pytest.mark.parametrize(
    ('annotations', 'results', 'expected'),
    [
        ([thing(0)], [box(1)], {}),
        ([thing(0)], [box(1, category=2)], {'class': 1}),
        ([thing(0)], [box(10)], {'place': 1}),
        ([thing(0)], [box(10, category=2)], {'both': 1, 'missed': 1}),
        ([thing(0)], [box(0), box(1, score=0.5)], {'duplicate': 1}),
        ([thing(0)], [box(100)], {'background': 1, 'missed': 1}),
        ([thing(0)], [], {'missed': 1}),
        ([thing(0), thing(60, number=2)], [box(0), box(70)], {'place': 1}),
        ([thing(0, crowd=1)], [box(0), box(2, score=0.4)], {}),
        ([thing(0, crowd=1)], [], {}),
        ([], [box(0)], {'background': 1}),
        ([], [], {}),
    ],
)
def test_each_error_has_its_type(annotations, results, expected):
    errors = errors_of(made_case(annotations, results))
    counts = dict(zip(TYPES, errors.counts.tolist(), strict=True))
    assert {name: count for name, count in counts.items() if count} == expected
    assert errors.counts_by_class.sum() == errors.counts.sum()
    is_wrong = errors.of_detections >= 0
    assert is_wrong.sum() == errors.counts[:-1].sum()
    assert (errors.of_objects >= 0).sum() == errors.counts[-1]


FROM_TIDECV = {
    (0, 0.0): (18.654, 2.345, 12.274, 3.687, 0.814, 5.090, 5.853, 37.782, 14.278),
    (1, 0.0): (19.596, 4.504, 12.929, 2.459, 0.704, 7.922, 4.817, 35.520, 14.038),
    (2, 0.0): (20.242, 3.903, 18.773, 3.054, 1.398, 4.398, 4.671, 42.465, 11.740),
    (1, 0.2): (14.628, 4.870, 13.370, 2.480, 0.382, 7.793, 3.820, 37.847, 12.394),
    (2, 0.2): (17.744, 3.716, 18.082, 1.363, 0.729, 9.220, 4.485, 42.322, 11.825),
}
"""What ``benchmarks/analysis_parity.py`` prints for tidecv, by seed and share of crowds: points of AP50."""


@pytest.mark.parametrize(('seed', 'crowds'), FROM_TIDECV)
def test_costs_are_those_of_tidecv(seed, crowds):
    case, _, _ = random_case(seed, crowds=crowds)
    errors = errors_of(case)
    own = [errors.ap50, *errors.costs, errors.false_positives, errors.false_negatives]
    np.testing.assert_allclose(100 * np.array(own), FROM_TIDECV[seed, crowds], atol=0.001)


@pytest.mark.parametrize('seed', range(4))
def test_costs_are_those_of_hotcoco(seed):
    case, _, _ = random_case(seed)  # hotcoco 1.3.0 has more errors than tidecv where there are crowds
    errors, theirs = errors_of(case), evaluated(case).tide_errors()
    names = ('Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss')
    np.testing.assert_allclose(errors.ap50, theirs['ap_base'], atol=1e-9)
    np.testing.assert_allclose(errors.costs, [theirs['delta_ap'][name] for name in names], atol=1e-3)
    special = [errors.false_positives, errors.false_negatives]
    np.testing.assert_allclose(special, [theirs['delta_ap'][name] for name in ('FP', 'FN')], atol=1e-9)
    assert errors.counts.tolist() == [theirs['counts'][name] for name in names]


def test_the_errors_from_a_score_on_are_those_of_the_detections_that_have_it():
    case, _, _ = random_case(5)
    overlaps = Overlaps.of(case.detections.images, case.detections.bboxes, case.truth)
    matching = match(case, overlaps)
    errors = error_types(case, overlaps, matching)
    every = shown_errors(case, matching, errors, 0)
    assert every.counts.tolist() == errors.counts[:MISSED].tolist()
    np.testing.assert_allclose(every.costs, errors.costs[:MISSED])
    some = shown_errors(case, matching, errors, 0.5)
    is_some = case.detections.scores >= 0.5
    assert some.counts.tolist() == [
        int((errors.of_detections[is_some] == number).sum()) for number in range(MISSED)
    ]
    assert (some.costs <= every.costs + 1e-12).all()
    assert shown_errors(case, matching, errors, 1.1).costs.tolist() == [0] * MISSED

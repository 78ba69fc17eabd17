"""What got better and worse between two models."""

import dataclasses

import numpy as np
import pytest

from mmyolox.analysis import Case, Detections, analyse
from mmyolox.analysis.compare import compare
from mmyolox.analysis.resampling import draw_images, resampled_figures
from mmyolox.errors import UserError
from tests.analysis.random_cases import made_case, random_case


def compared(before, after, samples=200):
    [comparison] = compare([before, after], samples)
    return comparison


def without(case, share, seed=0):
    """The same case with some of the detections."""
    keep = np.random.default_rng(seed).random(len(case.detections)) >= share
    found = case.detections
    columns = (found.images[keep], found.labels[keep], found.bboxes[keep], found.scores[keep])
    return Case(case.truth, Detections(*columns), 'less')


def test_figures_images_and_objects_are_those_of_both():
    case, _, _ = random_case(31, wrong=3)
    before, after = analyse(without(case, 0.4)), analyse(case)
    found = compared(before, after)
    assert found.names == ('less', 'made')
    for name, change in found.figures.items():
        assert (change.before, change.after) == pytest.approx(
            (before.figures.overall[name], after.figures.overall[name]), nan_ok=True
        )
    np.testing.assert_array_equal(found.ap50, [before.figures.ap50, after.figures.ap50])
    np.testing.assert_array_equal(found.counts, [before.errors.counts, after.errors.counts])
    np.testing.assert_array_equal(found.costs, [before.errors.costs, after.errors.costs])
    change = np.nan_to_num(after.images.f1 - before.images.f1)
    assert set(found.better.tolist()) == set(np.flatnonzero(change > 0).tolist())
    assert set(found.worse.tolist()) == set(np.flatnonzero(change < 0).tolist())
    assert (np.diff(change[found.better]) <= 0).all()
    for index in range(len(case.truth.labels)):
        seen = [
            one.matching.detections[index] >= 0
            and one.case.detections.scores[one.matching.detections[index]] >= one.threshold
            for one in (before, after)
        ]
        assert (found.gained[index], found.lost[index]) == (seen == [False, True], seen == [True, False])


def test_a_large_difference_is_sure_and_none_is_not():
    case, _, _ = random_case(32, images=60, wrong=2)
    worse = compared(analyse(case), analyse(without(case, 0.9))).figures['AP50']
    assert worse.lower <= worse.after - worse.before <= worse.upper < 0
    same = compared(analyse(case), analyse(case)).figures['AP50']
    assert same.lower <= 0 <= same.upper


def test_intervals_are_those_of_the_same_samples_for_both():
    case, _, _ = random_case(36, images=30)
    one, other = analyse(without(case, 0.3)), analyse(case)
    draws = draw_images(30, 50)
    before, after = (resampled_figures(each.matcher, draws) for each in (one, other))
    for name, change in compared(one, other, samples=50).figures.items():
        ends = [*map(float, np.percentile(after[name] - before[name], [2.5, 97.5]))]
        assert [change.lower, change.upper] == pytest.approx(ends, nan_ok=True)


def test_each_model_is_compared_with_the_first():
    case, _, _ = random_case(37)
    one, two, three = analyse(without(case, 0.6)), analyse(without(case, 0.3)), analyse(case)
    for comparison, other in zip(compare([one, two, three]), (two, three), strict=True):
        alone = compared(one, other)
        assert comparison.figures == alone.figures
        np.testing.assert_array_equal(comparison.gained, alone.gained)
        np.testing.assert_array_equal(comparison.f1, alone.f1)


def test_the_other_way_round_everything_is_turned():
    case, _, _ = random_case(33)
    one, other = analyse(without(case, 0.5)), analyse(case)
    there, back = compared(one, other, samples=0), compared(other, one, samples=0)
    np.testing.assert_array_equal(there.gained, back.lost)
    np.testing.assert_array_equal(there.better, back.worse)
    assert there.figures['AP'].after == back.figures['AP'].before
    assert np.isnan(there.figures['AP'].lower)


@pytest.mark.parametrize(
    ('other', 'what'), [(dict(seed=35), 'boxes'), (dict(images=19), 'images'), (dict(classes=2), 'classes')]
)
def test_models_on_other_data_are_not_compared(other, what):
    options = dict(seed=34) | other
    before, after = analyse(random_case(34)[0]), analyse(random_case(**options)[0])
    with pytest.raises(UserError, match=f'differ in their {what}'):
        compared(before, after)


@pytest.mark.parametrize(('change', 'what'), [(dict(iscrowd=1), 'crowds'), (dict(area=300), 'areas')])
def test_objects_that_count_otherwise_are_other_data(change, what):
    thing = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20], area=400, iscrowd=0)
    before, after = (analyse(made_case([one], [])) for one in (thing, thing | change))
    with pytest.raises(UserError, match=f'differ in their {what}'):
        compared(before, after)


def test_without_objects_or_detections_there_is_nothing_to_compare():
    for case in (
        made_case([], []),
        made_case([], [dict(image_id=1, category_id=1, bbox=[0, 0, 5, 5], score=1.0)]),
    ):
        found = compared(analyse(case), analyse(dataclasses.replace(case, name='again')))
        assert np.isnan(found.figures['AP'].after)
        assert not found.better.size
        assert not found.gained.any()

"""Each rule of the advice says its step where it fits, with the figures behind it, and else nothing."""

import numpy as np
import pytest

from mmyolox.analysis import analyse
from mmyolox.analysis.advice import LEAST_WORTH, MOST_STEPS
from tests.analysis.random_cases import made_case

SIZE = (1000, 800)


def things(images, category=1, side=100, count=4):
    """Objects of one class in a row, in each of some images."""
    return [
        dict(
            image_id=image,
            category_id=category,
            bbox=[20 + 200 * number, 20 + 220 * (category - 1), side, side],
            area=side * side,
            iscrowd=0,
        )
        for image in range(1, images + 1)
        for number in range(count)
    ]


def found(thing, score=0.9, **changes):
    return (
        dict(image_id=thing['image_id'], category_id=thing['category_id'], bbox=thing['bbox'], score=score)
        | changes
    )


def beside(thing, share):
    x, y, width, height = thing['bbox']
    return [x + share * width, y, width, height]


def advised(annotations, results, classes=2):
    numbered = [dict(one, id=number) for number, one in enumerate(annotations, start=1)]
    return analyse(made_case(numbered, results, images=10, classes=classes, size=SIZE)).advice


def low_scores():
    own = things(10)
    return own, [found(one, 0.05 + number / 1000) for number, one in enumerate(own)]


def small_unseen():
    large, small = things(10), things(10, category=2, side=20)
    return [*large, *small], [found(one) for one in large] + [found(one) for one in small[::4]]


def class_unseen():
    one, other = things(10), things(10, category=2)
    return [*one, *other], [found(thing) for thing in one] + [found(thing, 0.8) for thing in other[::4]]


def misplaced():
    own = things(10)
    return own, [found(one, bbox=beside(one, 0.45 if number % 2 else 0)) for number, one in enumerate(own)]


def mixed_up():
    own = [*things(10), *things(10, category=2)]
    return own, [
        found(one, category_id=3 - one['category_id']) if number % 2 else found(one)
        for number, one in enumerate(own)
    ]


def doubled():
    own = things(10)
    scores = [0.9 - number / 1000 for number in range(len(own))]
    again = [
        found(one, score - 0.0005, bbox=beside(one, 0.1)) for one, score in zip(own, scores, strict=True)
    ]
    return own, [*map(found, own, scores), *again]


def on_background():
    own = things(10)
    wrong = [found(one, 0.95, bbox=[20 + 200 * n, 600, 90, 90]) for n in range(4) for one in own[::4]]
    return own, [*(found(one, 0.6) for one in own), *wrong]


def unlabelled():
    own = things(10)
    kept = [one for number, one in enumerate(own) if number % 4]
    return kept, [found(one, 0.9) for one in own]


@pytest.mark.parametrize(
    ('case', 'step'),
    [
        (low_scores, 'Set the score threshold to 0.0'),
        (small_unseen, 'Train and test with a larger input'),
        (class_unseen, 'Add data of b'),
        (misplaced, 'Place boxes better'),
        (mixed_up, 'Teach a and b apart'),
        (doubled, 'Lower the IoU threshold of the NMS'),
        (on_background, 'Add images without objects'),
        (unlabelled, 'Look at 10 labels that confident detections contradict'),
    ],
)
def test_the_step_that_fits_is_advised(case, step):
    steps = advised(*case())
    assert any(one.step.startswith(step) for one in steps), [one.step for one in steps]
    assert len(steps) <= MOST_STEPS
    weights = [one.weight for one in steps]
    assert weights == sorted(weights, reverse=True)
    for one in steps:
        assert LEAST_WORTH <= one.weight <= 1
        assert one.figures
        assert all(not isinstance(value, float) or np.isfinite(value) for value in one.figures.values())


def test_a_perfect_model_needs_nothing():
    own = [*things(10), *things(10, category=2)]
    assert advised(own, [found(one) for one in own]) == ()


@pytest.mark.parametrize(
    ('wrong', 'step'),
    [
        (lambda one: dict(bbox=[one['bbox'][0], 700, 80, 80]), 'Add images without objects'),
        (lambda one: dict(bbox=beside(one, 0.45)), 'Place boxes better'),
        (lambda one: dict(category_id=3 - one['category_id']), 'Teach a and b apart'),
        (lambda one: dict(bbox=beside(one, 0.1)), 'Lower the IoU threshold'),
    ],
)
def test_what_is_wrong_below_the_threshold_is_no_reason_for_a_step(wrong, step):
    sure = [*things(10, count=1), *things(10, category=2, count=1)]
    own = [*things(10, count=2), *things(10, category=2, count=2)]
    unsure = [found(one, 0.1) for one in own if one not in sure]
    noise = [found(one, 0.2, **wrong(one)) for one in sure for _ in range(3)]
    assert not any(one.step.startswith(step) for one in advised(own, [*map(found, sure), *noise, *unsure]))


def test_a_step_counts_the_detections_from_the_threshold_on():
    annotations, results = doubled()
    noise = [found(one, 0.01, bbox=beside(one, 0.2)) for one in annotations]
    (step,) = (
        one for one in advised(annotations, [*results, *noise]) if one.step.startswith('Lower the IoU')
    )
    threshold = 0.9 - (len(annotations) - 1) / 1000
    assert step.reason.startswith(f'From a score of {threshold:.2f} on, 39 detections are of an object')
    assert step.figures['duplicates'] == 39


@pytest.mark.parametrize(('annotations', 'results'), [([], [found(things(1)[0])]), (things(1), []), ([], [])])
def test_without_objects_or_detections_nothing_is_advised(annotations, results):
    assert advised(annotations, results) == ()

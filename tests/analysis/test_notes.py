"""What is told above the figures: results that were read, but look misread."""

import numpy as np
import pytest

from mmyolox.analysis import analyse
from tests.analysis.random_cases import add_object, made_case

SIZE = (200, 120)


def scene(classes=3, images=6, shift=0):
    """Objects all over the images, and a good detection of each, whose classes are shifted."""
    rng = np.random.default_rng(0)
    annotations, results = [], []
    for image in range(1, images + 1):
        for place in range(6):
            category = 1 + (place + image) % classes
            x, y = 65 * (place % 3) + rng.uniform(0, 10), 60 * (place // 3) + rng.uniform(0, 5)
            bbox = [x, y, 50.0, 45.0]
            add_object(annotations, image, category, bbox)
            shifted = 1 + (category - 1 + shift) % classes
            results.append(
                dict(image_id=image, category_id=shifted, bbox=bbox, score=0.01 + 0.9 * rng.random())
            )
            results[0]['score'] = 0.01
    return annotations, results


def corners(bbox):
    x, y, width, height = bbox
    return [x, y, x + width, y + height]


def notes_of(annotations, results, classes=3):
    return analyse(made_case(annotations, results, images=6, classes=classes, size=SIZE)).notes


def test_good_results_have_no_notes():
    assert notes_of(*scene()) == ()


@pytest.mark.parametrize(
    ('changed', 'note'),
    [
        (corners, '24 of 36 detections reach beyond their image by a tenth of it or more'),
        (lambda bbox: [4 * one for one in bbox], 'reach beyond their image'),
        (lambda bbox: (np.array(bbox) / [200, 120, 200, 120]).tolist(), 'all detections lie within 2 pixels'),
    ],
)
def test_boxes_in_another_form_are_told(changed, note):
    annotations, results = scene()
    (told,) = notes_of(annotations, [one | dict(bbox=changed(one['bbox'])) for one in results])
    assert note in told


def test_boxes_that_pass_the_border_a_little_or_seldom_are_not_told():
    annotations, results = scene()
    some = [one | dict(bbox=[-5, -5, 210, 130]) for one in results[1::5]]
    far = [one | dict(bbox=[-50, -50, 300, 300]) for one in results[1::12]]
    assert notes_of(annotations, [*results, *some, *far]) == ()


@pytest.mark.parametrize('shift', [1, -1])
def test_classes_that_are_all_one_off_are_told(shift):
    (told,) = notes_of(*scene(shift=shift))
    assert told.startswith('of 36 objects that are detected, 0 are detected as their own class and 36 as one')
    assert 'counted from 0' in told


def test_one_class_that_is_taken_for_another_is_no_misread_file():
    annotations, results = scene()
    taken = [one | dict(category_id=2) if one['category_id'] == 1 else one for one in results]
    assert notes_of(annotations, taken) == ()


def test_where_nothing_is_right_ids_are_asked_for():
    annotations, results = scene()
    (told,) = notes_of(annotations, [one | dict(bbox=[0, 0, 3, 3]) for one in results])
    assert (
        told == 'no detection is right: are the ids of the images and of the categories those of truth.json?'
    )

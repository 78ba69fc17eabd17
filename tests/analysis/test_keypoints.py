"""Errors of keypoints against a plain double loop, and their average precision against pycocotools."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mmyolox.analysis.keypoints import KEYPOINT_TYPES, keypoint_errors, other_objects
from mmyolox.analysis.oks import Poses, evaluate_keypoints
from mmyolox.analysis.skeleton import Skeleton
from tests.analysis.pose_cases import (
    PERSON,
    crowded_case,
    detections_of,
    pycocotools_evaluation,
    truth_of,
    with_keypoints,
)

NO_SIDES = replace(PERSON, flip_indices=tuple(range(6)))
ONE_JOINT = Skeleton(('centre',), (0,), (0.05,), (), ((0,),))
TWO_CLASSES = replace(PERSON, class_keypoints=((0, 1, 2, 3, 4), (3, 4, 5)))
ONE_WITHOUT = replace(PERSON, class_keypoints=((0, 1, 2, 3, 4, 5), ()))
SKELETONS = dict(
    person=PERSON, no_sides=NO_SIDES, one_joint=ONE_JOINT, two_classes=TWO_CLASSES, one_without=ONE_WITHOUT
)


def similarity(point, target, sigma, area):
    """COCO's similarity of a keypoint; 0 of one that is not labelled."""
    if target[2] == 0:
        return 0
    square = (point[0] - target[0]) ** 2 + (point[1] - target[1]) ** 2
    return math.exp(-square / (2 * (2 * sigma) ** 2 * area))


def plain_matches(truth, detections, threshold=0.1):
    """COCO's matching at an OKS: the detection of each object, in a plain loop."""
    matches = {}
    for image in range(len(truth.image_ids)):
        for label, own in enumerate(truth.skeleton.class_keypoints):
            gts = [
                t for t in range(len(truth.images)) if truth.images[t] == image and truth.labels[t] == label
            ]
            counted = [
                t for t in gts if not truth.is_crowd[t] and any(truth.keypoints[t, k, 2] > 0 for k in own)
            ]
            found = [
                n
                for n in range(len(detections.scores))
                if detections.images[n] == image and detections.labels[n] == label
            ]
            for n in found[:20]:
                best, best_oks = None, threshold
                for t in counted:
                    labelled = [k for k in own if truth.keypoints[t, k, 2] > 0]
                    oks = sum(
                        similarity(
                            detections.keypoints[n, k],
                            truth.keypoints[t, k],
                            truth.skeleton.sigmas[k],
                            truth.areas[t],
                        )
                        for k in labelled
                    ) / len(labelled)
                    if t not in matches and oks >= best_oks:
                        best, best_oks = t, oks
                if best is not None:
                    matches[best] = n, best_oks
    return matches


def plain_type(truth, t, k, point):
    """The type of the error of one keypoint."""
    flip = truth.skeleton.flip_indices[k]
    sigma = truth.skeleton.sigmas[k]
    own = similarity(point, truth.keypoints[t, k], sigma, truth.areas[t])
    if truth.keypoints[t, k, 2] == 0:
        return 'unlabelled'
    if own >= 0.85:
        return 'good'
    if own >= 0.5:
        return 'jitter'
    inverted = 0 if flip == k else similarity(point, truth.keypoints[t, flip], sigma, truth.areas[t])
    swapped = 0
    for other in range(len(truth.images)):
        if other != t and truth.images[other] == truth.images[t]:
            for joint in (k, flip):
                target = truth.keypoints[other, joint]
                swapped = max(swapped, similarity(point, target, sigma, truth.areas[other]))
    if max(inverted, swapped) < 0.5:
        return 'miss'
    return 'inversion' if inverted >= swapped else 'swap'


@pytest.mark.parametrize('name', SKELETONS)
@pytest.mark.parametrize('seed', range(4))
def test_types_are_those_of_a_plain_loop(seed, name):
    truth, detections = crowded_case(seed, SKELETONS[name])
    errors = keypoint_errors(truth, detections)
    matches = plain_matches(truth, detections)
    assert errors.objects.tolist() == sorted(matches)
    assert errors.detections.tolist() == [matches[t][0] for t in sorted(matches)]
    np.testing.assert_allclose(errors.oks, [matches[t][1] for t in sorted(matches)], rtol=1e-12)
    counts = Counter()
    for row, t in enumerate(sorted(matches)):
        for k in range(len(truth.skeleton.names)):
            expected = plain_type(truth, t, k, detections.keypoints[matches[t][0], k])
            found = errors.types[row, k]
            assert ('unlabelled' if found < 0 else KEYPOINT_TYPES[found]) == expected
            counts[k, expected] += 1
    assert errors.counts.tolist() == [
        [counts[k, kind] for kind in KEYPOINT_TYPES] for k in range(len(truth.skeleton.names))
    ]
    if name == 'person':
        assert (errors.counts.sum(0) > 5).all()  # every type is there


@pytest.mark.parametrize('name', SKELETONS)
@pytest.mark.parametrize('seed', range(4))
def test_the_precision_is_that_of_pycocotools(seed, name):
    truth, detections = crowded_case(seed, SKELETONS[name])
    errors = keypoint_errors(truth, detections)
    wanted = [
        pycocotools_evaluation(truth, detections, label).mean()
        for label, own in enumerate(truth.skeleton.class_keypoints)
        if own
    ]
    assert errors.ap == pytest.approx(np.mean(wanted), abs=1e-12)
    assert 0.01 < errors.ap < errors.ap_mended


@pytest.mark.parametrize('seed', range(2))
def test_costs_are_the_precision_with_the_errors_mended(seed):
    truth, detections = crowded_case(seed)
    errors = keypoint_errors(truth, detections)
    assert errors.costs[0] == 0
    for number, kinds in [*((number, [number]) for number in range(1, 5)), (None, [1, 2, 3, 4])]:
        mended = detections.keypoints.copy()
        for t, n, types in zip(errors.objects, errors.detections, errors.types, strict=True):
            for k, kind in enumerate(types):
                if kind in kinds:
                    mended[n, k, :2] = truth.keypoints[t, k, :2]
        ap = pycocotools_evaluation(truth, with_keypoints(detections, mended)).mean()
        cost = errors.ap_mended - errors.ap if number is None else errors.costs[number]
        assert cost == pytest.approx(ap - errors.ap, abs=1e-12)
    assert (errors.costs[1:] > 0).sum() >= 3


def two_people():
    """Two people side by side in one image, each as large as 10,000 square pixels."""
    one = np.array([[50, 10, 2], [40, 5, 2], [60, 5, 2], [30, 90, 1], [70, 90, 2], [50, 99, 0]], float)
    return truth_of([one, one + [200, 0, 0]], [0, 0], areas=[1e4, 1e4])


PLANTED = {
    'good': (0, [50.5, 10]),
    'jitter': (0, [55, 10]),  # exp(-25 / (2 x 5.2^2)) = 0.63
    'inversion': (1, [61, 5]),
    'swap': (1, [240, 6]),
    'miss': (3, [30, 190]),
}


@pytest.mark.parametrize('kind', PLANTED)
def test_a_planted_error_is_the_only_one(kind):
    truth = two_people()
    joint, place = PLANTED[kind]
    found = truth.keypoints.copy()
    found[0, joint, :2] = place
    errors = keypoint_errors(truth, detections_of(found, [0, 0], [0.9, 0.8]))
    expected = np.zeros((6, 5), int)
    expected[:5, 0] = 2
    expected[joint, 0] -= 1
    expected[joint, KEYPOINT_TYPES.index(kind)] += 1
    assert errors.counts.tolist() == expected.tolist()
    assert errors.types[0, joint] == KEYPOINT_TYPES.index(kind)
    if kind not in ('good', 'jitter'):
        assert errors.costs.argmax() == KEYPOINT_TYPES.index(kind)
        assert errors.ap_mended == pytest.approx(1)
    assert errors.worst().tolist() == ([] if kind == 'good' else [0])


def test_the_joint_on_the_other_side_of_another_person_is_a_swap():
    truth = two_people()
    found = truth.keypoints.copy()
    found[0, 1, :2] = truth.keypoints[1, 2, :2]
    errors = keypoint_errors(truth, detections_of(found, [0, 0], [0.9, 0.8]))
    assert KEYPOINT_TYPES[errors.types[0, 1]] == 'swap'


def test_a_right_keypoint_is_right_though_another_is_nearer():
    truth = two_people()
    truth.keypoints[0, 4, :2] = truth.keypoints[0, 3, :2] + [2, 0]
    found = truth.keypoints.copy()
    found[0, 3, :2] = truth.keypoints[0, 4, :2]
    errors = keypoint_errors(truth, detections_of(found, [0, 0], [0.9, 0.8]))
    assert KEYPOINT_TYPES[errors.types[0, 3]] == 'good'


def test_without_sides_there_is_no_inversion():
    truth = replace(two_people(), skeleton=NO_SIDES)
    found = truth.keypoints.copy()
    found[0, 1, :2] = truth.keypoints[0, 2, :2]
    errors = keypoint_errors(truth, detections_of(found, [0, 0], [0.9, 0.8]))
    assert KEYPOINT_TYPES[errors.types[0, 1]] == 'miss'


def test_one_person_alone_has_no_swaps():
    truth = two_people()
    alone = truth_of(truth.keypoints[:1], [0], areas=[1e4])
    found = alone.keypoints.copy()
    found[0, 1, :2] = [240, 5]
    errors = keypoint_errors(alone, detections_of(found, [0], [0.9]))
    assert errors.counts.sum(0).tolist() == [4, 0, 0, 0, 1]


def test_crowds_and_objects_without_labels_are_not_compared():
    truth = two_people()
    truth.keypoints[1, :, 2] = 0
    pose = truth.keypoints[0]
    crowd = pose + [0, 200, 0]
    truth = truth_of([*truth.keypoints, crowd], [0, 0, 0], is_crowd=[False, False, True], areas=[1e4] * 3)
    errors = keypoint_errors(
        truth, detections_of([pose, pose + [200, 0, 0], crowd], [0] * 3, [0.9, 0.8, 0.7])
    )
    assert errors.objects.tolist() == [0]
    assert errors.ap == pytest.approx(1)
    assert [group.objects for group in errors.by_labelled] == [0, 0, 1, 0]


def test_figures_by_the_number_of_labelled_keypoints():
    truth, detections = crowded_case(0)
    errors = keypoint_errors(truth, detections)
    assert [(group.least, group.most) for group in errors.by_labelled] == [(1, 2), (3, 4), (5, 5), (6, 6)]
    counts = (truth.keypoints[..., 2] > 0).sum(1)
    found = plain_matches(truth, detections, 0.5).keys()
    for group in errors.by_labelled:
        own = {
            t for t in range(len(counts)) if group.least <= counts[t] <= group.most and not truth.is_crowd[t]
        }
        assert group.objects == len(own) > 0
        rows = [row for row, t in enumerate(errors.objects) if t in own]
        assert group.oks == pytest.approx(errors.oks[rows].mean())
        assert group.counts.tolist() == [(errors.types[rows] == kind).sum() for kind in range(5)]
        assert group.found == pytest.approx(len(found & own) / len(own))
    assert sum(group.counts for group in errors.by_labelled).tolist() == errors.counts.sum(0).tolist()


def test_few_joints_make_few_groups():
    truth, detections = crowded_case(0, ONE_JOINT)
    (group,) = keypoint_errors(truth, detections).by_labelled
    assert (group.least, group.most) == (1, 1)


def test_the_worst_come_first():
    truth, detections = crowded_case(1)
    errors = keypoint_errors(truth, detections)
    worst = errors.worst(5)
    assert len(worst) == 5
    assert errors.oks[worst].tolist() == sorted(errors.oks)[:5]


def test_nothing_detected():
    truth = two_people()
    errors = keypoint_errors(truth, detections_of(np.zeros((0, 6, 3)), [], []))
    assert (errors.ap, errors.ap_mended, errors.costs.tolist()) == (0, 0, [0] * 5)
    assert errors.counts.sum() == 0
    assert np.isnan(errors.shares).all()
    group = errors.by_labelled[2]
    assert (group.objects, group.found) == (2, 0)
    assert math.isnan(group.oks)


def test_nothing_labelled():
    truth, detections = crowded_case(0)
    truth.keypoints[..., 2] = 0
    errors = keypoint_errors(truth, detections)
    assert math.isnan(errors.ap)
    assert np.isnan(errors.costs).all()
    assert errors.counts.sum() == 0


def test_no_object_at_all():
    errors = keypoint_errors(truth_of(np.zeros((0, 6, 3)), []), crowded_case(0)[1])
    assert math.isnan(errors.ap)


@pytest.mark.parametrize('side', ['truth', 'detections', 'skeleton'])
def test_no_keypoints_no_errors(side):
    truth, detections = crowded_case(0)
    if side == 'detections':
        detections = replace(detections, keypoints=None)
    else:
        truth = replace(truth, keypoints=None, skeleton=None if side == 'skeleton' else PERSON)
    assert keypoint_errors(truth, detections) is None


def test_the_best_twenty_of_an_image_count():
    truth = two_people()
    far = [truth.keypoints[0] + [0, 300, 0]] * 20
    found = detections_of([*far, *truth.keypoints], [0] * 22, [*np.linspace(0.9, 0.5, 20), 0.4, 0.3])
    assert keypoint_errors(truth, found).objects.tolist() == []
    found = detections_of([*far[2:], *truth.keypoints], [0] * 20, [*np.linspace(0.9, 0.5, 18), 0.4, 0.3])
    assert keypoint_errors(truth, found).objects.tolist() == [0, 1]


def test_a_found_object_is_found():
    truth = two_people()
    found = truth.keypoints.copy()
    found[1, 1:4, 0] += 900
    detections = detections_of(found, [0, 0], [0.5, 0.9])
    poses = Poses(truth, truth.keypoints, truth.skeleton)
    result = evaluate_keypoints(poses, detections, detections.keypoints)
    assert poses.is_evaluated.tolist() == [True, True]
    assert result.is_found.tolist() == [True, False]
    assert result.oks.tolist() == pytest.approx([1, 0.4])


def test_pairs_of_objects_of_an_image():
    compared, others = other_objects(np.array([0, 0, 2, 2, 2, 5]), np.array([1, 2, 5]))
    assert [*zip(compared.tolist(), others.tolist(), strict=True)] == [(0, 0), (1, 3), (1, 4)]

"""Made poses, their detections with errors of every type, and COCO's own evaluation of them."""

import contextlib
import io
from dataclasses import replace

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmyolox.analysis import Detections, GroundTruth
from mmyolox.analysis.skeleton import Skeleton

PERSON = Skeleton(
    names=('nose', 'left_eye', 'right_eye', 'left_hip', 'right_hip', 'tail'),
    flip_indices=(0, 2, 1, 4, 3, 5),
    sigmas=(0.026, 0.025, 0.03, 0.107, 0.1, 0.07),
    links=(),
    class_keypoints=((0, 1, 2, 3, 4, 5),),
)


def truth_of(keypoints, images, skeleton=PERSON, is_crowd=None, labels=None, areas=None, images_in_all=None):
    """The ground truth of objects whose keypoints (T, K, 3) are in some images, rising."""
    keypoints = np.asarray(keypoints, np.float64).reshape(-1, len(skeleton.names), 3)
    images = np.asarray(images, np.int64)
    count = len(images)
    bboxes = np.concatenate([keypoints[..., :2].min(1), keypoints[..., :2].max(1) + 1], 1).reshape(-1, 4)
    sides = bboxes[:, 2:] - bboxes[:, :2]
    total = images_in_all or (int(images.max()) + 1 if count else 1)
    classes = tuple(f'class {label}' for label in range(len(skeleton.class_keypoints)))
    return GroundTruth(
        path='made.json',
        classes=classes,
        category_ids=tuple(range(1, len(classes) + 1)),
        image_ids=list(range(total)),
        paths=[f'{image}.jpg' for image in range(total)],
        sizes=np.full((total, 2), 640),
        ids=list(range(count)),
        images=images,
        labels=np.zeros(count, np.int64) if labels is None else np.asarray(labels, np.int64),
        bboxes=bboxes,
        is_crowd=np.zeros(count, bool) if is_crowd is None else np.asarray(is_crowd, bool),
        areas=sides.prod(1) if areas is None else np.asarray(areas, np.float64),
        keypoints=keypoints,
        skeleton=skeleton,
    )


def detections_of(keypoints, images, scores, labels=None):
    """Detections with keypoints (N, K, 3), in the order of the analysis."""
    keypoints = np.asarray(keypoints, np.float64)
    order = np.lexsort((-np.asarray(scores), images))
    bboxes = np.concatenate([keypoints[..., :2].min(1), keypoints[..., :2].max(1)], 1)
    labels = np.zeros(len(order), np.int64) if labels is None else np.asarray(labels, np.int64)
    return Detections(
        np.asarray(images, np.int64)[order],
        labels[order],
        bboxes[order],
        np.asarray(scores, np.float64)[order],
        keypoints[order],
    )


def crowded_case(seed, skeleton=PERSON, count=25):
    """Images with none to six objects, and detections with errors of every type, duplicates and ties.

    Some objects are crowds, some have no labelled keypoint.
    """
    rng = np.random.default_rng(seed)
    joints, classes = len(skeleton.names), len(skeleton.class_keypoints)
    poses, images, labels = [], [], []
    for image in range(count):
        for _ in range(rng.integers(0, 7)):
            side = np.exp(rng.uniform(3, 5.5))
            pose = np.empty((joints, 3))
            pose[:, :2] = rng.uniform(0, 400, 2) + rng.uniform(0, side, (joints, 2))
            pose[:, 2] = rng.choice([0, 1, 2], joints, p=[0.2, 0.2, 0.6]) * (rng.random() > 0.1)
            label = int(rng.integers(classes))
            pose[[joint for joint in range(joints) if joint not in skeleton.class_keypoints[label]]] = 0
            poses.append(pose)
            images.append(image)
            labels.append(label)
    is_crowd = rng.random(len(images)) < 0.1
    truth = truth_of(
        poses,
        images,
        skeleton,
        is_crowd,
        labels,
        images_in_all=count,
        areas=rng.uniform(500, 2e4, len(poses)),
    )
    found, found_images, found_labels = [], [], []
    for index, pose in enumerate(truth.keypoints):
        for _ in range(rng.choice([0, 1, 2], p=[0.15, 0.7, 0.15])):
            found.append(spoilt(pose, index, truth, rng))
            found_images.append(truth.images[index])
            found_labels.append(truth.labels[index])
    found += [rng.uniform(0, 400, (joints, 3)) for _ in range(9)]
    found_images += rng.integers(0, count, 9).tolist()
    found_labels += rng.integers(0, classes, 9).tolist()
    scores = rng.random(len(found)).round(1)
    return truth, detections_of(found, found_images, scores, found_labels)


def spoilt(pose, index, truth, rng):
    """A pose as it might be detected: some keypoints right, shaken, inverted, swapped or far away."""
    made = pose.copy()
    others = [o for o in np.flatnonzero(truth.images == truth.images[index]) if o != index]
    for joint in range(len(pose)):
        error = rng.choice(['good', 'jitter', 'inversion', 'swap', 'miss'], p=[0.5, 0.2, 0.1, 0.1, 0.1])
        spread = 2 * truth.skeleton.sigmas[joint] * np.sqrt(truth.areas[index])
        if error == 'inversion':
            made[joint] = pose[truth.skeleton.flip_indices[joint]]
        elif error == 'swap' and others:
            made[joint] = truth.keypoints[rng.choice(others)][joint]
        length = dict(good=0.3, jitter=0.85, miss=4).get(error, 0.2)
        angle = rng.uniform(0, 2 * np.pi)
        made[joint, :2] += length * spread * np.array([np.cos(angle), np.sin(angle)])
    made[:, 2] = rng.random(len(pose))
    return made


def pycocotools_evaluation(truth, detections, label=0):
    """pycocotools' evaluation of the keypoints of one class, and the precision (10, 101) of all areas."""
    own = list(truth.skeleton.class_keypoints[label])
    sides = []
    for side, keypoints, extra in (
        (truth, truth.keypoints, lambda i: dict(area=truth.areas[i], iscrowd=int(truth.is_crowd[i]))),
        (detections, detections.keypoints, lambda i: dict(score=detections.scores[i], area=1.0)),
    ):
        entries = [
            dict(
                id=int(i) + 1,
                image_id=int(side.images[i]),
                category_id=1,
                bbox=[*side.bboxes[i, :2], *(side.bboxes[i, 2:] - side.bboxes[i, :2])],
                keypoints=keypoints[i, own].ravel().tolist(),
                num_keypoints=int((keypoints[i, own, 2] > 0).sum()),
                **extra(i),
            )
            for i in np.flatnonzero(side.labels == label)
        ]
        made = COCO()
        images = [dict(id=image) for image in range(len(truth.image_ids))]
        made.dataset = dict(images=images, categories=[dict(id=1)], annotations=entries)
        with contextlib.redirect_stdout(io.StringIO()):
            made.createIndex()
        sides.append(made)
    evaluation = COCOeval(*sides, 'keypoints')
    evaluation.params.kpt_oks_sigmas = np.array(truth.skeleton.sigmas)[own]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval['precision'][:, :, 0, 0, 0]


def with_keypoints(detections, keypoints):
    return replace(detections, keypoints=keypoints)

"""COCO's evaluation of keypoints by their similarity (OKS), made by hotcoco."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.utils.memory import without_garbage_collection

from .case import Detections, GroundTruth
from .skeleton import Skeleton

MAX_DETECTIONS = 20
"""How many detections of a class in an image count when keypoints are compared, as in COCO's evaluation."""

_MATCHING, _FOUND = 0.1, 0.5
_THRESHOLDS = (_MATCHING, *np.linspace(0.5, 0.95, 10).tolist())
"""That of the matching, and then COCO's."""


@dataclass(frozen=True)
class Poses:
    """What was to be found in a data set that has keypoints.

    Attributes:
        truth: The data set.
        keypoints: (T, K, 3) float64, its keypoints: x and y in pixels of the image, and COCO's visibility.
        skeleton: What they are.
    """

    truth: GroundTruth
    keypoints: NDArray[np.float64]
    skeleton: Skeleton

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """(T, K) bool, which keypoints are labelled."""
        return self.keypoints[..., 2] > 0

    @property
    def is_evaluated(self) -> NDArray[np.bool_]:
        """(T,) bool, the objects that are to be found: no crowds, and with a labelled keypoint."""
        return ~self.truth.is_crowd & self.is_labelled.any(1)

    def similarities(
        self,
        points: NDArray[np.float64],
        objects: NDArray[np.int64],
        joints: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """The similarity of points with annotated keypoints, of which OKS is the mean of those labelled.

        Args:
            points: (P, K, 2) x and y in pixels of the image.
            objects: (P,) int64, the object that each is compared with.
            joints: (K,) int64, which keypoint of the object each point is compared with; by default its own.

        Returns:
            (P, K) float64 in [0, 1]; 0 where the keypoint is not labelled.
        """
        targets = self.keypoints[objects]
        targets = targets if joints is None else targets[:, joints]
        squares = np.square(points - targets[..., :2]).sum(-1)
        # As COCO's own code, an area of 0 is a very small one.
        areas = self.truth.areas[objects, None] + np.spacing(1)
        spreads = np.square(2 * np.array(self.skeleton.sigmas)) * areas
        return np.exp(-squares / (2 * spreads)) * (targets[..., 2] > 0)


@dataclass(frozen=True)
class KeypointEvaluation:
    """What the evaluation of keypoints found; M pairs of an object and the detection of it.

    Attributes:
        ap: The mean of the classes' average precisions; NaN where nothing is labelled.
        objects: (M,) int64, the objects that have a detection of an OKS of 0.1 or more, rising.
        detections: (M,) int64, the detection of each.
        oks: (M,) float64, how similar they are.
        is_found: (T,) bool, the objects that are found at an OKS of 0.5.
    """

    ap: float
    objects: NDArray[np.int64]
    detections: NDArray[np.int64]
    oks: NDArray[np.float64]
    is_found: NDArray[np.bool_]


def evaluate_keypoints(
    poses: Poses, detections: Detections, keypoints: NDArray[np.float64]
) -> KeypointEvaluation:
    """Evaluates keypoints class by class, each with the keypoints and sigmas that it has.

    Args:
        poses: What was to be found.
        detections: What was detected.
        keypoints: (N, K, 3), the keypoints of the detections, in place of their own.
    """
    truth, is_evaluated = poses.truth, poses.is_evaluated
    found = np.zeros(len(truth.images), bool)
    matched = np.full(len(truth.images), -1, np.int64)
    precisions = []
    best = best_detections(detections)
    for label, own in enumerate(poses.skeleton.class_keypoints):
        objects = np.flatnonzero(truth.labels == label)
        if not (own and is_evaluated[objects].any()):
            continue
        indices = best[detections.labels[best] == label]
        with without_garbage_collection():  # two thirds of the time
            evaluation = _evaluate_class(poses, objects, own, detections, indices, keypoints)
        precisions.append(evaluation.eval['precision'][1:].mean())
        for image in evaluation.eval_imgs:
            if image is not None:
                ids = np.array(image['gtIds'], np.int64)
                by_threshold = np.array(image['gtMatches'], np.int64).reshape(len(_THRESHOLDS), len(ids))
                matched[ids - 1] = by_threshold[0] - 1
                found[ids - 1] = by_threshold[_THRESHOLDS.index(_FOUND)] > 0
    pairs = np.flatnonzero(is_evaluated & (matched >= 0))
    similarities = poses.similarities(keypoints[matched[pairs], :, :2], pairs)
    return KeypointEvaluation(
        float(np.mean(precisions)) if precisions else float('nan'),
        pairs,
        matched[pairs],
        similarities.sum(1) / poses.is_labelled[pairs].sum(1),
        found & is_evaluated,
    )


def best_detections(detections: Detections) -> NDArray[np.int64]:
    """The indices of the detections that count: the first 20 of each class in each image, in their order."""
    order = np.lexsort((detections.labels, detections.images))
    changes = (np.diff(detections.images[order]) != 0) | (np.diff(detections.labels[order]) != 0)
    starts = np.flatnonzero(np.concatenate([[True], changes])) if len(order) else order
    ranks = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return np.sort(order[ranks < MAX_DETECTIONS])


def _evaluate_class(
    poses: Poses,
    objects: NDArray[np.int64],
    own: tuple[int, ...],
    detections: Detections,
    indices: NDArray[np.int64],
    keypoints: NDArray[np.float64],
) -> Any:
    """hotcoco's evaluation of a class, whose ids are our indices + 1.

    Args:
        poses: What was to be found.
        objects: The objects of the class.
        own: The keypoints that it has.
        detections: What was detected.
        indices: The detections of the class.
        keypoints: (N, K, 3), the keypoints of all detections.
    """
    from hotcoco import COCO, COCOeval

    truth = poses.truth
    sides = _entries(objects, truth.images, truth.bboxes, poses.keypoints[objects][:, own])
    columns = (poses.is_labelled[objects].sum(1), truth.areas[objects], truth.is_crowd[objects])
    for entry, count, area, is_crowd in zip(sides, *(column.tolist() for column in columns), strict=True):
        entry.update(num_keypoints=count, area=area, iscrowd=int(is_crowd))
    found = _entries(indices, detections.images, detections.bboxes, keypoints[indices][:, own])
    for entry, score in zip(found, detections.scores[indices].tolist(), strict=True):
        width, height = entry['bbox'][2:]
        entry.update(score=score, area=width * height)
    images = [dict(id=number, width=0, height=0) for number in range(len(truth.image_ids))]
    common = dict(images=images, categories=[dict(id=1, name='object')])
    evaluation = COCOeval(
        COCO(dict(common, annotations=sides)), COCO(dict(common, annotations=found)), 'keypoints'
    )
    evaluation.params.kpt_oks_sigmas = [poses.skeleton.sigmas[index] for index in own]
    evaluation.params.iou_thrs = list(_THRESHOLDS)
    evaluation.params.max_dets = [MAX_DETECTIONS]
    evaluation.params.area_rng, evaluation.params.area_rng_lbl = [[0, 1e10]], ['all']
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _entries(
    indices: NDArray[np.int64],
    images: NDArray[np.int64],
    bboxes: NDArray[np.float64],
    keypoints: NDArray[np.float64],
) -> list[dict[str, Any]]:
    """What COCO's files have of objects as well as of detections."""
    boxes = bboxes[indices].copy()
    boxes[:, 2:] -= boxes[:, :2]
    flat = keypoints.reshape(len(indices), 3 * keypoints.shape[1])
    columns = dict(id=indices + 1, image_id=images[indices], bbox=boxes, keypoints=flat)
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, one, strict=True), category_id=1) for one in values]

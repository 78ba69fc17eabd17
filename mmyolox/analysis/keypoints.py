"""What is wrong with keypoints, joint by joint.

After Ronchi and Perona, *Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation* (ICCV 2017,
https://arxiv.org/abs/1707.05388). A keypoint is compared by its part ``exp(-d^2 / (2 (2 sigma)^2 area))`` of
COCO's object keypoint similarity (OKS), which is the mean of an object's. With its own annotation:

- *good*: 0.85 or more, as near as annotators are to one another;
- *jitter*: from 0.5 to 0.85.

What is farther off is near to something else, with 0.5 or more, or near to nothing:

- *inversion*: to the other side of the same object, left for right;
- *swap*: to the same joint, or its other side, of another object;
- *miss*: to none of them.

If both are near, the nearer one is it. The authors' own code takes the nearest of all annotations first, so
that a keypoint that is right counts as an inversion where the other side is nearer still; here it is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .case import Detections, GroundTruth
from .oks import KeypointEvaluation, Poses, evaluate_keypoints

KEYPOINT_TYPES = ('good', 'jitter', 'inversion', 'swap', 'miss')
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(KEYPOINT_TYPES))
UNLABELLED = -1
"""In the place of a type: the annotation has no such keypoint."""

GOOD_SIMILARITY, NEAR_SIMILARITY = 0.85, 0.5
_GROUPS = 4


@dataclass(frozen=True)
class LabelledGroup:
    """The objects with some number of labelled keypoints.

    Attributes:
        least: The least number of them.
        most: The most.
        objects: How many objects there are.
        found: The share of those found, with an OKS of 0.5 or more; NaN without objects.
        oks: The mean OKS of those that were compared; NaN without any.
        counts: (5,) int64, their keypoints by ``KEYPOINT_TYPES``.
    """

    least: int
    most: int
    objects: int
    found: float
    oks: float
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class KeypointErrors:
    """The errors of the keypoints of M objects, each compared with the detection that is of it.

    That is COCO's matching at an OKS of 0.1 or more, with the best 20 detections of a class in an image.
    Crowds and objects without a labelled keypoint are not compared.

    Attributes:
        names: The K keypoints.
        objects: (M,) int64, the objects.
        detections: (M,) int64, the detection of each.
        oks: (M,) float64, how similar they are.
        types: (M, K) int8, for each keypoint an index of ``KEYPOINT_TYPES``; ``UNLABELLED`` where it is not
            labelled.
        counts: (K, 5) int64, how many keypoints there are of each type.
        ap: The average precision of keypoints at OKS of 0.50, 0.55, ..., 0.95; NaN where nothing is labelled.
        ap_mended: That with all these errors mended: the keypoints put where they are annotated.
        costs: (5,) float64, what mending one type alone adds to the AP; 0 for good.
        by_labelled: The same by the number of labelled keypoints.
    """

    names: tuple[str, ...]
    objects: NDArray[np.int64]
    detections: NDArray[np.int64]
    oks: NDArray[np.float64]
    types: NDArray[np.int8]
    counts: NDArray[np.int64]
    ap: float
    ap_mended: float
    costs: NDArray[np.float64]
    by_labelled: tuple[LabelledGroup, ...]

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K, 5) float64, the counts as shares of a keypoint's; NaN for one that is nowhere labelled."""
        totals = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, totals, out=np.full(self.counts.shape, np.nan), where=totals > 0)

    def worst(self, shown: int = 20) -> NDArray[np.int64]:
        """The indices of the M objects with the lowest OKS among those with an error, the lowest first."""
        order = np.argsort(self.oks, kind='stable')
        return order[(self.types[order] > GOOD).any(1)][:shown]


def keypoint_errors(truth: GroundTruth, detections: Detections) -> KeypointErrors | None:
    """Finds out what is wrong with the keypoints of detections.

    It evaluates with hotcoco; call it in main processes.

    Args:
        truth: What was to be found.
        detections: What was detected.

    Returns:
        The errors; None where one of the two has no keypoints.
    """
    detected = detections.keypoints
    if truth.skeleton is None or truth.keypoints is None or detected is None:
        return None
    poses = Poses(truth, truth.keypoints, truth.skeleton)
    base = evaluate_keypoints(poses, detections, detected)
    types = keypoint_types(poses, detected[base.detections, :, :2], base.objects)
    counts = np.stack([(types == number).sum(0) for number in range(len(KEYPOINT_TYPES))], 1)
    targets = poses.keypoints[base.objects, :, :2]

    def ap_without(is_mended: NDArray[np.bool_]) -> float:
        """The AP with the keypoints (M, K) where they are annotated."""
        mended = detected.copy()
        mended[base.detections, :, :2] = np.where(
            is_mended[..., None], targets, detected[base.detections, :, :2]
        )
        return evaluate_keypoints(poses, detections, mended).ap if is_mended.any() else base.ap

    costs = [ap_without(types == number) - base.ap for number in range(JITTER, len(KEYPOINT_TYPES))]
    return KeypointErrors(
        poses.skeleton.names,
        base.objects,
        base.detections,
        base.oks,
        types,
        counts,
        base.ap,
        ap_without(types >= JITTER),
        np.array([0 * base.ap, *costs]),
        by_labelled(poses, base, types),
    )


def keypoint_types(poses: Poses, points: NDArray[np.float64], objects: NDArray[np.int64]) -> NDArray[np.int8]:
    """What each detected keypoint is.

    Args:
        poses: What was to be found.
        points: (M, K, 2) x and y in pixels of the image, as detected.
        objects: (M,) int64, the object that each M is compared with.

    Returns:
        (M, K) int8, indices of ``KEYPOINT_TYPES``, ``UNLABELLED`` where the object has no such keypoint.
    """
    flips = np.array(poses.skeleton.flip_indices)
    own = poses.similarities(points, objects)
    inverted = poses.similarities(points, objects, flips)  # of a joint in the middle: its own once more
    swapped = np.zeros_like(own)
    compared, others = other_objects(poses.truth.images, objects)
    for joints in (None, flips):
        np.maximum.at(swapped, compared, poses.similarities(points[compared], others, joints))
    types = np.select(
        [
            ~poses.is_labelled[objects],
            own >= GOOD_SIMILARITY,
            own >= NEAR_SIMILARITY,
            np.maximum(inverted, swapped) < NEAR_SIMILARITY,
            inverted >= swapped,
        ],
        [UNLABELLED, GOOD, JITTER, MISS, INVERSION],
        SWAP,
    )
    return types.astype(np.int8)


def other_objects(
    images: NDArray[np.int64], objects: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of each of M objects with all others of its image.

    Args:
        images: (T,) int64, the image of each object, rising.
        objects: (M,) int64, indices of objects.

    Returns:
        Two arrays of the pairs: indices of the M, and of the other objects.
    """
    starts = np.searchsorted(images, images[objects])
    lengths = np.searchsorted(images, images[objects], 'right') - starts
    compared = np.repeat(np.arange(len(objects)), lengths)
    within = np.arange(len(compared)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    others = starts[compared] + within
    is_other = others != objects[compared]
    return compared[is_other], others[is_other]


def by_labelled(poses: Poses, base: KeypointEvaluation, types: NDArray[np.int8]) -> tuple[LabelledGroup, ...]:
    """The figures of objects by the number of their labelled keypoints, in up to four ranges of equal length.

    Args:
        poses: What was to be found.
        base: The evaluation.
        types: (M, K), see :func:`keypoint_types`.
    """
    labelled = np.where(poses.is_evaluated, poses.is_labelled.sum(1), 0)
    count = len(poses.skeleton.names)
    groups = []
    for numbers in np.array_split(np.arange(1, count + 1), min(_GROUPS, count)):
        is_in = (labelled >= numbers[0]) & (labelled <= numbers[-1])
        compared = is_in[base.objects]
        groups.append(
            LabelledGroup(
                int(numbers[0]),
                int(numbers[-1]),
                int(is_in.sum()),
                _mean(base.is_found[is_in]),
                _mean(base.oks[compared]),
                np.bincount(types[compared][types[compared] >= 0], minlength=len(KEYPOINT_TYPES)),
            )
        )
    return tuple(groups)


def _mean(values: Sequence[float] | NDArray) -> float:
    return float(np.mean(values)) if len(values) else float('nan')

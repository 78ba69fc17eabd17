"""COCO's figures of many samples of the images at once: how much of a difference may be chance."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .average_precision import RECALLS
from .curves import IOUS
from .matching import MOST, Matcher

AREAS = {'': (0, 1e10), 's': (0, 32**2), 'm': (32**2, 96**2), 'l': (96**2, 1e10)}
"""COCO's areas in square pixels, from and up to, both included, by the end of a figure's name."""
_BLOCK = 2**24
"""How many counts are in memory at a time."""


def draw_images(images: int, samples: int, seed: int = 0) -> NDArray[np.uint16]:
    """(I, S) How often each of I images is in each of S samples of I images, drawn with replacement."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(images, np.full(images, 1 / images), samples)
    return np.ascontiguousarray(counts.T, np.uint16)


def resampled_figures(matcher: Matcher, draws: NDArray[np.uint16]) -> dict[str, NDArray[np.float64]]:
    """COCO's figures of data sets that have each image as often as it was drawn.

    Detections are matched within their image, so that the matches are those of the whole data set, and all
    samples are measured at once.

    Args:
        matcher: What matches the detections of the case.
        draws: (I, S), see :func:`draw_images`.

    Returns:
        (S,) of each figure, by its name in :attr:`.CocoFigures.overall`; NaN for samples in which there is
        nothing to find.
    """
    figures: dict[str, NDArray[np.float64]] = {}
    for area, (low, high) in AREAS.items():
        one = _OfArea(matcher, draws, low, high)
        precisions = one.precisions()
        figures[f'AP{area}'] = _mean_of_classes(precisions.mean(0))
        if not area:
            figures['AP50'], figures['AP75'] = (_mean_of_classes(precisions[place]) for place in (0, 5))
        for limit in (MOST,) if area else (1, 10, MOST):
            figures[f'AR{area or limit}'] = _mean_of_classes(one.recalls(limit))
    return figures


def _mean_of_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) The means of (C, S) values, without those that are NaN; NaN where all are."""
    is_known = ~np.isnan(values)
    sums, counts = np.where(is_known, values, 0).sum(0), is_known.sum(0)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


class _OfArea:
    """The figures of the objects from one area up to another, the others left out."""

    def __init__(self, matcher: Matcher, draws: NDArray[np.uint16], low: float, high: float) -> None:
        truth, found = matcher.case.truth, matcher.case.detections
        is_left_out = (truth.areas < low) | (truth.areas > high)
        areas = (found.bboxes[:, 2:] - found.bboxes[:, :2]).prod(1)
        is_inside = (areas >= low) & (areas <= high)
        matchings = [matcher.match(is_left_out, iou) for iou in IOUS.tolist()]
        is_correct = np.stack([one.is_correct for one in matchings])
        is_counted = np.stack([one.is_counted for one in matchings]) & (is_correct | is_inside)
        is_matched = np.any([one.objects >= 0 for one in matchings], 0)
        order = np.lexsort((-found.scores, found.labels))
        order = order[is_counted.any(0)[order]]
        self._draws, self._images = draws, found.images[order]
        self._ranks, self._is_matched = matcher.ranks[order], is_matched[order]
        self._is_correct, self._is_counted = is_correct[:, order], is_counted[:, order]
        ends = np.searchsorted(found.labels[order], np.arange(len(truth.classes) + 1)).tolist()
        self._rows = [slice(*pair) for pair in pairwise(ends)]
        own = np.flatnonzero(truth.is_object & ~is_left_out)
        counts = np.zeros((len(truth.classes), len(draws)))
        np.add.at(counts, (truth.labels[own], truth.images[own]), 1)
        self._objects = counts @ draws.astype(np.float64)

    def recalls(self, limit: int) -> NDArray[np.float64]:
        """(C, S) The recall of each class, the mean of the IoUs, by its first detections in each image.

        Args:
            limit: How many detections of a class in an image count.
        """
        # How many of the IoUs a detection is correct at.
        times = np.where(self._ranks < limit, self._is_correct.sum(0), 0).astype(np.float64)
        found = np.zeros(self._objects.shape)
        for label, rows in enumerate(self._rows):
            own = rows.start + np.flatnonzero(times[rows])
            found[label] = times[own] @ self._draws[self._images[own]].astype(np.float64)
        whole = len(IOUS) * self._objects
        return np.divide(found, whole, out=np.full(found.shape, np.nan), where=whole > 0)

    def precisions(self) -> NDArray[np.float64]:
        """(10, C, S) The average precision of each class at each IoU."""
        values = np.zeros((len(IOUS), *self._objects.shape))
        samples = self._objects.shape[1]
        for label, rows in enumerate(self._rows):
            step = max(1, _BLOCK // max(1, rows.stop - rows.start))
            for start in range(0, samples, step):
                part = slice(start, start + step)
                values[:, label, part] = self._precisions_of(rows, self._objects[label, part], part)
        return np.where(self._objects > 0, values, np.nan)

    def _precisions_of(self, rows: slice, objects: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
        """(10, s) The average precisions of a class in some of the samples.

        Between detections that match at some IoU there are only false ones, which are so at all IoUs: they
        are counted once.
        """
        matched = np.flatnonzero(self._is_matched[rows])
        values = np.zeros((len(IOUS), len(objects)))
        if not len(matched):
            return values
        draws = self._draws[self._images[rows][: matched[-1] + 1], part]
        since = np.append(0, matched[:-1] + 1)
        seen = np.cumsum(np.add.reduceat(draws, since, axis=0, dtype=np.int32), axis=0)
        draws = draws[matched].astype(np.int32)
        for place, (is_correct, is_counted) in enumerate(
            zip(self._is_correct[:, rows][:, matched], self._is_counted[:, rows][:, matched], strict=True)
        ):
            correct = np.cumsum(draws[is_correct], axis=0)
            counted = seen[is_correct]
            if not is_counted.all():
                left_out = np.cumsum(draws[~is_counted], axis=0)
                before = np.cumsum(~is_counted)[is_correct]
                counted -= np.concatenate([np.zeros_like(left_out[:1]), left_out])[before]
            precisions = correct / np.maximum(counted, 1)
            best = np.maximum.accumulate(precisions[::-1], axis=0)[::-1]
            # COCO's recalls that each detection is the first to reach.
            reached = np.searchsorted(RECALLS, correct / np.maximum(objects, 1), side='right')
            values[place] = (best * np.diff(reached, axis=0, prepend=0)).sum(0) / len(RECALLS)
        return values

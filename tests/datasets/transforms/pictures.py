"""What the tests of transforms share: pictures, draws that are told in advance, and MMDetection's form."""

from collections.abc import Sequence

import cv2
import mmdet.datasets.transforms.transforms as peer
import numpy as np
import torch
from mmdet.structures.bbox import HorizontalBoxes

import mmyolox  # noqa: F401
from mmyolox.datasets.transforms import LoadAnnotations, Sample, begin_scene
from mmyolox.deploy.letterbox import Size

__all__ = ['Album', 'Draws', 'boxes_in', 'edges', 'for_peer', 'load', 'make_sample', 'peer', 'smooth']


class Draws:
    """A random generator that is told its draws: fractions of whatever range it is asked for.

    It answers to the names of NumPy's new generator, for ours, and of ``numpy.random``, for MMDetection.
    """

    def __init__(self, fractions: Sequence[float]) -> None:
        self.left = list(fractions)

    def _next(self, size=None):
        return self.left.pop(0) if size is None else np.array([self.left.pop(0) for _ in range(size)])

    def random(self):
        return self._next()

    def uniform(self, low, high, size=None):
        return low + (high - low) * self._next(size)

    def integers(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        return np.floor(self.uniform(low, high, size)).astype(int)

    randint = integers


def smooth(size, seed=0, channels=3):
    """A picture (h, w, channels) of slow waves, on which different interpolations hardly differ."""
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(size)
    waves = [50 * np.sin(np.pi * (x * a + y * b + c)) for a, b, c in rng.uniform(-1, 1, (channels, 3))]
    return (120 + np.stack(waves, -1)).round().astype(np.uint8)


def boxes_in(size, count, seed=0):
    """(count, 4) float32 boxes inside a picture of ``size`` (w, h)."""
    points = np.random.default_rng(seed).uniform(0, size, (2, count, 2))
    return np.concatenate([points.min(0), points.max(0)], axis=1).astype(np.float32)


def load(results):
    """The first steps of a pipeline for a sample whose pixels are at hand."""
    return LoadAnnotations()(begin_scene(results, results['pixels']))


class Album(list):
    """A data set of entries with pixels, which serves as partners' source."""

    def __init__(self, pictures, counts):
        super().__init__(
            dict(
                pixels=pixels,
                bboxes=boxes_in(pixels.shape[1::-1], count, seed=i),
                labels=np.arange(count) + 10 * i,
                is_crowd=np.zeros(count, bool),
            )
            for i, (pixels, count) in enumerate(zip(pictures, counts, strict=True))
        )

    def get_data_info(self, idx):
        return dict(self[idx])

    def draw_partner(self, rng):
        return int(rng.integers(len(self)))


def make_sample(album, idx, draws, img_scale):
    """Sample ``idx`` of an album after loading."""
    rng = Draws(draws) if isinstance(draws, Sequence) else draws
    return load(Sample(album.get_data_info(idx), dataset=album, rng=rng, img_scale=Size(*img_scale)))


def for_peer(entry):
    """An album's entry as MMDetection's transforms take it."""
    return dict(
        img=entry['pixels'].copy(),
        img_shape=entry['pixels'].shape[:2],
        gt_bboxes=HorizontalBoxes(torch.from_numpy(entry['bboxes'].copy())),
        gt_bboxes_labels=entry['labels'].copy(),
        gt_ignore_flags=entry['is_crowd'].copy(),
    )


def edges(picture, distance):
    """(h, w) bool: the pixels within a distance of a change of colour, for pictures of flat parts."""
    change = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).reshape(
        *picture.shape[:2], -1
    )
    kernel = np.ones((2 * distance - 1, 2 * distance - 1), np.uint8)
    return cv2.dilate(change.max(-1), kernel) > 0

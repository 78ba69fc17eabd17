"""Mosaic and mixup as MMDetection does them with given draws, and how the results are compared."""

import numpy as np
from mmdet.datasets.transforms import MixUp, Mosaic

from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.pictures import Album, Draws, edges, for_peer, peer, smooth

SCALE = Size(96, 64)
SIZES = ((50, 90), (130, 70), (80, 60), (33, 21))
PARTNERS = (0.25, 0.5, 0.75)
"""Draws that choose the second, third and fourth of an album of four."""

BOX_TOLERANCE = 1e-4
"""Pixels; our boxes are float32, and mmdet's also in between."""


def album(sizes=SIZES, counts=(6, 5, 0, 7)):
    """Smooth pictures with some boxes."""
    return Album([smooth(size, seed) for seed, size in enumerate(sizes)], counts)


def flat(source):
    """The same album with every picture in a colour of its own, which shows where the edges are."""
    copies = Album([], [])
    copies.extend(e | dict(pixels=np.full_like(e['pixels'], 150 + 30 * i)) for i, e in enumerate(source))
    return copies


def assert_same_boxes(results, reference):
    theirs = reference['gt_bboxes'].tensor.numpy()
    np.testing.assert_allclose(results['gt_bboxes'], theirs, atol=BOX_TOLERANCE)
    assert results['gt_bboxes_labels'].tolist() == reference['gt_bboxes_labels'].tolist()
    assert results['gt_bboxes'].dtype == np.float32
    assert results['gt_bboxes_labels'].dtype == np.int64


def assert_same_pixels(ours, theirs, outlines, *, distance, tolerance):
    """Compares where ``outlines``, the same of flat pictures, is flat for some pixels around."""
    inside = ~edges(outlines, distance)
    difference = np.abs(ours.astype(int) - theirs)[inside]
    assert inside.mean() > 0.3
    assert difference.max() <= tolerance
    assert difference.mean() < 0.6


def mosaic_by_peer(monkeypatch, source, draws, img_scale=SCALE):
    """mmdet's mosaic of an album of four; what is left of the draws serves the next of its transforms."""
    monkeypatch.setattr(peer, 'random', Draws(draws))
    partners = dict(mix_results=[for_peer(entry) for entry in source[1:4]])
    return Mosaic(img_scale=img_scale)(for_peer(source[0]) | partners)


def mixup_by_peer(monkeypatch, results, partner, draws, ratio_range):
    """mmdet's mixup with our draws: of the jitter, the flip, and the offsets of x and y."""
    jitter, flip, *offsets = draws
    scale = ratio_range[0] + jitter * (ratio_range[1] - ratio_range[0])
    # It asks for y first, and for neither where the partner does not stick out.
    asked = [offsets[axis] for axis in (1, 0) if int(SCALE[axis] * scale) > SCALE[axis]]
    # It flips where the draw is above flip_ratio, we where it is below.
    monkeypatch.setattr(peer, 'random', Draws([jitter, 1 - flip, *asked]))
    mixup = MixUp(img_scale=SCALE, ratio_range=ratio_range)
    return mixup(results | dict(mix_results=[for_peer(partner)]))

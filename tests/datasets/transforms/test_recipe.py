"""The transforms of the training recipe, one after another and drawn once."""

import numpy as np
import pytest
from mmdet.datasets.transforms import RandomAffine as PeerAffine, RandomFlip as PeerFlip
from mmengine.dataset import Compose

from mmyolox.datasets.canvas.geometry import scaling, translation
from mmyolox.datasets.transforms import Letterbox, Mosaic, RandomAffine, RandomFlip, YOLOXMixUp
from mmyolox.datasets.transforms.augmentations import move_sample
from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.mixtures import (
    PARTNERS,
    SCALE,
    album,
    assert_same_boxes,
    assert_same_pixels,
    flat,
    mixup_by_peer,
    mosaic_by_peer,
)
from tests.datasets.transforms.pictures import load, make_sample

RATIOS = (0.8, 1.6)
COUNTS = (6, 5, 4, 7)


def look_beyond(results):
    """Shows more than the canvas, where nothing may come back that it cut off."""
    return move_sample(results, translation(25, 15) @ scaling(0.9, 0.9), Size(150, 100))


def recipe(between=()):
    """Mosaic to flip and more, with something ``between`` each pair."""
    steps = [
        Mosaic([load]),
        RandomAffine(scaling_ratio_range=(0.5, 1.5), max_translate_ratio=0.4),
        YOLOXMixUp([load], ratio_range=RATIOS),
        RandomFlip(1.0),
        Letterbox(1.5),
        look_beyond,
    ]
    return Compose([step for pair in ((step, *between) for step in steps) for step in pair])


def draw_now(results):
    """Asks for the picture, as another project's transform would."""
    assert results['img'].dtype == np.uint8
    return results


@pytest.mark.parametrize('seed', range(8))
def test_one_rendering_equals_step_by_step(seed):
    source = album(counts=COUNTS)
    fractions = np.random.default_rng(seed).random(13).tolist()
    draws = [0.0, *fractions[:2], *PARTNERS, *fractions[2:8], 0.0, *fractions[8:], 0.0]
    at_once = recipe()(make_sample(source, 0, draws, SCALE))
    stepwise = recipe([draw_now])(make_sample(source, 0, draws, SCALE))
    outlines = recipe([draw_now])(make_sample(flat(source), 0, draws, SCALE))['img']
    np.testing.assert_array_equal(at_once['gt_bboxes'], stepwise['gt_bboxes'])
    np.testing.assert_array_equal(at_once['gt_bboxes_labels'], stepwise['gt_bboxes_labels'])
    # Up to five interpolations against one or two; sources are cropped by whole pixels, here up to 6 wide.
    assert_same_pixels(at_once['img'], stepwise['img'], outlines, distance=8, tolerance=4)


@pytest.mark.parametrize('seed', range(8))
def test_recipe_equals_mmdets(monkeypatch, centred, seed):
    source = album(counts=COUNTS)
    fractions = np.random.default_rng(seed).random(12).tolist()
    for_mosaic, for_affine, for_mixup = fractions[:2], fractions[2:8], fractions[8:]
    draws = [0.0, *for_mosaic, *PARTNERS, *for_affine, 0.0, 0.99, *for_mixup, 0.0]
    steps = Compose([Mosaic([load]), RandomAffine(), YOLOXMixUp([load], ratio_range=RATIOS), RandomFlip(1.0)])
    results = steps(make_sample(source, 0, draws, SCALE))

    def by_peer(source):
        reference = mosaic_by_peer(monkeypatch, source, [0.0, *for_mosaic, *for_affine])
        reference = PeerAffine(border=(-48, -32))(reference)
        return PeerFlip(prob=1.0)(mixup_by_peer(monkeypatch, reference, source[3], for_mixup, RATIOS))

    assert_same_boxes(results, by_peer(source))
    centred()
    pixels, outlines = by_peer(source)['img'], by_peer(flat(source))['img']
    assert_same_pixels(results['img'], pixels, outlines, distance=5, tolerance=4)

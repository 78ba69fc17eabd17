"""Colour jitter: equal to MMDetection's for the same draws."""

import numpy as np
import pytest
from mmdet.datasets.transforms import YOLOXHSVRandomAug as PeerHSV

from mmyolox.datasets.canvas.geometry import scaling
from mmyolox.datasets.transforms import Sample, Scene, YOLOXHSVRandomAug
from mmyolox.datasets.transforms.augmentations import map_hsv, shift_tables
from mmyolox.deploy.letterbox import Size
from tests.datasets.transforms.pictures import Draws


@pytest.fixture(scope='module')
def noise():
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.mark.parametrize('seed', range(12))
def test_equals_mmdet_with_the_same_draws(monkeypatch, noise, seed):
    fractions = np.random.default_rng(seed).random(6).tolist()
    ours = YOLOXHSVRandomAug(17, 60, 90)(Sample(img=noise, rng=Draws(fractions)))['img']
    draws = Draws(fractions)
    monkeypatch.setattr(np.random, 'uniform', draws.uniform)
    monkeypatch.setattr(np.random, 'randint', draws.randint)
    peers = PeerHSV(17, 60, 90)(dict(img=noise.copy()))['img']
    np.testing.assert_array_equal(ours, peers)


def test_defaults_are_mmdets():
    peer = PeerHSV()
    assert YOLOXHSVRandomAug().deltas.tolist() == [peer.hue_delta, peer.saturation_delta, peer.value_delta]


@pytest.mark.parametrize('fraction', [0.0, 0.49])
def test_each_shift_is_left_out_half_the_time(noise, fraction):
    draws = Draws([1.0, 1.0, 1.0, fraction, fraction, fraction])
    image = YOLOXHSVRandomAug()(Sample(img=noise, rng=draws))['img']
    np.testing.assert_array_equal(image, map_hsv(noise, shift_tables(0, 0, 0)))


def test_hue_wraps_around_and_the_others_saturate():
    red = np.full((1, 1, 3), (0, 0, 255), np.uint8)
    assert map_hsv(red, shift_tables(-60, 0, 0)).tolist() == [[[255, 0, 0]]]
    assert map_hsv(red, shift_tables(120, 0, 0)).tolist() == [[[255, 0, 0]]]
    assert map_hsv(red, shift_tables(0, 100, 100)).tolist() == [[[0, 0, 255]]]
    assert map_hsv(red, shift_tables(0, -300, 0)).tolist() == [[[255, 255, 255]]]
    assert map_hsv(red, shift_tables(0, 0, -300)).tolist() == [[[0, 0, 0]]]


def test_source_is_left_alone(noise):
    before = noise.copy()
    YOLOXHSVRandomAug()(Sample(scene=Scene.of(noise), rng=np.random.default_rng(0)))
    np.testing.assert_array_equal(noise, before)


def test_draws_a_pending_scene_first(noise):
    scene = Scene.of(noise).moved(scaling(0.5, 0.5), Size(48, 32))
    fractions = [1.0, 0.0, 1.0, 0.9, 0.9, 0.9]
    results = YOLOXHSVRandomAug()(Sample(scene=scene, rng=Draws(fractions)))
    assert 'scene' not in results
    np.testing.assert_array_equal(results['img'], map_hsv(scene.render(), shift_tables(5, -30, 30)))

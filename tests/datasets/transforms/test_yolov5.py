"""Augmentation of YOLOv5's kind, compared with the same written plainly."""

import cv2
import numpy as np
import pytest

from mmyolox.datasets.transforms import BetaMixUp, Letterbox, Mosaic, RandomAffine, RandomHSVGains, Sample
from mmyolox.errors import UserError
from tests.datasets.transforms.mixtures import SCALE, album
from tests.datasets.transforms.pictures import Draws, load, make_sample, smooth


class BetaDraws(Draws):
    """Draws whose beta distribution gives what was said."""

    def beta(self, alpha, beta):
        assert (alpha, beta) == (8.0, 2.0)
        return self._next()


@pytest.mark.parametrize('share', [0.0, 0.3, 0.5, 0.871, 1.0])
def test_mixup_weighs_both_and_cuts_fractions_off(share):
    source = album([SCALE, SCALE], (2, 3))
    results = BetaMixUp([load], 8.0, 2.0)(make_sample(source, 0, BetaDraws([0.0, share, 0.9]), SCALE))
    own, partner = (source[i]['pixels'].astype(np.float64) for i in range(2))
    wanted = (own * share + partner * (1 - share)).astype(np.uint8).astype(int)
    off = np.abs(results['img'].astype(int) - wanted)
    assert off.max() <= 1  # a sum just below a whole number
    assert (off > 0).mean() < 0.03
    assert results['gt_bboxes_labels'].tolist() == [0, 1, 10, 11, 12]
    assert 'matrix' not in results


def test_partner_is_a_mosaic_too():
    source = album()
    steps = [load, Mosaic([load]), RandomAffine(anchor=(0.5, 0.5))]
    sample = make_sample(source, 0, np.random.default_rng(1), SCALE)
    for step in (*steps[1:], BetaMixUp(steps)):
        sample = step(sample)
    assert sample['img'].shape == (SCALE.height, SCALE.width, 3)
    assert len(sample['gt_bboxes']) == len(sample['gt_bboxes_labels']) > 6


def test_mixup_needs_a_partner_of_the_same_size():
    source = album([SCALE, (50, 50)], (1, 1))
    with pytest.raises(UserError, match=r'BetaMixUp: the partner has .*50, 50.*the sample .*64, 96'):
        BetaMixUp([load], 8.0, 2.0)(make_sample(source, 0, BetaDraws([0.0, 0.5, 0.9]), SCALE))
    step = BetaMixUp([load, Letterbox()], 8.0, 2.0)
    fitting = step(make_sample(source, 0, BetaDraws([0.0, 0.5, 0.9]), SCALE))
    assert len(fitting['gt_bboxes']) == 2


def test_mixup_leaves_some_alone():
    source = album([SCALE], (2,))
    assert len(BetaMixUp([load], prob=0.5)(make_sample(source, 0, [0.5], SCALE))['gt_bboxes']) == 2


@pytest.mark.parametrize('parameters', [(0, 8.0), (8.0, -1)])
def test_parameters_of_the_distribution_are_checked(parameters):
    with pytest.raises(UserError, match='must be above 0'):
        BetaMixUp([load], *parameters)


@pytest.mark.parametrize('seed', range(4))
def test_gains_multiply_each_pixel(seed):
    image = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    fractions = np.random.default_rng(seed).random(3)
    result = RandomHSVGains(0.3, 0.7, 0.4)(Sample(img=image, rng=Draws(fractions.tolist())))['img']
    factors = 1 + (2 * fractions - 1) * (0.3, 0.7, 0.4)
    products = cv2.cvtColor(image, cv2.COLOR_BGR2HSV) * factors
    wanted = np.stack([products[..., 0] % 180, *products[..., 1:].clip(0, 255).transpose(2, 0, 1)], -1)
    np.testing.assert_array_equal(result, cv2.cvtColor(wanted.astype(np.uint8), cv2.COLOR_HSV2BGR))


def test_gains_need_colours():
    with pytest.raises(UserError, match=r'RandomHSVGains needs images in colour, these have 1 channel'):
        RandomHSVGains()(Sample(img=smooth(SCALE, channels=1), rng=np.random.default_rng(0)))

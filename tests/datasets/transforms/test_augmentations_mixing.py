"""Mosaic and mixup: boxes and pixels equal MMDetection's for the same draws, without its faults."""

import numpy as np
import pytest
from mmdet.datasets.transforms import MixUp as PeerMixUp, Mosaic as PeerMosaic
from mmengine.dataset import Compose

from mmyolox.datasets.canvas.scene import FILL
from mmyolox.datasets.transforms import Letterbox, Mosaic, RandomAffine, YOLOXMixUp
from mmyolox.errors import UserError
from tests.datasets.transforms.mixtures import (
    BOX_TOLERANCE,
    PARTNERS,
    SCALE,
    album,
    assert_same_boxes,
    assert_same_pixels,
    flat,
    mixup_by_peer,
    mosaic_by_peer,
)
from tests.datasets.transforms.pictures import Album, Draws, for_peer, load, make_sample, smooth

UNMOVED = dict(max_rotate_degree=0, max_translate_ratio=0, scaling_ratio_range=(1, 1), max_shear_degree=0)


# Mosaic


CENTRES = [(0.5, 0.5), (0.0, 0.0), (0.999, 0.999), (0.1, 0.8), (0.73, 0.31)]


@pytest.mark.parametrize('centre', CENTRES)
@pytest.mark.parametrize('img_scale', [SCALE, (64, 64), (64, 160)])
def test_mosaic_equals_mmdet(monkeypatch, centre, img_scale):
    source = album()
    results = make_sample(source, 0, [0.0, *centre, *PARTNERS], img_scale)
    results = Mosaic([load])(results)
    reference = mosaic_by_peer(monkeypatch, source, [0.0, *centre], img_scale)
    outlines = mosaic_by_peer(monkeypatch, flat(source), [0.0, *centre], img_scale)['img']
    assert_same_boxes(results, reference)
    assert results['img_shape'] == (2 * img_scale[1], 2 * img_scale[0])
    assert 'matrix' not in results
    # mmdet rounds a tile's size down, while ours keeps its scale: up to a pixel at the far end.
    assert_same_pixels(results['img'], reference['img'], outlines, distance=3, tolerance=3)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('affine', [UNMOVED, dict(scaling_ratio_range=(0.1, 2)), dict(max_rotate_degree=30)])
def test_no_grey_line_between_tiles(seed, affine):
    sizes = np.random.default_rng(seed).integers(5, 200, (4, 2)).tolist()
    source = Album([np.full((h, w, 3), 200, np.uint8) for w, h in sizes], [1] * 4)
    fractions = np.random.default_rng(seed).random(6).tolist()
    results = make_sample(source, 0, [0.0, 0.5, 0.5, *PARTNERS, *fractions], SCALE)
    image = RandomAffine(**affine)(Mosaic([load])(results))['img']
    matrix = RandomAffine(**affine).draw_matrix(Draws(fractions), SCALE)
    x, y = (matrix @ [*SCALE, 1])[:2].astype(int)
    reach = int(2 + min(matrix[0, 0], 1))
    around = image[max(0, y - reach) : max(0, y + reach), max(0, x - reach) : max(0, x + reach)]
    assert (around == 200).all()


def test_mosaic_left_alone_is_letterboxed():
    # MMYOLO returns it as it is, and its RandomAffine then cuts a border off.
    source = album()
    results = Mosaic([load], prob=0.5)(make_sample(source, 0, [0.5], SCALE))
    wanted = Letterbox()(make_sample(source, 0, [], SCALE))
    np.testing.assert_array_equal(results['img'], wanted['img'])
    np.testing.assert_array_equal(results['gt_bboxes'], wanted['gt_bboxes'])
    assert results['img_shape'] == SCALE[::-1]
    assert 'matrix' in results


def test_affine_after_mosaic_left_alone_shifts_nothing():
    source = album()
    steps = Compose([Mosaic([load], prob=0.0), RandomAffine(**UNMOVED)])
    results = steps(make_sample(source, 0, np.random.default_rng(0), SCALE))
    wanted = Letterbox()(make_sample(source, 0, [], SCALE))
    np.testing.assert_array_equal(results['img'], wanted['img'])
    np.testing.assert_allclose(results['gt_bboxes'], wanted['gt_bboxes'], atol=BOX_TOLERANCE)


@pytest.mark.parametrize(
    ('prob', 'draw', 'size'), [(0, 0.0, SCALE), (0.3, 0.29, (192, 128)), (1, 0.999, (192, 128))]
)
def test_mosaic_probability(prob, draw, size):
    results = Mosaic([load], prob=prob)(make_sample(album(), 0, [draw, 0.5, 0.5, *PARTNERS], SCALE))
    assert results['img_shape'] == size[::-1]


def test_mosaic_cut_tiles_stay_cut():
    # The centre far to the top left: the tiles lose their far parts, which no affine may bring back.
    source = Album([np.full((64, 96, 3), 200, np.uint8)] * 4, [0] * 4)
    results = make_sample(source, 0, [0.0, 0.0, 0.0, *PARTNERS, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0], SCALE)
    options = UNMOVED | dict(max_translate_ratio=0.25)
    image = RandomAffine(**options)(Mosaic([load])(results))['img']
    assert (image[:16] == FILL).all()
    assert (image[:, :24] == FILL).all()
    assert (image[16:, 24:] == 200).all()


@pytest.mark.parametrize(('anchor', 'low', 'high'), [((0, 0), 0.38, 0.48), ((0.5, 0.5), 0.08, 0.14)])
def test_grey_share_of_moved_mosaics(anchor, low, high):
    # What the class says of photographs of 4:3 in a square input: 43% and 11%.
    source = Album([np.full((24, 32, 3), 200, np.uint8)] * 4, [1] * 4)
    steps = Compose([Mosaic([load]), RandomAffine(anchor=anchor)])
    samples = (make_sample(source, 0, np.random.default_rng(seed), (64, 64)) for seed in range(100))
    assert low < np.mean([(steps(sample)['img'] == FILL).mean() for sample in samples]) < high


@pytest.mark.parametrize('size', [(1, 1), (1, 1000), (1000, 1), (20, 30)])
def test_tiny_tiles(size):
    source = Album([np.full((size[1], size[0], 3), 200, np.uint8)] * 4, [3] * 4)
    results = Mosaic([load])(make_sample(source, 0, [0.0, 0.5, 0.5, *PARTNERS], SCALE))
    assert results['img'].shape == (128, 192, 3)
    assert np.isfinite(results['gt_bboxes']).all()
    # A tile less than a pixel wide may be between two pixels' centres.
    assert (results['img'] == 200).any() or max(size) == 1000


def test_ignored_regions_survive():
    source = album(counts=(1, 1, 1, 1))
    for entry in source:
        entry['labels'] = np.array([-1])
    steps = Compose([Mosaic([load]), YOLOXMixUp([load])])
    results = steps(make_sample(source, 0, [0.0, 0.5, 0.5, *PARTNERS, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5], SCALE))
    assert results['gt_bboxes_labels'].tolist() == [-1] * 5


# Mixup


MIXUPS = [
    # jitter, flip, offset of x and y, all as fractions
    (0.0, 0.9, 0.5, 0.5),
    (0.0, 0.1, 0.5, 0.5),
    (0.999, 0.9, 0.3, 0.7),
    (0.999, 0.1, 0.0, 0.0),
    (0.5, 0.1, 0.999, 0.999),
    (0.61, 0.9, 0.2, 0.1),
]


@pytest.mark.parametrize('ratio_range', [(0.5, 1.5), (0.8, 1.6)])
@pytest.mark.parametrize('draws', MIXUPS)
@pytest.mark.parametrize('partner', [(80, 60), (50, 90), (33, 21)])
def test_mixup_equals_mmdet(monkeypatch, draws, ratio_range, partner):
    source = album([SCALE, partner], (4, 6))
    results = YOLOXMixUp([load], ratio_range=ratio_range)(make_sample(source, 0, [0.0, 0.9, *draws], SCALE))
    reference, outlines = (
        mixup_by_peer(monkeypatch, for_peer(of[0]), of[1], draws, ratio_range)
        for of in (source, flat(source))
    )
    assert_same_boxes(results, reference)
    # mmdet resizes twice, to whole pixels each time: up to two pixels at the far end, half of it seen.
    assert_same_pixels(results['img'], reference['img'], outlines['img'], distance=4, tolerance=3)


@pytest.mark.parametrize(('flip_ratio', 'flips'), [(0.0, 0), (1.0, 1)])
def test_flip_ratio_is_the_share_that_is_flipped(flip_ratio, flips):
    # mmdet's and MMYOLO's is inverted.
    source = Album([np.full((64, 96, 3), 0, np.uint8), smooth(SCALE)], [0, 3])
    step = YOLOXMixUp([load], ratio_range=(1, 1), flip_ratio=flip_ratio)
    wanted = source[1]['pixels'][:, ::-1] if flips else source[1]['pixels']
    for draw in (0.0, 0.5, 0.999):
        results = step(make_sample(source, 0, [0.0, 0.9, 0.5, draw, 0.5, 0.5], SCALE))
        np.testing.assert_array_equal(results['img'], wanted // 2)


def test_partner_without_objects_is_blended():
    # mmdet's and MMYOLO's skip it.
    source = Album([np.full((64, 96, 3), 0, np.uint8), np.full((64, 96, 3), 100, np.uint8)], [2, 0])
    step = YOLOXMixUp([load], ratio_range=(1, 1), max_iters=1)
    results = step(make_sample(source, 0, [0.0, 0.9, 0.5, 0.5, 0.5, 0.5], SCALE))
    assert (results['img'] == 50).all()
    assert len(results['gt_bboxes']) == 2


@pytest.mark.parametrize(('max_iters', 'level'), [(1, 20), (2, 40), (3, 60), (9, 60)])
def test_partner_with_objects_is_looked_for(max_iters, level):
    source = Album([np.full((64, 96, 3), 40 * i, np.uint8) for i in range(4)], [1, 0, 0, 1])
    draws = [0.0, *[0.25, 0.5, 0.75][:max_iters], 0.5, 0.5, 0.5, 0.5]
    step = YOLOXMixUp([load], ratio_range=(1, 1), max_iters=max_iters)
    assert (step(make_sample(source, 0, draws, SCALE))['img'] == level).all()


@pytest.mark.parametrize(('prob', 'draw', 'blended'), [(0, 0.0, False), (0.5, 0.5, False), (0.5, 0.49, True)])
def test_mixup_probability(prob, draw, blended):
    source = album([SCALE, SCALE], (1, 1))
    results = make_sample(source, 0, [draw, 0.9, 0.5, 0.5, 0.5, 0.5], SCALE)
    results = YOLOXMixUp([load], prob=prob)(results)
    assert len(results['gt_bboxes']) == 1 + blended
    assert (results['img'] != source[0]['pixels']).any() == blended
    assert ('matrix' in results) != blended


@pytest.mark.parametrize('transform', [Mosaic, YOLOXMixUp])
@pytest.mark.parametrize('prob', [-0.1, 1.1])
def test_probability_is_checked(transform, prob):
    with pytest.raises(UserError, match=f'{transform.__name__}: prob={prob}'):
        transform([load], prob=prob)


def test_defaults_are_mmdets():
    assert Mosaic([load]).center_ratio_range == PeerMosaic().center_ratio_range
    ours, theirs = YOLOXMixUp([load]), PeerMixUp()
    assert ours.ratio_range == theirs.ratio_range
    assert ours.max_iters == theirs.max_iters

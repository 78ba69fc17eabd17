"""Mosaic and mixup: boxes and pixels equal MMDetection's for the same draws, without its faults."""

import numpy as np
import pytest
from mmdet.datasets.transforms import (
    MixUp as PeerMixUp,
    Mosaic as PeerMosaic,
    RandomAffine as PeerAffine,
    RandomFlip as PeerFlip,
)
from mmengine.dataset import Compose
from pictures import Album, Draws, edges, for_peer, load, make_sample, peer, smooth

from mmyolox.datasets.transforms import Letterbox, Mosaic, RandomAffine, RandomFlip, YOLOXMixUp
from mmyolox.datasets.transforms.scene import FILL
from mmyolox.utils import UserError

SCALE = (96, 64)
SIZES = [(80, 60), (50, 90), (130, 70), (33, 21)]
UNMOVED = dict(max_rotate_degree=0, max_translate_ratio=0, scaling_ratio_range=(1, 1), max_shear_degree=0)
# Boxes are float32, mmdet's also in between.
BOX_TOLERANCE = 1e-4
PARTNERS = [0.25, 0.5, 0.75]  # of an album of four: the second, third and fourth


def album(sizes=SIZES, counts=(6, 5, 0, 7)):
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


def assert_same_pixels(ours, theirs, outlines, *, distance, tolerance):
    """Compares where ``outlines``, theirs of flat pictures, is as flat around."""
    inside = ~edges(outlines, distance)
    difference = np.abs(ours.astype(int) - theirs)[inside]
    assert inside.mean() > 0.3
    assert difference.max() <= tolerance
    assert difference.mean() < 0.6


# Mosaic


def mosaic_by_peer(monkeypatch, source, draws, img_scale=SCALE):
    monkeypatch.setattr(peer, 'random', draws if isinstance(draws, Draws) else Draws(draws))
    results = for_peer(source[0])
    results['mix_results'] = [for_peer(entry) for entry in source[1:4]]
    return PeerMosaic(img_scale=img_scale)(results)


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


def mixup_by_peer(monkeypatch, source, jitter, flip, offsets, **options):
    # mmdet flips where the draw is above flip_ratio.
    draws = Draws([jitter, 1 - flip, *offsets])
    monkeypatch.setattr(peer, 'random', draws)
    return PeerMixUp(img_scale=SCALE, **options)(
        for_peer(source[0]) | dict(mix_results=[for_peer(source[1])])
    )


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
    jitter, flip, *offsets = draws
    source = album([SCALE, partner], (4, 6))
    results = YOLOXMixUp([load], ratio_range=ratio_range)(make_sample(source, 0, [0.0, 0.9, *draws], SCALE))
    scale = ratio_range[0] + jitter * (ratio_range[1] - ratio_range[0])
    # mmdet asks for y first, and for neither where the partner does not stick out.
    asked = [offsets[axis] for axis in (1, 0) if int(SCALE[axis] * scale) > SCALE[axis]]
    arguments = (jitter, flip, asked)
    reference = mixup_by_peer(monkeypatch, source, *arguments, ratio_range=ratio_range)
    outlines = mixup_by_peer(monkeypatch, flat(source), *arguments, ratio_range=ratio_range)['img']
    assert_same_boxes(results, reference)
    # mmdet resizes twice, to whole pixels each time: up to two pixels at the far end, half of it seen.
    assert_same_pixels(results['img'], reference['img'], outlines, distance=4, tolerance=3)


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


# The recipe


def recipe(between=()):
    """Mosaic to flip, with something ``between`` each pair."""
    steps = [
        Mosaic([load]),
        RandomAffine(scaling_ratio_range=(0.5, 1.5)),
        YOLOXMixUp([load], ratio_range=(0.8, 1.6)),
        RandomFlip(1.0),
        Letterbox(1.5),
    ]
    return Compose([step for pair in ((step, *between) for step in steps) for step in pair])


def draw_now(results):
    assert results['img'].dtype == np.uint8
    return results


@pytest.mark.parametrize('seed', range(8))
def test_one_rendering_equals_step_by_step(seed):
    source = album(counts=(6, 5, 4, 7))
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
    source = album(counts=(6, 5, 4, 7))
    fractions = np.random.default_rng(seed).random(13).tolist()
    centre, affine, (jitter, flip, *offsets) = fractions[:2], fractions[2:8], fractions[8:12]
    steps = Compose(
        [Mosaic([load]), RandomAffine(), YOLOXMixUp([load], ratio_range=(0.8, 1.6)), RandomFlip(1.0)]
    )
    draws = [0.0, *centre, *PARTNERS, *affine, 0.0, 0.99, jitter, flip, *offsets, 0.0]
    results = steps(make_sample(source, 0, draws, SCALE))
    scale = 0.8 + 0.8 * jitter
    asked = [offsets[axis] for axis in (1, 0) if int(SCALE[axis] * scale) > SCALE[axis]]

    def by_peer(source):
        reference = mosaic_by_peer(monkeypatch, source, [0.0, *centre, *affine])
        reference = PeerAffine(border=(-48, -32))(reference)
        monkeypatch.setattr(peer, 'random', Draws([jitter, 1 - flip, *asked]))
        partner = dict(mix_results=[for_peer(source[3])])
        return PeerFlip(prob=1.0)(PeerMixUp(img_scale=SCALE, ratio_range=(0.8, 1.6))(reference | partner))

    assert_same_boxes(results, by_peer(source))
    centred()
    pixels, outlines = by_peer(source)['img'], by_peer(flat(source))['img']
    assert_same_pixels(results['img'], pixels, outlines, distance=5, tolerance=4)

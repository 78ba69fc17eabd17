"""Letterbox, affine and flip: boxes and pixels equal MMDetection's for the same draws."""

import cv2
import numpy as np
import pytest
from mmdet.datasets.transforms import Pad, RandomAffine as PeerAffine, RandomFlip as PeerFlip, Resize

from mmyolox.datasets.canvas.geometry import scaling, transform_bboxes, translation
from mmyolox.datasets.canvas.scene import FILL
from mmyolox.datasets.transforms import Letterbox, RandomAffine, RandomFlip
from mmyolox.datasets.transforms.augmentations import move_sample
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from tests.datasets.transforms.mixtures import BOX_TOLERANCE, assert_same_boxes
from tests.datasets.transforms.pictures import Album, Draws, edges, for_peer, make_sample, peer, smooth


def album(*sizes, count=12):
    return Album([smooth(size, seed) for seed, size in enumerate(sizes)], [count] * len(sizes))


# Letterbox


@pytest.mark.parametrize('img_scale', [(64, 64), (96, 64), (64, 96), (640, 384)])
@pytest.mark.parametrize('size', [(64, 48), (48, 64), (32, 32), (160, 120), (100, 200), (20, 10)])
def test_letterbox_equals_mmdet(size, img_scale):
    source = album(size)
    results = Letterbox()(make_sample(source, 0, [], img_scale))
    reference = Resize(scale=img_scale, keep_ratio=True)(for_peer(source[0]))
    ratio = min(img_scale[0] / size[0], img_scale[1] / size[1])
    floored = tuple(int(side * ratio + 1e-6) for side in size)
    if reference['img_shape'][::-1] != floored:
        # mmdet rounds to the nearest pixel, Megvii down, and we as Megvii.
        reference = Resize(scale=floored, keep_ratio=False)(for_peer(source[0]))
    reference = Pad(size=img_scale, pad_val=dict(img=(FILL,) * 3))(reference)
    np.testing.assert_array_equal(results['img'], reference['img'])
    assert_same_boxes(results, reference)
    assert results['img_shape'] == img_scale[::-1]


def test_letterbox_equals_megviis_preprocessing():
    rng = np.random.default_rng(0)
    for width, height in rng.integers(33, 300, (40, 2)).tolist():
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        wanted = np.full((96, 128, 3), 114, np.uint8)
        ratio = min(96 / height, 128 / width)
        size = int(round(width * ratio, 6)), int(round(height * ratio, 6))
        wanted[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        results = Letterbox()(make_sample(Album([image], [5]), 0, [], (128, 96)))
        np.testing.assert_array_equal(results['img'], wanted)


@pytest.mark.parametrize(
    ('size', 'shown'),
    [
        ((1, 1), (64, 64)),
        ((1, 1000), (1, 64)),
        ((1000, 1), (96, 1)),
        ((8, 4), (96, 48)),
        ((31, 31), (64, 64)),
    ],
)
def test_small_pictures_do_not_vanish(size, shown):
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    entry = dict(pixels=pixels, bboxes=np.array([[0, 0, *size]], np.float32), labels=np.zeros(1, int))
    source = Album([], [])
    source.append(entry | dict(is_crowd=np.zeros(1, bool)))
    results = Letterbox()(make_sample(source, 0, [], (96, 64)))
    wanted = np.full((64, 96, 3), FILL)
    wanted[: shown[1], : shown[0]] = 200
    np.testing.assert_array_equal(results['img'], wanted)
    np.testing.assert_allclose(results['gt_bboxes'], [[0, 0, *shown]], rtol=1e-6)


@pytest.mark.parametrize(('ratio', 'canvas'), [(0.75, (72, 48)), (1.25, (120, 80)), (0.5, (48, 32))])
def test_letterbox_at_another_size(ratio, canvas):
    source = album((80, 60))
    results = Letterbox(ratio)(make_sample(source, 0, [], (96, 64)))
    wanted = Letterbox()(make_sample(source, 0, [], canvas))
    assert results['img_shape'] == canvas[::-1]
    np.testing.assert_array_equal(results['img'], wanted['img'])
    np.testing.assert_array_equal(results['gt_bboxes'], wanted['gt_bboxes'])


# RandomAffine


OPTIONS = [
    dict(),
    dict(scaling_ratio_range=(0.1, 2)),
    dict(max_rotate_degree=0, max_shear_degree=0),
    dict(max_rotate_degree=40, max_translate_ratio=0.5, max_shear_degree=15),
]


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('is_mosaic', [True, False])
def test_affine_equals_mmdet(monkeypatch, centred, options, seed, is_mosaic):
    img_scale = (96, 64)
    source = album((192, 128) if is_mosaic else img_scale)
    border = (-48, -32) if is_mosaic else (0, 0)
    fractions = np.random.default_rng(seed).random(6).tolist()

    def by_peer(entry):
        monkeypatch.setattr(peer, 'random', Draws(fractions))
        return PeerAffine(**options, border=border)(for_peer(entry))

    results = RandomAffine(**options)(make_sample(source, 0, fractions, img_scale))
    assert_same_boxes(results, by_peer(source[0]))
    centred()
    reference = by_peer(source[0])['img']
    white = by_peer(source[0] | dict(pixels=np.full_like(source[0]['pixels'], 255)))['img']
    difference = np.abs(results['img'].astype(int) - reference)
    # Their outline fades into the grey, ours is sharp; inside OpenCV interpolates to 1/32 of a pixel.
    assert difference[~edges(white, 2)].max() <= 2
    assert results['img'].shape == (64, 96, 3)
    assert results['img_shape'] == (64, 96)


@pytest.mark.parametrize('canvas', [(96, 64), (192, 128), (50, 200)])
def test_affine_always_ends_at_img_scale(canvas):
    # mmdet's and MMYOLO's subtract a border whether there was a mosaic or not.
    results = make_sample(album(canvas), 0, np.random.default_rng(0), (96, 64))
    results = RandomAffine()(results)
    assert results['img'].shape == (64, 96, 3)
    assert (results['gt_bboxes'] <= [96, 64, 96, 64]).all()


def test_affine_of_nothing_moves_nothing():
    options = dict(max_rotate_degree=0, max_translate_ratio=0, scaling_ratio_range=(1, 1), max_shear_degree=0)
    source = album((96, 64))
    results = RandomAffine(**options)(make_sample(source, 0, np.random.default_rng(0), (96, 64)))
    np.testing.assert_array_equal(results['img'], source[0]['pixels'])
    np.testing.assert_array_equal(results['gt_bboxes'], source[0]['bboxes'])


@pytest.mark.parametrize('anchor', [(0, 0), (0.5, 0.5), (0.25, 1)])
@pytest.mark.parametrize('canvas', [(96, 64), (192, 128)])
def test_affine_leaves_its_anchor_in_place(anchor, canvas):
    (x, y), (x_after, y_after) = (np.multiply(anchor, size) for size in (canvas, (96, 64)))
    box = np.array([[x - 4, y - 2, x + 4, y + 2]], np.float32).clip(0, [*canvas, *canvas])
    source = Album([], [])
    entry = dict(pixels=np.zeros((canvas[1], canvas[0], 3), np.uint8), bboxes=box, labels=np.zeros(1, int))
    source.append(entry | dict(is_crowd=np.zeros(1, bool)))
    doubled = RandomAffine(0, 0, scaling_ratio_range=(2, 2), max_shear_degree=0, anchor=anchor)
    results = doubled(make_sample(source, 0, np.random.default_rng(0), (96, 64)))
    wanted = np.clip([[x_after - 8, y_after - 4, x_after + 8, y_after + 4]], 0, [96, 64, 96, 64])
    np.testing.assert_allclose(results['gt_bboxes'], wanted, atol=1e-4)
    assert results['img_shape'] == (64, 96)


def test_affine_about_the_centres_shows_the_middle():
    unmoved = RandomAffine(0, 0, scaling_ratio_range=(1, 1), max_shear_degree=0, anchor=(0.5, 0.5))
    source = album((192, 128))
    results = unmoved(make_sample(source, 0, np.random.default_rng(0), (96, 64)))
    np.testing.assert_array_equal(results['img'], source[0]['pixels'][32:96, 48:144])


@pytest.mark.parametrize('bad', [(0, 1), (-1, 1), (2, 1)])
def test_affine_checks_its_scales(bad):
    with pytest.raises(UserError, match='scaling_ratio_range='):
        RandomAffine(scaling_ratio_range=bad)


# RandomFlip


@pytest.mark.parametrize('size', [(50, 30), (51, 30), (1, 1)])
def test_flip_equals_mmdet(size):
    source = album(size, count=4)
    results = RandomFlip(1.0)(make_sample(source, 0, np.random.default_rng(0), (64, 64)))
    reference = PeerFlip(prob=1.0)(for_peer(source[0]))
    np.testing.assert_array_equal(results['img'], reference['img'])
    assert_same_boxes(results, reference)


def test_flipped_twice_is_as_before():
    source = album((50, 30))
    results = make_sample(source, 0, np.random.default_rng(0), (64, 64))
    for _ in range(2):
        results = RandomFlip(1.0)(results)
    np.testing.assert_array_equal(results['img'], source[0]['pixels'])
    np.testing.assert_allclose(results['gt_bboxes'], source[0]['bboxes'], atol=BOX_TOLERANCE)
    np.testing.assert_allclose(results['matrix'], np.eye(3))


@pytest.mark.parametrize(
    ('prob', 'draw', 'flipped'), [(0, 0.0, 0), (0.5, 0.49, 1), (0.5, 0.5, 0), (1, 0.999, 1)]
)
def test_flip_probability(prob, draw, flipped):
    source = album((50, 30))
    results = RandomFlip(prob)(make_sample(source, 0, [draw], (64, 64)))
    wanted = source[0]['pixels'][:, ::-1] if flipped else source[0]['pixels']
    np.testing.assert_array_equal(results['img'], wanted)


# All of them


@pytest.mark.parametrize('size', [(64, 48), (333, 500), (7, 5), (1000, 3)])
def test_matrix_maps_the_original_to_the_input(size):
    source = album(size)
    results = make_sample(source, 0, np.random.default_rng(3), (96, 64))
    for step in (Letterbox(), RandomFlip(1.0)):
        results = step(results)
    wanted = transform_bboxes(source[0]['bboxes'], results['matrix'])
    np.testing.assert_allclose(results['gt_bboxes'], wanted, atol=BOX_TOLERANCE)
    shown = transform_bboxes(np.array([[0, 0, *size]], float), results['matrix'])[0]
    x1, y1, x2, y2 = np.rint(shown).astype(int)
    np.testing.assert_allclose(shown, [x1, y1, x2, y2], atol=1e-9)
    resized = cv2.resize(source[0]['pixels'], (x2 - x1, y2 - y1))[:, ::-1]
    np.testing.assert_array_equal(results['img'][y1:y2, x1:x2], resized)


def test_ignored_regions_move_too():
    source = album((64, 64), count=2)
    source[0].update(
        bboxes=np.array([[0, 0, 10, 10], [20, 20, 40, 60]], np.float32), labels=np.array([3, -1])
    )
    results = make_sample(source, 0, [0.5] * 9, (64, 64))
    results = RandomFlip(1.0)(move_sample(results, scaling(0.5, 0.5), Size(64, 64)))
    assert results['gt_bboxes'].tolist() == [[59, 0, 64, 5], [44, 10, 54, 30]]
    assert results['gt_bboxes_labels'].tolist() == [3, -1]


def test_instances_outside_are_dropped_with_all_their_arrays():
    source = album((64, 64), count=3)
    source[0]['bboxes'] = np.array([[0, 0, 10, 10], [20, 0, 40, 9], [50, 50, 60, 60]], np.float32)
    results = make_sample(source, 0, [], (64, 64))
    results['gt_colours'] = np.array(['red', 'green', 'blue'])
    move_sample(results, translation(-30, 0), Size(64, 64))
    assert results['gt_bboxes'].tolist() == [[0, 0, 10, 9], [20, 50, 30, 60]]
    assert results['gt_colours'].tolist() == ['green', 'blue']
    assert results['gt_bboxes_labels'].tolist() == [1, 2]


def test_without_annotations():
    source = album((64, 64), count=0)
    results = make_sample(source, 0, np.random.default_rng(0), (64, 64))
    for key in ('gt_bboxes', 'gt_bboxes_labels'):
        del results[key]
    for step in (Letterbox(), RandomAffine(), RandomFlip(1.0)):
        results = step(results)
    assert results['img'].shape == (64, 64, 3)


def test_without_instances():
    results = make_sample(album((64, 64), count=0), 0, np.random.default_rng(0), (64, 64))
    for step in (Letterbox(), RandomAffine(), RandomFlip(1.0)):
        results = step(results)
    assert results['gt_bboxes'].shape == (0, 4)
    assert results['gt_bboxes_labels'].shape == (0,)

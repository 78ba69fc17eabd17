"""Keypoints through every transform: against plain numbers, against the picture, and in a packed batch."""

import numpy as np
import pytest

from mmyolox.datasets.canvas.geometry import translation
from mmyolox.datasets.transforms import (
    Albumentations,
    FilterAnnotations,
    Letterbox,
    Mosaic,
    RandomAffine,
    RandomFlip,
    RecentSamples,
    YOLOXMixUp,
)
from mmyolox.datasets.transforms.augmentations import move_sample
from mmyolox.deploy.letterbox import Size
from mmyolox.projects.yolox_pose.tests import reference
from mmyolox.projects.yolox_pose.tests.files import NAMES, PoseAlbum, load_pose, pose_sample
from mmyolox.projects.yolox_pose.transforms import PackPoseInputs

SCALE = Size(96, 64)
SIZES = ((70, 40), (30, 90), (64, 64), (120, 50), (20, 20), (41, 97))
COUNTS = (4, 3, 0, 5, 1, 6)


def mosaic(prob=1.0):
    return Mosaic([load_pose], prob=prob)


def mixup():
    return YOLOXMixUp([load_pose])


def assert_people_equal(results, shown):
    """Compares a sample with a picture of the reference; float32 against float64, over several steps."""
    people = shown['people']
    assert results['img_shape'] == shown['size'][::-1]
    assert results['gt_bboxes_labels'].tolist() == [person['label'] for person in people]
    count = len(people)
    wanted = np.array([person['points'] for person in people]).reshape(count, 5, 3)
    np.testing.assert_array_equal(results['gt_keypoints'][..., 2], wanted[..., 2])
    np.testing.assert_allclose(results['gt_keypoints'], wanted, atol=2e-4)
    boxes = np.array([person['box'] for person in people]).reshape(count, 4)
    np.testing.assert_allclose(results['gt_bboxes'], boxes, atol=2e-4)
    np.testing.assert_allclose(results['gt_areas'], [person['area'] for person in people], rtol=1e-5)
    assert results['gt_keypoints'].dtype == results['gt_areas'].dtype == np.float32


# 1,000 random draws


CASES = {
    'letterbox': ([Letterbox()], lambda shown, rng, album: reference.letterbox(shown, SCALE), 50),
    'affine': ([RandomAffine()], lambda shown, rng, album: reference.affine(shown, rng, SCALE), 200),
    'flip': ([RandomFlip()], lambda shown, rng, album: reference.flip(shown, rng), 100),
    'mosaic': (
        [mosaic(prob=0.8)],
        lambda shown, rng, album: reference.mosaic(shown, rng, SCALE, album, prob=0.8),
        150,
    ),
    'mixup': (
        [Letterbox(), mixup()],
        lambda shown, rng, album: reference.mixup(reference.letterbox(shown, SCALE), rng, SCALE, album),
        150,
    ),
}


def chain_by_hand(shown, rng, album):
    shown = reference.mosaic(shown, rng, SCALE, album)
    shown = reference.affine(shown, rng, SCALE)
    shown = reference.mixup(shown, rng, SCALE, album)
    return reference.letterbox(reference.flip(shown, rng), SCALE, 1.5)


def chain():
    return [mosaic(), RandomAffine(), mixup(), RandomFlip(), Letterbox(1.5)]


CASES['chain'] = (chain(), chain_by_hand, 200)


@pytest.mark.parametrize('name', CASES)
def test_equals_plain_numbers(name):
    steps, by_hand, draws = CASES[name]
    album = PoseAlbum(SIZES, COUNTS, seed=1)
    pictures = [reference.picture(entry) for entry in album]
    labelled = 0
    for seed in range(draws):
        idx = seed % len(album)
        results = pose_sample(album, idx, np.random.default_rng(seed), SCALE)
        for step in steps:
            results = step(results)
        shown = by_hand(pictures[idx], np.random.default_rng(seed), pictures)
        assert_people_equal(results, shown)
        labelled += int((results['gt_keypoints'][..., 2] > 0).sum())
    assert labelled > 5 * draws


def test_cached_partners_equal_plain_numbers():
    album, recent, memory = PoseAlbum(SIZES, COUNTS, seed=1), RecentSamples(max_images=5), reference.Memory(5)
    pictures = [reference.picture(entry) for entry in album]
    for seed in range(150):
        idx = seed % len(album)
        results = pose_sample(album, idx, np.random.default_rng(seed), SCALE)
        for step in [recent, *chain()]:
            results = step(results)
        rng = np.random.default_rng(seed)
        partners = memory.remember(pictures[idx], rng) or pictures
        assert_people_equal(results, chain_by_hand(pictures[idx], rng, partners))


# Special cases


def one(box, points, size=SCALE):
    """An album of one image with one person, whose keypoints are given for the first of its five."""
    album = PoseAlbum([], [])
    keypoints = np.zeros((1, 5, 3))
    keypoints[0, : len(points)] = points
    album.add(size, [box], keypoints)
    return album


def test_flip_twice_is_the_identity():
    album = PoseAlbum(SIZES, COUNTS, seed=2)
    for idx in range(len(album)):
        before = pose_sample(album, idx, np.random.default_rng(0))
        after = RandomFlip(1.0)(RandomFlip(1.0)(pose_sample(album, idx, np.random.default_rng(0))))
        for key in ('gt_keypoints', 'gt_bboxes'):
            np.testing.assert_allclose(after[key], before[key], atol=1e-5)
        np.testing.assert_array_equal(after['gt_keypoints'][..., 2], before['gt_keypoints'][..., 2])
        np.testing.assert_array_equal(after['gt_areas'], before['gt_areas'])


def test_flip_swaps_joints():
    album = one((0, 0, 96, 64), [(50, 5, 2), (0, 20, 1), (96, 30, 2), (20, 60, 2)])
    results = RandomFlip(1.0)(pose_sample(album, rng=np.random.default_rng(0)))
    found = dict(zip(NAMES, results['gt_keypoints'][0].tolist(), strict=True))
    assert found['head'] == [46, 5, 2]
    assert found['right_hand'] == [96, 20, 1]
    assert found['left_hand'] == [0, 30, 2]
    assert found['right_foot'] == [76, 60, 2]
    assert found['left_foot'] == [0, 0, 0]


def test_augmentations_of_albumentations_move_keypoints_as_ours_do():
    pytest.importorskip('albumentations')
    flip = [dict(type='HorizontalFlip', p=1.0)]
    crop = [dict(type='Crop', x_min=5, y_min=4, x_max=19, y_max=18, p=1.0)]
    album = PoseAlbum(SIZES, COUNTS, seed=2)
    for idx in range(len(album)):
        theirs, ours = (pose_sample(album, idx, np.random.default_rng(0)) for _ in range(2))
        theirs = Albumentations(crop).transform(Albumentations(flip).transform(theirs))
        move_sample(RandomFlip(1.0)(ours), translation(-5, -4), Size(14, 14))
        for key in ('gt_keypoints', 'gt_bboxes', 'gt_areas', 'gt_bboxes_labels'):
            np.testing.assert_allclose(theirs[key], ours[key], atol=1e-3)
        np.testing.assert_array_equal(theirs['img'], ours['img'])


@pytest.mark.parametrize(
    ('shift', 'visible'),
    [
        ((0, 0), [1, 2, 2, 1, 2]),
        ((-30, 0), [1, 0, 2, 0, 2]),
        ((66, 0), [0, 2, 0, 1, 0]),
        ((0, -20), [0, 2, 2, 1, 2]),
        ((0, 24), [1, 2, 2, 0, 0]),
        ((-30, -20), [0, 0, 2, 0, 2]),
    ],
)
def test_half_a_person_keeps_the_right_visibilities(shift, visible):
    points = [(40, 10, 1), (20, 30, 2), (60, 30, 2), (25, 50, 1), (55, 50, 2)]
    album = one((20, 10, 60, 50), points)
    results = move_sample(pose_sample(album), translation(*shift), SCALE)
    wanted = [
        (x + shift[0], y + shift[1], v) if v else (0, 0, 0)
        for (x, y, _), v in zip(points, visible, strict=True)
    ]
    np.testing.assert_array_equal(results['gt_keypoints'][0], wanted)
    np.testing.assert_array_equal(results['gt_areas'], [0.5 * 40 * 40])


def test_what_a_tile_of_a_mosaic_lost_does_not_come_back():
    # The first tile sticks out to the left and top of the mosaic by half its size.
    album = one((0, 0, 96, 64), [(10, 50, 2), (90, 10, 2), (90, 60, 2), (60, 40, 1)])
    centred_low = Mosaic([load_pose], center_ratio_range=(0.5, 0.5))
    results = centred_low(pose_sample(album, rng=np.random.default_rng(0)))
    first = [[0, 0, 0], [0, 0, 0], [42, 28, 2], [12, 8, 1], [0, 0, 0]]
    assert results['gt_keypoints'][0].tolist() == first
    # All four pictures' canvases were cut; a look beyond shows grey.
    results = move_sample(results, translation(60, 40), Size(300, 200))
    first = [[0, 0, 0], [0, 0, 0], [102, 68, 2], [72, 48, 1], [0, 0, 0]]
    assert results['gt_keypoints'][0].tolist() == first


def test_a_person_whose_keypoints_have_all_left_stays_as_a_box():
    album = one((10, 10, 90, 60), [(15, 20, 2), (20, 40, 1)])
    results = move_sample(pose_sample(album), translation(-40, 0), SCALE)
    results = FilterAnnotations(keep_empty=False)(results)
    assert results['gt_bboxes'].tolist() == [[0, 10, 50, 60]]
    assert not results['gt_keypoints'].any()


def test_filtered_boxes_take_their_keypoints_along():
    album = PoseAlbum([], [])
    boxes = [(0, 0, 9, 9), (5, 5, 5.5, 30), (20, 20, 60, 60)]
    album.add(SCALE, boxes, np.arange(1, 4).repeat(15).reshape(3, 5, 3))
    results = FilterAnnotations((1, 1))(pose_sample(album))
    assert results['gt_keypoints'][:, 0, 0].tolist() == [1, 3]
    assert results['gt_areas'].tolist() == [40.5, 800]


@pytest.mark.parametrize('boxes', [[], [(30, 30, 31, 31)]], ids=['nobody', 'one pixel'])
@pytest.mark.parametrize('img_scale', [(96, 64), (64, 96), (64, 64)])
def test_hardly_anything(boxes, img_scale):
    album = PoseAlbum([], [])
    keypoints = np.full((len(boxes), 5, 3), [30.5, 30.5, 2])
    album.add((61, 43), boxes, keypoints)
    for seed in range(10):
        results = pose_sample(album, rng=np.random.default_rng(seed), img_scale=img_scale)
        for step in [
            mosaic(),
            RandomAffine(),
            mixup(),
            RandomFlip(),
            FilterAnnotations((0, 0), keep_empty=True),
        ]:
            results = step(results)
        packed = PackPoseInputs()(results)
        data = packed['data_samples']
        assert packed['inputs'].shape == (3, *img_scale[::-1])
        assert data['keypoints'].shape == (len(data['bboxes']), 5, 3)
        seen = data['keypoints'][..., 2] > 0
        low, high = data['bboxes'][:, None, :2] - 1e-3, data['bboxes'][:, None, 2:] + 1e-3
        points = data['keypoints'][..., :2]
        assert (((points >= low) & (points <= high)).all(-1) | ~seen).all()

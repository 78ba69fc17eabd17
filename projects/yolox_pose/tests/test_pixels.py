"""Keypoints lie where the picture shows them, after any transform."""

import numpy as np
import pytest

from mmyolox.datasets.transforms import Letterbox, Mosaic, RandomAffine, RandomFlip, RecentSamples, YOLOXMixUp
from mmyolox.projects.yolox_pose.tests.files import NAMES, SWAPPED, PoseAlbum, load_pose, pose_sample

COLOURS = np.array([(141, 0, 0), (0, 141, 0), (0, 0, 141), (141, 141, 0), (0, 141, 141)]) + 114


def dotted(size, seed):
    """An album's entry of one person whose keypoints are dots, five pixels wide, far from one another."""
    rng = np.random.default_rng(seed)
    spots = rng.permutation([(i * size[0] / 4, j * size[1] / 3) for i in (1, 2, 3) for j in (1, 2)])[:5]
    points = spots + rng.uniform(-3, 3, (5, 2))
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    pixels = np.full((size[1], size[0], 3), 114.0)
    for (u, v), colour in zip(points, COLOURS, strict=True):
        distance = np.hypot(x - u, y - v)[..., None]
        pixels += (3 - distance).clip(0, 1) * (colour - 114)
    keypoints = np.concatenate([points, np.full((5, 1), 2)], axis=1)
    return dict(
        size=size, boxes=[(0, 0, *size)], keypoints=keypoints, pixels=pixels.clip(0, 255).astype(np.uint8)
    )


def centres_of_light(image, points):
    """Around each point, where the light is (within a reach of 12 pixels), and whether it is whole."""
    light = np.abs(image.astype(int) - 114).sum(2)
    light[light < 30] = 0
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    found = []
    for u, v in points:
        near = light * (np.hypot(x - u, y - v) < 12)
        found.append(
            [(near * x).sum() / max(near.sum(), 1), (near * y).sum() / max(near.sum(), 1), near.sum()]
        )
    return np.array(found).reshape(-1, 3)


def far_from_all(points, size, distance=24):
    """Which points are alone, and away from the canvas' border."""
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1e6 * np.eye(len(points))
    inside = (points > 10).all(1) & (points < np.array(size) - 10).all(1)
    return inside & (apart.min(1, initial=1e6) > distance)


@pytest.mark.parametrize(
    'steps',
    [
        [Letterbox()],
        [Letterbox(), RandomFlip(1.0)],
        [Letterbox(), RandomAffine(scaling_ratio_range=(0.8, 1.2))],
        [Mosaic([load_pose]), RandomAffine(scaling_ratio_range=(0.5, 1.5))],
        [Letterbox(), YOLOXMixUp([load_pose], ratio_range=(0.9, 1.1))],
        [
            RecentSamples(),
            Mosaic([load_pose]),
            RandomAffine(),
            YOLOXMixUp([load_pose]),
            RandomFlip(),
            Letterbox(1.5),
        ],
    ],
    ids=['letterbox', 'flip', 'affine', 'mosaic', 'mixup', 'chain'],
)
def test_keypoints_lie_on_their_pixels(steps):
    album = PoseAlbum([], [])
    for seed, size in enumerate([(260, 240), (300, 200), (200, 300), (240, 280)]):
        album.add(**dotted(size, seed))
    checked = 0
    for seed in range(12):
        results = pose_sample(album, seed % 4, np.random.default_rng(seed), (288, 256))
        for step in steps:
            results = step(results)
        keypoints = results['gt_keypoints'].reshape(-1, 3)
        points = keypoints[keypoints[:, 2] > 0, :2]
        points = points[far_from_all(points, results['img_shape'][::-1])]
        found = centres_of_light(results['img'], points)
        assert (found[:, 2] > 0).all()
        assert np.abs(found[:, :2] - points).max(initial=0) < 0.5
        checked += len(points)
    assert checked > 30


def test_a_mirrored_hand_is_where_the_other_was():
    album = PoseAlbum([], [])
    album.add(**dotted((260, 240), 0))
    results = RandomFlip(1.0)(pose_sample(album, rng=np.random.default_rng(0)))
    for number, (x, y, _) in enumerate(results['gt_keypoints'][0]):
        colour = results['img'][int(y), int(x)]
        assert np.abs(colour - COLOURS[SWAPPED[number]]).max() < 10, NAMES[number]

"""Images that look alike are found among many, and others are not taken for them."""

import cv2
import numpy as np
import pytest

from mmyolox.doctor.near_copies import SIDE, near_groups, nearest

COUNT = 400


def make_picture(rng: np.random.Generator) -> np.ndarray:
    """(120, 160) grey: a sky that is brighter than the ground, clouds, and some things in it."""
    picture = np.linspace(220, 60, 120)[:, None] + np.zeros(160)
    clouds = rng.normal(0, 25, (12, 16)).astype(np.float32)
    picture += cv2.resize(clouds, (160, 120), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        x, y, width, height = rng.integers(0, 110, 4).tolist()
        picture[y : y + height // 3 + 5, x : x + width // 3 + 5] = rng.integers(0, 256)
    return np.clip(picture, 0, 255).astype(np.uint8)


def small(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def by_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    content = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)


@pytest.fixture(scope='module')
def pictures():
    rng = np.random.default_rng(0)
    return [make_picture(rng) for _ in range(COUNT)]


def correlations(thumbs: np.ndarray) -> np.ndarray:
    """(N, N) by the definition: of the cosine transforms without the frequencies whose sum is below 4."""
    kept = np.add.outer(np.arange(SIDE), np.arange(SIDE)) >= 4
    detail = np.array([cv2.dct(thumb.astype(np.float64))[kept] for thumb in thumbs])
    detail /= np.linalg.norm(detail, axis=1, keepdims=True)
    return detail @ detail.T


COPIES = {
    'encoded anew': lambda picture: by_jpeg(picture, 20),
    'half as large': lambda picture: cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA),
    'twice as large': lambda picture: cv2.resize(picture, (320, 240), interpolation=cv2.INTER_CUBIC),
    'squeezed to a square': lambda picture: cv2.resize(picture, (128, 128), interpolation=cv2.INTER_LINEAR),
    'brighter': lambda picture: cv2.convertScaleAbs(picture, alpha=1, beta=20),
    'darker': lambda picture: cv2.convertScaleAbs(picture, alpha=0.7),
    'blurred': lambda picture: cv2.GaussianBlur(picture, (0, 0), 2),
}


@pytest.mark.parametrize('change', COPIES.values(), ids=COPIES)
def test_copies_are_found_and_no_others(pictures, change):
    thumbs = np.array([small(picture) for picture in pictures] + [small(change(one)) for one in pictures])
    assert near_groups(thumbs).tolist() == [*range(COUNT), *range(COUNT)]


def test_what_is_found_is_what_comparing_all_finds(pictures):
    rng = np.random.default_rng(1)
    crops = [picture[2 * k : 110 + 2 * k, : 150 - k] for picture in pictures[:60] for k in range(4)]
    thumbs = np.array([small(by_jpeg(crop, int(rng.integers(20, 90)))) for crop in crops])
    likeness = correlations(thumbs)
    joined = likeness >= 0.9
    for _ in range(8):  # what is alike by others between them
        joined = joined @ joined
    by_comparing_all = joined.argmax(1)
    assert len({*by_comparing_all.tolist()}) < len(thumbs)
    agreement = (near_groups(thumbs) == by_comparing_all).mean()
    assert agreement > 0.97  # the tables leave out a pair now and then


@pytest.mark.parametrize('share', [0.7, 0.8, 0.9])
def test_mixtures_are_alike_from_a_correlation_of_nine_tenths_on(pictures, share):
    half = COUNT // 2
    mixed = [
        cv2.addWeighted(one, share, other, 1 - share, 0)
        for one, other in zip(pictures[:half], pictures[half:], strict=True)
    ]
    thumbs = np.array([small(picture) for picture in pictures[:half] + mixed])
    likeness = np.diag(correlations(thumbs)[:half, half:])
    is_joined = near_groups(thumbs)[half:] == np.arange(half)
    assert not is_joined[likeness < 0.899].any()
    assert is_joined[likeness > 0.95].mean() > 0.9  # the tables miss some pairs at the bound


def test_the_likeliest_image_is_found(pictures):
    thumbs = np.array([small(picture) for picture in pictures])
    expected = correlations(thumbs)[:50, 50:]
    indices, likeness = nearest(thumbs[:50], thumbs[50:])
    assert indices.tolist() == expected.argmax(1).tolist()
    np.testing.assert_allclose(likeness, expected.max(1), atol=1e-5)


def test_smooth_images_are_not_compared():
    spots = np.full((2, SIDE, SIDE), 200, np.uint8)
    spots[:, 0, 0] = 150
    assert near_groups(spots).tolist() == [0, 1]


def test_very_many_alike_are_one_group(pictures):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (1500, SIDE, SIDE))
    thumbs = np.clip(small(pictures[0]) + noise, 0, 255).astype(np.uint8)
    assert not near_groups(thumbs).any()


@pytest.mark.parametrize('count', [0, 1])
def test_a_few_images_are_no_trouble(count):
    assert near_groups(np.zeros((count, SIDE, SIDE), np.uint8)).tolist() == [*range(count)]

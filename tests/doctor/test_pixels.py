"""What decoding tells of images: faults, blank ones, and small pictures to compare them by."""

import cv2
import numpy as np
import PIL.Image
import pytest

from mmyolox.doctor.files import read_headers
from mmyolox.doctor.near_copies import SIDE
from mmyolox.doctor.pixels import read_pixels
from tests.doctor.plants.files import png_of_size, zero_tail
from tests.doctor.small_set import SIZE, make_image


def looked_at(*paths):
    names = [*map(str, paths)]
    return read_pixels(names, read_headers(names))


def encoded(pixels: np.ndarray, suffix: str = '.jpg') -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp', '.tiff'])
@pytest.mark.parametrize('scale', [0.05, 0.5, 1, 4])
def test_a_small_picture_is_the_mean_of_the_pixels(tmp_path, suffix, scale):
    size = tuple(round(side * scale) for side in SIZE)
    pixels = cv2.resize(make_image(1), size, interpolation=cv2.INTER_AREA)
    (tmp_path / f'a{suffix}').write_bytes(encoded(pixels, suffix))
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    expected = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    pixels = looked_at(tmp_path / f'a{suffix}')
    assert pixels.is_decoded.tolist() == [True]
    assert np.abs(pixels.thumbs[0] - expected).mean() < 4


def test_arrays_of_many_channels_are_decoded(tmp_path):
    array = np.repeat(make_image(1)[..., :1], 5, axis=2)
    np.save(tmp_path / 'a.npy', array)
    (tmp_path / 'a.png').write_bytes(encoded(array[..., 0], '.png'))
    pixels = looked_at(tmp_path / 'a.npy', tmp_path / 'a.png')
    assert pixels.is_decoded.all()
    assert np.abs(pixels.thumbs[0].astype(int) - pixels.thumbs[1]).max() < 12


def test_an_image_that_exif_turns_is_upright(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(make_image(1)[..., ::-1]).save(tmp_path / 'turned.jpg', exif=exif, quality=95)
    (tmp_path / 'upright.jpg').write_bytes(encoded(np.rot90(make_image(1), -1)))
    pixels = looked_at(tmp_path / 'turned.jpg', tmp_path / 'upright.jpg')
    assert pixels.near_groups.tolist() == [0, 0]


def test_faults_are_told(tmp_path):
    whole = encoded(make_image(1), '.png')
    (tmp_path / 'cut.png').write_bytes(whole[:-200])
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    (tmp_path / 'broken.png').write_bytes(broken)
    (tmp_path / 'tail.jpg').write_bytes(encoded(make_image(1)))
    zero_tail(tmp_path / 'tail.jpg')
    (tmp_path / 'whole.png').write_bytes(whole)
    pixels = looked_at(
        *(tmp_path / name for name in ('cut.png', 'broken.png', 'tail.jpg', 'whole.png', 'no.png'))
    )
    assert pixels.is_decoded.tolist() == [False, False, False, True, False]
    assert pixels.is_cut_off.tolist() == [True, False, True, False, False]
    assert [bool(fault) for fault in pixels.faults] == [True, True, True, False, False]
    assert 'before its image does' in pixels.faults[0]


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    (tmp_path / 'bomb.png').write_bytes(png_of_size(100_000, 100_000))
    monkeypatch.setattr('mmyolox.doctor.pixels.decode_image', None)
    assert looked_at(tmp_path / 'bomb.png').is_decoded.tolist() == [False]


@pytest.mark.parametrize(('spread', 'expected'), [(0, True), (1, True), (40, False)])
def test_an_image_of_one_colour_is_blank(tmp_path, spread, expected):
    pixels = np.full((240, 320, 3), 100, np.uint8)
    pixels[100:140, 100:140] += np.uint8(spread)
    (tmp_path / 'a.png').write_bytes(encoded(pixels, '.png'))
    assert looked_at(tmp_path / 'a.png').is_blank.tolist() == [expected]


def test_copies_of_a_file_stand_alone_among_those_that_look_alike(tmp_path):
    for name, quality in (('a', 95), ('b', 95), ('c', 40)):
        content = cv2.imencode('.jpg', make_image(1), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        (tmp_path / f'{name}.jpg').write_bytes(content.tobytes())
    pixels = looked_at(*(tmp_path / f'{name}.jpg' for name in 'abc'))
    assert pixels.near_groups.tolist() == [0, 1, 0]


def test_of_no_images_there_is_nothing_to_say():
    pixels = looked_at()
    assert pixels.thumbs.shape == (0, SIDE, SIDE)
    assert not len(pixels.near_groups)
    assert not len(pixels.is_blank)

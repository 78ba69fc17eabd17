"""The JPEG header reader, against Pillow."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmyolox.datasets.canvas.images import JpegHeader, read_jpeg_header
from tests.datasets.transforms.pictures import smooth

PICTURE = Image.fromarray(smooth((45, 31))[..., ::-1])


def saved(image=PICTURE, **options):
    file = io.BytesIO()
    image.save(file, **{'format': 'JPEG', **options})
    return file.getvalue()


def exif(orientation, endian='<'):
    tags = Image.Exif()
    tags.endian = endian
    tags[0x010E] = 'a description that comes before'
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('mode', ['RGB', 'L'])
@pytest.mark.parametrize('size', [(45, 31), (1, 1), (700, 3)])
def test_size_and_channels(mode, progressive, size):
    content = saved(PICTURE.convert(mode).resize(size), progressive=progressive, comment=b'x' * 60000)
    assert read_jpeg_header(content) == JpegHeader(size, len(mode), 1)


@pytest.mark.parametrize('endian', ['<', '>'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(orientation, endian):
    content = saved(exif=exif(orientation, endian))
    assert Image.open(io.BytesIO(content)).getexif()[0x0112] == orientation
    assert read_jpeg_header(content) == JpegHeader((45, 31), 3, orientation)


@pytest.mark.parametrize('orientation', [0, 9, 1000])
def test_orientation_out_of_range_is_upright(orientation):
    assert read_jpeg_header(saved(exif=exif(orientation))).orientation == 1


def test_large_profile_before_the_frame():
    content = saved(exif=exif(6), icc_profile=bytes(200_000))
    assert read_jpeg_header(content) == JpegHeader((45, 31), 3, 6)


def test_fill_bytes_between_markers():
    content = saved()
    assert read_jpeg_header(content[:2] + b'\xff\xff' + content[2:]) == JpegHeader((45, 31), 3, 1)


NOT_PLAIN = {
    'CMYK': saved(PICTURE.convert('CMYK')),
    'PNG': saved(format='PNG'),
    'empty': b'',
    'text': b'no image at all',
    'markers only': b'\xff\xd8\xff\xd9',
    'no frame': saved()[:2] + saved()[saved().index(b'\xff\xda') :],
}


@pytest.mark.parametrize('name', NOT_PLAIN)
def test_others_are_left_to_the_decoder(name):
    assert read_jpeg_header(NOT_PLAIN[name]) is None


def test_cut_anywhere_is_none_or_right():
    content = saved(exif=exif(3))
    found = {read_jpeg_header(content[:length]) for length in range(len(content))}
    assert found == {None, JpegHeader((45, 31), 3, 3)}


def test_broken_exif_is_upright():
    content = bytearray(saved(exif=exif(6)))
    start = content.index(b'Exif\0\0') + 6
    for position in range(start, start + 40):
        broken = content.copy()
        broken[position] ^= 0xFF
        header = read_jpeg_header(bytes(broken))
        assert header is not None
        assert header.size == (45, 31)
        assert 1 <= header.orientation <= 8


def test_opencv_agrees_on_the_size():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pixels = rng.integers(0, 256, (*rng.integers(1, 90, 2), 3), dtype=np.uint8)
        content = cv2.imencode('.jpg', pixels)[1].tobytes()
        assert read_jpeg_header(content).size == pixels.shape[1::-1]

"""What a file is by its first bytes, how it stores its pixels, and whether it is whole."""

import io
import struct

import cv2
import numpy as np
import PIL.Image
import pytest

from mmyolox.doctor.file_types import PixelForm, file_type, has_usual_suffix, is_cut_off, read_pixel_form
from tests.doctor.small_set import make_image

COLOUR = make_image(1)
GREY = COLOUR[..., 0]


def encoded(suffix: str, pixels: np.ndarray = COLOUR) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def saved(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def with_thumbnail(content: bytes) -> bytes:
    """A JPEG file with a whole JPEG file as a thumbnail in its first segment."""
    body = b'Exif\0\0' + encoded('.jpg', COLOUR[::16, ::16])
    return content[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + content[2:]


@pytest.mark.parametrize(
    ('start', 'name'),
    [
        (encoded('.jpg'), 'JPEG'),
        (encoded('.png'), 'PNG'),
        (encoded('.bmp'), 'BMP'),
        (encoded('.webp'), 'WebP'),
        (encoded('.tiff'), 'TIFF'),
        (saved(GREY, format='GIF'), 'GIF'),
        (b'\x93NUMPY\x01\x00', 'NumPy array'),
        (b'\0\0\0\x18ftypheic', 'HEIC'),
        (b'\0\0\0\x18ftypmp42', 'video'),
        (b'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'),
        (b'\xef\xbb\xbf\n <!DOCTYPE html>', 'HTML or XML page'),
        (bytes(32), 'file of zeros'),
        (b'hello', ''),
        (b'', ''),
    ],
)
def test_the_first_bytes_tell_what_a_file_is(start, name):
    assert file_type(start[:32]) == name


@pytest.mark.parametrize(
    ('path', 'name', 'expected'),
    [
        ('a.jpg', 'JPEG', True),
        ('a.JPEG', 'JPEG', True),
        ('a.jpg', 'PNG', False),
        ('a', 'PNG', False),
        ('a.jpg', '', True),
        ('a.jpg', 'HEIC', True),
    ],
)
def test_a_suffix_is_unusual_where_another_format_has_it(path, name, expected):
    assert has_usual_suffix(path, name) == expected


@pytest.mark.parametrize(
    ('content', 'form'),
    [
        (encoded('.jpg'), PixelForm(3, 8)),
        (encoded('.jpg', GREY), PixelForm(1, 8)),
        (saved(np.zeros((4, 4, 4), np.uint8), format='TIFF'), PixelForm(0, 0)),
        (encoded('.png'), PixelForm(3, 8)),
        (encoded('.png', GREY.astype(np.uint16)), PixelForm(1, 16)),
        (encoded('.png', np.dstack([COLOUR, GREY])), PixelForm(4, 8)),
        (saved(np.dstack([GREY, GREY]), format='PNG'), PixelForm(2, 8)),
        (saved(GREY // 128, format='PNG', bits=1), PixelForm(1, 1)),
        (encoded('.bmp'), PixelForm(3, 8)),
        (encoded('.bmp', GREY), PixelForm(0, 0)),
        (b'\x89PNG\r\n\x1a\n', PixelForm(0, 0)),
        (b'\xff\xd8\xff', PixelForm(0, 0)),
    ],
)
def test_the_header_tells_channels_and_bits(content, form):
    assert read_pixel_form(io.BytesIO(content), file_type(content[:32])) == form


def test_a_palette_of_few_bits_holds_colours_of_eight():
    file = io.BytesIO()
    PIL.Image.fromarray(COLOUR).quantize(4).save(file, format='PNG', bits=2)
    assert read_pixel_form(file, 'PNG') == PixelForm(3, 8)


WHOLE = [
    encoded('.jpg'),
    saved(COLOUR, format='JPEG', progressive=True),
    with_thumbnail(encoded('.jpg')),
    encoded('.jpg') + b'\0' * 100,  # what some cameras append
    encoded('.jpg') + encoded('.jpg')[:2000],  # a second picture, whatever becomes of it
    encoded('.png'),
    encoded('.png') + b'more',
]


@pytest.mark.parametrize('content', WHOLE)
def test_a_whole_file_is_not_cut_off(content):
    assert not is_cut_off(content, file_type(content))


@pytest.mark.parametrize('share', [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize('tail', [b'', bytes(3000)])
@pytest.mark.parametrize('content', WHOLE[:3] + WHOLE[5:6])
def test_a_file_without_its_end_is_cut_off(content, tail, share):
    cut = content[: int(share * len(content))] + tail
    assert is_cut_off(cut, file_type(content))


def test_of_other_formats_nothing_is_said():
    assert not is_cut_off(encoded('.bmp')[:100], 'BMP')

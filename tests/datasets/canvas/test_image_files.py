"""What is refused before an image file is opened, or before memory is taken for its pixels."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmyolox.datasets.canvas import images
from mmyolox.datasets.canvas.images import (
    PIXELS_VARIABLE,
    ImageHeader,
    UndecodableImageError,
    read_header,
    read_image,
    read_image_header,
)
from mmyolox.datasets.transforms import LoadImage
from mmyolox.errors import UserError
from tests.datasets.transforms.pictures import smooth

PICTURE = Image.fromarray(smooth((45, 31))[..., ::-1])
READERS = {
    'read_image': lambda path: read_image(str(path)),
    'read_image_header': lambda path: read_image_header(str(path)),
    'LoadImage': lambda path: LoadImage()(dict(img_path=str(path)))['scene'],
    'LoadImage, any channels': lambda path: LoadImage('unchanged')(dict(img_path=str(path)))['scene'],
}


def saved(file_format, image=PICTURE, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_of(width, height):
    """A PNG file of a few bytes that says it has so many pixels."""
    chunk = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    start = b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + chunk + struct.pack('>I', zlib.crc32(chunk))
    return start + saved('PNG')[33:]


def jpeg_of(width, height):
    content = bytearray(saved('JPEG'))
    struct.pack_into('>HH', content, content.index(b'\xff\xc0') + 5, height, width)
    return bytes(content)


def npy_of(*shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, dict(descr='|u1', fortran_order=False, shape=shape))
    return file.getvalue()


def bmp_of(width, height):
    content = bytearray(saved('BMP'))
    struct.pack_into('<ii', content, 18, width, height)
    return bytes(content)


@pytest.fixture(params=READERS)
def read(request):
    return READERS[request.param]


def make_large(path):
    with path.open('wb') as file:
        file.truncate(2**30)


@pytest.mark.parametrize(
    ('make', 'reason'),
    [
        (os.mkfifo, 'not a regular file'),
        (os.mkdir, 'not a regular file'),
        (lambda path: path.symlink_to('/dev/zero'), 'not a regular file'),
        (make_large, '1073741824 bytes; an image has fewer'),
        (lambda path: None, 'No such file'),
        (lambda path: path.touch(), ''),
    ],
    ids=['pipe', 'folder', 'device', 'large', 'absent', 'empty'],
)
def test_special_files_are_not_opened(tmp_path, read, make, reason):
    path = tmp_path / 'a.jpg'
    make(path)
    with pytest.raises(UndecodableImageError, match=f'a.jpg.*{reason}'):
        read(path)


BOMBS = {
    'png': png_of(100_000, 100_000),
    'jpeg': jpeg_of(60_000, 60_000),
    'bmp': bmp_of(30_000, -30_000),
    'gif': b'GIF89a' + struct.pack('<HH', 60_000, 60_000) + saved('GIF')[10:],
    'tiff': saved('TIFF').replace(
        struct.pack('<HHII', 256, 4, 1, 45), struct.pack('<HHII', 256, 4, 1, 10**8)
    ),
    'npy': npy_of(100_000, 100_000, 3),
}


@pytest.mark.parametrize('name', BOMBS)
def test_bombs_are_refused_by_their_header(tmp_path, monkeypatch, read, name):
    def fail(*_, **__):
        raise AssertionError('memory was taken')

    path = tmp_path / 'a'
    path.write_bytes(BOMBS[name])
    monkeypatch.setattr(cv2, 'imdecode', fail)
    monkeypatch.setattr(np, 'load', fail)
    with pytest.raises(UndecodableImageError, match=r'over the limit of 178956970|exceeds limit|breaks off'):
        read(path)


@pytest.mark.parametrize('shape', [(1, 1, 10**10), (100, 100)])
def test_an_array_that_breaks_off_takes_no_memory(tmp_path, monkeypatch, shape):
    (tmp_path / 'a.npy').write_bytes(npy_of(*shape))
    monkeypatch.setattr(np, 'load', None)
    with pytest.raises(UndecodableImageError, match='breaks off'):
        read_image(str(tmp_path / 'a.npy'))


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF'])
def test_the_limit_is_configurable(tmp_path, monkeypatch, read, file_format):
    path = tmp_path / 'a'
    path.write_bytes(saved(file_format))
    monkeypatch.setenv(PIXELS_VARIABLE, str(45 * 31))
    read(path)
    monkeypatch.setenv(PIXELS_VARIABLE, str(45 * 31 - 1))
    with pytest.raises(UndecodableImageError, match=f'45 x 31 pixels are over the limit.*{PIXELS_VARIABLE}'):
        read(path)


@pytest.mark.parametrize('value', ['many', '-1', '1e9', ''])
def test_a_limit_that_is_no_number(tmp_path, monkeypatch, value):
    (tmp_path / 'a').write_bytes(saved('PNG'))
    monkeypatch.setenv(PIXELS_VARIABLE, value)
    with pytest.raises(UserError, match=f'{PIXELS_VARIABLE}={value}: a whole number'):
        read_image(str(tmp_path / 'a'))


@pytest.mark.parametrize('file_format', ['GIF', 'PNG', 'TIFF', 'WEBP'])
def test_the_first_frame_or_page_is_read(tmp_path, file_format):
    frames = [Image.new('RGB', (30, 20), (grey,) * 3) for grey in (200, 50)]
    (tmp_path / 'a').write_bytes(saved(file_format, frames[0], save_all=True, append_images=frames[1:]))
    pixels = read_image(str(tmp_path / 'a'))
    assert pixels.shape == (20, 30, 3)
    assert (pixels == 200).all()


@pytest.mark.parametrize('orientation', [1, 3, 6])
@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_headers_tell_size_and_orientation(file_format, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    header = read_header(io.BytesIO(saved(file_format, exif=tags)))
    assert header == ImageHeader((45, 31), orientation, is_plain_jpeg=file_format == 'JPEG')
    assert header.upright_size == ((31, 45) if orientation == 6 else (45, 31))


MODES = {
    'JPEG': ['CMYK', 'L', 'RGB'],
    'PNG': ['1', 'L', 'P', 'RGB', 'RGBA', 'I;16'],
    'TIFF': ['1', 'L', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16'],
    'BMP': ['1', 'L', 'P', 'RGB', 'RGBA'],
    'PPM': ['1', 'L', 'RGB'],
}


@pytest.mark.parametrize(('file_format', 'mode'), [(name, mode) for name in MODES for mode in MODES[name]])
def test_headers_of_any_mode(file_format, mode):
    image = Image.new(mode, (45, 31)) if mode == 'I;16' else PICTURE.convert(mode)
    assert read_header(io.BytesIO(saved(file_format, image))).size == (45, 31)


@pytest.mark.parametrize(
    ('image', 'file_format', 'expected', 'tolerance'),
    [
        (PICTURE.convert('CMYK'), 'JPEG', PICTURE, 2),
        (PICTURE.convert('RGBA'), 'PNG', PICTURE, 0),
        (PICTURE.convert('RGBA').quantize(64), 'PNG', PICTURE, 4),
        (
            Image.fromarray(np.asarray(PICTURE.convert('L')).astype(np.uint16) * 257),
            'PNG',
            PICTURE.convert('L').convert('RGB'),
            0,
        ),
    ],
    ids=['CMYK', 'alpha', 'palette with alpha', '16 bits'],
)
def test_any_mode_is_read_as_blue_green_red(tmp_path, image, file_format, expected, tolerance):
    options = dict(quality=95) if file_format == 'JPEG' else {}
    (tmp_path / 'a').write_bytes(saved(file_format, image, **options))
    pixels = read_image(str(tmp_path / 'a'))
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.asarray(expected)[..., ::-1]).mean() <= tolerance


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('file_format', ['PNG', 'WEBP', 'TIFF'])
def test_images_are_turned_upright(tmp_path, file_format, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = dict(lossless=True) if file_format == 'WEBP' else {}
    (tmp_path / 'a').write_bytes(saved(file_format, exif=tags, **options))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / 'a')))
    np.testing.assert_array_equal(read_image(str(tmp_path / 'a'))[..., ::-1], expected)


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'WEBP'])
def test_an_image_that_breaks_off_is_named(tmp_path, file_format):
    content = saved(file_format)
    (tmp_path / 'a').write_bytes(content[: len(content) // 2])
    with pytest.raises(UndecodableImageError, match='cannot decode the image'):
        read_image(str(tmp_path / 'a'))


def test_a_jpeg_with_a_large_profile():
    tags = Image.Exif()
    tags[0x0112] = 6
    content = saved('JPEG', exif=tags, icc_profile=bytes(200_000))
    assert read_header(io.BytesIO(content)) == ImageHeader((45, 31), 6, is_plain_jpeg=True)


@pytest.mark.parametrize('shape', [(31, 45), (31, 45, 7)])
def test_headers_of_arrays(tmp_path, shape):
    np.save(tmp_path / 'a.npy', np.zeros(shape, np.uint8))
    assert read_image_header(str(tmp_path / 'a.npy')) == ImageHeader((45, 31), 1)


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'GIF'])
def test_a_header_cut_or_changed_anywhere_is_an_error_of_ours(tmp_path, file_format):
    content = saved(file_format)
    rng = np.random.default_rng(0)
    for position in range(min(len(content), 120)):
        changed = bytearray(content)
        changed[position] ^= int(rng.integers(1, 256))
        for broken in (content[:position], bytes(changed)):
            (tmp_path / 'a').write_bytes(broken)
            try:
                read_image_header(str(tmp_path / 'a'))
            except UndecodableImageError:
                continue


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b'\xff.png')
    (tmp_path / name).write_bytes(saved('PNG'))
    assert read_image(str(tmp_path / name)).shape == (31, 45, 3)
    with pytest.raises(UndecodableImageError, match=r'\\udcff.jpg'):
        read_image(str(tmp_path / os.fsdecode(b'\xff.jpg')))
    with pytest.raises(UndecodableImageError, match='null'):
        read_image('a\0.jpg')


def test_only_local_files_are_looked_at(monkeypatch, tmp_path):
    def fail(path):
        raise AssertionError(path)

    (tmp_path / 'a').write_bytes(saved('PNG'))
    monkeypatch.setattr(images, 'check_file', fail)
    with pytest.raises(AssertionError):
        read_image(str(tmp_path / 'a'))
    backend = dict(backend='petrel', path_mapping={})
    with pytest.raises((UndecodableImageError, ImportError)):
        read_image(str(tmp_path / 'a'), backend_args=backend)

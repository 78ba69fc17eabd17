"""What the headers of image files say, and what becomes of files that are none."""

import os

import cv2
import numpy as np
import PIL.Image
import pytest

from mmyolox.doctor.files import FileState, read_headers
from tests.doctor.plants.files import png_of_size
from tests.doctor.small_set import SIZE, make_image

JPEG = cv2.imencode('.jpg', make_image(1))[1].tobytes()
BOMB = png_of_size(100_000, 100_000)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'whole.jpg').write_bytes(JPEG)
    (tmp_path / 'empty.jpg').write_bytes(b'')
    (tmp_path / 'page.jpg').write_text('<html></html>')
    (tmp_path / 'bomb.png').write_bytes(BOMB)
    (tmp_path / 'flat.png').write_bytes(png_of_size(0, 96))
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'link.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    os.mkfifo(tmp_path / 'pipe.jpg')
    return tmp_path


@pytest.mark.parametrize(
    ('name', 'state', 'fault'),
    [
        ('whole.jpg', FileState.READABLE, ''),
        ('absent.jpg', FileState.ABSENT, 'no such file'),
        ('link.jpg', FileState.ABSENT, 'no such file'),
        ('whole.jpg/inside.jpg', FileState.ABSENT, 'no such file'),
        ('empty.jpg', FileState.EMPTY, '0 bytes'),
        ('page.jpg', FileState.UNREADABLE, 'no size found'),
        ('flat.png', FileState.UNREADABLE, 'its header tells of no pixel'),
        ('folder.jpg', FileState.UNREADABLE, 'not a regular file'),
        ('pipe.jpg', FileState.UNREADABLE, 'not a regular file'),
        ('null\0.jpg', FileState.UNREADABLE, 'null'),
        ('bomb.png', FileState.TOO_LARGE, '100000 x 100000 pixels are over the limit'),
    ],
)
def test_a_file_is_in_a_state(folder, name, state, fault):
    files = read_headers([str(folder / name)])
    assert files.states.tolist() == [state]
    assert fault in files.faults[0]
    assert (files.faults[0] == '') == (state == FileState.READABLE)
    assert files.stored.tolist() == ([[*SIZE]] if state == FileState.READABLE else [[0, 0]])


def test_a_limit_of_pillow_is_one_of_size(tmp_path):
    content = bytearray(cv2.imencode('.bmp', make_image(1))[1].tobytes())
    content[18:26] = (100_000).to_bytes(4, 'little') * 2
    (tmp_path / 'a.bmp').write_bytes(content)
    assert read_headers([str(tmp_path / 'a.bmp')]).states.tolist() == [FileState.TOO_LARGE]


def test_columns_are_those_of_the_images(tmp_path):
    wide = tmp_path / 'wide ä.png'
    wide.write_bytes(cv2.imencode('.png', make_image(1)[:50].astype(np.uint16))[1].tobytes())
    turned = tmp_path / 'turned.jpg'
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(make_image(2)).convert('L').save(turned, exif=exif)
    files = read_headers([str(path) for path in (wide, turned, tmp_path / 'absent.jpg', wide)])
    assert files.stored.tolist() == [[320, 50], [320, 240], [0, 0], [320, 50]]
    assert files.upright.tolist() == [[320, 50], [240, 320], [0, 0], [320, 50]]
    assert files.orientations.tolist() == [1, 6, 1, 1]
    assert files.types == ['PNG', 'JPEG', '', 'PNG']
    assert files.channels.tolist() == [3, 1, 0, 3]
    assert files.bits.tolist() == [16, 8, 0, 16]
    assert files.num_bytes.tolist() == [
        *(path.stat().st_size for path in (wide, turned)),
        0,
        wide.stat().st_size,
    ]
    assert files.first_copies.tolist() == [0, 1, 2, 0]


def test_of_no_images_there_is_nothing_to_say():
    files = read_headers([])
    assert files.stored.shape == files.upright.shape == (0, 2)
    assert not len(files.first_copies)
    assert not len(files.faults)

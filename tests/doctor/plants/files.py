"""Faults of image files."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from tests.doctor.small_set import SIZE, SmallSet, make_image

from .plant import Plant


def change_file(change: Callable[[Path], object], number: int = 1):
    """Changes the file of a training image."""
    return lambda small: change(small.image(number=number))


def encoded(pixels: np.ndarray, suffix: str = '.jpg') -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def written(pixels: np.ndarray, suffix: str = '.jpg'):
    """Puts a picture, of another format too, into the file of a training image."""
    return change_file(lambda path: path.write_bytes(encoded(pixels, suffix)))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file whose header tells any size."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header))


def zero_tail(path: Path) -> None:
    """Overwrites the end of a file by zeros, as an interrupted copy leaves it; decoders see grey there."""
    content = path.read_bytes()
    kept = int(0.99 * len(content))
    path.write_bytes(content[:kept] + bytes(5000))


def turn_by_exif(path: Path) -> None:
    """Says that the image is to be turned by a quarter, and keeps the annotated size as it is stored."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    with PIL.Image.open(path) as image:
        image.load()
    image.save(path, quality=95, exif=exif)


def swap_annotated_size(small: SmallSet) -> None:
    """Gives an image that is not square the height as its width."""
    with small.annotations() as content:
        content['images'][0] |= dict(width=SIZE[1], height=SIZE[0])
        own = content['images'][0]['id']
        content['annotations'] = [one for one in content['annotations'] if one['image_id'] != own]
        box = dict(bbox=[10, 10, 40, 35], area=1400, iscrowd=0, category_id=1)
        content['annotations'].append(dict(box, id=1000, image_id=own))


def halve(small: SmallSet) -> None:
    """Makes an image smaller than it is annotated."""
    smaller = cv2.resize(make_image(1), (SIZE[0] // 2, SIZE[1] // 2), interpolation=cv2.INTER_AREA)
    small.image().write_bytes(encoded(smaller))


DEEP = make_image(1).astype(np.uint16) * 257
CLEAR = np.dstack([make_image(1), np.full(SIZE[::-1], 128, np.uint8)])

PLANTS = {
    'image-missing': Plant(change_file(Path.unlink)),
    'image-empty': Plant(change_file(lambda path: path.write_bytes(b''))),
    'image-undecodable': Plant(change_file(lambda path: path.write_text('<html>404 not found</html>'))),
    'image-truncated': Plant(change_file(zero_tail)),
    'image-too-large': Plant(change_file(lambda path: path.write_bytes(png_of_size(100_000, 100_000)))),
    'size-differs': Plant(halve),
    'size-swapped': Plant(swap_annotated_size),
    'image-turned': Plant(change_file(turn_by_exif)),
    'suffix-differs': Plant(written(make_image(1), '.png')),
    'colours-mixed': Plant(written(cv2.cvtColor(make_image(1), cv2.COLOR_BGR2GRAY))),
    'alpha-channel': Plant(written(CLEAR, '.png'), siblings={'suffix-differs'}),
    'deep-colours': Plant(written(DEEP, '.png'), siblings={'suffix-differs'}),
    'image-blank': Plant(written(np.full((*SIZE[::-1], 3), 90, np.uint8))),
}

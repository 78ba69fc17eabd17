"""What a file is, told by its first bytes, whatever it is called."""

import os
import struct
from typing import BinaryIO, NamedTuple

from mmyolox.datasets.canvas.images import read_jpeg_header

SIGNATURE_BYTES = 32
"""How much of the start of a file tells what it is."""

_STARTS = {
    b'\xff\xd8\xff': 'JPEG',
    b'\x89PNG\r\n\x1a\n': 'PNG',
    b'BM': 'BMP',
    b'GIF8': 'GIF',
    b'II*\0': 'TIFF',
    b'MM\0*': 'TIFF',
    b'\x93NUMPY': 'NumPy array',
    b'version https://git-lfs': 'Git LFS pointer',
    b'%PDF': 'PDF',
    b'8BPS': 'Photoshop file',
    b'PK\x03\x04': 'ZIP archive',
    b'\x1f\x8b': 'gzip archive',
    b'\0\0\0\x0cjP  ': 'JPEG 2000',
    b'\xff\x4f\xff\x51': 'JPEG 2000',
    b'\0' * SIGNATURE_BYTES: 'file of zeros',
    b'<': 'HTML or XML page',
    b'{': 'JSON file',
}
_BRANDS = {b'heic': 'HEIC', b'heix': 'HEIC', b'mif1': 'HEIC', b'msf1': 'HEIC', b'avif': 'AVIF'}
"""Of ISO 14496-12, in whose boxes these formats lie."""

_SUFFIXES = {
    'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'),
    'PNG': ('.png',),
    'BMP': ('.bmp', '.dib'),
    'GIF': ('.gif',),
    'TIFF': ('.tif', '.tiff'),
    'WebP': ('.webp',),
    'NumPy array': ('.npy',),
}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""By PNG's colour type; a palette (3) holds colours."""
_HEADER_BYTES = 2**19
_FILL, _START_OF_SCAN, _END_OF_IMAGE = 0xFFFF, 0xFFDA, b'\xff\xd9'


class PixelForm(NamedTuple):
    """How a file stores its pixels.

    Attributes:
        channels: 1 for grey, 2 for grey with alpha, 3 for colour, 4 for colour with alpha or CMYK; 0 where
            the first bytes do not say.
        bits: The bits of a channel; 0 where the first bytes do not say.
    """

    channels: int
    bits: int


def file_type(start: bytes) -> str:
    """What a file is, by its first bytes; ``''`` where they are not known.

    Args:
        start: At least ``SIGNATURE_BYTES`` of the file, or all of it.
    """
    if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
        return 'WebP'
    if start[4:8] == b'ftyp':
        return _BRANDS.get(start[8:12], 'video')
    text = start.removeprefix(b'\xef\xbb\xbf').lstrip()
    known = (name for begin, name in _STARTS.items() if start.startswith(begin) or text.startswith(begin))
    return next(known, '')


def has_usual_suffix(path: str, type_name: str) -> bool:
    """Whether a file is called as its content asks for; True for content whose suffixes are not known."""
    suffixes = _SUFFIXES.get(type_name)
    return suffixes is None or os.path.splitext(path)[1].lower() in suffixes


def read_pixel_form(file: BinaryIO, type_name: str) -> PixelForm:
    """Reads how a JPEG, PNG or BMP file stores its pixels, nothing of others.

    Args:
        file: Can seek.
        type_name: What it is, as :func:`file_type` says.
    """
    file.seek(0)
    if type_name == 'JPEG':
        start = file.read(4096)
        header = read_jpeg_header(start) or read_jpeg_header(start + file.read(_HEADER_BYTES))
        return PixelForm(header.channels, 8) if header else PixelForm(0, 0)
    start = file.read(SIGNATURE_BYTES)
    if type_name == 'PNG' and len(start) >= 26:
        return PixelForm(_PNG_CHANNELS.get(start[25], 0), 8 if start[25] == 3 else start[24])
    if type_name == 'BMP' and len(start) >= 30:
        (bits,) = struct.unpack_from('<H', start, 28)
        return PixelForm({24: 3, 32: 4}.get(bits, 0), 8 if bits >= 24 else 0)
    return PixelForm(0, 0)


def is_cut_off(content: bytes, type_name: str) -> bool:
    """Whether a JPEG or PNG file ends before its image does; False for others.

    Decoders make grey of what is missing, if it was replaced by zeros, as an interrupted copy may leave it.

    Args:
        content: The whole file.
        type_name: What it is, as :func:`file_type` says.
    """
    if type_name == 'JPEG':
        return _is_jpeg_cut_off(content)
    if type_name != 'PNG':
        return False
    position = 8
    while position + 8 <= len(content):
        length, name = struct.unpack_from('>I4s', content, position)
        position += 12 + length
        if name == b'IEND':
            return position > len(content)
    return True


def _is_jpeg_cut_off(content: bytes) -> bool:
    position = 2
    while position + 4 <= len(content):
        marker, length = struct.unpack_from('>HH', content, position)
        if marker == _FILL:
            position += 1
            continue
        if marker == _START_OF_SCAN:
            # In the data of a scan 0xFF is followed by 0 or a restart marker (ITU-T T.81, B.1.1.5), so that
            # this is the end. A thumbnail has an end of its own before, and a phone's video may follow.
            return content.find(_END_OF_IMAGE, position) < 0
        position += 2 + length
    return True

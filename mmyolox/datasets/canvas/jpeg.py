"""What the header of a JPEG file says, read without decoding it (ITU-T T.81, annex B; EXIF 2.3)."""

import struct
from dataclasses import dataclass

_START_OF_IMAGE = b'\xff\xd8'
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive: what every decoder takes
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class JpegHeader:
    """A plain JPEG file: 8 bits a channel, grey or YCbCr, Huffman-coded.

    Attributes:
        size: (w, h) in pixels as stored.
        channels: 1 or 3. Four (CMYK) are not plain.
        orientation: of EXIF, 1 (upright) to 8; 1 where the file does not say.
    """

    size: tuple[int, int]
    channels: int
    orientation: int


def read_jpeg_header(content: bytes) -> JpegHeader | None:
    """Reads the header of a file's content; None for anything but a plain JPEG file."""
    if not content.startswith(_START_OF_IMAGE):
        return None
    orientation, position = 1, 2
    while position + 4 <= len(content):
        fill, marker, length = struct.unpack_from('>BBH', content, position)
        body = content[position + 4 : position + 2 + length]
        if fill != 0xFF or marker == _START_OF_SCAN or marker in _OTHER_FRAMES:
            return None
        if marker == 0xFF:  # fill byte before a marker
            position += 1
            continue
        if marker == _APP1 and body.startswith(b'Exif\0\0'):
            orientation = _exif_orientation(body[6:])
        if marker in _HUFFMAN_FRAMES:
            return _frame_header(body, orientation)
        position += 2 + length
    return None


def _frame_header(body: bytes, orientation: int) -> JpegHeader | None:
    if len(body) < 6:
        return None
    precision, height, width, channels = struct.unpack_from('>BHHB', body)
    if precision != 8 or channels not in (1, 3) or not height or not width:
        return None
    return JpegHeader((width, height), channels, orientation)


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in a TIFF structure; 1 where it is absent or broken."""
    order = {b'II': '<', b'MM': '>'}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (start,) = struct.unpack_from(f'{order}I', tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f'{order}H', tiff, start)
    entries = range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12)
    for position in entries:
        tag, _, _, value = struct.unpack_from(f'{order}HHIH', tiff, position)
        if tag == _ORIENTATION_TAG:
            return value if 1 <= value <= 8 else 1
    return 1

"""Drawing of detections with NumPy alone."""

import colorsys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .decode import Detections
from .info import ModelInfo
from .letterbox import Image

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618034

# ASCII from space to tilde: 8 rows of 5 pixels a character, the eighth below the base line, and each row a
# digit of base 32 whose highest bit is the leftmost pixel.
_GLYPH_ROWS = """
00000000 44444040 aaa00000 aavavaa0 4fke5u40 op248j30 cik8lid0 44800000 24888420 84222480 04lel400 044v4400
00000448 000e0000 00000cc0 11248gg0 ehjlphe0 4c4444e0 eh1248v0 v2421he0 26aiv220 vgu11he0 68guhhe0 v1248880
ehhehhe0 ehhf12c0 0cc0cc00 0cc0c480 248g8420 00v0v000 84212480 eh124040 eh1dlle0 ehhvhhh0 uhhuhhu0 ehggghe0
sihhhis0 vgguggv0 vgguggg0 ehgnhhf0 hhhvhhh0 e44444e0 72222ic0 hikokih0 ggggggv0 hrllhhh0 hhpljhh0 ehhhhhe0
uhhuggg0 ehhhlid0 uhhukih0 fgge11u0 v4444440 hhhhhhe0 hhhhha40 hhhllla0 hha4ahh0 hhha4440 v1248gv0 e88888e0
gg842110 e22222e0 4ah00000 0000000v 84200000 00e1fhf0 ggmphhu0 00egghe0 11djhhf0 00ehvge0 698s8880 00fhhf1e
ggmphhh0 40c444e0 206222ic ggikoki0 c44444e0 00qllhh0 00mphhh0 00ehhhe0 00uhhugg 00fhhf11 00mpggg0 00fge1u0
88s88960 00hhhjd0 00hhha40 00hhlla0 00ha4ah0 00hhhf1e 00v248v0 24484420 44444440 84424480 008l2000
"""
_GLYPHS = _GLYPH_ROWS.split()


def class_colour(label: int) -> Colour:
    """The BGR colour of a class: fixed for a label, and far from that of the labels next to it."""
    hue = (0.02 + label * _GOLDEN_RATIO) % 1.0
    value = (1.0, 0.8)[label % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
    return round(255 * blue), round(255 * green), round(255 * red)


def line_width(image: Image) -> int:
    """The width, in pixels, of lines that are well seen on an image (H, W, ...): 1 at 320, 2 at 640."""
    return max(1, round(max(image.shape[:2]) / 320))


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever stands out on a BGR colour."""
    blue, green, red = colour
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 127 else (255, 255, 255)


def draw(image: Image, found: Detections, info: ModelInfo, point_score_thr: float = 0.3) -> Image:
    """Draws boxes, names with scores, points and the lines between them on a copy of an image.

    Args:
        image: (H, W, 3) uint8, BGR. Left as it is.
        found: In pixels of the image; the best is drawn on top.
        info: Of the model that found them: the names, and which points are linked.
        point_score_thr: Points below it are not drawn, nor the lines to them.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = image.copy()
    width = line_width(canvas)
    for index in reversed(range(len(found))):
        label = int(found.labels[index])
        corners = np.rint(found.bboxes[index]).astype(int).tolist()
        _draw_box(canvas, corners, class_colour(label), width)
        _draw_text(canvas, f'{info.classes[label]} {found.scores[index]:.2f}', corners, class_colour(label))
        if found.points is not None:
            own = info.class_points[label] if info.class_points else range(len(info.points))
            seen = {i for i in own if found.points[index, i, 2] >= point_score_thr}
            _draw_points(canvas, found.points[index, :, :2], seen, info, width)
    return canvas


def _draw_box(canvas: Image, corners: list[int], colour: Colour, width: int) -> None:
    """Draws the outline of a box whose pixels are x1 to x2 - 1 and y1 to y2 - 1, as far as it is inside."""
    x1, y1, x2, y2 = corners
    half = width // 2
    left, top, right, bottom = x1 - half, y1 - half, max(x2 - 1, x1) - half, max(y2 - 1, y1) - half
    for x, y, columns, rows in (
        (left, top, right - left + width, width),
        (left, bottom, right - left + width, width),
        (left, top, width, bottom - top + width),
        (right, top, width, bottom - top + width),
    ):
        canvas[max(y, 0) : max(y + rows, 0), max(x, 0) : max(x + columns, 0)] = colour


def _draw_text(canvas: Image, text: str, corners: list[int], colour: Colour) -> None:
    """Writes a line on a filled ground above a box, or below its upper edge where there is no room."""
    scale = max(1, round(max(canvas.shape[:2]) / 480))
    mask = np.kron(text_mask(text), np.ones((scale, scale), bool))
    height, width = mask.shape
    x = max(0, min(corners[0], canvas.shape[1] - width))
    y = corners[1] - height if corners[1] >= height else max(corners[1], 0)
    ground = canvas[y : y + height, x : x + width]
    seen = mask[: ground.shape[0], : ground.shape[1]]
    ground[:] = np.where(seen[..., None], ink_on(colour), colour)


@lru_cache(maxsize=1024)
def text_mask(text: str) -> NDArray[np.bool_]:
    """Which pixels (10, 6 n + 1) of a line of n characters are ink; what is not ASCII becomes ``?``."""
    codes = text.encode('ascii', 'replace')
    glyphs = [_GLYPHS[code - 32] if 32 <= code < 127 else _GLYPHS[ord('?') - 32] for code in codes]
    rows = np.array([[int(digit, 32) for digit in glyph] for glyph in glyphs], np.int64).reshape(-1, 8)
    pixels = rows.T[:, :, None] >> np.arange(4, -1, -1) & 1
    spaced = np.pad(pixels, ((1, 1), (0, 0), (1, 0))).reshape(10, -1)
    return np.pad(spaced, ((0, 0), (0, 1))).astype(bool)


def _draw_points(
    canvas: Image, points: NDArray[np.float32], seen: set[int], info: ModelInfo, width: int
) -> None:
    """Draws those of an object's points (P, 2) that are seen, and the lines between these beneath them."""
    for one, other in info.links:
        if one in seen and other in seen:
            _stamp(canvas, _along(points[one], points[other], canvas), width / 2, class_colour(other))
    for index in sorted(seen):
        _stamp(canvas, points[index : index + 1], width + 1, class_colour(index))


def _along(start: NDArray[np.float32], stop: NDArray[np.float32], canvas: Image) -> NDArray[np.float32]:
    """Points (n, 2) on a line, so close that no pixel is left out; fewer where it runs far outside."""
    count = int(min(np.abs(stop - start).max(), 4 * sum(canvas.shape[:2]))) + 2
    return start + np.linspace(0, 1, count, dtype=np.float32)[:, None] * (stop - start)


def _stamp(canvas: Image, centres: NDArray[np.float32], radius: float, colour: Colour) -> None:
    """Draws a disc around each centre (n, 2) x and y, as far as it is inside."""
    reach = np.arange(-int(radius), int(radius) + 1)
    y, x = np.meshgrid(reach, reach, indexing='ij')
    disc = np.stack([x, y], axis=-1)[x**2 + y**2 <= radius**2]
    pixels = (np.floor(centres).astype(int)[:, None] + disc).reshape(-1, 2)
    inside = pixels[((pixels >= 0) & (pixels < (canvas.shape[1], canvas.shape[0]))).all(axis=1)]
    canvas[inside[:, 1], inside[:, 0]] = colour

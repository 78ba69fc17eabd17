"""Drawing of detections with Pillow, which is imported when something is drawn."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .decode import Detections
from .info import DeployError, ModelInfo
from .letterbox import Image

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618034


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


def as_bgr(image: Image) -> Image:
    """An image of any number of channels as one of three: the first three, or the first thrice."""
    return np.ascontiguousarray(image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2))


def picture_path(path: Path) -> Path:
    """Where what is drawn of an image is kept: under its name, which of an array gets ``.png`` behind it."""
    return path.with_name(f'{path.name}.png') if path.suffix.lower() == '.npy' else path


def draw(
    image: Image,
    detections: Detections,
    info: ModelInfo,
    keypoint_score_thr: float = 0.3,
    font: str | Path | None = None,
) -> Image:
    """Draws boxes, names with scores, keypoints and the lines between them on a copy of an image.

    Args:
        image: (H, W, channels) uint8, BGR, or grey with one channel; channels from the fourth on are left
            out. It is not changed.
        detections: The detections in pixels of the image; the best is drawn on top.
        info: The info of the model that made them: the names, and which keypoints are linked.
        keypoint_score_thr: The lowest score of a keypoint that is drawn, and of one that lines are drawn to.
        font: A TrueType font, as a file or the name of an installed one, for names in other scripts: the
            font that comes with Pillow knows ASCII.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        DeployError: Pillow is not installed, there is no such font, or the image has two channels.
    """
    try:
        import PIL.Image
        from PIL import ImageDraw, ImageFont
    except ImportError as error:
        raise DeployError(f'drawing needs Pillow: pip install pillow ({error})') from error
    if image.shape[2] == 2:
        raise DeployError('an image of 2 channels: 1, 3 or more can be drawn on')
    canvas = PIL.Image.fromarray(as_bgr(image))  # Pillow takes it for RGB, as it does our colours
    pen, width = ImageDraw.Draw(canvas), line_width(image)
    text_size = max(10, round(max(image.shape[:2]) / 48))
    try:
        pen.font = ImageFont.truetype(str(font), text_size) if font else ImageFont.load_default(text_size)
    except OSError as error:
        raise DeployError(f'font {font}: there is no such TrueType font ({error})') from error
    # Pillow counts pixels in 32 bits, and visits those outside of the image too.
    reach = 4 * max(image.shape[:2])
    for index in reversed(range(len(detections))):
        label = int(detections.labels[index])
        x1, y1, x2, y2 = np.rint(detections.bboxes[index]).clip(-reach, reach).astype(int).tolist()
        # A box covers the pixels x1 to x2 - 1.
        corners = (x1, y1, max(x2 - 1, x1), max(y2 - 1, y1))
        pen.rectangle(corners, outline=class_colour(label), width=width)
        text = f'{info.classes[label]} {detections.scores[index]:.2f}'
        _draw_text(pen, text, (x1, y1), class_colour(label), canvas.width)
        if detections.points is None:
            continue
        own = info.class_points[label] if info.class_points else range(len(info.points))
        seen = {i for i in own if detections.points[index, i, 2] >= keypoint_score_thr}
        keypoints = np.floor(detections.points[index, :, :2]).clip(-reach, reach).tolist()
        for one, other in info.links:
            if one in seen and other in seen:
                pen.line([*keypoints[one], *keypoints[other]], fill=class_colour(other), width=width)
        for i in sorted(seen):
            x, y = keypoints[i]
            disc = (x - width - 1, y - width - 1, x + width + 1, y + width + 1)
            pen.ellipse(disc, fill=class_colour(i))
    return np.array(canvas)


def _draw_text(pen: ImageDraw, text: str, corner: tuple[int, int], colour: Colour, room: int) -> None:
    """Writes a line on a filled ground above a box, or below its upper edge where there is no room."""
    width, height = (int(pen.textbbox((0, 0), words)[axis]) + 1 for words, axis in ((text, 2), ('Ág', 3)))
    x = max(0, min(corner[0], room - width))
    y = corner[1] - height if corner[1] >= height else max(corner[1], 0)
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    pen.text((x, y), text, fill=ink_on(colour))

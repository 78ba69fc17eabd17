"""Drawing of boxes and names on images, and writing of images, with OpenCV."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmyolox.deploy.draw import Colour, class_colour, ink_on, line_width
from mmyolox.errors import UserError

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_boxes(
    image: NDArray[np.uint8],
    bboxes: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    scores: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Draws boxes with their class names on a copy of an image.

    Boxes are drawn in the order given, but with ``scores`` the best last, so that it is on top.

    Args:
        image: (H, W, 3) uint8, BGR. Left as it is.
        bboxes: (M, 4) xyxy in pixels of the image; parts outside the image are not seen.
        labels: (M,) whole numbers, indices into ``class_names``.
        class_names: The names to write.
        scores: (M,) in [0, 1], written behind the names if given.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    canvas = np.ascontiguousarray(image).copy()
    corners = np.round(np.asarray(bboxes, np.float64).reshape(-1, 4)).astype(int).tolist()
    classes = np.asarray(labels, int).tolist()
    texts = [class_names[label] for label in classes]
    order = list(range(len(classes)))
    if scores is not None:
        values = np.asarray(scores, np.float64)
        texts = [f'{text} {value:.2f}' for text, value in zip(texts, values, strict=True)]
        order = np.argsort(values, kind='stable').tolist()
    width = line_width(canvas)
    for i in order:
        x1, y1, x2, y2 = corners[i]
        colour = class_colour(classes[i])
        # A box covers pixels x1 to x2 - 1.
        cv2.rectangle(canvas, (x1, y1), (max(x2 - 1, x1), max(y2 - 1, y1)), colour, width)
        draw_text(canvas, texts[i], (x1, y1), colour)
    return canvas


def draw_text(image: NDArray[np.uint8], text: str, corner: tuple[int, int], colour: Colour) -> None:
    """Writes a line of text on a filled ground into an image, above a point, or below it at the top edge.

    Args:
        image: (H, W, 3) uint8, BGR. Drawn into.
        text: One line. OpenCV's font has ASCII only: other characters become ``?``.
        corner: Left end of the ground's base line, (x, y) in pixels; moved so that the text is seen.
        colour: Of the ground, BGR; the text is black or white, whichever stands out.
    """
    scale = max(0.35, max(image.shape[:2]) / 1280)
    thickness = max(1, round(scale))
    text = text.encode('ascii', 'replace').decode()
    (text_width, text_height), base = cv2.getTextSize(text, _FONT, scale, thickness)
    height = text_height + base
    x = max(0, min(corner[0], image.shape[1] - text_width - 1))
    y = corner[1] if corner[1] >= height else max(corner[1], 0) + height
    cv2.rectangle(image, (x, y - height), (x + text_width, y - 1), colour, cv2.FILLED)
    cv2.putText(image, text, (x, y - base + 1), _FONT, scale, ink_on(colour), thickness, cv2.LINE_AA)


def contact_sheet(images: Sequence[NDArray[np.uint8]], cell: int = 320) -> NDArray[np.uint8]:
    """Puts images on one sheet, row by row, as nearly square as they go.

    Args:
        images: At least one; (H, W, 3) uint8 each, of any size.
        cell: Images whose longer side is greater are shrunk to this, pixels.

    Returns:
        (H, W, 3) uint8; what no image covers is black.
    """
    small = [_shrunk(image, cell) for image in images]
    height, width = (max(image.shape[axis] for image in small) for axis in (0, 1))
    columns = int(np.ceil(np.sqrt(len(small))))
    rows = -(-len(small) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, image in enumerate(small):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
    return sheet


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes an image, in the format of the path's suffix; the folder is made if absent.

    Args:
        path: The file to write.
        image: (H, W, 3) uint8, BGR.

    Raises:
        UserError: OpenCV has no such format.
    """
    if not cv2.haveImageWriter(path.name):
        raise UserError(
            f'{path}: OpenCV writes no files of this name; rename the image to end in .png or .jpg'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def _shrunk(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

"""Photos as a page holds them: small JPEGs."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Photo:
    """A photo that is part of the page.

    Attributes:
        jpeg: The file, in base64.
        size_wh: The width and height of the original image in pixels, those of all boxes on it.
    """

    jpeg: str
    size_wh: tuple[int, int]


def embed(image: npt.NDArray[np.uint8], longest: int = 480, quality: int = 78) -> Photo:
    """Makes a photo of an image: about 30 KB of the page at 480 pixels.

    Args:
        image: (H, W, 3) uint8, BGR.
        longest: The most pixels of a side; a larger image is shrunk.
        quality: The quality of the JPEG, up to 100.
    """
    import cv2

    height, width = image.shape[:2]
    scale = min(1, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return Photo(b64encode(jpeg.tobytes()).decode(), (width, height))

"""Images for calibration and verification."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.apis import TorchDetector
from mmyolox.datasets.transforms import UndecodableImageError
from mmyolox.deploy import ModelInfo
from mmyolox.deploy.letterbox import Image
from mmyolox.deploy.model import input_batch
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector

from .options import ExportOptions, calibration_files

Batch = NDArray[Any]


def photographs(model: YOLODetector, paths: Iterable[Path]) -> Iterator[Image]:
    """Reads images (h, w, channels) as a model's test pipeline does.

    Raises:
        UserError: A file is missing or no image.
    """
    detector = TorchDetector(model)
    for path in paths:
        try:
            yield detector.read(path)
        except UndecodableImageError as error:
            raise UserError(f'{error}; remove or replace it') from error


def calibration_batches(model: YOLODetector, info: ModelInfo, options: ExportOptions) -> Iterator[Batch]:
    """Reads the images for calibration as batches that the graph takes.

    Args:
        model: The model, whose test pipeline says how images are read.
        info: The info, which says how they go in.
        options: The options, of which ``precision`` and ``batch`` are read. An image fills a whole batch.

    Raises:
        UserError: There are no images, or one cannot be read.
    """
    dtype = np.dtype(np.uint8 if info.preprocessing else np.float32)
    for image in photographs(model, calibration_files(options.precision)):
        yield input_batch([image] * options.batch, info, dtype)


def made_images(shape_hw: tuple[int, int], channels: int, count: int = 2, seed: int = 0) -> list[Image]:
    """Makes images to verify with where there are no others: rectangles on squares of random grey levels.

    Args:
        shape_hw: (h, w), near which the sizes of the images are.
        channels: The number of channels of each.
        count: How many images are made.
        seed: The seed of the draws.
    """
    rng, images = np.random.default_rng(seed), []
    for _ in range(count):
        height, width = (int(side * rng.uniform(0.8, 1.5)) for side in shape_hw)
        squares = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, channels), np.uint8)
        image = squares.repeat(16, axis=0).repeat(16, axis=1)[:height, :width].copy()
        for _ in range(8):
            top, left = rng.integers(height * 3 // 4), rng.integers(width * 3 // 4)
            bottom, right = top + rng.integers(8, height // 2 + 8), left + rng.integers(8, width // 2 + 8)
            image[top:bottom, left:right] = rng.integers(0, 256, channels, np.uint8)
        images.append(image)
    return images

"""Transforms that change colours and move nothing."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.scene import take_image
from mmyolox.registry import TRANSFORMS


@TRANSFORMS.register_module()
class YOLOXHSVRandomAug(BaseTransform):
    """Shifts hue, saturation and value by random amounts, each with probability one half.

    The distribution is Megvii YOLOX's ``augment_hsv``; the arithmetic is done once per grey level in lookup
    tables, with results equal to doing it per pixel.

    Args:
        hue_delta: largest shift of the hue, in OpenCV's 180 steps; it wraps around.
        saturation_delta: largest shift of the saturation (0-255), saturating.
        value_delta: largest shift of the value (0-255), saturating.
    """

    def __init__(self, hue_delta: int = 5, saturation_delta: int = 30, value_delta: int = 30) -> None:
        self.deltas = np.array([hue_delta, saturation_delta, value_delta])

    def transform(self, results: dict) -> dict:
        rng = results['rng']
        gains = (rng.uniform(-1, 1, 3) * self.deltas * rng.integers(0, 2, 3)).astype(int)
        results['img'] = shift_hsv(take_image(results), *gains)
        return results


def shift_hsv(image: np.ndarray, hue: int, saturation: int, value: int) -> np.ndarray:
    """Shifts a BGR image (h, w, 3) uint8 by whole steps of OpenCV's HSV; returns a new image."""
    levels = np.arange(256)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    # Plane by plane, and only where something changes: OpenCV's three-channel LUT is slow.
    tables = ((levels + hue) % 180, (levels + saturation).clip(0, 255), (levels + value).clip(0, 255))
    for channel, (shift, table) in enumerate(zip((hue, saturation, value), tables, strict=True)):
        if shift:
            plane = cv2.LUT(cv2.extractChannel(hsv, channel), table.astype(np.uint8))
            cv2.insertChannel(plane, hsv, channel)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=hsv)

"""Files that the tests of converters write."""

import cv2
import numpy as np


def write_image(path, size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, 'utf-8', 'surrogateescape')

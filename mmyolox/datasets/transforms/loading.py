"""The first steps of every pipeline: an image's pixels and its annotations."""

import logging

import cv2
import mmengine
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmyolox.registry import TRANSFORMS
from mmyolox.utils.errors import UserError

from .instances import IGNORED
from .scene import FILL, Scene

_READ_FLAGS = {
    'color': cv2.IMREAD_COLOR,
    'grayscale': cv2.IMREAD_GRAYSCALE,
    'unchanged': cv2.IMREAD_UNCHANGED,
}


class UndecodableImageError(Exception):
    """An image file that is missing, empty or not an image.

    Attributes:
        path: the file.
        sample_idx: its index in the data set, -1 outside of one.
    """

    def __init__(self, path: str, sample_idx: int = -1) -> None:
        super().__init__(f'cannot decode the image {path}')
        self.path = path
        self.sample_idx = sample_idx


def read_image(path: str, color_type: str = 'color', backend_args: dict | None = None) -> np.ndarray:
    """Reads an image file.

    Args:
        path: a local path, or one that ``backend_args`` can read.
        color_type: ``color`` (BGR, EXIF orientation applied), ``grayscale`` or ``unchanged``.
        backend_args: of :func:`mmengine.fileio.get`.

    Returns:
        (h, w, channels) uint8, contiguous.

    Raises:
        UndecodableImageError: the file cannot be read or is not an image.
    """
    try:
        content = mmengine.fileio.get(path, backend_args=backend_args)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), _READ_FLAGS[color_type])
    except (OSError, cv2.error) as error:
        raise UndecodableImageError(path) from error
    if pixels is None or pixels.dtype != np.uint8:
        raise UndecodableImageError(path)
    return pixels.reshape(*pixels.shape[:2], -1)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Reads ``img_path`` and begins the sample's scene with it.

    Adds ``scene``, ``ori_shape`` and ``img_shape`` (h, w), and ``matrix``, the (3, 3) map from the original
    image to the current canvas that later geometric steps extend.

    Args:
        color_type: see :func:`read_image`.
        tolerant: an undecodable file becomes a grey image of the annotated size and a warning that names
            it, so that one bad file does not end a night's validation. Training replaces the sample
            instead and needs no tolerance.
        backend_args: of :func:`mmengine.fileio.get`.
    """

    def __init__(
        self, color_type: str = 'color', tolerant: bool = False, backend_args: dict | None = None
    ) -> None:
        if color_type not in _READ_FLAGS:
            raise UserError(f'LoadImage: color_type={color_type!r} is not one of {sorted(_READ_FLAGS)}')
        self.color_type = color_type
        self.tolerant = tolerant
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        try:
            pixels = read_image(results['img_path'], self.color_type, self.backend_args)
        except UndecodableImageError as error:
            if not self.tolerant:
                raise UndecodableImageError(error.path, results.get('sample_idx', -1)) from error
            print_log(f'{error}; a grey image takes its place', 'current', logging.WARNING)
            channels = 1 if self.color_type == 'grayscale' else 3
            pixels = np.full((results['height'], results['width'], channels), FILL, np.uint8)
        return begin_scene(results, pixels)


def begin_scene(results: dict, pixels: np.ndarray) -> dict:
    """Starts a sample from pixels (h, w, channels) uint8, in place."""
    results['scene'] = Scene.of(pixels)
    results['ori_shape'] = results['img_shape'] = pixels.shape[:2]
    results['matrix'] = np.eye(3)
    return results


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Begins the instance arrays ``gt_*`` from the data set's ``bboxes``, ``labels`` and ``is_crowd``.

    Args:
        ignore_crowd: keep crowd (COCO) and difficult (VOC) boxes as regions in which the objectness is not
            trained. False drops them, so that their area trains as background: what the published
            results were obtained with.
    """

    def __init__(self, ignore_crowd: bool = False) -> None:
        self.ignore_crowd = ignore_crowd

    def transform(self, results: dict) -> dict:
        bboxes, labels, is_crowd = results['bboxes'], results['labels'], results['is_crowd']
        if self.ignore_crowd:
            labels = np.where(is_crowd, IGNORED, labels)
        else:
            bboxes, labels = bboxes[~is_crowd], labels[~is_crowd]
        results['gt_bboxes'] = bboxes.astype(np.float32)
        results['gt_bboxes_labels'] = labels.astype(np.int64)
        return results

"""The first steps of every pipeline: an image's pixels and its annotations."""

import logging
from functools import partial

import cv2
import mmengine
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmyolox.datasets.canvas.images import EncodedJpeg, ImageSource, Pixels, UndecodableImageError
from mmyolox.datasets.canvas.instances import IGNORED, keep_instances
from mmyolox.datasets.canvas.jpeg import read_jpeg_header
from mmyolox.datasets.canvas.scene import FILL, Scene
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

_READ_FLAGS = {
    'color': cv2.IMREAD_COLOR,
    'grayscale': cv2.IMREAD_GRAYSCALE,
    'unchanged': cv2.IMREAD_UNCHANGED,
}
_LAZY_CHANNELS = {'color': 3, 'grayscale': 1}


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
    return _decode(path, _read_file(path, backend_args), _READ_FLAGS[color_type])


def _read_file(path: str, backend_args: dict | None) -> bytes:
    try:
        return mmengine.fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise UndecodableImageError(path) from error


def _decode(path: str, content: bytes, flags: int) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise UndecodableImageError(path) from error
    if pixels is None or pixels.dtype != np.uint8:
        raise UndecodableImageError(path)
    return pixels.reshape(*pixels.shape[:2], -1)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Reads ``img_path`` and begins the sample's scene with it.

    Adds ``scene``, ``ori_shape`` and ``img_shape`` (h, w), and ``matrix``, the (3, 3) map from the original
    image to the current canvas that later geometric steps extend.

    A plain JPEG file (8 bits, grey or YCbCr, upright) is decoded when it is drawn, if it is. Other
    files are decoded at once: CMYK and lossless JPEG, PNG (16 bits a channel are scaled down to 8), ...

    EXIF's orientation is applied, as in MMDetection, Detectron2 and Megvii's YOLOX, unless the annotated
    ``height`` and ``width`` fit the image as it is stored and not as it is turned: then the boxes were drawn
    on the stored pixels, as by tools that ignore EXIF (pycocotools among them), and so are ours.

    Args:
        color_type: see :func:`read_image`.
        tolerant: an undecodable file becomes a grey image of the annotated size and a warning that names
            it, so that one bad file does not end a night's validation. Training replaces the sample
            instead and needs no tolerance.
        max_shrink: decode plain JPEG files up to this many times smaller (1, 2, 4 or 8) where the scene
            shows them at least as much smaller. Faster, and averages where bilinear interpolation would skip
            pixels, so that values differ; see docs/speed.md for how much.
        backend_args: of :func:`mmengine.fileio.get`.
    """

    def __init__(
        self,
        color_type: str = 'color',
        tolerant: bool = False,
        max_shrink: int = 1,
        backend_args: dict | None = None,
    ) -> None:
        if color_type not in _READ_FLAGS:
            raise UserError(f'LoadImage: color_type={color_type!r} is not one of {sorted(_READ_FLAGS)}')
        if max_shrink not in (1, 2, 4, 8):
            raise UserError(f'LoadImage: max_shrink={max_shrink} is not one of 1, 2, 4 and 8')
        self.color_type = color_type
        self.tolerant = tolerant
        self.max_shrink = max_shrink
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        try:
            source = self._open(results)
        except UndecodableImageError as error:
            if not self.tolerant:
                raise UndecodableImageError(error.path, results.get('sample_idx', -1)) from error
            print_log(f'{error}; a grey image takes its place', 'current', logging.WARNING)
            channels = 1 if self.color_type == 'grayscale' else 3
            source = Pixels(np.full((results['height'], results['width'], channels), FILL, np.uint8))
        return _begin_scene(results, source)

    def _open(self, results: dict) -> ImageSource:
        idx, cache = results.get('sample_idx', -1), getattr(results.get('dataset'), 'image_cache', None)
        cached = None if cache is None else cache.get(idx)
        if cached is not None:
            return Pixels(cached)
        path = results['img_path']
        content = _read_file(path, self.backend_args)
        header = read_jpeg_header(content)
        channels = _LAZY_CHANNELS.get(self.color_type)
        if header and header.orientation == 1 and channels and not self.tolerant:
            remember = None if cache is None else partial(cache.put, idx)
            # What is to be remembered is decoded in full.
            max_shrink = 1 if remember else self.max_shrink
            return EncodedJpeg(path, content, header, channels, max_shrink, idx, remember)
        pixels = self._decode_as_annotated(results, content)
        if cache is not None:
            cache.put(idx, pixels)
        return Pixels(pixels)

    def _decode_as_annotated(self, results: dict, content: bytes) -> np.ndarray:
        flags = _READ_FLAGS[self.color_type]
        turned = _decode(results['img_path'], content, flags)
        annotated = (results.get('height'), results.get('width'))
        if turned.shape[:2] == annotated or turned.shape[1::-1] != annotated:
            return turned
        stored = _decode(results['img_path'], content, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        return stored if stored.shape[:2] == annotated else turned


def begin_scene(results: dict, pixels: np.ndarray) -> dict:
    """Starts a sample from pixels (h, w, channels) uint8, in place."""
    return _begin_scene(results, Pixels(pixels))


def _begin_scene(results: dict, source: ImageSource) -> dict:
    width, height = source.size
    results['scene'] = Scene.showing(source)
    results['ori_shape'] = results['img_shape'] = (height, width)
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
        results.update(self.load_instances(results))
        if not self.ignore_crowd:
            keep_instances(results, ~results['is_crowd'])
        return results

    def load_instances(self, results: dict) -> dict[str, np.ndarray]:
        """New arrays ``gt_*`` with a row for every annotation; those that load more than boxes add theirs."""
        labels = np.where(results['is_crowd'], IGNORED, results['labels'])
        return dict(gt_bboxes=results['bboxes'].astype(np.float32), gt_bboxes_labels=labels.astype(np.int64))

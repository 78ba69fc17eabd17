"""The first steps of every pipeline: an image's pixels and its annotations."""

import io
import logging
from functools import partial

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmyolox.datasets.canvas.geometry import IGNORED, keep_instances
from mmyolox.datasets.canvas.images import (
    READ_FLAGS,
    EncodedJpeg,
    ImageSource,
    Pixels,
    UndecodableImageError,
    decode_image,
    is_annotated_size,
    read_file,
    read_header,
    read_jpeg_header,
    turned_back,
)
from mmyolox.datasets.canvas.scene import FILL, Scene
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

_COLOR_CHANNELS = {'color': 3, 'grayscale': 1}
_MAX_CHANNELS = 512
"""What OpenCV draws at most."""


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
        color_type: The form of the pixels, see :func:`read_image`.
        tolerant: Whether an undecodable file becomes a grey image of the annotated size and a warning that
            names it, so that one bad file does not end a night's validation. Training replaces the sample
            instead and needs no tolerance.
        max_shrink: How many times smaller (1, 2, 4 or 8) plain JPEG files may be decoded where the scene
            shows them at least as much smaller. This is faster, and averages where bilinear interpolation
            would skip pixels, so that values differ.
        backend_args: The arguments of :func:`mmengine.fileio.get`.
        channels: How many channels an image must have, for ``color_type='unchanged'``; an image with another
            number is an error, in training too. By default 3 for ``color``, 1 for ``grayscale``, and any
            number for ``unchanged``, where images of several numbers cannot come into one picture or batch.
    """

    def __init__(
        self,
        color_type: str = 'color',
        tolerant: bool = False,
        max_shrink: int = 1,
        backend_args: dict | None = None,
        channels: int | None = None,
    ) -> None:
        if color_type not in READ_FLAGS:
            raise UserError(f'LoadImage: color_type={color_type!r} is not one of {sorted(READ_FLAGS)}')
        if max_shrink not in (1, 2, 4, 8):
            raise UserError(f'LoadImage: max_shrink={max_shrink} is not one of 1, 2, 4 and 8')
        of_color_type = _COLOR_CHANNELS.get(color_type)
        if channels is not None and channels != (of_color_type or channels):
            raise UserError(
                f'LoadImage: color_type={color_type!r} gives {of_color_type} channel(s), channels={channels} '
                "needs color_type='unchanged'"
            )
        if channels is not None and not 1 <= channels <= _MAX_CHANNELS:
            raise UserError(f'LoadImage: channels={channels} must lie in [1, {_MAX_CHANNELS}]')
        self.color_type = color_type
        self.tolerant = tolerant
        self.max_shrink = max_shrink
        self.backend_args = backend_args
        self.channels = channels or of_color_type

    def transform(self, results: dict) -> dict:
        try:
            source = self._open(results)
            width, height = source.size
            annotated = Size(results.get('width', width), results.get('height', height))
            if not is_annotated_size(source.size, annotated):
                raise UndecodableImageError(
                    results['img_path'],
                    reason=f'{width} x {height} pixels, annotated {annotated.width} x {annotated.height}',
                )
        except UndecodableImageError as error:
            if not self.tolerant:
                raise UndecodableImageError(
                    error.path, results.get('sample_idx', -1), error.reason
                ) from error
            print_log(f'{error}; a grey image takes its place', 'current', logging.WARNING)
            shape = (results['height'], results['width'], self.channels or 3)
            source = Pixels(np.full(shape, FILL, np.uint8))
        return begin_scene(results, source)

    def _open(self, results: dict) -> ImageSource:
        idx, cache = results.get('sample_idx', -1), getattr(results.get('dataset'), 'image_cache', None)
        cached = None if cache is None else cache.get(idx)
        if cached is not None:
            return Pixels(cached)
        path = results['img_path']
        content = read_file(path, self.backend_args)
        header = read_jpeg_header(content)
        channels = _COLOR_CHANNELS.get(self.color_type)
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
        path, flags = results['img_path'], READ_FLAGS[self.color_type]
        turned = decode_image(path, content, flags, self.channels)
        size = Size.of_shape(turned.shape)
        annotated = Size(results.get('width', size.width), results.get('height', size.height))
        if size == annotated or not is_annotated_size(Size(*reversed(size)), annotated):
            return turned
        stored = decode_image(path, content, flags | cv2.IMREAD_IGNORE_ORIENTATION, self.channels)
        if stored.shape == turned.shape:  # OpenCV turns TIFF files whatever the flag says
            stored = turned_back(stored, read_header(io.BytesIO(content)).orientation)

        def distance(pixels: np.ndarray) -> int:
            return abs(pixels.shape[0] - annotated.height) + abs(pixels.shape[1] - annotated.width)

        return min((turned, stored), key=distance)


def begin_scene(results: dict, image: ImageSource | np.ndarray) -> dict:
    """Starts a sample from an image, or from pixels (h, w, channels) uint8, in place."""
    source = Pixels(image) if isinstance(image, np.ndarray) else image
    results['scene'] = Scene.showing(source)
    results['ori_shape'] = results['img_shape'] = source.size.shape_hw
    results['matrix'] = np.eye(3)
    return results


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Begins the instance arrays ``gt_*`` from the data set's ``bboxes``, ``labels`` and ``is_crowd``.

    Args:
        ignore_crowd: Whether to keep crowd (COCO) and difficult (VOC) boxes as regions in which the
            objectness is not trained. False drops them, so that their area trains as background: what the
            published results were obtained with.
    """

    def __init__(self, ignore_crowd: bool = False) -> None:
        self.ignore_crowd = ignore_crowd

    def transform(self, results: dict) -> dict:
        results.update(self.load_instances(results))
        if not self.ignore_crowd:
            keep_instances(results, ~results['is_crowd'])
        return results

    def load_instances(self, results: dict) -> dict[str, np.ndarray]:
        """The new arrays ``gt_*``, one entry an annotation; those that load more than boxes add theirs."""
        labels = np.where(results['is_crowd'], IGNORED, results['labels'])
        return dict(gt_bboxes=results['bboxes'].astype(np.float32), gt_bboxes_labels=labels.astype(np.int64))

"""Transforms that move things and touch no pixel: they multiply the scene's and the boxes' matrices."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.geometry import (
    Size,
    fit_matrix,
    horizontal_flip,
    rotation,
    scaling,
    shearing,
    translation,
)
from mmyolox.datasets.canvas.instances import map_instances
from mmyolox.datasets.canvas.scene import take_scene
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS


def move_sample(results: dict, matrix: np.ndarray, size: Size) -> dict:
    """Maps a sample's picture and instances onto a canvas of ``size`` (w, h), in place."""
    results['scene'] = take_scene(results).moved(matrix, size)
    results['img_shape'] = (size[1], size[0])
    if 'matrix' in results:
        results['matrix'] = matrix @ results['matrix']
    if 'gt_bboxes' in results:
        map_instances(results, matrix, size)
    return results


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Scales the image to fit into ``img_scale``, aspect ratio kept, at the top left of a grey canvas.

    The preprocessing of Megvii's YOLOX (``preproc``), with its rounding.

    Args:
        ratio: of the canvas to the data set's ``img_scale``, for test-time augmentation at several sizes.
    """

    def __init__(self, ratio: float = 1.0) -> None:
        self.ratio = ratio

    def transform(self, results: dict) -> dict:
        height, width = results['img_shape']
        canvas = (round(results['img_scale'][0] * self.ratio), round(results['img_scale'][1] * self.ratio))
        return move_sample(results, fit_matrix((width, height), canvas), canvas)


@TRANSFORMS.register_module()
class RandomAffine(BaseTransform):
    """Scales, rotates, shears and translates at random, about the top left corner, as YOLOX does.

    Applied to a mosaic (a canvas twice the data set's ``img_scale``) or to a letterboxed image alike: the
    result is always the top left ``img_scale`` part of the moved canvas; there is no border to subtract.

    Args:
        max_rotate_degree: rotation, uniform in plus or minus this.
        max_translate_ratio: translation, uniform in plus or minus this share of ``img_scale``.
        scaling_ratio_range: scale factor, uniform.
        max_shear_degree: shear of each axis, uniform in plus or minus this.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        scaling_ratio_range: tuple[float, float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
    ) -> None:
        if not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            raise UserError(
                f'RandomAffine: scaling_ratio_range={scaling_ratio_range} must be (low, high), '
                '0 < low <= high'
            )
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = scaling_ratio_range
        self.max_shear_degree = max_shear_degree

    def transform(self, results: dict) -> dict:
        img_scale = results['img_scale']
        return move_sample(results, self.draw_matrix(results['rng'], img_scale), img_scale)

    def draw_matrix(self, rng: np.random.Generator, img_scale: Size) -> np.ndarray:
        """Draws a (3, 3) float64 matrix in continuous pixel coordinates."""
        degrees = rng.uniform(-self.max_rotate_degree, self.max_rotate_degree)
        ratio = rng.uniform(*self.scaling_ratio_range)
        shear = rng.uniform(-self.max_shear_degree, self.max_shear_degree, 2)
        shift = rng.uniform(-self.max_translate_ratio, self.max_translate_ratio, 2) * img_scale
        return translation(*shift) @ shearing(*shear) @ rotation(degrees) @ scaling(ratio, ratio)


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirrors left and right with probability ``prob``."""

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def transform(self, results: dict) -> dict:
        if results['rng'].random() >= self.prob:
            return results
        height, width = results['img_shape']
        return move_sample(results, horizontal_flip(width), (width, height))

"""Augmentation of YOLOv5's kind, which MindYOLO's recipe for YOLOX uses.

The distributions are those of MindYOLO 0.5 (``mindyolo/data/dataset.py``).
"""

from collections.abc import Sequence

import numpy as np

from mmyolox.datasets.canvas.geometry import add_instances
from mmyolox.datasets.canvas.scene import take_scene
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

from .augmentations import HSVTransform, PartnerTransform


@TRANSFORMS.register_module()
class BetaMixUp(PartnerTransform):
    """Averages the sample with another one of the same size, by weights of a beta distribution.

    Args:
        pre_transform: The steps of the partner. They make the size that the sample has here.
        alpha: The first parameter of the distribution of the sample's own weight.
        beta: The second one.
        prob: The share of samples that are blended.
    """

    def __init__(
        self, pre_transform: Sequence[dict], alpha: float = 8.0, beta: float = 8.0, prob: float = 1.0
    ) -> None:
        super().__init__(pre_transform, prob)
        if not (alpha > 0 and beta > 0):
            raise UserError(f'BetaMixUp: alpha={alpha} and beta={beta} must be above 0')
        self.alpha = alpha
        self.beta = beta

    def transform(self, results: dict) -> dict:
        rng = results['rng']
        if rng.random() >= self.prob:
            return results
        share = float(rng.beta(self.alpha, self.beta))
        partner = self.load_partner(results)
        if partner['img_shape'] != results['img_shape']:
            raise UserError(
                f'BetaMixUp: the partner has (h, w)={partner["img_shape"]}, the sample '
                f'{results["img_shape"]}: let pre_transform end in the same size, by an affine or Letterbox'
            )
        results['scene'] = take_scene(results).blended_with(take_scene(partner), share)
        add_instances(results, [partner])
        results.pop('matrix', None)
        return results


@TRANSFORMS.register_module()
class RandomHSVGains(HSVTransform):
    """Multiplies hue, saturation and value by random factors.

    Args:
        hue: The factor of the hue, uniform in 1 plus or minus this; the hue wraps around.
        saturation: The same of the saturation, which saturates.
        value: The same of the value.
    """

    def __init__(self, hue: float = 0.015, saturation: float = 0.7, value: float = 0.4) -> None:
        self.gains = np.array([hue, saturation, value])

    def draw_tables(self, rng: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws the tables of products."""
        hue, saturation, value = 1 + rng.uniform(-1, 1, 3) * self.gains
        levels = np.arange(256)
        return levels * hue % 180, (levels * saturation).clip(0, 255), (levels * value).clip(0, 255)

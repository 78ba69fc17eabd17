"""Transforms that bring other images of the data set into a sample."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmyolox.datasets.canvas.geometry import Size, horizontal_flip, scaling, translation
from mmyolox.datasets.canvas.instances import add_instances
from mmyolox.datasets.canvas.layer import Layer
from mmyolox.datasets.canvas.scene import Sample, Scene, take_scene
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS

from .geometric import Letterbox, move_sample


class _PartnerTransform(BaseTransform):
    """A transform that loads further samples of ``results['dataset']``.

    Args:
        pre_transform: the loading steps that a partner goes through.
        prob: how often the transform is applied.
    """

    def __init__(self, pre_transform: Sequence[dict], prob: float) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'{type(self).__name__}: prob={prob} must lie in [0, 1]')
        self.pre_transform = Compose(pre_transform)
        self.prob = prob

    def load_partner(self, results: dict, tries: int = 1) -> dict:
        """Takes a random sample of the same data set, in pixels of its original image.

        It is one of the ``recent_samples``, where there are any (see :class:`RecentSamples`), or loaded.

        Args:
            results: the sample that wants a partner.
            tries: how many are looked at for one that has annotations; the last one is taken as it is.
        """
        dataset, rng, recent = results['dataset'], results['rng'], results.get('recent_samples', ())
        for _ in range(tries):
            idx = int(rng.integers(len(recent) or len(dataset)))
            info = recent[idx] if recent else dataset.get_data_info(idx)
            if len(info['labels']):
                break
        partner = Sample(info, dataset=dataset, rng=rng, img_scale=results['img_scale'])
        return partner if recent else self.pre_transform(partner)


@TRANSFORMS.register_module()
class Mosaic(_PartnerTransform):
    """Puts the image and three others around a random centre of a canvas twice the input's size.

    The sampling is that of YOLOX (Ge et al. 2021, section 2.1) as in MMDetection 3.3: every image is scaled
    to fit ``img_scale`` and laid with one corner on the centre. A sample that is left alone (``prob`` < 1)
    is letterboxed to ``img_scale``, so that whatever follows finds the geometry that it expects.

    Args:
        pre_transform: the loading steps of the three partners.
        center_ratio_range: the centre, uniform in this range times ``img_scale``.
        prob: share of samples that become a mosaic.
    """

    def __init__(
        self,
        pre_transform: Sequence[dict],
        center_ratio_range: tuple[float, float] = (0.5, 1.5),
        prob: float = 1.0,
    ) -> None:
        super().__init__(pre_transform, prob)
        self.center_ratio_range = center_ratio_range
        self._letterbox = Letterbox()

    def transform(self, results: dict) -> dict:
        rng, (width, height) = results['rng'], results['img_scale']
        if rng.random() >= self.prob:
            return self._letterbox(results)
        center = (rng.uniform(*self.center_ratio_range, 2) * (width, height)).astype(int)
        partners = [self.load_partner(results) for _ in range(3)]
        canvas = (2 * width, 2 * height)
        layers: list[Layer] = []
        for quadrant, tile in enumerate([results, *partners]):
            move_sample(tile, _tile_matrix(tile, center, quadrant), canvas)
            layers.extend(take_scene(tile).layers)
        add_instances(results, partners)
        results.pop('matrix', None)
        results['scene'] = Scene(canvas, tuple(layers))
        return results


def _tile_matrix(tile: dict, center: np.ndarray, quadrant: int) -> np.ndarray:
    """Maps a sample into its quadrant around the centre: top left, top right, bottom left, bottom right."""
    height, width = tile['img_shape']
    ratio = _fit_ratio(tile)
    x, y = center
    if quadrant in (0, 2):
        x -= int(width * ratio)
    if quadrant in (0, 1):
        y -= int(height * ratio)
    return translation(x, y) @ scaling(ratio, ratio)


def _fit_ratio(results: dict) -> float:
    """The scale at which a sample just fits into its data set's ``img_scale``."""
    height, width = results['img_shape']
    return min(results['img_scale'][0] / width, results['img_scale'][1] / height)


@TRANSFORMS.register_module()
class YOLOXMixUp(_PartnerTransform):
    """Averages the sample with another image of the data set; both keep their boxes.

    The partner is scaled to fit the data set's ``img_scale``, jittered by ``ratio_range``, perhaps flipped,
    padded with grey and cropped at a random place to the sample's canvas. Sampling as in MMDetection 3.3's
    ``MixUp``, but for two faults of it: ``flip_ratio`` is the share that is flipped, and a partner without
    objects is blended.

    Args:
        pre_transform: the loading steps of the partner.
        ratio_range: scale jitter of the partner, uniform.
        flip_ratio: share of partners that are mirrored.
        prob: share of samples that are blended.
        max_iters: how many partners are tried for one that has objects.
    """

    def __init__(
        self,
        pre_transform: Sequence[dict],
        ratio_range: tuple[float, float] = (0.5, 1.5),
        flip_ratio: float = 0.5,
        prob: float = 1.0,
        max_iters: int = 15,
    ) -> None:
        super().__init__(pre_transform, prob)
        self.ratio_range = ratio_range
        self.flip_ratio = flip_ratio
        self.max_iters = max_iters

    def transform(self, results: dict) -> dict:
        if results['rng'].random() >= self.prob:
            return results
        partner = self.load_partner(results, self.max_iters)
        height, width = results['img_shape']
        self._place(partner, (width, height))
        results['scene'] = take_scene(results).blended_with(take_scene(partner))
        add_instances(results, [partner])
        results.pop('matrix', None)
        return results

    def _place(self, partner: dict, size: Size) -> None:
        """Moves the partner onto a canvas of ``size`` (w, h), in place."""
        rng: np.random.Generator = partner['rng']
        jitter = rng.uniform(*self.ratio_range)
        is_flipped = rng.random() < self.flip_ratio
        ratio = _fit_ratio(partner) * jitter
        padded = (int(partner['img_scale'][0] * jitter), int(partner['img_scale'][1] * jitter))
        offset = [int(rng.integers(max(0, a - b) or 1)) for a, b in zip(padded, size, strict=True)]
        move_sample(partner, scaling(ratio, ratio), padded)
        if is_flipped:
            move_sample(partner, horizontal_flip(padded[0]), padded)
        move_sample(partner, translation(-offset[0], -offset[1]), size)

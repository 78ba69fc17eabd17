"""What is done to a sample between loading and packing, by one image alone or with others of the data set.

The transforms that move things touch no pixel: they multiply the matrices of the scene and the instances.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmyolox.datasets.canvas.geometry import (
    add_instances,
    fit_matrix,
    horizontal_flip,
    instance_keys,
    map_instances,
    rotation,
    scaling,
    shearing,
    translation,
)
from mmyolox.datasets.canvas.scene import Layer, Sample, Scene, take_image, take_scene
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.registry import TRANSFORMS
from mmyolox.utils.memory import available_memory


def move_sample(results: dict, matrix: np.ndarray, size: Size) -> dict:
    """Maps a sample's picture and instances onto a canvas of ``size``, in place."""
    results['scene'] = take_scene(results).moved(matrix, size)
    results['img_shape'] = size.shape_hw
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
        ratio: The canvas as a share of the data set's ``img_scale``, for test-time augmentation at several
            sizes.
    """

    def __init__(self, ratio: float = 1.0) -> None:
        self.ratio = ratio

    def transform(self, results: dict) -> dict:
        img_scale = results['img_scale']
        canvas = Size(round(img_scale.width * self.ratio), round(img_scale.height * self.ratio))
        return move_sample(results, fit_matrix(Size.of_shape(results['img_shape']), canvas), canvas)


@TRANSFORMS.register_module()
class RandomAffine(BaseTransform):
    """Scales, rotates, shears and translates at random, about one point, onto a canvas of ``img_scale``.

    It takes a mosaic (a canvas twice the data set's ``img_scale``) or a letterboxed image alike; there is no
    border to subtract. YOLOX's point is the top left corner. A mosaic that is moved about it leaves much of
    the result grey, 43% on average of photographs of 4:3; about the centres, 11%.

    Args:
        max_rotate_degree: The rotation, uniform in plus or minus this.
        max_translate_ratio: The translation, uniform in plus or minus this share of ``img_scale``.
        scaling_ratio_range: The range of the scale factor, uniform.
        max_shear_degree: The shear of each axis, uniform in plus or minus this.
        anchor: The point that stays in its place, but for the translation, as shares (x, y) of width and
            height: (0, 0) is the top left corner of both canvases, (0.5, 0.5) the centres.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        scaling_ratio_range: tuple[float, float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
        anchor: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        if not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            range_ = f'scaling_ratio_range={scaling_ratio_range}'
            raise UserError(f'RandomAffine: {range_} must be (low, high), 0 < low <= high')
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = scaling_ratio_range
        self.max_shear_degree = max_shear_degree
        self.anchor = np.array(anchor)

    def transform(self, results: dict) -> dict:
        img_scale = results['img_scale']
        to_origin = translation(*(-self.anchor * Size.of_shape(results['img_shape'])))
        from_origin = translation(*(self.anchor * img_scale))
        matrix = from_origin @ self.draw_matrix(results['rng'], img_scale) @ to_origin
        return move_sample(results, matrix, img_scale)

    def draw_matrix(self, rng: np.random.Generator, img_scale: Size) -> np.ndarray:
        """Draws a (3, 3) float64 matrix in continuous pixel coordinates, about the origin."""
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
        size = Size.of_shape(results['img_shape'])
        return move_sample(results, horizontal_flip(size.width), size)


class HSVTransform(BaseTransform):
    """A transform of the colours alone, by a table for each of hue, saturation and value.

    The arithmetic is done once per grey level, with results equal to doing it per pixel. Of images with more
    than three channels the first three are blue, green and red; the others stay as they are.
    """

    def draw_tables(self, rng: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws the tables, see :func:`map_hsv`."""
        raise NotImplementedError

    def check_channels(self, channels: int) -> None:
        """Raises a :class:`UserError` if images have too few channels to have colours."""
        if channels < 3:
            raise UserError(
                f'{type(self).__name__} needs images in colour, these have {channels} channel(s); leave it '
                'out of the pipeline'
            )

    def transform(self, results: dict) -> dict:
        tables = self.draw_tables(results['rng'])
        image = take_image(results)
        self.check_channels(image.shape[2])
        results['img'] = map_hsv(image, tables)
        return results


@TRANSFORMS.register_module()
class YOLOXHSVRandomAug(HSVTransform):
    """Shifts hue, saturation and value by random amounts, each with probability one half.

    The distribution is Megvii YOLOX's ``augment_hsv``.

    Args:
        hue_delta: The largest shift of the hue, in OpenCV's 180 steps; it wraps around.
        saturation_delta: The largest shift of the saturation (0-255), saturating.
        value_delta: The largest shift of the value (0-255), saturating.
    """

    def __init__(self, hue_delta: int = 5, saturation_delta: int = 30, value_delta: int = 30) -> None:
        self.deltas = np.array([hue_delta, saturation_delta, value_delta])

    def draw_tables(self, rng: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws the tables of whole shifts."""
        return shift_tables(*(rng.uniform(-1, 1, 3) * self.deltas * rng.integers(0, 2, 3)).astype(int))


def shift_tables(hue: int, saturation: int, value: int) -> Sequence[np.ndarray]:
    """The tables for :func:`map_hsv` that shift by whole steps of OpenCV's HSV.

    Args:
        hue: The shift in steps of two degrees; it wraps around.
        saturation: The shift in grey levels; it saturates.
        value: The same of the value.
    """
    levels = np.arange(256)
    return (levels + hue) % 180, (levels + saturation).clip(0, 255), (levels + value).clip(0, 255)


def map_hsv(image: np.ndarray, tables: Sequence[np.ndarray]) -> np.ndarray:
    """Maps an image's hue, saturation and value in OpenCV's HSV through a table each.

    Args:
        image: (h, w, channels) uint8, the first three of at least three channels are BGR.
        tables: Three arrays (256,) of values within 0 to 255, which are cut to whole numbers; of the hue's
            the first 180 are read.

    Returns:
        A new image.
    """
    if image.shape[2] > 3:
        mapped = image.copy()
        mapped[..., :3] = map_hsv(np.ascontiguousarray(image[..., :3]), tables)
        return mapped
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    # Plane by plane, and only where something changes: OpenCV's three-channel LUT is slow.
    for channel, (table, last) in enumerate(zip(tables, (180, 256, 256), strict=True)):
        whole = np.asarray(table).astype(np.uint8)
        if (whole[:last] != np.arange(last)).any():
            plane = cv2.LUT(cv2.extractChannel(hsv, channel), whole)
            cv2.insertChannel(plane, hsv, channel)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=hsv)


_ENOUGH = 4
"""How many different partners there must be before they are preferred to loading new ones; as in RTMDet."""


@TRANSFORMS.register_module()
class RecentSamples(BaseTransform):
    """Keeps the samples loaded last, from which the mosaic and the mixup that follow take their partners.

    Of the five images of a YOLOX sample only one is then read and decoded: RTMDet's cached mosaic and mixup
    (Lyu et al. 2022, section 3.4; MMDetection 3.3, ``CachedMosaic`` and ``CachedMixUp`` with ``random_pop``).
    Here both share one memory, and the partner of a mixup is a plain image, as in YOLOX. Every data worker
    has a memory of its own, which is empty when an epoch begins (partners are loaded until it holds a few):
    samples are a function of seed, epoch and number of workers, and a resumed run sees the same ones.

    Belongs right behind the loading steps.

    Args:
        max_images: How many samples are remembered; one at random makes room for the next.
        max_megabytes: How much memory their decoded pixels may take in each worker.
    """

    def __init__(self, max_images: int = 40, max_megabytes: int = 256) -> None:
        if max_images < _ENOUGH or max_megabytes < 1:
            raise UserError(
                f'RecentSamples: max_images={max_images} must be at least {_ENOUGH}, '
                f'max_megabytes={max_megabytes} at least 1'
            )
        free = available_memory() / 1e6
        if max_megabytes > free:
            raise UserError(
                f'RecentSamples: max_megabytes={max_megabytes} for each worker is more than the '
                f'{free:.0f} MB of memory that are free'
            )
        self.max_images = max_images
        self.max_bytes = max_megabytes * 1_000_000
        self._samples: list[dict] = []
        self._draw_key: tuple[int, int] | None = None

    def transform(self, results: dict) -> dict:
        if self._draw_key != results['dataset'].draw_key:
            self._draw_key = results['dataset'].draw_key
            self._samples.clear()
        results['cached_samples'] = list(self._samples) if len(self._samples) >= _ENOUGH else []
        # Later steps change neither scenes nor these copies of the instances.
        shared = {'dataset', 'rng', 'img_scale', 'cached_samples'}
        kept = {key: value for key, value in results.items() if key not in shared}
        self._samples.append(kept | {key: results[key].copy() for key in instance_keys(results)})
        while len(self._samples) > self.max_images or self.num_bytes > self.max_bytes:
            self._samples.pop(int(results['rng'].integers(len(self._samples))))
        return results

    @property
    def num_bytes(self) -> int:
        """What the pixels of the cached samples take when all are decoded."""
        return sum(layer.source.num_bytes for sample in self._samples for layer in sample['scene'].layers)


class PartnerTransform(BaseTransform):
    """A transform that loads further samples of ``results['dataset']``.

    Args:
        pre_transform: The loading steps that a partner goes through.
        prob: How often the transform is applied.
    """

    def __init__(self, pre_transform: Sequence[dict], prob: float) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'{type(self).__name__}: prob={prob} must lie in [0, 1]')
        self.pre_transform = Compose(pre_transform)
        self.prob = prob

    def load_partner(self, results: dict, tries: int = 1) -> dict:
        """Takes a random sample of the same data set, in pixels of its original image.

        It is one of the ``cached_samples``, where there are any (see :class:`RecentSamples`), or read.

        Args:
            results: The sample that wants a partner.
            tries: How many partners are looked at for one that has annotations; the last one is taken as it
                is.
        """
        dataset, rng, cached = results['dataset'], results['rng'], results.get('cached_samples', ())
        for _ in range(tries):
            if cached:
                info = cached[int(rng.integers(len(cached)))]
            else:
                info = dataset.get_data_info(dataset.draw_partner(rng))
            if len(info['labels']):
                break
        partner = Sample(info, dataset=dataset, rng=rng, img_scale=results['img_scale'])
        return partner if cached else self.pre_transform(partner)


@TRANSFORMS.register_module()
class Mosaic(PartnerTransform):
    """Puts the image and three others around a random centre of a canvas twice the input's size.

    The sampling is that of YOLOX (Ge et al. 2021, section 2.1) as in MMDetection 3.3: every image is scaled
    to fit ``img_scale`` and laid with one corner on the centre. A sample that is left alone (``prob`` < 1)
    is letterboxed to ``img_scale``, so that whatever follows finds the geometry that it expects.

    Args:
        pre_transform: The loading steps of the three partners.
        center_ratio_range: The centre, uniform in this range times ``img_scale``.
        prob: The share of samples that become a mosaic.
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
        rng, img_scale = results['rng'], results['img_scale']
        if rng.random() >= self.prob:
            return self._letterbox(results)
        center = (rng.uniform(*self.center_ratio_range, 2) * img_scale).astype(int)
        partners = [self.load_partner(results) for _ in range(3)]
        canvas = Size(2 * img_scale.width, 2 * img_scale.height)
        layers: list[Layer] = []
        # Top left, top right, bottom left and bottom right of the centre.
        for quadrant, tile in enumerate([results, *partners]):
            size, ratio = Size.of_shape(tile['img_shape']), _fit_ratio(tile)
            x, y = center
            if quadrant in (0, 2):
                x -= int(size.width * ratio)
            if quadrant in (0, 1):
                y -= int(size.height * ratio)
            move_sample(tile, translation(x, y) @ scaling(ratio, ratio), canvas)
            layers.extend(take_scene(tile).layers)
        add_instances(results, partners)
        results.pop('matrix', None)
        results['scene'] = Scene(canvas, tuple(layers))
        return results


def _fit_ratio(results: dict) -> float:
    """The scale at which a sample just fits into its data set's ``img_scale``."""
    size, img_scale = Size.of_shape(results['img_shape']), results['img_scale']
    return min(img_scale.width / size.width, img_scale.height / size.height)


@TRANSFORMS.register_module()
class YOLOXMixUp(PartnerTransform):
    """Averages the sample with another image of the data set; both keep their boxes.

    The partner is scaled to fit the data set's ``img_scale``, jittered by ``ratio_range``, perhaps flipped,
    padded with grey and cropped at a random place to the sample's canvas. Sampling as in MMDetection 3.3's
    ``MixUp``, but for two faults of it: ``flip_ratio`` is the share that is flipped, and a partner without
    objects is blended.

    Args:
        pre_transform: The loading steps of the partner.
        ratio_range: The range of the partner's scale jitter, uniform.
        flip_ratio: The share of partners that are mirrored.
        prob: The share of samples that are blended.
        max_iters: How many partners are tried for one that has objects.
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
        size, rng = Size.of_shape(results['img_shape']), results['rng']
        jitter = rng.uniform(*self.ratio_range)
        is_flipped = rng.random() < self.flip_ratio
        ratio = _fit_ratio(partner) * jitter
        padded = Size(*(int(side * jitter) for side in partner['img_scale']))
        offset = [int(rng.integers(max(0, a - b) or 1)) for a, b in zip(padded, size, strict=True)]
        move_sample(partner, scaling(ratio, ratio), padded)
        if is_flipped:
            move_sample(partner, horizontal_flip(padded.width), padded)
        move_sample(partner, translation(-offset[0], -offset[1]), size)
        results['scene'] = take_scene(results).blended_with(take_scene(partner))
        add_instances(results, [partner])
        results.pop('matrix', None)
        return results

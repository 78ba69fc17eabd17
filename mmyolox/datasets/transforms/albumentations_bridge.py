"""Augmentations of the library Albumentations as a step of a pipeline."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.geometry import instance_keys
from mmyolox.datasets.canvas.scene import take_image
from mmyolox.errors import UserError, did_you_mean
from mmyolox.registry import TRANSFORMS

_NEEDED = 'Albumentations: the package is absent; see the extra albumentations in docs/settings.md'


@TRANSFORMS.register_module()
class Albumentations(BaseTransform):
    """Augmentations of Albumentations 2 on the drawn picture; boxes, labels and ignored regions go along.

    Draws are a function of ``results['rng']``, as those of our own steps. Pictures of three channels are
    RGB while they are augmented, as the library takes them. A box that leaves the picture is dropped with
    all that belongs to its instance; one that is cut is clipped.

    Args:
        augmentations: What is applied, in this order: names (``'CLAHE'``), or dicts with the name as ``type``
            and its arguments. An argument ``transforms`` holds more of them, as that of ``OneOf``.

    Raises:
        UserError: The package is absent, there is no such augmentation, or it does not take an argument.
    """

    def __init__(self, augmentations: Sequence[Any]) -> None:
        # It asks a server for its newest version while it is imported.
        os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
        try:
            import albumentations
        except ImportError as error:
            raise UserError(f'{_NEEDED} ({error})') from error
        built = [build(albumentations, one) for one in augmentations]
        self.moves = any(moves(albumentations, one) for one in built)
        params = albumentations.BboxParams('pascal_voc', label_fields=['indices'], clip=True)
        self._compose = albumentations.Compose(built, bbox_params=params if self.moves else None)

    def transform(self, results: dict) -> dict:
        image = take_image(results)
        is_rgb = image.shape[2] == 3
        inputs = dict(image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_rgb else image)
        if self.moves:
            self._check_moved(results)
            bboxes = results['gt_bboxes']
            # The library refuses boxes without an area.
            indices = np.flatnonzero((bboxes[:, 2:] > bboxes[:, :2]).all(axis=1))
            inputs |= dict(bboxes=bboxes[indices], indices=indices)
        self._compose.set_random_seed(int(results['rng'].integers(2**31)))
        drawn = self._compose(**inputs)
        picture = drawn['image'].reshape(*drawn['image'].shape[:2], -1)
        results['img'] = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if is_rgb else picture
        if self.moves:
            kept = np.asarray(drawn['indices'], np.int64)
            for key in instance_keys(results):
                results[key] = results[key][kept]
            results['gt_bboxes'] = np.asarray(drawn['bboxes'], np.float32).reshape(-1, 4)
            results['img_shape'] = picture.shape[:2]
            results.pop('matrix', None)
        return results

    def _check_moved(self, results: dict) -> None:
        """Refuses to move pictures where something would not move along.

        Raises:
            UserError: It is an evaluation, or more is annotated than boxes.
        """
        if getattr(results.get('dataset'), 'test_mode', False):
            raise UserError(
                'Albumentations: an augmentation that moves the picture cannot stand in the pipeline of an '
                'evaluation: nothing tells where it moved it'
            )
        others = sorted(results.get('instance_maps', ()))
        if others:
            raise UserError(
                f'Albumentations: an augmentation that moves the picture would leave {", ".join(others)} '
                'where they are; take those of colours alone, and move by RandomAffine and RandomFlip'
            )


def build(library: Any, config: Any) -> Any:
    """Builds an augmentation.

    Args:
        library: The package.
        config: As :class:`Albumentations` takes it.

    Raises:
        UserError: There is none of that name, or it does not take an argument.
    """
    arguments = dict(config) if isinstance(config, dict) else dict(type=config)
    name = arguments.pop('type', None)
    augmentation = getattr(library, name, None) if isinstance(name, str) else None
    if not (isinstance(augmentation, type) and issubclass(augmentation, _bases(library))):
        known = [one for one, value in vars(library).items() if isinstance(value, type)]
        raise UserError(f'Albumentations: there is no augmentation {name!r}{did_you_mean(str(name), known)}')
    if 'transforms' in arguments:
        arguments['transforms'] = [build(library, one) for one in arguments['transforms']]
    try:
        with warnings.catch_warnings():
            # It only warns of arguments that it does not take.
            warnings.simplefilter('error', UserWarning)
            return augmentation(**arguments)
    except (ValueError, TypeError, UserWarning) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(f'Albumentations: {name}: {"; ".join(lines[:3])}') from error


def moves(library: Any, augmentation: Any) -> bool:
    """Whether an augmentation, or one in it, changes where things are, not only colours."""
    inner = getattr(augmentation, 'transforms', None)
    if inner is not None:
        return any(moves(library, one) for one in inner)
    return not isinstance(augmentation, library.ImageOnlyTransform)


def _bases(library: Any) -> tuple[type, ...]:
    return library.BasicTransform, library.BaseCompose

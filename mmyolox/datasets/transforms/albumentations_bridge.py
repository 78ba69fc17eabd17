"""Augmentations of the library Albumentations as a step of a pipeline."""

import copy
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmyolox.datasets.canvas.geometry import keep_instances
from mmyolox.datasets.canvas.scene import take_image
from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError, did_you_mean
from mmyolox.registry import TRANSFORMS

_NEEDED = (
    'Albumentations: the package is absent; install it beside the OpenCV that is there: '
    'pip install --no-deps albumentations albucore simsimd stringzilla && pip install pydantic scipy pyyaml'
)

_PROBES = np.stack(np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5)), -1).reshape(-1, 2)
"""(N, 2), points all over a picture, as shares of its width and height: where they go tells the map."""
_NOT_AFFINE = 0.1
"""Pixels that a probe may lie off the place that an affine map gives it."""


@TRANSFORMS.register_module()
class Albumentations(BaseTransform):
    """Augmentations of Albumentations 2 on the drawn picture; boxes, labels and ignored regions go along.

    Draws are a function of ``results['rng']``, as those of our own steps. Pictures of three channels are
    RGB while they are augmented, as the library takes them. A box that leaves the picture is dropped with
    all that belongs to its instance; one that is cut is clipped. What else moves with an instance (its
    ``instance_maps``, as for keypoints) does so by the affine map that the augmentations come to, so that
    these must have one: it is fitted to points of the picture that the library moves, and is as exact as the
    library is with points, to half a pixel where pictures are enlarged.
    With the first sample all augmentations are tried, whatever their probability.

    Args:
        augmentations: What is applied, in this order: names (``'CLAHE'``), or dicts with the name as ``type``
            and its arguments. An argument ``transforms`` holds more of them, as that of ``OneOf``.

    Raises:
        UserError: The package is absent, there is no such augmentation, it does not take an argument, what
            it makes of a sample is no picture in uint8, or keypoints cannot go along.
    """

    def __init__(self, augmentations: Sequence[Any]) -> None:
        # It asks a server for its newest version while it is imported.
        os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
        try:
            import albumentations
        except ImportError as error:
            raise UserError(f'{_NEEDED} ({error})') from error
        self._augmentations = [build(albumentations, one) for one in augmentations]
        self.moves = any(moves(albumentations, one) for one in self._augmentations)
        self._compose: Any = None  # made when they are tried, and it is known what moves along

    def transform(self, results: dict) -> dict:
        image = take_image(results)
        is_rgb = image.shape[2] == 3
        inputs = dict(image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_rgb else image)
        followers = sorted(results.get('instance_maps', ()))
        if self.moves:
            inputs |= places(results, image.shape)
        if self._compose is None:
            self._compose = self._tried_compose(inputs, followers)
        self._compose.set_random_seed(int(results['rng'].integers(2**31)))
        with _naming('an augmentation'):
            drawn = self._compose(**inputs)
        if fault := form_fault(drawn['image'], image.shape[2]):
            raise UserError(f'Albumentations: {fault}')
        picture = drawn['image'].reshape(image_shape(drawn['image']))
        results['img'] = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if is_rgb else picture
        if self.moves:
            keep_instances(results, np.asarray(drawn['indices'], np.int64))
            results['gt_bboxes'] = np.asarray(drawn['bboxes'], np.float32).reshape(-1, 4)
            results['img_shape'] = picture.shape[:2]
            results.pop('matrix', None)
            if followers:
                matrix = affine_map(inputs, drawn, 'an augmentation', followers)
                for key, map_values in results['instance_maps'].items():
                    results[key] = map_values(results[key], matrix, Size.of_shape(picture.shape))
        return results

    def _tried_compose(self, inputs: dict[str, Any], followers: Sequence[str]) -> Any:
        """All augmentations together, each applied once: no rare draw ends a training in a later epoch.

        Raises:
            UserError: One fails, what they make together is no picture as networks take it, or one moves the
                picture so that the followers cannot go along.
        """
        import albumentations

        fault, channels = '', inputs['image'].shape[2]
        for one in self._augmentations:
            inputs = tried(albumentations, one, inputs, followers)
            new_fault = form_fault(inputs['image'], channels)
            # Another one may mend it (FromFloat after ToFloat); else the first is to blame.
            fault = new_fault and (fault or f'{type(one).__name__}: {new_fault}')
        if fault:
            raise UserError(f'Albumentations: {fault}')
        return composed(albumentations, self._augmentations, followers)


def places(results: dict, shape: tuple[int, ...]) -> dict[str, Any]:
    """What is to move along with a picture: boxes with their indices, and points where more than boxes does.

    Args:
        results: The results.
        shape: (H, W, C) of the picture.

    Raises:
        UserError: It is an evaluation.
    """
    if getattr(results.get('dataset'), 'test_mode', False):
        raise UserError(
            'Albumentations: an augmentation that moves the picture cannot stand in the pipeline of an '
            'evaluation: nothing tells where it moved it'
        )
    bboxes = results['gt_bboxes']
    # The library refuses boxes without an area.
    indices = np.flatnonzero((bboxes[:, 2:] > bboxes[:, :2]).all(axis=1))
    inputs = dict(bboxes=bboxes[indices], indices=indices)
    if results.get('instance_maps'):
        inputs |= dict(keypoints=_PROBES * (shape[1] - 1, shape[0] - 1), probes=np.arange(len(_PROBES)))
    return inputs


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
        raise UserError(f'Albumentations: {name}: {_reason(error)}') from error


def moves(library: Any, augmentation: Any) -> bool:
    """Whether an augmentation, or one in it, changes where things are, not only colours."""
    inner = getattr(augmentation, 'transforms', None)
    if inner is not None:
        return any(moves(library, one) for one in inner)
    return not isinstance(augmentation, library.ImageOnlyTransform)


def composed(library: Any, augmentations: Sequence[Any], followers: Sequence[str]) -> Any:
    """Puts augmentations one after another; boxes go along if one of them moves what is there.

    Args:
        library: The package.
        augmentations: What :func:`build` makes.
        followers: What else is to move, for which points go along, too.
    """
    if not any(moves(library, one) for one in augmentations):
        return library.Compose(augmentations)
    points = library.KeypointParams('xy', label_fields=['probes'], remove_invisible=False)
    return library.Compose(
        augmentations,
        bbox_params=library.BboxParams('pascal_voc', label_fields=['indices'], clip=True),
        keypoint_params=points if followers else None,
    )


def affine_map(
    before: dict[str, Any], after: dict[str, Any], name: str, followers: Sequence[str]
) -> np.ndarray:
    """The map by which an augmentation moved a picture: (3, 3) float64, in continuous coordinates.

    Args:
        before: ``keypoints`` (N, 2), indices of pixels, and their numbers ``probes`` (N,).
        after: The same of those that are left.
        name: What the augmentation is called in messages.
        followers: What is to move by the map.

    Raises:
        UserError: The map is not affine.
    """
    numbers = np.asarray(after['probes'], np.int64)
    started = np.zeros((len(_PROBES), 2))
    started[np.asarray(before['probes'], np.int64)] = before['keypoints']
    # A pixel's index stands at its centre.
    points = np.column_stack([started[numbers] + 0.5, np.ones(len(numbers))])
    moved = np.asarray(after['keypoints'], np.float64).reshape(-1, 2) + 0.5
    solution, _, rank, _ = np.linalg.lstsq(points, moved, rcond=None)
    if rank < 3 or np.abs(points @ solution - moved).max() > _NOT_AFFINE:
        raise UserError(
            f'Albumentations: {name} moves the picture by another map than an affine one, by which alone '
            f'{", ".join(followers)} can go along; take others, such as Affine, HorizontalFlip and crops'
        )
    return np.vstack([solution.T, [0, 0, 1]])


def tried(
    library: Any, augmentation: Any, inputs: dict[str, Any], followers: Sequence[str]
) -> dict[str, Any]:
    """What an augmentation makes of a sample, whatever its probability; of alternatives each is tried.

    Args:
        library: The package.
        augmentation: What :func:`build` makes.
        inputs: ``image``, where boxes go along ``bboxes`` with their ``indices``, and for followers
            ``keypoints`` with their numbers ``probes``.
        followers: What is to move by an affine map.

    Raises:
        UserError: It fails, or moves the picture by another map.
    """
    if not augmentation.p:
        return inputs
    parts = getattr(augmentation, 'transforms', None)
    if parts is None:
        always = copy.deepcopy(augmentation)
        always.p = 1.0
        is_moving = moves(library, always)
        with _naming(type(always).__name__):
            given = inputs if is_moving else dict(image=inputs['image'])
            drawn = composed(library, [always], followers)(**given)
        if is_moving and followers:
            affine_map(inputs, drawn, type(always).__name__, followers)
        return inputs | drawn
    if isinstance(augmentation, (library.OneOf, library.OneOrOther, library.SomeOf)):
        outcomes = [tried(library, one, inputs, followers) for one in parts]
        channels = inputs['image'].shape[2]
        return max(outcomes, key=lambda one: bool(form_fault(one['image'], channels)), default=inputs)
    for one in parts:
        inputs = tried(library, one, inputs, followers)
    return inputs


def form_fault(picture: Any, channels: int) -> str:
    """What is wrong with an augmented picture; ``''`` if it is uint8 of as many channels as before."""
    is_array = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim in (2, 3)
    if is_array and image_shape(picture)[2] == channels:
        return ''
    return (
        f'it gives {picture.dtype} of shape {tuple(picture.shape)}, and uint8 of shape (height, width, '
        f'{channels}) is needed: the model normalises, and PackDetInputs makes the tensor; leave it out'
    )


def image_shape(picture: np.ndarray) -> tuple[int, int, int]:
    """(H, W, C); the library drops the axis of a single channel."""
    return (*picture.shape[:2], picture.shape[2] if picture.ndim == 3 else 1)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns what the library raises in the block into one line that begins with a name."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # the library has its own, and OpenCV's
        raise UserError(f'Albumentations: {name}: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return '; '.join(lines[:3]) or type(error).__name__


def _bases(library: Any) -> tuple[type, ...]:
    return library.BasicTransform, library.BaseCompose

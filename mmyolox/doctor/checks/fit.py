"""Checks of the training that is planned against the data: input size, batch, length, classes, limits."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.doctor.check import NotExaminedError, Severity, check
from mmyolox.doctor.examined import Examined
from mmyolox.doctor.found import Found, found_things
from mmyolox.errors import counted, did_you_mean, one_line

SMALL = 8.0
"""Pixels of the input, the root of the area: smaller objects are less than a cell of the finest grid."""

_LARGE = 2 * SMALL
_SHARE_OF_SMALL = 0.1
"""More small objects than this are told."""
_ACCEPTED_SMALL = 0.05
"""The suggested input leaves so many small."""
_STRIDE = 32
_LARGEST_INPUT = 1920
_FEWEST_STEPS = 300
"""400 steps, 160 images in 20 epochs, were enough in the comparison of recipes; fewer were not tried."""
_PADDING = 0.4
_ENLARGED = 2.0


def _value(cfg: Mapping[str, Any], path: str) -> Any:
    """What the config has at a dotted path; raises NotExaminedError where there is nothing."""
    value: Any = cfg
    for key in path.split('.'):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        raise NotExaminedError('a config')
    return value


def _train_images(data: Examined) -> NDArray[np.bool_]:
    """(I,) whether an image is trained on."""
    return np.isin(data.raw.image_splits, data.split_indices('train'))


def _input_sides(data: Examined) -> NDArray[np.float64]:
    """(T,) the root of the area of each object in the network's input, pixels; NaN for what is no object."""
    return np.where(data.is_object, np.sqrt(data.input_sides.prod(axis=1)), np.nan)


def _in_strides(width: float, height: float) -> tuple[int, int]:
    """A size of inputs, in multiples of what the network needs."""
    sides = (max(_STRIDE, _STRIDE * math.ceil(side / _STRIDE - 1e-6)) for side in (width, height))
    return next(sides), next(sides)


def suggest_input(data: Examined) -> tuple[int, int] | None:
    """The smallest input in which at most 5% of the objects are small.

    It is no larger than the images are, by their medians, since it would show no more, nor than 1920 pixels.

    Returns:
        Its width and height, in multiples of 32; None where the input is that large.
    """
    sides = _input_sides(data)
    quantile = float(np.nanquantile(sides, _ACCEPTED_SMALL))
    width, height = data.plan.img_scale
    factor = SMALL / max(quantile, 1e-9)
    medians = np.nanmedian(data.sizes, axis=0)
    most = min(float((medians / (width, height)).max()), _LARGEST_INPUT / max(width, height))
    suggested = _in_strides(*(side * min(factor, most) for side in (width, height)))
    return suggested if suggested[0] * suggested[1] > width * height else None


@check(
    Severity.WARNING,
    'The images are not larger, so that a larger input shows no more: take pictures from nearer, or '
    'with more pixels.',
)
def input_too_small(data: Examined) -> Found:
    """Objects of less than 8 x 8 pixels in the network's input, more than a tenth of all."""
    sides = _input_sides(data)
    is_small = sides < SMALL
    is_told = is_small.sum() > _SHARE_OF_SMALL * data.is_object.sum()
    found = data.found_boxes(
        is_small & bool(is_told),
        -sides,
        lambda box: f'{data.box_text(box)}: {sides[box]:.1f} pixels in the input',
        data.is_object,
    )
    if not found.count or (suggested := suggest_input(data)) is None:
        return found
    width, height = data.plan.img_scale
    times = math.prod(suggested) / (width * height)
    return found.with_advice(
        f'Train with img_scale=[{suggested[0]},{suggested[1]}] instead of [{width},{height}], which takes '
        f'{times:.1f} times the time; or cut the images into tiles.'
    )


@check(Severity.NOTE, 'A smaller img_scale is faster, and may be as good: compare the two.')
def input_too_large(data: Examined) -> Found:
    """Images that are enlarged twice or more, most of all, with objects that are large without that."""
    sides, scales = _input_sides(data), data.scales
    is_enlarged = scales >= _ENLARGED
    known = np.isfinite(scales)
    least = float(np.nanquantile(sides, _ACCEPTED_SMALL)) if data.is_object.any() else 0.0
    is_told = 2 * is_enlarged.sum() > known.sum() and least >= _ENLARGED * _LARGE
    found = data.found_images(
        is_enlarged & bool(is_told), scales, lambda image: f'{scales[image]:.1f} times enlarged', known
    )
    if not found.count:
        return found
    factor = max(_LARGE / least, 1 / float(np.nanmedian(scales)))
    width, height = _in_strides(*(side * factor for side in data.plan.img_scale))
    return found.with_advice(
        f'img_scale=[{width},{height}] is faster, and may be as good: it shows the images without loss, and '
        f'19 of 20 objects with {_LARGE:.0f} x {_LARGE:.0f} pixels or more. Compare the two.'
    )


@check(
    Severity.NOTE, 'Choose an img_scale of the shape of the images: the same objects are found in less time.'
)
def input_of_other_shape(data: Examined) -> Found:
    """Images that leave more than 40% of the network's input empty, where most do."""
    width, height = data.plan.img_scale
    filled = (data.sizes * data.scales[:, None]).prod(1) / (width * height)
    is_other = filled < 1 - _PADDING
    known = np.isfinite(filled)
    is_told = is_other.sum() > known.sum() / 2
    found = data.found_images(
        is_other & bool(is_told), 1 - filled, lambda image: f'{1 - filled[image]:.0%} empty', known
    )
    if not found.count:
        return found
    inside = np.nanmedian(data.sizes * data.scales[:, None], axis=0).tolist()
    fitting = _in_strides(*inside)
    return found.with_advice(
        f'Train with img_scale=[{fitting[0]},{fitting[1]}]: objects are as large in it, in '
        f'{fitting[0] * fitting[1] / (width * height):.0%} of the time.'
    )


@check(
    Severity.WARNING,
    'A step sees each image once, and the statistics of batch norm those of few: choose a smaller '
    'train_batch_size_per_gpu.',
)
def batch_too_large(data: Examined) -> Found:
    """Trainings whose batch has more than half of all images."""
    images = int(_train_images(data).sum())
    batch = _value(data.plan.cfg, 'train_dataloader.batch_size')
    is_large = isinstance(batch, int) and 2 * batch > images > 0
    detail = f'{batch} of {counted(images, "image")} to train on'
    return found_things('batch', 1, {'train_dataloader.batch_size': detail} if is_large else {})


@check(Severity.WARNING, 'Train for more epochs.')
def training_too_short(data: Examined) -> Found:
    """Trainings of fewer than 300 steps."""
    images = int(_train_images(data).sum())
    batch = _value(data.plan.cfg, 'train_dataloader.batch_size')
    epochs = _value(data.plan.cfg, 'train_cfg.max_epochs')
    if not isinstance(batch, int) or not images:
        raise NotExaminedError('images to train on, and a batch size that is a number')
    steps = math.ceil(images / batch) * epochs
    if steps >= _FEWEST_STEPS:
        return found_things('training', 1, {})
    detail = f'{steps} steps: {counted(images, "image")} in batches of {batch}, {counted(epochs, "epoch")}'
    enough = math.ceil(_FEWEST_STEPS / math.ceil(images / batch))
    return found_things('training', 1, {'train_cfg.max_epochs': detail}, f'Train with max_epochs={enough}.')


def _configured(data: Examined) -> tuple[str, ...]:
    """The classes that the config names."""
    classes = _value(data.plan.cfg, 'train_dataloader.dataset.metainfo.classes')
    return (classes,) if isinstance(classes, str) else tuple(classes)


@check(Severity.ERROR, 'Correct `classes` of the config; upper and lower case matter.')
def class_not_in_data(data: Examined) -> Found:
    """Classes of the config that the data do not have."""
    classes = _configured(data)
    details = {
        one_line(name): one_line(f'not in the data{did_you_mean(name, data.raw.classes)}')
        for name in classes
        if name not in data.raw.classes
    }
    return found_things('class', len(classes), details)


@check(Severity.NOTE, 'Their objects train as background. Name them in `classes` of the config to find them.')
def class_not_configured(data: Examined) -> Found:
    """Classes of the data that the config leaves out."""
    classes = _configured(data)
    counts = np.bincount(data.raw.boxes.labels[data.is_object], minlength=len(data.raw.classes)).tolist()
    details = {
        one_line(name): counted(count, 'object')
        for name, count in zip(data.raw.classes, counts, strict=True)
        if name not in classes
    }
    return found_things('class', len(counts), details)


@check(Severity.ERROR, 'Set `num_classes` to the number of `classes`.')
def class_number_differs(data: Examined) -> Found:
    """Models for another number of classes than the config names."""
    path = 'model.bbox_head.head_module.num_classes'
    number, classes = _value(data.plan.cfg, path), _configured(data)
    detail = f'{number}, classes are {len(classes)}'
    return found_things('model', 1, {path: detail} if number != len(classes) else {})


@check(Severity.WARNING, 'The model returns no more: set model.test_cfg.max_per_img.')
def detections_limited(data: Examined) -> Found:
    """Images with more objects than the model may return."""
    limit = _value(data.plan.cfg, 'model.test_cfg.max_per_img')
    counts = np.bincount(data.raw.boxes.images[data.is_object], minlength=len(data.raw.images))
    found = data.found_images(
        counts > limit, counts.astype(np.float64), lambda image: f'{counts[image]} objects, limit {limit}'
    )
    most = int(counts.max(initial=0))
    return found.with_advice(
        f'Set model.test_cfg.max_per_img={most} and val_evaluator.proposal_nums=[{most},1,10], and of '
        'test_evaluator the same.'
    )

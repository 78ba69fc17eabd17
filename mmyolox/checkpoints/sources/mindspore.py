"""MindSpore's YOLOX: MindYOLO (0.1 to 0.5), and the model zoo's (official/cv/YOLOX, DarkNet53 and X).

Both are Megvii's network, with these differences, which a translation evens out:

- Batch norm's tensors are called gamma, beta, moving_mean and moving_variance.
- MindYOLO numbers its layers, and takes images as RGB from 0 to 1 where ours are BGR from 0 to 255: the
  stem's weights change their channels, and its batch norm's statistics are those of features 255 times as
  large. (The weights stay as large as they are: smaller ones would learn faster than all others.)
- The zoo has batch norm with MindSpore's epsilon 1e-5, ours is 1e-3: gamma makes up for it. Its SPP pads
  with zeros before it pools, where all others leave the border out: a ``border`` is added to the weights, by
  which they are known to need ``spp_zero_padding``.
"""

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mmyolox.models.networks.blocks import BN

from .base import Source, Translation, replace_prefix
from .megvii import rename_key

_EPS: float = BN['eps']
_ZOO_EPS = 1e-5
_SPP_BORDER = dict(csp='backbone.stage4.1.border', darknet53='backbone.stage4.7.border')
_PIXEL_RANGE = 255

_AVERAGED = 'ema.'
_WRAPPERS = re.compile(r'^(?:ema\.|network\.)+')
_HEADS = {'24': 'csp', '32': 'darknet53'}
"""MindYOLO's number of the head -> the backbone before it."""

_MINDYOLO_LAYERS: dict[str, dict[int, str]] = {
    'csp': {
        0: 'backbone.backbone.stem',
        **{i: f'backbone.backbone.dark{(i + 3) // 2}.{1 - i % 2}' for i in range(1, 9)},
        9: 'backbone.backbone.dark5.2',
        10: 'backbone.lateral_conv0',
        13: 'backbone.C3_p4',
        14: 'backbone.reduce_conv1',
        17: 'backbone.C3_p3',
        18: 'backbone.bu_conv2',
        20: 'backbone.C3_n3',
        21: 'backbone.bu_conv1',
        23: 'backbone.C3_n4',
        24: 'head',
    },
    'darknet53': {
        **{i: f'backbone.backbone.stem.{i}' for i in range(3)},
        **{i: f'backbone.backbone.dark{(i + 1) // 2}.0' for i in (3, 5, 7, 9)},
        **{i: f'backbone.backbone.dark5.{i - 6}' for i in range(11, 16)},
        16: 'backbone.out1_cbl',
        **{i: f'backbone.out1.{i - 19}' for i in range(19, 24)},
        24: 'backbone.out2_cbl',
        **{i: f'backbone.out2.{i - 27}' for i in range(27, 32)},
        32: 'head',
    },
}
"""MindYOLO's number of a layer -> Megvii's name of it."""

_RESIDUALS = {
    'model.model.2': 'backbone.backbone.stem.2',
    **{
        f'model.model.{2 * stage}.{block}': f'backbone.backbone.dark{stage}.{block + 1}'
        for stage, depth in ((2, 2), (3, 8), (4, 8), (5, 4))
        for block in range(depth)
    },
}
_MINDYOLO_NAMES = {
    backbone: {f'model.model.{number}.': f'{name}.' for number, name in layers.items()}
    for backbone, layers in _MINDYOLO_LAYERS.items()
}
_MINDYOLO_NAMES['darknet53'] |= {
    f'{theirs}.conv{i}.': f'{ours}.layer{i}.' for theirs, ours in _RESIDUALS.items() for i in (1, 2)
}

_ZOO_PARTS = {'stem': 'stems'} | {
    part: part for part in ('cls_convs', 'reg_convs', 'cls_preds', 'reg_preds', 'obj_preds')
}
_ZOO_NAMES = {
    f'head_{size}.{theirs}.': f'head.{ours}.{level}.'
    for level, size in enumerate('lms')  # a head a level instead of a list a layer
    for theirs, ours in _ZOO_PARTS.items()
}

_NORM = {'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean', 'moving_variance': 'running_var'}
_TRAINING = re.compile(r'[^.]+$|(?:moments|accum|stat|moment1|moment2)\.')
"""Names of numbers (learning_rate, updates) and of the states of the optimizers."""


def _recognises(names: Collection[str]) -> bool:
    is_zoo = any(re.search(r'\bhead_l\.obj_preds\.weight$', name) for name in names)
    return is_zoo or _backbone(names) is not None


def _backbone(names: Collection[str]) -> str | None:
    """Which of MindYOLO's models tensors are of, by the place of its head."""
    for name in names:
        head = re.search(r'\bmodel\.model\.(\d+)\.obj_preds\.0\.weight$', name)
        if head:
            return _HEADS.get(head[1])
    return None


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    """Translates the weights, averaged ones where there are both, and drops the rest."""
    backbone = _backbone(state_dict)
    translation = Translation()
    plain_names = {name: _WRAPPERS.sub('', name) for name in state_dict}
    averaged = {plain_name for name, plain_name in plain_names.items() if name.startswith(_AVERAGED)}
    for name, plain_name in plain_names.items():
        if _TRAINING.match(plain_name):
            translation.dropped[name] = 'a state of the training'
        elif plain_name in averaged and not name.startswith(_AVERAGED):
            translation.dropped[name] = 'the raw weights; their moving average is taken'
        else:
            megvii_name = replace_prefix(plain_name, _MINDYOLO_NAMES[backbone] if backbone else _ZOO_NAMES)
            module, _, part = megvii_name.rpartition('.')
            translation.add(name, rename_key(f'{module}.{_NORM.get(part, part)}'), state_dict[name])
    tensors = translation.tensors
    if backbone is None:
        for name in [name for name in tensors if name.endswith('.running_var')]:
            _change_epsilon(tensors, name.removesuffix('.running_var'), _ZOO_EPS)
        is_csp = 'backbone.stem.conv.conv.weight' in tensors
        tensors[_SPP_BORDER['csp' if is_csp else 'darknet53']] = torch.zeros(())
    else:
        _change_images(tensors, 'backbone.stem.' + ('conv' if backbone == 'csp' else '0'))
    return translation


def _change_images(tensors: dict[str, Tensor], stem: str) -> None:
    """Makes a stem for RGB images from 0 to 1 one for BGR images from 0 to 255.

    Args:
        tensors: In our layout; those of the stem are replaced, if it is complete.
        stem: Name of its convolution and batch norm.
    """
    weight, mean, variance = f'{stem}.conv.weight', f'{stem}.bn.running_mean', f'{stem}.bn.running_var'
    if not {weight, f'{stem}.bn.weight', mean, variance} <= tensors.keys():
        return
    patches = 4 if stem.endswith('conv') else 1  # Focus makes 4 patches of a pixel block, one after the other
    shape = tensors[weight].shape
    tensors[weight] = tensors[weight].reshape(shape[0], patches, -1, *shape[2:]).flip(2).reshape(shape)
    dtype = tensors[variance].dtype
    tensors[mean] = tensors[mean] * _PIXEL_RANGE
    tensors[variance] = tensors[variance].double() * _PIXEL_RANGE**2
    _change_epsilon(tensors, f'{stem}.bn', _EPS * _PIXEL_RANGE**2)
    tensors[variance] = tensors[variance].to(dtype)


def _change_epsilon(tensors: dict[str, Tensor], norm: str, old: float) -> None:
    """Makes a batch norm with another epsilon one with ours: the same function in prediction."""
    gamma, variance = tensors.get(f'{norm}.weight'), tensors[f'{norm}.running_var'].double()
    if gamma is not None:
        ratio = ((variance + _EPS) / (variance + old)).sqrt()
        tensors[f'{norm}.weight'] = (gamma * ratio).to(gamma.dtype)


SOURCE = Source('mindspore', "MindSpore: MindYOLO, or the model zoo's YOLOX", _recognises, _translate)

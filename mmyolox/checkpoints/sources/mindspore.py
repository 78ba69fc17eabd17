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

from .base import Source, Translation
from .megvii import rename_key
from .mindspore_file import read_checkpoint

__all__ = ['SOURCE', 'read_checkpoint']

_EPS: float = BN['eps']
_ZOO_EPS = 1e-5
_SPP_BORDER = dict(csp='backbone.stage4.1.border', darknet53='backbone.stage4.7.border')
_PIXEL_RANGE = 255

_AVERAGED = 'ema.'
_WRAPPERS = re.compile(r'^(?:ema\.|network\.)+')
_MINDYOLO_LAYER = re.compile(r'model\.model\.(\d+)\.')
_HEADS = {'24': 'csp', '32': 'darknet53'}
"""MindYOLO's number of the head -> the backbone before it."""

_LAYERS: dict[str, dict[int, str]] = {
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

_RESIDUALS = {4: 'dark2', 6: 'dark3', 8: 'dark4', 10: 'dark5'}
"""Numbers of DarkNet53's chains of residual layers, of which the first one is Megvii's second."""

_NORM = {'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean', 'moving_variance': 'running_var'}
_ZOO_HEADS = {'head_l.': 0, 'head_m.': 1, 'head_s.': 2}
_TRAINING = re.compile(r'[^.]+$|(?:moments|accum|stat|moment1|moment2)\.')
"""Names of numbers (learning_rate, updates) and of the states of the optimizers."""


def _recognises(names: Collection[str]) -> bool:
    return _is_zoo(names) or _backbone(names) is not None


def _is_zoo(names: Collection[str]) -> bool:
    return any(re.search(r'\bhead_l\.obj_preds\.weight$', name) for name in names)


def _backbone(names: Collection[str]) -> str | None:
    """Which of MindYOLO's models tensors are of, by the place of its head."""
    for name in names:
        head = re.search(r'\bmodel\.model\.(\d+)\.obj_preds\.0\.weight$', name)
        if head:
            return _HEADS.get(head[1])
    return None


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    backbone = _backbone(state_dict)
    translation = Translation()
    chosen = _choose(state_dict, translation)
    for name, plain_name in chosen.items():
        theirs = _zoo_name(plain_name) if backbone is None else _mindyolo_name(plain_name, backbone)
        translation.add(name, rename_key(_norm_name(theirs)), state_dict[name])
    if backbone is None:
        _change_epsilon(translation.tensors)
        is_csp = 'backbone.stem.conv.conv.weight' in translation.tensors
        translation.tensors[_SPP_BORDER['csp' if is_csp else 'darknet53']] = torch.zeros(())
    else:
        _change_images(translation.tensors, 'backbone.stem.' + ('conv' if backbone == 'csp' else '0'))
    return translation


def _choose(state_dict: Mapping[str, Tensor], translation: Translation) -> dict[str, str]:
    """Picks the weights, averaged ones where there are both, and puts the rest under ``dropped``.

    Returns:
        The file's name -> the same without the names of wrappers.
    """
    plain_names = {name: _WRAPPERS.sub('', name) for name in state_dict}
    averaged = {plain_name for name, plain_name in plain_names.items() if name.startswith(_AVERAGED)}
    chosen: dict[str, str] = {}
    for name, plain_name in plain_names.items():
        if _TRAINING.match(plain_name):
            translation.dropped[name] = 'a state of the training'
        elif plain_name in averaged and not name.startswith(_AVERAGED):
            translation.dropped[name] = 'the raw weights; their moving average is taken'
        else:
            chosen[name] = plain_name
    return chosen


def _mindyolo_name(name: str, backbone: str) -> str:
    """Megvii's name of a tensor of MindYOLO's; an unknown name stays as it is."""
    layer = _MINDYOLO_LAYER.match(name)
    if not layer:
        return name
    number, rest = int(layer[1]), name[layer.end() :]
    block, _, rest_of_block = rest.partition('.')
    if backbone == 'darknet53' and number in _RESIDUALS and block.isdigit():
        rest = rest_of_block
        prefix = f'backbone.backbone.{_RESIDUALS[number]}.{int(block) + 1}'
    elif number in _LAYERS[backbone]:
        prefix = _LAYERS[backbone][number]
    else:
        return name
    if backbone == 'darknet53' and (number in _RESIDUALS or number == 2):
        rest = rest.replace('conv1.', 'layer1.', 1).replace('conv2.', 'layer2.', 1)
    return f'{prefix}.{rest}'


def _zoo_name(name: str) -> str:
    """Megvii's name of a tensor of the zoo's, which has a head a level instead of a list a layer."""
    for head, level in _ZOO_HEADS.items():
        if name.startswith(head):
            part, _, rest = name.removeprefix(head).partition('.')
            return f'head.{"stems" if part == "stem" else part}.{level}.{rest}'
    return name


def _norm_name(name: str) -> str:
    """A name with PyTorch's word for one of batch norm's tensors."""
    module, _, kind = name.rpartition('.')
    return f'{module}.{_NORM[kind]}' if kind in _NORM else name


def _change_epsilon(tensors: dict[str, Tensor]) -> None:
    """Makes every batch norm with the zoo's epsilon one with ours: the same function in prediction."""
    for name in [name for name in tensors if name.endswith('.running_var')]:
        gamma = f'{name.removesuffix("running_var")}weight'
        if gamma in tensors:
            variance = tensors[name].double()
            ratio = ((variance + _EPS) / (variance + _ZOO_EPS)).sqrt()
            tensors[gamma] = (tensors[gamma] * ratio).to(tensors[gamma].dtype)


def _change_images(tensors: dict[str, Tensor], stem: str) -> None:
    """Makes a stem for RGB images from 0 to 1 one for BGR images from 0 to 255.

    Args:
        tensors: In our layout; those of the stem are replaced, if it is complete.
        stem: Name of its convolution and batch norm.
    """
    weight = f'{stem}.conv.weight'
    gamma, mean, variance = (f'{stem}.bn.{kind}' for kind in ('weight', 'running_mean', 'running_var'))
    if not {weight, gamma, mean, variance} <= tensors.keys():
        return
    patches = 4 if stem.endswith('conv') else 1  # Focus makes 4 patches of a pixel block, one after the other
    shape = tensors[weight].shape
    tensors[weight] = tensors[weight].reshape(shape[0], patches, -1, *shape[2:]).flip(2).reshape(shape)
    old = tensors[variance].double()
    new = old * _PIXEL_RANGE**2
    ratio = ((new + _EPS) / (new + _EPS * _PIXEL_RANGE**2)).sqrt()
    tensors[gamma] = (tensors[gamma] * ratio).to(tensors[gamma].dtype)
    tensors[mean] = tensors[mean] * _PIXEL_RANGE
    tensors[variance] = new.to(tensors[variance].dtype)


SOURCE = Source('mindspore', "MindSpore: MindYOLO, or the model zoo's YOLOX", _recognises, _translate)

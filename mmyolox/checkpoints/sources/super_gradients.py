"""Weights of SuperGradients' YOLOX, releases 3.0 to 3.7, in our layout.

Layers are numbered, from 0 in the backbone and again in the head. The network is ours but for two things:

- The stem is one 6x6 convolution of stride 2, where we have Focus and a 3x3 convolution: the same products
  and sums, so that its weights only change places.
- Files from before 3.2 also hold the strides, and anchors, which no YOLOX uses.

Batch norm has our epsilon: SuperGradients sets 1e-3 when it has built the model.
"""

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from mmyolox.errors import UserError

from .base import Source, Translation, rename_all

_BACKBONE = r'^_backbone\._modules_list\.'
_HEAD = r'^_head\._modules_list\.'
_RENAMINGS: tuple[tuple[str, str], ...] = (
    # inside the blocks
    (r'\.dconv\.', '.depthwise_conv.'),
    (r'\.conv\.(conv|bn)\.', r'.pointwise_conv.\1.'),
    (r'\.bottlenecks\.', '.blocks.'),
    (r'\.blocks\.(\d+)\.cv([12])\.', r'.blocks.\1.conv\2.'),
    (rf'({_BACKBONE}8)\.cv([12])\.', r'\1.conv\2.'),
    *(
        (rf'((?:{_BACKBONE}[2469]|{_HEAD}(?:3|7|10|13))\.)conv{i}\.', rf'\1{name}_conv.')
        for i, name in enumerate(('main', 'short', 'final'), 1)
    ),
    # the backbone
    (rf'{_BACKBONE}0\.', 'backbone.stem.conv.'),
    *((rf'{_BACKBONE}{2 * i - 1 + j}\.', f'backbone.stage{i}.{j}.') for i in range(1, 5) for j in range(2)),
    (rf'{_BACKBONE}9\.', 'backbone.stage4.2.'),
    # the neck
    (rf'{_HEAD}0\.', 'neck.reduce_layers.2.'),
    (rf'{_HEAD}3\.', 'neck.top_down_layers.0.0.'),
    (rf'{_HEAD}4\.', 'neck.top_down_layers.0.1.'),
    (rf'{_HEAD}7\.', 'neck.top_down_layers.1.'),
    (rf'{_HEAD}8\.', 'neck.downsample_layers.0.'),
    (rf'{_HEAD}10\.', 'neck.bottom_up_layers.0.'),
    (rf'{_HEAD}11\.', 'neck.downsample_layers.1.'),
    (rf'{_HEAD}13\.', 'neck.bottom_up_layers.1.'),
    # the head, whose stems are the neck's last layers here
    (rf'{_HEAD}14\.stems\.', 'neck.out_layers.'),
    (rf'{_HEAD}14\.(cls|reg)_convs\.', r'bbox_head.head_module.multi_level_\1_convs.'),
    (rf'{_HEAD}14\.(cls|reg|obj)_preds\.', r'bbox_head.head_module.multi_level_conv_\1.'),
)
_CONSTANT = re.compile(r'strides?|_head\.anchors\..*|_head\._modules_list\.14\.stride')
_WHY_DROPPED = 'a constant of the network'
_STEM = 'backbone.stem.conv.conv.weight'


def rename_key(name: str) -> str:
    """Returns our name of a tensor of SuperGradients'; an unknown name stays as it is, or nearly so."""
    for pattern, replacement in _RENAMINGS:
        name = re.sub(pattern, replacement, name)
    return name


def focus_weight(weight: Tensor) -> Tensor:
    """The weight of Focus' 3x3 convolution that equals a 6x6 convolution of stride 2 and padding 2.

    Focus moves each 2x2 block of pixels into channels: left column before right column, in each from top to
    bottom. A 6x6 window is 3x3 of these blocks.

    Args:
        weight: (O, C, 6, 6).

    Returns:
        (O, 4C, 3, 3).

    Raises:
        UserError: It has another shape.
    """
    if weight.ndim != 4 or weight.shape[2:] != (6, 6):
        raise UserError(f"SuperGradients' stem has shape {tuple(weight.shape)}: (O, C, 6, 6) is expected")
    out_channels, in_channels = weight.shape[:2]
    blocks = weight.reshape(out_channels, in_channels, 3, 2, 3, 2).permute(0, 5, 3, 1, 2, 4)
    return blocks.reshape(out_channels, 4 * in_channels, 3, 3)


def _recognises(names: Collection[str]) -> bool:
    """Whether names are of CSP-Darknet's SPP, the backbone's layer 8, and of YOLOX's head."""
    parts = ('_backbone._modules_list.8.cv1.', '_head._modules_list.14.cls_preds.')
    return all(any(name.startswith(part) for name in names) for part in parts)


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    constants = {name: _WHY_DROPPED for name in state_dict if _CONSTANT.fullmatch(name)}
    named = {name: state_dict[name] for name in state_dict if name not in constants}
    translation = rename_all(named, rename_key)
    translation.dropped = constants
    if _STEM in translation.tensors:
        translation.tensors[_STEM] = focus_weight(translation.tensors[_STEM])
    return translation


SOURCE = Source('super-gradients', 'SuperGradients YOLOX (3.0 - 3.7)', _recognises, _translate)

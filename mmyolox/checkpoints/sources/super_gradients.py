"""Weights of SuperGradients' YOLOX, releases 3.0 to 3.7, in our layout.

Layers are numbered, from 0 in the backbone and again in the head. The network is ours but for two things:

- The stem is one 6x6 convolution of stride 2, where we have Focus and a 3x3 convolution: the same products
  and sums, so that its weights only change places.
- Files from before 3.2 also hold the strides, and anchors, which no YOLOX uses.

Batch norm has our epsilon: SuperGradients sets 1e-3 when it has built the model.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from mmyolox.errors import UserError
from mmyolox.models.networks.focus import focus_weight

from .base import Source, Translation, recognised_by, rename_all

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
_STEM = 'backbone.stem.conv.conv.weight'


def rename_key(name: str) -> str:
    """Our name of a tensor of SuperGradients'; an unknown name stays as it is, or nearly so."""
    for pattern, replacement in _RENAMINGS:
        name = re.sub(pattern, replacement, name)
    return name


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    constants = {name: 'a constant of the network' for name in state_dict if _CONSTANT.fullmatch(name)}
    translation = rename_all(state_dict, rename_key, constants)
    stem = translation.tensors.get(_STEM)
    if stem is not None:
        if stem.ndim != 4 or stem.shape[2:] != (6, 6):
            raise UserError(f"SuperGradients' stem has shape {tuple(stem.shape)}: (O, C, 6, 6) is expected")
        translation.tensors[_STEM] = focus_weight(stem)
    return translation


SOURCE = Source(
    'super-gradients',
    'SuperGradients YOLOX (3.0 - 3.7)',
    # CSP-Darknet's SPP, the backbone's layer 8, and YOLOX's head
    recognised_by('_backbone._modules_list.8.cv1.', '_head._modules_list.14.cls_preds.'),
    _translate,
)

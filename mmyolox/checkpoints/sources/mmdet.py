"""Weights of MMDetection's YOLOX, releases 2.15.1 to 3.3: the same tensors as here under other names.

The backbone's names are ours. The neck's reductions are one list in MMDetection, from the top level down.

What a training with MMDetection 2 saved holds the model twice: under the model's names its moving average,
and as ``ema_backbone_stem_...`` the raw weights, from which the training would go on.
"""

from collections.abc import Collection, Mapping

from torch import Tensor

from .base import Source, Translation, rename_all

_PREFIXES = {
    'neck.reduce_layers.0.': 'neck.reduce_layers.2.',
    'neck.top_down_blocks.0.': 'neck.top_down_layers.0.0.',
    'neck.reduce_layers.1.': 'neck.top_down_layers.0.1.',
    'neck.top_down_blocks.1.': 'neck.top_down_layers.1.',
    'neck.downsamples.': 'neck.downsample_layers.',
    'neck.bottom_up_blocks.': 'neck.bottom_up_layers.',
    'neck.out_convs.': 'neck.out_layers.',
    'bbox_head.multi_level_': 'bbox_head.head_module.multi_level_',
}
_RAW = 'ema_'
_WHY_DROPPED = 'a raw weight; its moving average is taken'


def rename_key(name: str) -> str:
    """Returns our name of a tensor of MMDetection's; an unknown name stays as it is."""
    prefix = next(filter(name.startswith, _PREFIXES), '')
    return _PREFIXES.get(prefix, '') + name.removeprefix(prefix)


def _recognises(names: Collection[str]) -> bool:
    """Whether names are of MMDetection's neck, which RTMDet has too, and of its YOLOX head."""
    parts = ('neck.top_down_blocks.', 'bbox_head.multi_level_conv_cls.')
    return all(any(name.startswith(part) for name in names) for part in parts)


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    raw = {name: _WHY_DROPPED for name in state_dict if name.startswith(_RAW)}
    translation = rename_all({name: state_dict[name] for name in state_dict if name not in raw}, rename_key)
    translation.dropped = raw
    return translation


SOURCE = Source('mmdet', 'MMDetection YOLOX (2.15 - 3.3)', _recognises, _translate)

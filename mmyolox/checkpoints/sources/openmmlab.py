"""Weights of OpenMMLab's: MMYOLO's, whose layout is ours, and MMDetection's, releases 2.15.1 to 3.3.

MMYOLO's YOLOX and YOLOX-Pose, and what this project itself saves, need no translation. MMYOLO's nano is the
exception: its CSP layers have no depthwise convolutions, so that it is another network than the published
YOLOX-Nano. :func:`mmyolox.checkpoints.recognise.recognise` refuses it.

MMDetection's has the same tensors under other names. The backbone's names are ours. The neck's reductions
are one list in MMDetection, from the top level down. What a training with MMDetection 2 saved holds the model
twice: under the model's names its moving average, and as ``ema_backbone_stem_...`` the raw weights, from
which the training would go on.
"""

from .base import Source, recognised_by, rename_all, replace_prefix

_MMDET_PREFIXES = {
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


is_ours = recognised_by('backbone.stem.', 'neck.out_layers.', 'bbox_head.head_module.multi_level_conv_cls.')
"""Whether names of tensors are those of a whole model in our layout."""


def rename_mmdet_key(name: str) -> str:
    """Our name of a tensor of MMDetection's; an unknown name stays as it is."""
    return replace_prefix(name, _MMDET_PREFIXES)


MMYOLO = Source(
    'mmyolo', 'MMYOLO 0.x, or mmyolox itself', is_ours, lambda state_dict: rename_all(state_dict, str)
)
MMDET = Source(
    'mmdet',
    'MMDetection YOLOX (2.15 - 3.3)',
    # MMDetection's neck, which RTMDet has too, and its YOLOX head
    recognised_by('neck.top_down_blocks.', 'bbox_head.multi_level_conv_cls.'),
    lambda state_dict: rename_all(
        state_dict,
        rename_mmdet_key,
        {name: _WHY_DROPPED for name in state_dict if name.startswith(_RAW)},
    ),
)

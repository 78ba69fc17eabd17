"""MMYOLO's YOLOX and YOLOX-Pose, and what this project itself saves: nothing has to be translated.

MMYOLO's nano is the exception: its CSP layers have no depthwise convolutions, so that it is another network
than the published YOLOX-Nano. :func:`.architecture.recognise` refuses it.
"""

from collections.abc import Collection, Mapping

from torch import Tensor

from .base import Source, Translation, rename_all


def is_ours(names: Collection[str]) -> bool:
    """Whether names of tensors are those of a whole model in our layout."""
    parts = ('backbone.stem.', 'neck.out_layers.', 'bbox_head.head_module.multi_level_conv_cls.')
    return all(any(name.startswith(part) for name in names) for part in parts)


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    return rename_all(state_dict, lambda name: name)


SOURCE = Source('mmyolo', 'MMYOLO 0.x, or mmyolox itself', is_ours, _translate)

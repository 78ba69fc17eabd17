"""Megvii's YOLOX, releases 0.1.1 to 0.3.0: the same tensors as here under other names.

The names are written once, as pairs of prefixes, and used both ways: the longest prefix that a name
begins with is replaced.
"""

from collections.abc import Collection, Mapping

from torch import Tensor

from mmyolox.errors import UserError

from .base import Source, rename_all, replace_prefix

_CSP_LAYERS = {
    **{f'backbone.backbone.dark{i + 1}.1': f'backbone.stage{i}.1' for i in range(1, 4)},
    'backbone.backbone.dark5.2': 'backbone.stage4.2',
    'backbone.C3_p4': 'neck.top_down_layers.0.0',
    'backbone.C3_p3': 'neck.top_down_layers.1',
    'backbone.C3_n3': 'neck.bottom_up_layers.0',
    'backbone.C3_n4': 'neck.bottom_up_layers.1',
}
_CSP_PARTS = {'conv1': 'main_conv', 'conv2': 'short_conv', 'conv3': 'final_conv', 'm': 'blocks'}
_RESIDUALS = {
    'backbone.backbone.stem.2': 'backbone.stem.2',
    **{
        f'backbone.backbone.dark{i + 1}.{block}': f'backbone.stage{i}.{block}'
        for i, depth in enumerate((2, 8, 8, 4), 1)
        for block in range(1, depth + 1)
    },
}

_SHARED = {
    'backbone.backbone.stem.': 'backbone.stem.',
    **{f'backbone.backbone.dark{i + 1}.': f'backbone.stage{i}.' for i in range(1, 5)},
    'head.stems.': 'neck.out_layers.',  # which are the neck's last layers here
    **{
        f'head.{branch}_convs.': f'bbox_head.head_module.multi_level_{branch}_convs.'
        for branch in ('cls', 'reg')
    },
    **{
        f'head.{branch}_preds.': f'bbox_head.head_module.multi_level_conv_{branch}.'
        for branch in ('cls', 'reg', 'obj')
    },
}
_CSP_DARKNET = {
    **{
        f'{theirs}.{part}.': f'{ours}.{name}.'
        for theirs, ours in _CSP_LAYERS.items()
        for part, name in _CSP_PARTS.items()
    },
    'backbone.lateral_conv0.': 'neck.reduce_layers.2.',
    'backbone.reduce_conv1.': 'neck.top_down_layers.0.1.',
    'backbone.bu_conv2.': 'neck.downsample_layers.0.',
    'backbone.bu_conv1.': 'neck.downsample_layers.1.',
    **_SHARED,
}
_DARKNET53 = {
    **{f'{theirs}.layer{i}.': f'{ours}.conv{i}.' for theirs, ours in _RESIDUALS.items() for i in (1, 2)},
    **{f'backbone.out{i + 1}_cbl.': f'neck.reduce_layers.{i}.' for i in range(2)},
    **{f'backbone.out{i + 1}.': f'neck.top_down_layers.{i}.' for i in range(2)},
    **_SHARED,
}
_SEPARABLE = {'.dconv.': '.depthwise_conv.', '.pconv.': '.pointwise_conv.'}

_TO_OURS = _CSP_DARKNET | _DARKNET53


def rename_key(name: str) -> str:
    """Our name of a tensor of Megvii's; an unknown name stays as it is, or nearly so."""
    return _renamed(name, _TO_OURS, _SEPARABLE)


def to_megvii(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a detector of ours under Megvii's names.

    Args:
        state_dict: The weights in our layout, complete.

    Raises:
        UserError: Megvii's models have no such tensor: the weights are not of a detector's.
    """
    names = _DARKNET53 if 'neck.reduce_layers.0.conv.weight' in state_dict else _CSP_DARKNET
    prefixes = {ours: theirs for theirs, ours in names.items()}
    parts = {ours: theirs for theirs, ours in _SEPARABLE.items()}
    renamed = {name: _renamed(name, prefixes, parts) for name in state_dict}
    strange = [name for name, theirs in renamed.items() if name == theirs or name.endswith('.border')]
    if strange:
        raise UserError(f"Megvii's YOLOX has nothing like {strange[0]}: these weights cannot become one")
    return {theirs: state_dict[name] for name, theirs in renamed.items()}


def _renamed(name: str, prefixes: Mapping[str, str], parts: Mapping[str, str]) -> str:
    """A name with its longest known prefix and all known parts replaced."""
    name = replace_prefix(name, prefixes)
    for part, replacement in parts.items():
        name = name.replace(part, replacement)
    return name


def _recognises(names: Collection[str]) -> bool:
    """Whether names are Megvii's; those of its ONNX files and of MindSpore's lack PyTorch's statistics."""
    own = any(name.startswith(('backbone.backbone.', 'head.cls_preds.', 'head.stems.')) for name in names)
    return own and any(name.endswith('.bn.running_mean') for name in names)


SOURCE = Source(
    'megvii',
    'Megvii YOLOX (0.1.1 - 0.3.0)',
    _recognises,
    lambda state_dict: rename_all(state_dict, rename_key),
)

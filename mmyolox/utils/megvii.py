"""Weights of Megvii's YOLOX (releases 0.1.1 to 0.3.0) in this project's layout.

Both projects store the same tensors under different names, so a conversion is a renaming. What the file must
hold follows from the model that is recognised in it: nothing is dropped and nothing is left out unnoticed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmyolox.models.blocks import LEAKY_RELU, scale_channels, scale_depth
from mmyolox.models.csp_darknet import YOLOXCSPDarknet
from mmyolox.models.darknet53 import YOLOXDarknet53
from mmyolox.models.head_module import YOLOXHeadModule
from mmyolox.models.pafpn import YOLOXPAFPN
from mmyolox.models.yolo_fpn import YOLOXFPN
from mmyolox.utils import UserError
from mmyolox.utils.checkpoint import load_checkpoint

_CSP = r'(dark[234]\.1|dark5\.2|C3_\w\d)'
_RENAMINGS: tuple[tuple[str, str], ...] = (
    # inside the blocks
    (rf'{_CSP}\.conv1\.', r'\1.main_conv.'),
    (rf'{_CSP}\.conv2\.', r'\1.short_conv.'),
    (rf'{_CSP}\.conv3\.', r'\1.final_conv.'),
    (rf'{_CSP}\.m\.', r'\1.blocks.'),
    (r'\.layer([12])\.', r'.conv\1.'),
    (r'\.dconv\.', '.depthwise_conv.'),
    (r'\.pconv\.', '.pointwise_conv.'),
    # the backbone, CSP-Darknet or DarkNet53
    (r'^backbone\.backbone\.stem\.', 'backbone.stem.'),
    *((rf'^backbone\.backbone\.dark{i + 1}\.', f'backbone.stage{i}.') for i in range(1, 5)),
    # PAFPN
    (r'^backbone\.lateral_conv0\.', 'neck.reduce_layers.2.'),
    (r'^backbone\.C3_p4\.', 'neck.top_down_layers.0.0.'),
    (r'^backbone\.reduce_conv1\.', 'neck.top_down_layers.0.1.'),
    (r'^backbone\.C3_p3\.', 'neck.top_down_layers.1.'),
    (r'^backbone\.bu_conv2\.', 'neck.downsample_layers.0.'),
    (r'^backbone\.C3_n3\.', 'neck.bottom_up_layers.0.'),
    (r'^backbone\.bu_conv1\.', 'neck.downsample_layers.1.'),
    (r'^backbone\.C3_n4\.', 'neck.bottom_up_layers.1.'),
    # DarkNet53's pyramid
    *((rf'^backbone\.out{i + 1}_cbl\.', f'neck.reduce_layers.{i}.') for i in range(2)),
    *((rf'^backbone\.out{i + 1}\.', f'neck.top_down_layers.{i}.') for i in range(2)),
    # the head, whose stems are the neck's last layers here
    (r'^head\.stems\.', 'neck.out_layers.'),
    (r'^head\.(cls|reg)_convs\.', r'bbox_head.head_module.multi_level_\1_convs.'),
    (r'^head\.(cls|reg|obj)_preds\.', r'bbox_head.head_module.multi_level_conv_\1.'),
)

PUBLISHED: dict[str, tuple[float, float, bool]] = {
    'nano': (0.33, 0.25, True),
    'tiny': (0.33, 0.375, False),
    's': (0.33, 0.5, False),
    'm': (0.67, 0.75, False),
    'l': (1.0, 1.0, False),
    'x': (1.33, 1.25, False),
    'darknet53': (1.0, 1.0, False),
}
"""The seven published models: deepen_factor, widen_factor, use_depthwise."""

_COUNTER = '.num_batches_tracked'


@dataclass(frozen=True)
class Architecture:
    """Which YOLOX a state dict belongs to.

    Attributes:
        name: One of ``PUBLISHED``, or ``custom`` for a CSP-Darknet model of other factors.
        deepen_factor: Depth multiplier.
        widen_factor: Width multiplier.
        use_depthwise: Depthwise separable convolutions.
        num_classes: Number of classes.
        input_channels: Channels of the images.
    """

    name: str
    deepen_factor: float
    widen_factor: float
    use_depthwise: bool
    num_classes: int = 80
    input_channels: int = 3

    def build(self) -> nn.ModuleDict:
        """Returns the network: ``backbone``, ``neck`` and ``bbox_head`` with its ``head_module``."""
        if self.name == 'darknet53':
            backbone: nn.Module = YOLOXDarknet53(self.input_channels)
            neck: nn.Module = YOLOXFPN()
            head = YOLOXHeadModule(self.num_classes, act_cfg=LEAKY_RELU)
        else:
            factors: dict[str, Any] = dict(widen_factor=self.widen_factor, use_depthwise=self.use_depthwise)
            backbone = YOLOXCSPDarknet(self.deepen_factor, input_channels=self.input_channels, **factors)
            neck = YOLOXPAFPN(deepen_factor=self.deepen_factor, **factors)
            head = YOLOXHeadModule(self.num_classes, **factors)
        return nn.ModuleDict(
            dict(backbone=backbone, neck=neck, bbox_head=nn.ModuleDict(dict(head_module=head)))
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns name -> shape of every tensor in the model's state dict, in order."""
        with torch.device('meta'):
            network = self.build()
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@dataclass(frozen=True)
class Conversion:
    """What became of the tensors of a file.

    Attributes:
        architecture: The recognised model.
        state_dict: The tensors that fit the model, under its names and in its order.
        used: Megvii's name -> our name.
        unused: Megvii's name -> why it has no place in the model.
        missing: Our names of tensors that the file does not give.
    """

    architecture: Architecture
    state_dict: dict[str, Tensor]
    used: dict[str, str]
    unused: dict[str, str]
    missing: tuple[str, ...]


def rename_key(key: str) -> str:
    """Returns our name of a tensor of Megvii's; a name of another origin stays as it is, or nearly so."""
    for pattern, replacement in _RENAMINGS:
        key = re.sub(pattern, replacement, key)
    return key


def recognise(state_dict: Mapping[str, Any]) -> Architecture:
    """Finds out size, classes and image channels from names and shapes.

    Args:
        state_dict: Megvii's state dict.

    Raises:
        UserError: A tensor that tells these is absent or has no such shape.
    """
    num_classes = _weight_shape(state_dict, 'head.cls_preds.0.weight')[0]
    if 'backbone.out1_cbl.conv.weight' in state_dict:
        channels = _weight_shape(state_dict, 'backbone.backbone.stem.0.conv.weight')[1]
        return Architecture('darknet53', *PUBLISHED['darknet53'], num_classes, channels)
    stem_channels, focus_channels = _weight_shape(state_dict, 'backbone.backbone.stem.conv.conv.weight')[:2]
    depthwise = 'backbone.bu_conv1.dconv.conv.weight' in state_dict
    depth = len({key for key in state_dict if re.search(r'\.dark2\.1\.m\.\d+\.conv1\.conv\.weight$', key)})
    name, factors = _name_size(depth, stem_channels, depthwise)
    return Architecture(name, *factors, num_classes, focus_channels // 4)


def _name_size(depth: int, stem_channels: int, depthwise: bool) -> tuple[str, tuple[float, float, bool]]:
    """The name and factors of the CSP-Darknet model with so many first-stage bottlenecks and channels."""
    for name, (deepen, widen, separable) in PUBLISHED.items():
        size = scale_depth(3, deepen), scale_channels(64, widen), separable
        if name != 'darknet53' and size == (depth, stem_channels, depthwise):
            return name, PUBLISHED[name]
    return 'custom', (depth / 3, stem_channels / 64, depthwise)


def _weight_shape(state_dict: Mapping[str, Any], key: str) -> torch.Size:
    """The shape of a convolution's weight."""
    weight = state_dict.get(key)
    if not isinstance(weight, Tensor) or weight.ndim != 4:
        raise UserError(f'not the weights of a Megvii YOLOX: they have no convolution weight {key!r}')
    return weight.shape


def convert(state_dict: Mapping[str, Any]) -> Conversion:
    """Renames Megvii's tensors and checks them against the model that they make up.

    Counters of batch norm (``num_batches_tracked``), which files from before PyTorch 0.4.1 or from other
    frameworks lack and which do not change an output, count as 0 where they are absent.

    Args:
        state_dict: Megvii's state dict.

    Raises:
        UserError: No YOLOX is recognised.
    """
    architecture = recognise(state_dict)
    shapes = architecture.shapes()
    found: dict[str, Tensor] = {}
    used, unused = {}, {}
    for key, tensor in state_dict.items():
        target = rename_key(key)
        fault = f'{target} is there already' if target in found else _misfit(tensor, shapes.get(target))
        if fault:
            unused[key] = fault
        else:
            used[key] = target
            found[target] = tensor
    found |= {name: torch.tensor(0) for name in shapes if name.endswith(_COUNTER) and name not in found}
    return Conversion(
        architecture=architecture,
        state_dict={name: found[name] for name in shapes if name in found},
        used=used,
        unused=unused,
        missing=tuple(name for name in shapes if name not in found),
    )


def _misfit(tensor: object, shape: tuple[int, ...] | None) -> str:
    """Why a value has no place in the model, or an empty string."""
    if shape is None:
        return 'the model has no such tensor'
    if not isinstance(tensor, Tensor):
        return f'a {type(tensor).__name__}, not a tensor'
    if tensor.shape != shape:
        return f'shape {tuple(tensor.shape)}, the model has {shape}'
    return ''


def read_checkpoint(path: Path, allow_unsafe: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Reads a ``.pth`` of Megvii's.

    Args:
        path: A training checkpoint ``{'model': state_dict, 'optimizer': ...}`` or a bare state dict.
        allow_unsafe: As in :func:`mmyolox.utils.checkpoint.load_checkpoint`.

    Returns:
        The state dict, and the names of the other entries (optimizer, epoch, ...).

    Raises:
        UserError: The file cannot be read safely, or holds no state dict.
    """
    content = load_checkpoint(path, allow_unsafe=allow_unsafe)
    state_dict = content.get('model', content)
    if not isinstance(state_dict, dict) or not all(isinstance(key, str) for key in state_dict):
        raise UserError(f'checkpoint {path} holds no state dict, neither by itself nor under "model"')
    return state_dict, tuple(str(key) for key in content if state_dict is not content and key != 'model')

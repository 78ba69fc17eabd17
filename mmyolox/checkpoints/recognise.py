"""Which YOLOX a state dict in our layout belongs to, by names and shapes, and which config that model has."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmyolox.errors import UserError
from mmyolox.extensions import load_extensions
from mmyolox.models.networks.blocks import LEAKY_RELU, scale_channels, scale_depth
from mmyolox.models.networks.csp_darknet import YOLOXCSPDarknet
from mmyolox.models.networks.darknet53 import YOLOXDarknet53
from mmyolox.models.networks.head_module import YOLOXHeadModule
from mmyolox.models.networks.pafpn import YOLOXPAFPN
from mmyolox.models.networks.yolo_fpn import YOLOXFPN

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

HEAD = 'bbox_head.head_module.'
_LEVEL = re.escape(f'{HEAD}multi_level_conv_cls.') + r'\d+\.weight'
"""The name of a level's last convolution of the classes."""

State = Mapping[str, Tensor]


class Family(ABC):
    """Models that differ in the head alone; a project derives one for its head.

    Attributes:
        name: What it is called before the size: ``YOLOX``.
        sizes: The sizes that have a config for COCO.
        num_classes: The number of classes of these configs.
    """

    name: str
    sizes: Collection[str]
    num_classes: int

    @abstractmethod
    def head(self, **kwargs: Any) -> nn.Module:
        """Makes the ``bbox_head`` of a model, of which only the state dict matters.

        Args:
            kwargs: The model's ``fields``, and arguments of :class:`~mmyolox.models.YOLOXHeadModule`.
        """

    @abstractmethod
    def fields(self, state_dict: State) -> dict[str, int] | None:
        """Finds by name what ``head`` takes of its own; None for a state dict of another family."""

    @abstractmethod
    def config(
        self, architecture: 'Architecture', size: str, recorded: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Finds the config to start from.

        Args:
            architecture: The model.
            size: The one of ``sizes`` whose config is meant.
            recorded: What is recorded of its data, as for :func:`config_for`.

        Returns:
            The config's name, and the options that it takes for the model's data and ``fields``.
        """

    def nearest_size(self, architecture: 'Architecture') -> str:
        """The size with a config: the model's own, else the nearest in width with the same convolutions.

        Raises:
            UserError: None is like the model.
        """
        if architecture.name in self.sizes:
            return architecture.name
        if architecture.name == 'darknet53':
            raise UserError(f'there is no config of {self.name} on DarkNet53; write one and name it')
        alike = [
            size
            for size in self.sizes
            if size != 'darknet53' and PUBLISHED[size][2] == architecture.use_depthwise
        ]
        return min(alike, key=lambda size: abs(PUBLISHED[size][1] - architecture.widen_factor))


class DetectorFamily(Family):
    """The plain detectors, which any state dict may be of."""

    name = 'YOLOX'
    sizes = tuple(PUBLISHED)
    num_classes = 80

    def head(self, **kwargs: Any) -> nn.Module:
        return nn.ModuleDict(dict(head_module=YOLOXHeadModule(**kwargs)))

    def fields(self, state_dict: State) -> dict[str, int]:
        return {}

    def config(
        self, architecture: 'Architecture', size: str, recorded: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        return f'yolox_{size}_fast_8xb8-300e_coco', {}


FAMILIES: dict[str, Family] = {DetectorFamily.name: DetectorFamily()}
"""The families by name; a project adds its own by :func:`register_family`, in the module of its
:mod:`extension <mmyolox.extensions>`."""


def register_family(family: Family) -> None:
    """Adds a family to those that are recognised; the one that was added last is asked first."""
    FAMILIES[family.name] = family


@dataclass(frozen=True)
class Architecture:
    """Which YOLOX a state dict belongs to.

    Attributes:
        name: One of ``PUBLISHED``, or ``custom`` for a CSP-Darknet model of other factors.
        deepen_factor: The depth multiplier.
        widen_factor: The width multiplier.
        use_depthwise: Whether its convolutions are depthwise separable.
        num_classes: The number of classes.
        input_channels: The number of channels of the images.
        family: One of ``FAMILIES``.
        fields: What the family's head has beside these.
        spp_zero_padding: Whether pooling sees zeros beyond the border, as in MindSpore's model zoo.
    """

    name: str
    deepen_factor: float
    widen_factor: float
    use_depthwise: bool
    num_classes: int = 80
    input_channels: int = 3
    family: str = DetectorFamily.name
    fields: dict[str, int] = field(default_factory=dict)
    spp_zero_padding: bool = False

    def build(self) -> nn.ModuleDict:
        """The network: ``backbone``, ``neck`` and ``bbox_head`` with its ``head_module``."""
        factors: dict[str, Any] = dict(widen_factor=self.widen_factor, use_depthwise=self.use_depthwise)
        if self.name == 'darknet53':
            backbone: nn.Module = YOLOXDarknet53(self.input_channels, spp_zero_padding=self.spp_zero_padding)
            neck: nn.Module = YOLOXFPN()
            factors = dict(act_cfg=LEAKY_RELU)
        else:
            backbone = YOLOXCSPDarknet(
                self.deepen_factor,
                input_channels=self.input_channels,
                spp_zero_padding=self.spp_zero_padding,
                **factors,
            )
            neck = YOLOXPAFPN(deepen_factor=self.deepen_factor, **factors)
        head = FAMILIES[self.family].head(num_classes=self.num_classes, **self.fields, **factors)
        return nn.ModuleDict(dict(backbone=backbone, neck=neck, bbox_head=head))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A dict: name -> shape of every tensor in the model's state dict, in order."""
        with torch.device('meta'):
            network = self.build()
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    def describe(self) -> str:
        """The model in one line: family, size, factors, classes, and what else there is."""
        parts = [
            f'{self.family}-{self.name}',
            f'deepen_factor {self.deepen_factor:g}',
            f'widen_factor {self.widen_factor:g}',
            f'use_depthwise {self.use_depthwise}',
            f'{self.num_classes} classes',
            f'{self.input_channels} image channels',
            *(f'{name} {value}' for name, value in self.fields.items()),
            *(['spp_zero_padding True'] if self.spp_zero_padding else []),
        ]
        return ', '.join(parts)


def recognise(state_dict: State) -> Architecture:
    """Finds out size, classes, image channels and family from names and shapes.

    Args:
        state_dict: The weights in our layout.

    Raises:
        UserError: A tensor that tells these is absent or has no such shape; or it is a YOLOX of other levels
            than the published ones, or MMYOLO's own nano.
    """
    load_extensions()
    family, fields = next(  # the plain detectors, the first of all, take any state dict
        (family.name, fields)
        for family in reversed(FAMILIES.values())
        if (fields := family.fields(state_dict)) is not None
    )
    is_padded = any(name.endswith('.border') for name in state_dict)
    common: dict[str, Any] = dict(family=family, fields=fields, spp_zero_padding=is_padded)
    num_classes = weight_shape(state_dict, f'{HEAD}multi_level_conv_cls.0.weight')[0]
    levels = sum(re.fullmatch(_LEVEL, name) is not None for name in state_dict)
    if levels != 3 or any(name.startswith('backbone.stage5.') for name in state_dict):
        raise UserError(
            'this is a YOLOX of other levels than the published ones, of which weights do not tell all: it '
            'needs the config that it was trained with'
        )
    if 'neck.reduce_layers.0.conv.weight' in state_dict:
        channels = weight_shape(state_dict, 'backbone.stem.0.conv.weight')[1]
        return Architecture('darknet53', *PUBLISHED['darknet53'], num_classes, channels, **common)
    channels = weight_shape(state_dict, 'backbone.stem.conv.conv.weight')[1] // 4
    return Architecture(*_size(state_dict), num_classes, channels, **common)


def config_for(
    architecture: Architecture, recorded: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Finds the config of ours, and what is to be changed in it, for a model.

    A model of factors that no published one has gets the config of the published size nearest in width, from
    which it also takes the size of its input.

    Args:
        architecture: The model.
        recorded: What is recorded of its data, as for :func:`mmyolox.config.load_config`.

    Returns:
        The name of a config, and ``cfg_options`` for it; none for a published model for COCO.

    Raises:
        UserError: There is no config of such a model.
    """
    family = FAMILIES[architecture.family]
    size = family.nearest_size(architecture)
    name, options = family.config(architecture, size, recorded or {})
    if size != architecture.name:
        for part in ('backbone', 'neck', 'bbox_head.head_module'):
            options[f'model.{part}.widen_factor'] = architecture.widen_factor
            options[f'model.{part}.use_depthwise'] = architecture.use_depthwise
        for part in ('backbone', 'neck'):
            options[f'model.{part}.deepen_factor'] = architecture.deepen_factor
    if architecture.num_classes != family.num_classes:
        options['model.bbox_head.head_module.num_classes'] = architecture.num_classes
    if architecture.input_channels != 3:
        options['model.backbone.input_channels'] = architecture.input_channels
    if architecture.spp_zero_padding:
        options['model.backbone.spp_zero_padding'] = True
    if architecture.input_channels == 1:
        options['test_dataloader.dataset.pipeline.0.color_type'] = 'grayscale'
    return name, options


def weight_shape(state_dict: State, name: str) -> torch.Size:
    """The shape of a convolution's weight.

    Raises:
        UserError: There is no such weight.
    """
    weight = state_dict.get(name)
    if weight is None or weight.ndim != 4:
        raise UserError(f'not the weights of a YOLOX: there is no convolution weight {name}')
    return weight.shape


def _size(state_dict: State) -> tuple[str, float, float, bool]:
    """The name and factors of a CSP-Darknet model."""
    widen = weight_shape(state_dict, 'backbone.stage4.2.final_conv.conv.weight')[0] / 1024
    depthwise = 'backbone.stage1.0.depthwise_conv.conv.weight' in state_dict
    if depthwise and 'backbone.stage1.1.blocks.0.conv2.conv.weight' in state_dict:
        raise UserError(
            "this is MMYOLO's nano, whose CSP layers have no depthwise convolutions: another network than "
            "the published YOLOX-Nano, which is built here; start from Megvii's nano instead"
        )
    depths = _depth(state_dict, 'backbone.stage1.1.'), _depth(state_dict, 'backbone.stage2.1.')
    for name, (deepen_factor, widen_factor, separable) in PUBLISHED.items():
        size = (_depths(deepen_factor), scale_channels(1024, widen_factor) / 1024, separable)
        if name != 'darknet53' and size == (depths, widen, depthwise):
            return name, *PUBLISHED[name]
    # The roundest factor, in hundredths, that gives these depths: nearest to what the second stage says.
    exact = depths[1] / 9
    factors = (step / 100 for step in range(1, 100 * (depths[1] + 1) // 9 + 1))
    fitting = [factor for factor in factors if _depths(factor) == depths]
    return 'custom', min(fitting, key=lambda factor: abs(factor - exact), default=exact), widen, depthwise


def _depth(state_dict: State, layer: str) -> int:
    """The number of bottlenecks of a CSP layer."""
    return sum(
        name.startswith(f'{layer}blocks.') and name.endswith('.conv1.conv.weight') for name in state_dict
    )


def _depths(deepen_factor: float) -> tuple[int, int]:
    """Numbers of bottlenecks of the first and the second stage."""
    return scale_depth(3, deepen_factor), scale_depth(9, deepen_factor)

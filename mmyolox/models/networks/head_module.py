"""The convolutions of the decoupled YOLOX head: from neck features to raw predictions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from mmengine.model import BaseModule, bias_init_with_prob
from torch import Tensor, nn

from mmyolox.errors import UserError
from mmyolox.registry import MODELS

from .blocks import BN, KAIMING_UNIFORM, SILU, Config, ConvBuilder, scale_channels


class HeadOutputs(NamedTuple):
    """Raw outputs of a head, lists with an entry a level.

    Attributes:
        cls_logits: The class logits (B, C, H, W).
        bbox_preds: The boxes (B, 4, H, W), the centre offset in strides and the log of the size in strides.
        obj_logits: The objectness logits (B, 1, H, W).
    """

    cls_logits: list[Tensor]
    bbox_preds: list[Tensor]
    obj_logits: list[Tensor]


@MODELS.register_module()
class YOLOXHeadModule(BaseModule):
    """A classification and a regression tower for each level, nothing shared between levels.

    Section 2.1 (decoupled head) of https://arxiv.org/abs/2107.08430. The stem that the paper puts in front
    of both towers is the neck's ``out_layers``. The state-dict names are MMYOLO's.

    Args:
        num_classes: The number of classes C.
        in_channels: The channels of the neck's levels before ``widen_factor``.
        feat_channels: The channels of the towers before ``widen_factor``.
        widen_factor: The factor of both.
        stacked_convs: The number of 3x3 convolutions in a tower.
        featmap_strides: The stride of each level in input pixels; their number is the number of levels.
        use_depthwise: Whether the towers are depthwise separable, as in YOLOX-Nano.
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        init_cfg: MMEngine's weight initialisation; the classification and objectness biases always start at
            the logit of 0.01.

    Raises:
        UserError: ``num_classes`` is None.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        feat_channels: int = 256,
        widen_factor: float = 1.0,
        stacked_convs: int = 2,
        featmap_strides: Sequence[int] = (8, 16, 32),
        use_depthwise: bool = False,
        norm_cfg: Config = BN,
        act_cfg: Config = SILU,
        init_cfg: Config | None = KAIMING_UNIFORM,
    ) -> None:
        if num_classes is None:  # a plain Config.fromfile of a config that takes it from the data
            raise UserError(
                'num_classes is None: this config takes it from the data: load it by '
                'mmyolox.config.load_config, as the tools do, or set num_classes'
            )
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.featmap_strides = tuple(featmap_strides)
        self.stacked_convs = stacked_convs
        self._convs = ConvBuilder(norm_cfg, act_cfg, use_depthwise)
        self._in_channels = scale_channels(in_channels, widen_factor)
        self._feat_channels = scale_channels(feat_channels, widen_factor)
        self.multi_level_cls_convs = self._towers(stacked_convs)
        self.multi_level_reg_convs = self._towers(stacked_convs)
        self.multi_level_conv_cls = self._predictors(num_classes)
        self.multi_level_conv_reg = self._predictors(4)
        self.multi_level_conv_obj = self._predictors(1)

    def _towers(self, depth: int) -> nn.ModuleList:
        """A tower of so many 3x3 convolutions for each level."""
        widths = [self._in_channels, *[self._feat_channels] * depth]
        return nn.ModuleList(
            nn.Sequential(*(self._convs.spatial(*pair) for pair in pairwise(widths)))
            for _ in self.featmap_strides
        )

    def _predictors(self, out_channels: int) -> nn.ModuleList:
        """A 1x1 convolution for each level, from the end of its tower to so many outputs."""
        channels = self._feat_channels if self.stacked_convs else self._in_channels
        return nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for _ in self.featmap_strides)

    def init_weights(self) -> None:
        """Initialises the weights, and the class and objectness biases to a prior probability of 0.01."""
        super().init_weights()
        bias = bias_init_with_prob(0.01)
        for conv in (*self.multi_level_conv_cls, *self.multi_level_conv_obj):
            nn.init.constant_(conv.bias, bias)

    def forward(self, feats: Sequence[Tensor]) -> HeadOutputs:
        """Predicts at every location of every level.

        Args:
            feats: The neck's levels, (B, ``in_channels`` * ``widen_factor``, H, W) each.

        Raises:
            UserError: There are more or fewer levels than strides.
        """
        if len(feats) != len(self.featmap_strides):
            raise UserError(
                f'model.bbox_head.head_module.featmap_strides={self.featmap_strides}, but the neck gives '
                f'{len(feats)} levels'
            )
        cls_feats = [tower(x) for tower, x in zip(self.multi_level_cls_convs, feats, strict=True)]
        reg_feats = [tower(x) for tower, x in zip(self.multi_level_reg_convs, feats, strict=True)]
        return HeadOutputs(
            [conv(x) for conv, x in zip(self.multi_level_conv_cls, cls_feats, strict=True)],
            [conv(x) for conv, x in zip(self.multi_level_conv_reg, reg_feats, strict=True)],
            [conv(x) for conv, x in zip(self.multi_level_conv_obj, reg_feats, strict=True)],
        )

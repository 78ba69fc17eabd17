"""The path aggregation neck of YOLOX-Nano, Tiny, S, M, L and X."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmyolox.registry import MODELS

from .blocks import BN, KAIMING_UNIFORM, SILU, Config, ConvBuilder, CSPLayer, scale_channels, scale_depth


@MODELS.register_module()
class YOLOXPAFPN(BaseModule):
    """Top-down then bottom-up feature fusion with CSP layers (PANet, https://arxiv.org/abs/1803.01534).

    The state-dict names are MMYOLO's, gaps included: ``reduce_layers`` and ``top_down_layers`` are counted
    from the top level and the other reductions live at the end of ``top_down_layers``.

    Args:
        in_channels: The channels of the incoming levels before ``widen_factor``, finest first.
        out_channels: The channels of every outgoing level before ``widen_factor``.
        deepen_factor: The factor of ``num_csp_blocks``.
        widen_factor: The factor of all channels.
        num_csp_blocks: The number of bottlenecks of a CSP layer.
        use_depthwise: Whether 3x3 convolutions are depthwise separable, as in YOLOX-Nano.
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        init_cfg: MMEngine's weight initialisation.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024),
        out_channels: int = 256,
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        norm_cfg: Config = BN,
        act_cfg: Config = SILU,
        init_cfg: Config | None = KAIMING_UNIFORM,
    ) -> None:
        super().__init__(init_cfg)
        channels = [scale_channels(c, widen_factor) for c in in_channels]
        depth = scale_depth(num_csp_blocks, deepen_factor)
        convs = ConvBuilder(norm_cfg, act_cfg, use_depthwise)
        top = len(channels) - 1

        def csp(level_in: int, level_out: int) -> CSPLayer:
            return CSPLayer(2 * channels[level_in], channels[level_out], depth, False, convs)

        def reduce(level: int) -> nn.Module:
            return convs.plain(channels[level], channels[level - 1])

        self.reduce_layers = nn.ModuleList([*(nn.Identity() for _ in range(top)), reduce(top)])
        self.top_down_layers = nn.ModuleList(
            csp(level, level) if level == 0 else nn.Sequential(csp(level, level), reduce(level))
            for level in reversed(range(top))
        )
        self.upsample = nn.Upsample(scale_factor=2, mode='nearest')
        self.downsample_layers = nn.ModuleList(
            convs.spatial(channels[level], channels[level], stride=2) for level in range(top)
        )
        self.bottom_up_layers = nn.ModuleList(csp(level, level + 1) for level in range(top))
        self.out_layers = nn.ModuleList(
            convs.plain(c, scale_channels(out_channels, widen_factor)) for c in channels
        )

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Fuses the levels.

        Args:
            feats: The features of the backbone, finest first; each level half the size of the one before.

        Returns:
            As many tensors of the same sizes with ``out_channels`` * ``widen_factor`` channels.
        """
        laterals = [self.reduce_layers[-1](feats[-1])]
        for layer, feat in zip(self.top_down_layers, reversed(feats[:-1]), strict=True):
            laterals.append(layer(torch.cat((self.upsample(laterals[-1]), feat), dim=1)))
        fused = [laterals.pop()]
        for downsample, layer in zip(self.downsample_layers, self.bottom_up_layers, strict=True):
            fused.append(layer(torch.cat((downsample(fused[-1]), laterals.pop()), dim=1)))
        return tuple(layer(x) for layer, x in zip(self.out_layers, fused, strict=True))

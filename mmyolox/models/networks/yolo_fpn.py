"""The top-down neck of YOLOX-DarkNet53."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmyolox.registry import MODELS

from .blocks import BN, KAIMING_UNIFORM, LEAKY_RELU, Config, ConvBuilder


@MODELS.register_module()
class YOLOXFPN(BaseModule):
    """YOLOv3's feature pyramid as in Megvii's YOLOX 0.3.0 (``yolox.models.yolo_fpn.YOLOFPN``).

    ``out_layers`` are Megvii's head stems, kept in the neck as in ``YOLOXPAFPN``, so that one head module
    serves both.

    Args:
        in_channels: The channels of the incoming levels, finest first.
        out_channels: The channels of every outgoing level.
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        init_cfg: MMEngine's weight initialisation.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 512),
        out_channels: int = 256,
        norm_cfg: Config = BN,
        act_cfg: Config = LEAKY_RELU,
        init_cfg: Config | None = KAIMING_UNIFORM,
    ) -> None:
        super().__init__(init_cfg)
        convs = ConvBuilder(norm_cfg, act_cfg)
        self.upsample = nn.Upsample(scale_factor=2, mode='nearest')
        self.reduce_layers = nn.ModuleList()
        self.top_down_layers = nn.ModuleList()
        fused_channels = [in_channels[-1]]
        for channels in reversed(in_channels[:-1]):
            reduced = fused_channels[-1] // 2
            self.reduce_layers.append(convs.plain(fused_channels[-1], reduced))
            self.top_down_layers.append(_conv_set(channels + reduced, reduced, convs))
            fused_channels.append(reduced)
        self.out_layers = nn.ModuleList(convs.plain(c, out_channels) for c in reversed(fused_channels))

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Fuses the levels, finest first, see :meth:`.pafpn.YOLOXPAFPN.forward`."""
        fused = [feats[-1]]
        for reduce, layer, feat in zip(
            self.reduce_layers, self.top_down_layers, reversed(feats[:-1]), strict=True
        ):
            fused.append(layer(torch.cat((self.upsample(reduce(fused[-1])), feat), dim=1)))
        return tuple(layer(x) for layer, x in zip(self.out_layers, reversed(fused), strict=True))


def _conv_set(in_channels: int, channels: int, convs: ConvBuilder) -> nn.Sequential:
    """YOLOv3's five convolutions, 1x1 and 3x3 by turns, from ``in_channels`` to ``channels``."""
    return nn.Sequential(
        convs.plain(in_channels, channels),
        convs.plain(channels, 2 * channels, 3),
        convs.plain(2 * channels, channels),
        convs.plain(channels, 2 * channels, 3),
        convs.plain(2 * channels, channels),
    )

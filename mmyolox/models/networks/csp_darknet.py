"""CSP-Darknet, the backbone of YOLOX-Nano, Tiny, S, M, L and X."""

from collections.abc import Sequence

from torch import nn

from mmyolox.registry import MODELS

from .blocks import (
    BN,
    KAIMING_UNIFORM,
    SILU,
    Config,
    ConvBuilder,
    CSPLayer,
    SPPBottleneck,
    scale_channels,
    scale_depth,
)
from .focus import Focus
from .staged_backbone import StagedBackbone


@MODELS.register_module()
class YOLOXCSPDarknet(StagedBackbone):
    """CSP-Darknet of the YOLOX paper (https://arxiv.org/abs/2107.08430): Focus stem, four CSP stages, SPP.

    Outputs of the default ``out_indices`` have strides 8, 16, 32 and 256, 512, 1024 channels times
    ``widen_factor``. The state-dict names are MMYOLO's.

    Args:
        deepen_factor: Multiplies the number of bottlenecks of a stage (3, 9, 9, 3).
        widen_factor: Multiplies the channels.
        input_channels: Channels of the images: 3, 1 for grey, 4 with infrared or depth.
        out_indices: Parts to return, 0 the stem and 1 to 4 the stages.
        frozen_stages: Last part to freeze, -1 for none.
        use_depthwise: Depthwise separable 3x3 convolutions in all stages, as in YOLOX-Nano.
        spp_kernel_sizes: Pooling windows of the SPP block, odd and rising.
        spp_zero_padding: Whether they see zeros beyond the border, see :class:`.blocks.SPPBottleneck`.
        norm_cfg: Norm layer.
        act_cfg: Activation layer.
        init_cfg: Weight initialisation.

    Raises:
        UserError: An index or a window outside of what the network has.
    """

    def __init__(
        self,
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        input_channels: int = 3,
        out_indices: Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        spp_zero_padding: bool = False,
        norm_cfg: Config = BN,
        act_cfg: Config = SILU,
        init_cfg: Config | None = KAIMING_UNIFORM,
    ) -> None:
        convs = ConvBuilder(norm_cfg, act_cfg, use_depthwise)
        channels = [scale_channels(c, widen_factor) for c in (64, 128, 256, 512, 1024)]
        depths = [scale_depth(n, deepen_factor) for n in (3, 9, 9, 3)]
        stages = [_csp_stage(channels[i], channels[i + 1], depths[i], convs) for i in range(3)]
        pooling = SPPBottleneck(channels[4], channels[4], spp_kernel_sizes, convs, spp_zero_padding)
        stages.append(_csp_stage(channels[3], channels[4], depths[3], convs, pooling))
        stem = Focus(input_channels, channels[0], convs)
        super().__init__(stem, stages, out_indices, frozen_stages, init_cfg)


def _csp_stage(
    in_channels: int,
    out_channels: int,
    depth: int,
    convs: ConvBuilder,
    pooling: SPPBottleneck | None = None,
) -> nn.Sequential:
    """A stride-2 convolution and a CSP layer; in the last stage SPP between them and no identities."""
    layers: list[nn.Module] = [convs.spatial(in_channels, out_channels, stride=2)]
    if pooling is not None:
        layers.append(pooling)
    layers.append(CSPLayer(out_channels, out_channels, depth, pooling is None, convs))
    return nn.Sequential(*layers)

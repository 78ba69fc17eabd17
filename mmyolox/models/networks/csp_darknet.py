"""CSP-Darknet, the backbone of YOLOX-Nano, Tiny, S, M, L and X."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from mmyolox.errors import UserError
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
    """CSP-Darknet of the YOLOX paper (https://arxiv.org/abs/2107.08430): Focus stem, CSP stages, SPP.

    Outputs of the default ``out_indices`` have strides 8, 16, 32 and 256, 512, 1024 channels times
    ``widen_factor``. The state-dict names are MMYOLO's. A fifth stage gives a level of stride 64.

    Args:
        deepen_factor: The factor of ``stage_depths``.
        widen_factor: The factor of ``stage_channels``.
        input_channels: The channels of the images: 3, 1 for grey, 4 with infrared or depth.
        out_indices: The indices of the parts to return, 0 the stem and 1 to 4 the stages.
        frozen_stages: The last part to freeze, -1 for none.
        use_depthwise: Whether 3x3 convolutions of all stages are depthwise separable, as in YOLOX-Nano.
        spp_kernel_sizes: The pooling windows of the SPP block, odd and rising.
        spp_zero_padding: Whether these windows see zeros beyond the border, see
            :class:`.blocks.SPPBottleneck`.
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        init_cfg: MMEngine's weight initialisation.
        stage_channels: The channels of each stage; the stem has half of the first stage's.
        stage_depths: The number of bottlenecks of each stage. The last stage also has the SPP block.

    Raises:
        UserError: An index or a window outside of what the network has, or stages of unequal number.
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
        stage_channels: Sequence[int] = (128, 256, 512, 1024),
        stage_depths: Sequence[int] = (3, 9, 9, 3),
    ) -> None:
        if len(stage_channels) != len(stage_depths) or not stage_depths:
            raise UserError(
                f'stage_channels={tuple(stage_channels)}, stage_depths={tuple(stage_depths)}: give both, and '
                'as many of one as of the other'
            )
        convs = ConvBuilder(norm_cfg, act_cfg, use_depthwise)
        widths = [scale_channels(c, widen_factor) for c in (stage_channels[0] // 2, *stage_channels)]
        stages: list[nn.Module] = []
        for channels, depth in zip(pairwise(widths), stage_depths, strict=True):
            # In the last stage there are the SPP block, before the CSP layer, and no identities.
            pooling: list[nn.Module] = []
            is_last = len(stages) == len(stage_depths) - 1
            if is_last:
                ends = channels[1], channels[1]
                pooling = [SPPBottleneck(*ends, spp_kernel_sizes, convs, spp_zero_padding)]
            downsample = convs.spatial(*channels, stride=2)
            blocks = scale_depth(depth, deepen_factor)
            layer = CSPLayer(channels[1], channels[1], blocks, not is_last, convs)
            stages.append(nn.Sequential(downsample, *pooling, layer))
        stem = Focus(input_channels, widths[0], convs)
        super().__init__(stem, stages, out_indices, frozen_stages, init_cfg)

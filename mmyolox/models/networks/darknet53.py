"""DarkNet53 with SPP, the backbone of YOLOX-DarkNet53."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmyolox.registry import MODELS

from .blocks import BN, KAIMING_UNIFORM, LEAKY_RELU, Config, ConvBuilder, SPPBottleneck
from .staged_backbone import StagedBackbone


class DarknetResidual(nn.Module):
    """1x1 convolution to half the channels, 3x3 back, identity: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, convs: ConvBuilder) -> None:
        super().__init__()
        self.conv1 = convs.plain(channels, channels // 2)
        self.conv2 = convs.plain(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``x`` plus its residual."""
        return x + self.conv2(self.conv1(x))


@MODELS.register_module()
class YOLOXDarknet53(StagedBackbone):
    """DarkNet53 of YOLOv3-SPP as in Megvii's YOLOX 0.3.0 (``yolox.models.darknet.Darknet`` of depth 53).

    Outputs of the default ``out_indices`` have strides 8, 16, 32 and 256, 512, 512 channels: the SPP block
    closes the last stage and halves its 1024.

    Args:
        input_channels: The channels of the images.
        out_indices: The indices of the parts to return, 0 the stem and 1 to 4 the stages.
        frozen_stages: The last part to freeze, -1 for none.
        spp_kernel_sizes: The pooling windows of the SPP block, odd and rising.
        spp_zero_padding: Whether these windows see zeros beyond the border, see
            :class:`.blocks.SPPBottleneck`.
        norm_cfg: The config of the norm layers, mmcv's.
        act_cfg: The config of the activation layers, mmcv's.
        init_cfg: MMEngine's weight initialisation.

    Raises:
        UserError: An index or a window outside of what the network has.
    """

    def __init__(
        self,
        input_channels: int = 3,
        out_indices: Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        spp_zero_padding: bool = False,
        norm_cfg: Config = BN,
        act_cfg: Config = LEAKY_RELU,
        init_cfg: Config | None = KAIMING_UNIFORM,
    ) -> None:
        convs = ConvBuilder(norm_cfg, act_cfg)
        stem = nn.Sequential(convs.plain(input_channels, 32, 3), *_group(32, 1, convs))
        stages = [
            nn.Sequential(*_group(channels, depth, convs))
            for channels, depth in ((64, 2), (128, 8), (256, 8), (512, 4))
        ]
        spp_block = [
            convs.plain(1024, 512),
            convs.plain(512, 1024, 3),
            SPPBottleneck(1024, 512, spp_kernel_sizes, convs, spp_zero_padding),
            convs.plain(512, 1024, 3),
            convs.plain(1024, 512),
        ]
        stages[-1].extend(spp_block)
        super().__init__(stem, stages, out_indices, frozen_stages, init_cfg)


def _group(in_channels: int, depth: int, convs: ConvBuilder) -> list[nn.Module]:
    """A stride-2 convolution to twice the channels, then ``depth`` residual blocks."""
    channels = 2 * in_channels
    downsample = convs.plain(in_channels, channels, 3, stride=2)
    return [downsample, *(DarknetResidual(channels, convs) for _ in range(depth))]

"""What the YOLOX backbones have in common: a stem, stages, outputs and frozen parts."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmyolox.errors import UserError

from .blocks import Config


class StagedBackbone(BaseModule):
    """A stem and stages in a row, each reachable by an index: 0 is the stem, 1 the first of the stages.

    Frozen parts take no gradient and keep their batch-norm statistics. They are frozen when the network is
    built, so that a distributed wrapper already sees which parameters train.

    Args:
        stem: The module that makes features of stride 2 from images.
        stages: The modules that each halve the resolution, registered as ``stage1``, ``stage2``, ...
        out_indices: The indices of the parts whose outputs ``forward`` returns, in rising order.
        frozen_stages: The last frozen part: -1 for none, 0 for the stem, the last index for everything.
        init_cfg: MMEngine's weight initialisation.

    Attributes:
        strides: The stride of each output, in input pixels.

    Raises:
        UserError: An index outside of the network.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        out_indices: Sequence[int],
        frozen_stages: int,
        init_cfg: Config | None,
    ) -> None:
        super().__init__(init_cfg)
        last = len(stages)
        if not out_indices or not set(out_indices) <= set(range(last + 1)):
            raise UserError(f'out_indices={tuple(out_indices)}: choose from 0 (stem) to {last}')
        if frozen_stages not in range(-1, last + 1):
            raise UserError(f'frozen_stages={frozen_stages}: choose from -1 (none) to {last} (all)')
        self.out_indices = tuple(out_indices)
        self.layer_names = ['stem', *(f'stage{i}' for i in range(1, last + 1))]
        for name, layer in zip(self.layer_names, (stem, *stages), strict=True):
            self.add_module(name, layer)
        self.strides = tuple(2 ** (index + 1) for index in self.out_indices)
        self.frozen_names = self.layer_names[: frozen_stages + 1]
        for name in self.frozen_names:
            self.get_submodule(name).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'StagedBackbone':
        """Sets training mode for all but the frozen parts, which stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen_names:
            self.get_submodule(name).eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the features of ``out_indices``.

        Args:
            x: (B, C, H, W) images; H and W multiples of the largest of ``strides``, so that the necks can
                double a feature map and meet the next larger one.

        Returns:
            One (B, C_i, H / 2^(i+1), W / 2^(i+1)) tensor for each index i.

        Raises:
            UserError: A side of the images is no such multiple.
        """
        height, width = x.shape[-2:]
        stride = max(self.strides)
        if height % stride or width % stride:
            raise UserError(f'input of {width}x{height} pixels: pad both sides to multiples of {stride}')
        outputs = []
        for index, name in enumerate(self.layer_names):
            x = self.get_submodule(name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

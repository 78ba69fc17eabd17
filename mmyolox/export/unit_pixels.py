"""A network for float16 in which no weight vanishes."""

from torch import Tensor, nn

from .network import ExportNetwork

_LEVELS = 256.0
"""A power of two: dividing by it changes no digit."""


class UnitPixelNetwork(nn.Module):
    """An export network that first divides its images by 256, and has that many times the first weights.

    Images of grey levels up to 255 give the first convolution weights below 6e-5, where float16 has fewer
    digits. Some converters and chips take them for 0: pnnx does, at scores wrong by up to 0.6.

    Args:
        network: Changed in place; its outputs, as those of this one, stay the same.
    """

    def __init__(self, network: ExportNetwork) -> None:
        super().__init__()
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        first.weight.data *= _LEVELS
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The table of a batch, see :class:`.network.ExportNetwork`."""
        rows: Tensor = self.network(images / _LEVELS)
        return rows

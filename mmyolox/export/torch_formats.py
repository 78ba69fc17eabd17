"""PyTorch's own formats: TorchScript, for libtorch, and ``torch.export``, for AOTInductor and ExecuTorch."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import INPUT_SHAPE_KEY
from mmyolox.files import atomic_write
from mmyolox.models import YOLODetector

from .description import describe
from .network import ExportNetwork
from .options import ExportOptions

_LEVELS = 256.0
"""A power of two: dividing by it changes no digit."""


def write_torchscript(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a traced network; see :func:`.formats.export_model`.

    The :class:`~mmyolox.deploy.ModelInfo` is its extra file ``mmyolox``; the shape of the input is the extra
    file ``mmyolox_input_shape``, a JSON list with null for an axis of any length.
    """
    shape_hw = (None, None) if options.dynamic_size else options.size.shape_hw
    shape = (None if options.dynamic_batch else options.batch, model.input_channels, *shape_hw)
    extra = {METADATA_KEY: describe(model, options).to_json(), INPUT_SHAPE_KEY: json.dumps(shape)}
    # PyTorch's own writer of files ends the process when the disk is full.
    content = trace(model, options).save_to_buffer(_extra_files=extra)
    with atomic_write(dst) as part:
        part.write_bytes(content)


def write_torch_export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes an exported program; see :func:`.formats.export_model`.

    The :class:`~mmyolox.deploy.ModelInfo` is its extra file ``mmyolox``.
    """
    info = describe(model, options)
    images = example(model, options)
    axes: dict[int, Any] = {}
    if options.dynamic_batch:
        axes[0] = Dim('batch', min=1)
        # An example of one image would make the batch 1 for good.
        images = images[:1].repeat(max(options.batch, 2), 1, 1, 1)
    if options.dynamic_size:
        # Two cells at least: PyTorch's guards tell 1 from all other lengths, and make it another program.
        stride = max(info.strides)
        axes |= {2: stride * Dim('rows', min=2), 3: stride * Dim('columns', min=2)}
    with torch.no_grad():
        network = ExportNetwork(model, options).eval()
        program = torch.export.export(network, (images,), dynamic_shapes=(axes,))
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_KEY: info.to_json()})
    with atomic_write(dst) as part:
        part.write_bytes(content.getbuffer())


def example(model: YOLODetector, options: ExportOptions) -> Tensor:
    """Makes grey images to trace a network with."""
    return torch.full((options.batch, model.input_channels, *options.size.shape_hw), 114.0)


def trace(model: YOLODetector, options: ExportOptions) -> torch.jit.ScriptModule:
    """The traced network, in evaluation mode, for a converter to the precision."""
    export_network = ExportNetwork(model, options).eval()
    is_half = options.precision.name == 'fp16'
    network: nn.Module = UnitPixelNetwork(export_network) if is_half else export_network
    with torch.no_grad(), warnings.catch_warnings():
        # It is said that sizes which Python looks at, to check them, are constants from now on.
        warnings.simplefilter('ignore')
        jit: Any = torch.jit  # has no annotations
        traced: torch.jit.ScriptModule = jit.trace(network, example(model, options))
    return traced


class UnitPixelNetwork(nn.Module):
    """An export network for float16 that first divides its images by 256, and has larger first weights.

    Images of grey levels up to 255 give the first convolution weights below 6e-5, where float16 has fewer
    digits. Some converters and chips take them for 0: pnnx does, at scores wrong by up to 0.6. They are
    multiplied by 256 here.

    Args:
        network: The network, changed in place; its outputs, as those of this one, stay the same.
    """

    def __init__(self, network: ExportNetwork) -> None:
        super().__init__()
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        first.weight.data *= _LEVELS
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The table of a batch, see :class:`.network.ExportNetwork`."""
        table: Tensor = self.network(images / _LEVELS)
        return table

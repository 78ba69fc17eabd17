"""TorchScript: the network as traced by PyTorch, for libtorch."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.files import atomic_write

from .description import describe
from .loaded import LoadedGraph
from .network import ExportNetwork, input_channels
from .options import ExportOptions
from .unit_pixels import UnitPixelNetwork

_SHAPE_KEY = 'mmyolox_input_shape'


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a traced network; see :meth:`.formats.Format.export`.

    The :class:`~mmyolox.deploy.ModelInfo` is its extra file ``mmyolox``; the shape of the input is the extra
    file ``mmyolox_input_shape``, a JSON list with null for an axis of any length.
    """
    info = describe(model, options)
    extra = {METADATA_KEY: info.to_json(), _SHAPE_KEY: json.dumps(input_shape(model, options))}
    with atomic_write(dst) as part:
        trace(model, options).save(str(part), _extra_files=extra)


def input_shape(model: YOLODetector, options: ExportOptions) -> tuple[int | None, ...]:
    """The shape of the images that the network takes, None for an axis of any length."""
    size = (None, None) if options.dynamic_size else options.size
    return (None if options.dynamic_batch else options.batch, input_channels(model), *size)


def example(model: YOLODetector, options: ExportOptions) -> Tensor:
    """Images to trace a network with: grey ones."""
    return torch.full((options.batch, input_channels(model), *options.size), 114.0)


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


def load(path: Path) -> Runtime:
    """Opens the file in PyTorch."""
    extra = {METADATA_KEY: b'', _SHAPE_KEY: b''}
    jit: Any = torch.jit
    network = jit.load(str(path), map_location='cpu', _extra_files=extra)

    def compute(batch: Array) -> list[Array]:
        with torch.no_grad():
            return [network(torch.from_numpy(batch)).numpy()]

    return LoadedGraph(compute, tuple(json.loads(extra[_SHAPE_KEY])), extra[METADATA_KEY].decode())

"""``torch.export``: a graph of PyTorch's operators, for AOTInductor, ExecuTorch and PyTorch itself."""

from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.files import atomic_write

from .description import describe
from .loaded import LoadedGraph
from .network import ExportNetwork
from .options import ExportOptions
from .torchscript import example


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes an exported program; see :meth:`.formats.Format.export`.

    The :class:`~mmyolox.deploy.ModelInfo` is its extra file ``mmyolox``.
    """
    info = describe(model, options)
    images = example(model, options)
    if options.dynamic_batch:
        # An example of one image would make the batch 1 for good.
        images = images[:1].repeat(max(options.batch, 2), 1, 1, 1)
    with torch.no_grad():
        program = torch.export.export(
            ExportNetwork(model, options).eval(),
            (images,),
            dynamic_shapes=(_dynamic_axes(info.strides, options),),
        )
    with atomic_write(dst) as part:
        torch.export.save(program, part, extra_files={METADATA_KEY: info.to_json()})


def _dynamic_axes(strides: tuple[int, ...], options: ExportOptions) -> dict[int, Any]:
    """Which axes of the images may have any length, or any multiple of the largest stride from two on."""
    axes: dict[int, Any] = {}
    if options.dynamic_batch:
        axes[0] = Dim('batch', min=1)
    if options.dynamic_size:
        # A single row of cells would be another program: PyTorch's guards tell 1 from all other lengths.
        axes |= {2: max(strides) * Dim('rows', min=2), 3: max(strides) * Dim('columns', min=2)}
    return axes


def load(path: Path) -> Runtime:
    """Opens the file in PyTorch."""
    extra = {METADATA_KEY: ''}
    program = torch.export.load(path, extra_files=extra)
    (name,) = program.graph_signature.user_inputs
    images = next(node for node in program.graph.nodes if node.name == name)
    shape = tuple(size if isinstance(size, int) else None for size in images.meta['val'].shape)
    network = program.module()

    def compute(batch: Array) -> list[Array]:
        with torch.no_grad():
            return [network(torch.from_numpy(batch)).numpy()]

    return LoadedGraph(compute, shape, extra[METADATA_KEY])

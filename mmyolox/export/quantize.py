"""Post-training quantisation to 8-bit integers with NNCF, on images of the user's.

Two things matter more than all options of the quantiser (docs/deploy.md). SiLU must be one operation,
or its inner sigmoid is quantised too, at ten points of AP. And the head's last convolutions stay in float,
with what follows them: boxes need more than 256 steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.model import input_batch
from mmyolox.models import YOLODetector

from .inputs import photographs
from .onnx_nodes import name_nodes, nodes_after_network, nodes_before_network
from .options import ExportOptions, calibration_files

Batch = NDArray[Any]


def calibration_batches(model: YOLODetector, info: ModelInfo, options: ExportOptions) -> Iterator[Batch]:
    """Reads the images for calibration as batches that the graph takes.

    Args:
        model: Says how its images are read.
        info: Says how they go in.
        options: ``precision`` and ``batch`` are read. An image fills a whole batch.

    Raises:
        UserError: There are no images, or one cannot be read.
    """
    dtype = np.dtype(np.uint8 if info.preprocessing else np.float32)
    for image in photographs(model, calibration_files(options.precision)):
        yield input_batch([image] * options.batch, info, dtype)


def quantise_onnx(graph: ModelProto, batches: Iterable[Batch], symmetric: bool) -> ModelProto:
    """Quantises an ONNX graph: pairs of ``QuantizeLinear`` and ``DequantizeLinear`` say what is 8 bits wide.

    Args:
        graph: Of one input and of opset 13 or newer.
        batches: What it takes.
        symmetric: For TensorRT, which knows int8 with a zero point of 0 alone: activations are signed and
            symmetric, and the first convolution, whose input has no sign, stays in float. Otherwise
            activations are asymmetric, which costs less AP.

    Returns:
        A new graph.
    """
    import nncf

    nncf.set_log_level('ERROR')
    graph = name_nodes(graph)
    ignored = nodes_after_network(graph, with_last=True)
    if symmetric:
        ignored |= nodes_before_network(graph, with_first=True)
    preset = nncf.QuantizationPreset.PERFORMANCE if symmetric else nncf.QuantizationPreset.MIXED
    name = graph.graph.input[0].name
    data = [{name: batch} for batch in batches]
    quantised: ModelProto = nncf.quantize(
        graph,
        nncf.Dataset(data),
        preset=preset,
        subset_size=len(data),
        ignored_scope=nncf.IgnoredScope(names=sorted(ignored), validate=False),
    )
    return quantised

"""ONNX in any precision: what :func:`~mmyolox.export.onnx_file.export_onnx` writes, with fewer bits."""

from pathlib import Path

import onnx
from onnx import ModelProto, helper

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import OnnxRuntime, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.atomic import atomic_write

from .description import describe
from .onnx_file import export_onnx
from .onnx_nodes import name_nodes, nodes_after_network, nodes_before_network
from .options import ExportOptions


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ONNX in ``options.precision``; see :meth:`mmyolox.export.formats.Format.export`."""
    write(model, dst, options, symmetric=False)


def write(model: YOLODetector, dst: Path, options: ExportOptions, symmetric: bool) -> None:
    """Writes a detector as ONNX whose types are those of ``options.precision``.

    Inputs and outputs are the same in all precisions.

    Args:
        model: Of :func:`mmyolox.inference.init_detector`.
        dst: The file.
        options: What is to be in it.
        symmetric: How to quantise, see :func:`~mmyolox.export.quantize.quantise_onnx`.
    """
    export_onnx(model, dst, options)
    if options.precision.name == 'fp32':
        return
    graph = onnx.load(dst)
    if options.precision.name == 'fp16':
        graph = halve(graph)
    else:
        # The quantiser is a package that no other precision needs.
        from .quantize import calibration_batches, quantise_onnx

        info = describe(model, options)
        graph = quantise_onnx(graph, calibration_batches(model, info, options), symmetric)
        helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    with atomic_write(dst) as part:
        onnx.save(graph, part)


def halve(graph: ModelProto) -> ModelProto:
    """A graph whose network computes in float16; letterboxing, decoding and suppression stay in float32.

    Float16 has steps of half a pixel above 512.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = name_nodes(graph)
    others = nodes_after_network(graph) | nodes_before_network(graph)
    halved: ModelProto = convert_float_to_float16(graph, keep_io_types=True, node_block_list=sorted(others))
    return halved


def load(path: Path) -> Runtime:
    """Opens the file in ONNX Runtime."""
    return OnnxRuntime(path)

"""ONNX in any precision: what :func:`~mmyolox.export.onnx_file.export_onnx` writes, with fewer bits."""

from pathlib import Path

import onnx
from onnx import helper

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import OnnxRuntime, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.atomic import atomic_write

from .description import describe
from .onnx_file import export_onnx
from .onnx_half import halve
from .options import ExportOptions


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ONNX in ``options.precision``; see :meth:`.formats.Format.export`."""
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


def load(path: Path) -> Runtime:
    """Opens the file in ONNX Runtime."""
    return OnnxRuntime(path)

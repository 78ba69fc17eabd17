"""ONNX in any precision: what :func:`~mmyolox.export.onnx_file.build_onnx` makes, with fewer bits."""

from pathlib import Path

from onnx import ModelProto, helper

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import OnnxRuntime, Runtime
from mmyolox.models import YOLODetector

from .description import describe
from .onnx_file import build_onnx, save_onnx
from .onnx_half import halve
from .options import ExportOptions


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ONNX in ``options.precision``; see :meth:`.formats.Format.export`."""
    save_onnx(build(model, options, symmetric=False), dst)


def build(model: YOLODetector, options: ExportOptions, symmetric: bool) -> ModelProto:
    """A detector as ONNX whose types are those of ``options.precision``.

    Inputs and outputs are the same in all precisions.

    Args:
        model: Of :func:`mmyolox.apis.inference.init_detector`.
        options: What is to be in it.
        symmetric: How to quantise, see :func:`~mmyolox.export.quantize.quantise_onnx`.
    """
    graph = build_onnx(model, options)
    if options.precision.name == 'fp16':
        return halve(graph)
    if options.precision.name == 'int8':
        # The quantiser is a package that no other precision needs.
        from .quantize import calibration_batches, quantise_onnx

        info = describe(model, options)
        graph = quantise_onnx(graph, calibration_batches(model, info, options), symmetric)
        helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    return graph


def load(path: Path) -> Runtime:
    """Opens the file in ONNX Runtime."""
    return OnnxRuntime(path)

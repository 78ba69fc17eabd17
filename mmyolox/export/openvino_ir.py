"""OpenVINO IR, from the ONNX of the same options."""

from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.models import YOLODetector

from .description import describe
from .onnx_format import build_float_onnx, save_onnx
from .options import ExportOptions
from .quantize import calibration_batches, quantise_openvino


def write_openvino(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ``NAME.xml`` and ``NAME.bin``; see :func:`.formats.export_model`.

    ``fp16`` stores weights in 16 bits; what they are computed in is the device's matter. ``int8`` is the work
    of :func:`.quantize.quantise_openvino`. The :class:`~mmyolox.deploy.ModelInfo` is in ``rt_info`` under
    ``mmyolox``.
    """
    info = describe(model, options)
    with TemporaryDirectory() as folder:
        source = save_onnx(build_float_onnx(model, options), Path(folder) / 'model.onnx')
        graph = openvino.convert_model(source)
        if options.precision.name == 'int8':
            graph = quantise_openvino(graph, calibration_batches(model, info, options))
        graph.set_rt_info(info.to_json(), [METADATA_KEY])
        _save(graph, dst, is_half=options.precision.name == 'fp16')


def _save(graph: openvino.Model, dst: Path, is_half: bool) -> None:
    """Writes both files, the one that is opened last."""
    with TemporaryDirectory(dir=dst.parent) as folder:
        written = Path(folder) / dst.name
        try:
            openvino.save_model(graph, written, compress_to_fp16=is_half)
        except RuntimeError as error:
            raise OSError(str(error).strip().splitlines()[-1]) from error
        for suffix in ('.bin', '.xml'):
            written.with_suffix(suffix).replace(dst.with_suffix(suffix))

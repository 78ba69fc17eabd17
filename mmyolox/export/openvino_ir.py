"""OpenVINO IR, from the ONNX of the same options."""

from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import OpenVINORuntime, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.errors import UserError

from .description import describe
from .onnx_file import export_onnx
from .options import ExportOptions


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ``NAME.xml`` and ``NAME.bin``; see :meth:`.formats.Format.export`.

    ``fp16`` stores weights in 16 bits; what they are computed in is the device's matter. ``int8`` is the work
    of :func:`.quantize.quantise_openvino`. The :class:`~mmyolox.deploy.ModelInfo` is in ``rt_info`` under
    ``mmyolox``.
    """
    info = describe(model, options)
    with TemporaryDirectory() as folder:
        onnx_file = export_onnx(model, Path(folder) / 'model.onnx', options)
        graph = openvino.convert_model(onnx_file)
        if options.precision.name == 'int8':
            # The quantiser is a package that no other precision needs.
            from .quantize import calibration_batches, quantise_openvino

            graph = quantise_openvino(graph, calibration_batches(model, info, options))
        graph.set_rt_info(info.to_json(), [METADATA_KEY])
        _save(graph, dst, is_half=options.precision.name == 'fp16')


def _save(graph: openvino.Model, dst: Path, is_half: bool) -> None:
    """Writes both files; should the second fail, the first does not stay."""
    try:
        openvino.save_model(graph, dst, compress_to_fp16=is_half)
    except RuntimeError as error:
        for part in (dst, dst.with_suffix('.bin')):
            part.unlink(missing_ok=True)
        raise UserError(f'{dst} cannot be written: {str(error).strip().splitlines()[-1]}') from error


def load(path: Path) -> Runtime:
    """Opens the file in OpenVINO, on the CPU."""
    return OpenVINORuntime(path)

"""OpenVINO IR, from the ONNX of the same options."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.files import copy_pair
from mmyolox.models import YOLODetector

from .description import describe
from .inputs import Batch, calibration_batches
from .onnx_format import build_float_onnx, save_onnx
from .options import ExportOptions

_ENDS = ('Convolution', 'GroupConvolution', 'ShapeOf')
"""The operators at which the way back from an output ends."""


def write_openvino(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ``NAME.xml`` and ``NAME.bin``; see :func:`.formats.export_model`.

    ``fp16`` stores weights in 16 bits; what they are computed in is the device's matter. ``int8`` is the work
    of :func:`quantise_openvino`. The :class:`~mmyolox.deploy.ModelInfo` is in ``rt_info`` under ``mmyolox``.
    """
    info = describe(model, options)
    with TemporaryDirectory() as folder:
        source = save_onnx(build_float_onnx(model, options), Path(folder) / 'model.onnx')
        graph = openvino.convert_model(source)
        if options.precision.name == 'int8':
            graph = quantise_openvino(graph, calibration_batches(model, info, options))
        graph.set_rt_info(info.to_json(), [METADATA_KEY])
        written = Path(folder) / dst.name
        try:
            openvino.save_model(graph, written, compress_to_fp16=options.precision.name == 'fp16')
        except RuntimeError as error:  # which does not say what the system said
            reason = str(error).strip().splitlines()[-1]
            raise OSError(
                f'OpenVINO cannot write to {folder} ({reason}); make room, or set TMPDIR'
            ) from error
        copy_pair(written, dst, '.bin')


def quantise_openvino(graph: openvino.Model, batches: Iterable[Batch]) -> openvino.Model:
    """Quantises a graph of OpenVINO.

    SiLU must be one operation in it, as :func:`openvino.convert_model` makes it. Weights are symmetric,
    with a scale a channel; activations are asymmetric, as SiLU is. What lies between the head's last
    convolutions, these included, and the outputs stays in float.

    Args:
        graph: The graph, of one input.
        batches: The batches that the graph takes.

    Returns:
        A new graph.
    """
    import nncf

    nncf.set_log_level('ERROR')
    names: set[str] = set()
    pending = list(graph.get_results())
    while pending:
        for value in pending.pop().input_values():
            node = value.get_node()
            if node.get_friendly_name() not in names:
                names.add(node.get_friendly_name())
                pending += [] if node.get_type_name() in _ENDS else [node]
    data = list(batches)
    quantised: openvino.Model = nncf.quantize(
        graph,
        nncf.Dataset(data),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(data),
        ignored_scope=nncf.IgnoredScope(names=sorted(names), validate=False),
    )
    return quantised

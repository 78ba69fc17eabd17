"""From a detector to an ONNX file, in any precision."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxslim
import torch
from onnx import ModelProto, compose
from torch import nn

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.info import METADATA_KEY
from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.models import YOLODetector
from mmyolox.version import __version__

from .description import describe
from .end2end import LEAST_OPSET, suppression_graph
from .inputs import calibration_batches
from .network import CandidateNetwork, ExportNetwork
from .onnx_precision import halve, quantise_onnx
from .options import ExportOptions
from .preprocess import letterbox_graph

OPSETS = range(11, 21)
"""The versions of operators that PyTorch 2.6 to 2.13 write in TorchScript's way."""


def write_onnx(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes a detector as ONNX in ``options.precision``; see :func:`.formats.export_model`."""
    save_onnx(build_onnx(model, options, symmetric=False), dst)


def build_onnx(model: YOLODetector, options: ExportOptions, symmetric: bool) -> ModelProto:
    """A detector as ONNX whose types are those of ``options.precision``.

    Inputs and outputs are the same in all precisions.

    Args:
        model: The model that :func:`mmyolox.apis.init_detector` returns.
        options: The options, which say what is to be in it.
        symmetric: Whether to quantise symmetrically, see
            :func:`~mmyolox.export.onnx_precision.quantise_onnx`.
    """
    graph = build_float_onnx(model, options)
    if options.precision.name == 'fp16':
        return halve(graph)
    if options.precision.name == 'int8':
        info = describe(model, options)
        graph = quantise_onnx(graph, calibration_batches(model, info, options), symmetric)
        onnx.helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    return graph


def build_float_onnx(model: YOLODetector, options: ExportOptions) -> ModelProto:
    """A detector as ONNX in float32.

    The input is called ``images``. The output of the forms ``raw`` and ``decoded`` is ``output``, as of
    Megvii's exports; those of ``end2end`` are ``num``, ``bboxes``, ``scores``, ``labels`` and ``points``, see
    :class:`~mmyolox.deploy.ModelInfo`, which is in the file's metadata under ``mmyolox``.

    Raises:
        UserError: The options ask for what there is not.
    """
    info = describe(model, options)
    # Before opset 13 the scales of int8 had no channels.
    is_newer = options.preprocess or options.form == 'end2end' or options.precision.name == 'int8'
    least = LEAST_OPSET if is_newer else OPSETS.start
    most = min(OPSETS.stop - 1, onnx.defs.onnx_opset_version())
    if not least <= options.opset <= most:
        why = ' for form end2end, preprocess and int8' if is_newer else ''
        raise UserError(f'opset {options.opset}: choose one from {least} to {most}{why}')
    batch = 'batch' if options.dynamic_batch else options.batch
    tidy = onnxslim.slim if options.simplify else lambda graph: graph
    # The network first: alone it knows the sizes of its feature maps, which the letterbox in front hides.
    graph = tidy(_network_graph(model, info, options))
    if options.form == 'end2end':
        graph = _joined(graph, suppression_graph(info, batch, options.opset))
    if options.preprocess:
        graph = _joined(letterbox_graph(info, model.input_channels, batch, options.opset), graph)
    if options.preprocess or options.form == 'end2end':
        graph = tidy(graph)
    onnx.checker.check_model(graph)
    graph.producer_name, graph.producer_version = 'mmyolox', __version__
    onnx.helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    return graph


def save_onnx(graph: ModelProto, dst: Path) -> Path:
    """Writes a graph, whole or not at all, and its folder; returns the file."""
    with atomic_write(dst) as part:
        onnx.save(graph, part)
    return dst


def _network_graph(model: YOLODetector, info: ModelInfo, options: ExportOptions) -> ModelProto:
    """The network alone, of letterboxed images."""
    network: nn.Module
    if options.form == 'end2end':
        network, outputs = CandidateNetwork(model, options), ['candidates', 'class_scores']
        outputs += ['keypoint_columns'] if info.points else []
    else:
        network, outputs = ExportNetwork(model, options), ['output']
    images = 'letterboxed' if options.preprocess else 'images'
    axes: dict[str, dict[int, str]] = {name: {} for name in (images, *outputs)}
    if options.dynamic_batch:
        for names in axes.values():
            names[0] = 'batch'
    if options.dynamic_size:
        axes[images].update({2: 'height', 3: 'width'})
        for name in outputs:
            axes[name][2 if name == 'class_scores' else 1] = 'rows'
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter says that there is a newer one, and tracing that sizes are taken as they are.
        warnings.simplefilter('ignore')
        file = str(Path(folder, 'network.onnx'))
        torch.onnx.export(
            network,
            (torch.zeros(options.batch, model.input_channels, *options.size.shape_hw),),
            file,
            dynamo=False,
            opset_version=options.opset,
            input_names=[images],
            output_names=outputs,
            dynamic_axes=axes,
        )
        return onnx.load(file)


def _joined(first: ModelProto, second: ModelProto) -> ModelProto:
    """Joins two graphs: outputs of the first go to the inputs of the same names of the second."""
    taken = {value.name for value in second.graph.input}
    links = [(value.name, value.name) for value in first.graph.output if value.name in taken]
    first.ir_version = second.ir_version = max(first.ir_version, second.ir_version)
    joined = compose.merge_models(
        first, second, io_map=links, outputs=[value.name for value in second.graph.output]
    )
    del joined.opset_import[1:]  # the same version twice
    return joined

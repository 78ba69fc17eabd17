"""From a detector to an ONNX file."""

import io
import warnings
from pathlib import Path

import onnx
import torch
from onnx import ModelProto, compose
from torch import nn

from mmyolox.deploy import ModelInfo
from mmyolox.deploy.info import METADATA_KEY
from mmyolox.models import YOLODetector
from mmyolox.utils.atomic import atomic_write
from mmyolox.utils.errors import UserError
from mmyolox.version import __version__

from .description import describe
from .end2end import LEAST_OPSET, suppression_graph
from .network import CandidateNetwork, ExportNetwork, input_channels
from .options import ExportOptions
from .preprocess import letterbox_graph

OPSETS = range(11, 21)
"""The versions of operators that PyTorch 2.6 to 2.13 write in TorchScript's way."""

_BATCH, _ROWS, _HEIGHT, _WIDTH = 'batch', 'rows', 'height', 'width'


def export_onnx(model: YOLODetector, dst: str | Path, options: ExportOptions) -> Path:
    """Writes a detector as ONNX.

    The input is called ``images``. The output of the forms ``raw`` and ``decoded`` is ``output``, as of
    Megvii's exports; those of ``end2end`` are ``num``, ``bboxes``, ``scores``, ``labels`` and ``points``, see
    :class:`~mmyolox.deploy.ModelInfo`, which is in the file's metadata under ``mmyolox``.

    Args:
        model: In evaluation mode and float32; not changed.
        dst: The file; its folder is made. It is complete or absent.
        options: What is to be in it.

    Returns:
        The file.

    Raises:
        UserError: The options ask for what there is not, or the file cannot be written.
    """
    dst, info = Path(dst), describe(model, options)
    _check_opset(options)
    graph = _network_graph(model, options)
    if options.preprocess:
        graph = _joined(letterbox_graph(info, input_channels(model), options.opset), graph, ['letterboxed'])
    if options.form == 'end2end':
        graph = _joined(graph, suppression_graph(info, options.opset), [])
    graph = _finished(graph, info, options)
    try:
        with atomic_write(dst) as part:
            onnx.save(graph, part)
    except OSError as error:
        raise UserError(f'{dst} cannot be written: {error.strerror}') from error
    return dst

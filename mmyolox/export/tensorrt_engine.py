"""TensorRT engines, built from the ONNX of the same options, for the GPU that builds them.

Networks are strongly typed, which TensorRT 10 can do and 11 insists on: an engine computes in the types that
the ONNX says, float16 or 8 bits between pairs of quantising and dequantising nodes, and decodes in float32.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device

from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector
from mmyolox.utils.files import atomic_write

from .description import describe
from .loaded import LoadedGraph, read_sidecar, write_sidecar
from .onnx_graph import build
from .options import ExportOptions

MOST_IMAGES = 16
"""Of a dynamic batch, unless ``options.batch`` is more."""
MOST_TIMES = 2
"""How many times ``options.size`` a dynamic size may be."""
IMAGE_SIDES = (16, 8192)
"""Of the images with preprocessing in the graph."""

Range = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Smallest, usual and largest shape."""


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.engine`` and ``NAME.json``; see :meth:`.formats.Format.export`.

    With dynamic shapes: 1 to ``MOST_IMAGES`` images, sides from the largest stride to ``MOST_TIMES`` the
    options' size, fastest at the options' batch and size.
    """
    info = describe(model, options)
    graph = build(model, options, symmetric=True)
    engine = _build(graph.SerializeToString(), options, max(info.strides))
    with atomic_write(dst) as part:
        part.write_bytes(engine)
    write_sidecar(dst, info)


def _build(graph: bytes, options: ExportOptions, stride: int) -> bytes:
    """The serialised engine of an ONNX graph."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        raise UserError(f'TensorRT {tensorrt.__version__} cannot take the graph: {parser.get_error(0)}')
    config = builder.create_builder_config()
    # Products of 10-bit mantissas are no float32; whoever wants speed takes fp16.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    images = network.get_input(0)
    if -1 in tuple(images.shape):
        profile = builder.create_optimization_profile()
        profile.set_shape(images.name, *shape_range(tuple(images.shape), options, stride))
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UserError(f'TensorRT {tensorrt.__version__} could not build it; see its messages above')
    return bytes(engine)


def shape_range(shape: tuple[int, ...], options: ExportOptions, stride: int) -> Range:
    """The shapes that an engine takes for an input of a shape in which -1 stands for any length."""
    height, width = options.size
    batch = (1, options.batch, max(options.batch, MOST_IMAGES))
    sides = [(stride, side, MOST_TIMES * side) for side in (height, width)]
    if options.preprocess:
        sides = [(IMAGE_SIDES[0], side, IMAGE_SIDES[1]) for side in (height, width)]
        ranges = [batch, *sides, (shape[3],) * 3]
    else:
        ranges = [batch, (shape[1],) * 3, *sides]
    fixed = [
        allowed if length == -1 else (length,) * 3 for length, allowed in zip(shape, ranges, strict=True)
    ]
    smallest, usual, largest = zip(*fixed, strict=True)
    return smallest, usual, largest


def load(path: Path) -> Runtime:
    """Opens the file in TensorRT, on the GPU; PyTorch holds the memory."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        version = tensorrt.__version__
        raise UserError(f'{path}: TensorRT {version} cannot load it; another version or GPU built it')
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    kinds = {name: np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name))) for name in names}
    is_input = {name: engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT for name in names}
    (images,) = (name for name in names if is_input[name])
    outputs = tuple(name for name in names if not is_input[name])
    context = engine.create_execution_context()

    def compute(batch: Array) -> list[Array]:
        return _run(context, images, batch, {name: kinds[name] for name in outputs})

    shape = tuple(None if length == -1 else length for length in engine.get_tensor_shape(images))
    return LoadedGraph(compute, shape, read_sidecar(path).to_json(), outputs, kinds[images], images)


def _run(context: Any, images: str, batch: Array, outputs: dict[str, np.dtype]) -> list[Array]:
    """The outputs, of the types that ``outputs`` says, for a batch under the name ``images``."""
    device = get_device()
    taken = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
    context.set_input_shape(images, tuple(taken.shape))
    given = {
        name: torch.from_numpy(np.empty(tuple(context.get_tensor_shape(name)), kind)).to(device)
        for name, kind in outputs.items()
    }
    for name, tensor in {images: taken, **given}.items():
        context.set_tensor_address(name, tensor.data_ptr())
    stream = torch.cuda.current_stream()
    if not context.execute_async_v3(stream.cuda_stream):
        raise UserError(f'TensorRT could not run a batch of shape {batch.shape}; see its messages above')
    stream.synchronize()
    return [tensor.cpu().numpy() for tensor in given.values()]

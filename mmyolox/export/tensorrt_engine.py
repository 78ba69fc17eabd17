"""TensorRT engines, built from the ONNX of the same options, for the GPU that builds them.

Networks are strongly typed, which TensorRT 10 can do and 11 insists on: an engine computes in the types that
the ONNX says, float16 or 8 bits between pairs of quantising and dequantising nodes, and decodes in float32.
"""

from pathlib import Path

from mmyolox.errors import UserError
from mmyolox.files import atomic_write
from mmyolox.models import YOLODetector

from .description import describe, write_sidecar
from .onnx_format import build_onnx
from .options import ExportOptions

MOST_IMAGES = 16
"""The most images of a dynamic batch, unless ``options.batch`` is more."""
MOST_TIMES = 2
"""How many times ``options.size`` a dynamic size may be."""
IMAGE_SIDES = (16, 8192)
"""The least and largest side of images with preprocessing in the graph."""

Range = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Smallest, usual and largest shape."""


def write_tensorrt(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.engine`` and ``NAME.json``; see :func:`.formats.export_model`.

    With dynamic shapes: 1 to ``MOST_IMAGES`` images, sides from the largest stride to ``MOST_TIMES`` the
    options' size, fastest at the options' batch and size.
    """
    import tensorrt

    info = describe(model, options)
    graph = build_onnx(model, options, symmetric=True)
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        raise UserError(f'TensorRT {tensorrt.__version__} cannot take the graph: {parser.get_error(0)}')
    config = builder.create_builder_config()
    # Products of 10-bit mantissas are no float32; whoever wants speed takes fp16.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    images = network.get_input(0)
    if -1 in tuple(images.shape):
        profile = builder.create_optimization_profile()
        profile.set_shape(images.name, *shape_range(tuple(images.shape), options, max(info.strides)))
        config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UserError(f'TensorRT {tensorrt.__version__} could not build it; see its messages above')
    with atomic_write(dst) as part:
        part.write_bytes(bytes(engine))
    write_sidecar(dst, info)


def shape_range(shape: tuple[int, ...], options: ExportOptions, stride: int) -> Range:
    """The shapes that an engine takes for an input of a shape in which -1 stands for any length."""
    height, width = options.size.shape_hw
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

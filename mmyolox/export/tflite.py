"""TensorFlow Lite, through Google's converter from PyTorch, LiteRT Torch."""

from pathlib import Path

from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.models import YOLODetector
from mmyolox.utils.files import atomic_write

from .description import describe
from .loaded import LoadedGraph, read_sidecar, write_sidecar
from .network import ExportNetwork
from .options import ExportOptions
from .torchscript import example


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.tflite`` and ``NAME.json``; see :meth:`.formats.Format.export`."""
    import litert_torch

    info = describe(model, options)
    converted = litert_torch.convert(ExportNetwork(model, options).eval(), (example(model, options),))
    with atomic_write(dst) as part:
        converted.export(str(part))
    write_sidecar(dst, info)


def load(path: Path) -> Runtime:
    """Opens the file in LiteRT's interpreter, on the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (images,), (rows,) = interpreter.get_input_details(), interpreter.get_output_details()

    def compute(batch: Array) -> list[Array]:
        interpreter.set_tensor(images['index'], batch)
        interpreter.invoke()
        return [interpreter.get_tensor(rows['index'])]

    return LoadedGraph(compute, tuple(images['shape'].tolist()), read_sidecar(path).to_json())

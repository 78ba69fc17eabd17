"""Core ML, through Apple's coremltools from TorchScript. Linux can convert, only macOS can run the result."""

import platform
from pathlib import Path
from tempfile import TemporaryDirectory

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import Array, Runtime
from mmyolox.errors import UserError
from mmyolox.models import YOLODetector

from .description import describe
from .loaded import LoadedGraph
from .options import ExportOptions
from .torchscript import example, trace

_INPUT, _OUTPUT = 'images', 'output'


def export(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes an ML program, the folder ``NAME.mlpackage``; see :meth:`.formats.Format.export`.

    ``fp16`` is what the Neural Engine computes in. It needs iOS 15 or macOS 12. The
    :class:`~mmyolox.deploy.ModelInfo` is its user-defined metadata ``mmyolox``.
    """
    import coremltools

    is_half = options.precision.name == 'fp16'
    precision = coremltools.precision.FLOAT16 if is_half else coremltools.precision.FLOAT32
    program = coremltools.convert(
        trace(model, options),
        inputs=[coremltools.TensorType(_INPUT, example(model, options).shape)],
        outputs=[coremltools.TensorType(_OUTPUT)],
        convert_to='mlprogram',
        compute_precision=precision,
        minimum_deployment_target=coremltools.target.iOS15,
        skip_model_load=True,
    )
    program.user_defined_metadata[METADATA_KEY] = describe(model, options).to_json()
    with TemporaryDirectory(dir=dst.parent) as folder:
        written = Path(folder) / dst.name
        program.save(str(written))
        written.rename(dst)


def load(path: Path) -> Runtime:
    """Opens the folder in Core ML, on macOS."""
    if platform.system() != 'Darwin':
        raise UserError(f'{path}: only macOS runs Core ML models')
    import coremltools

    program = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit.CPU_ONLY)
    images = program.get_spec().description.input[0].type.multiArrayType

    def compute(batch: Array) -> list[Array]:
        return [program.predict({_INPUT: batch})[_OUTPUT]]

    return LoadedGraph(compute, tuple(images.shape), program.user_defined_metadata[METADATA_KEY])

"""TensorFlow Lite and Core ML, through their makers' converters from PyTorch."""

from pathlib import Path

from mmyolox.deploy.info import METADATA_KEY
from mmyolox.files import atomic_write, folder_beside
from mmyolox.models import YOLODetector

from .description import describe, write_sidecar
from .network import ExportNetwork
from .options import ExportOptions
from .torch_formats import example, trace


def write_tflite(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes ``NAME.tflite`` with LiteRT Torch, and ``NAME.json``; see :func:`.formats.export_model`."""
    import litert_torch

    info = describe(model, options)
    converted = litert_torch.convert(ExportNetwork(model, options).eval(), (example(model, options),))
    with atomic_write(dst) as part:
        converted.export(str(part))
    write_sidecar(dst, info)


def write_coreml(model: YOLODetector, dst: Path, options: ExportOptions) -> None:
    """Writes an ML program, the folder ``NAME.mlpackage``; see :func:`.formats.export_model`.

    Linux can write it, only macOS can run it. ``fp16`` is what the Neural Engine computes in. It needs iOS 15
    or macOS 12. The :class:`~mmyolox.deploy.ModelInfo` is its user-defined metadata ``mmyolox``.
    """
    import coremltools

    is_half = options.precision.name == 'fp16'
    program = coremltools.convert(
        trace(model, options),
        inputs=[coremltools.TensorType('images', example(model, options).shape)],
        outputs=[coremltools.TensorType('output')],
        convert_to='mlprogram',
        compute_precision=coremltools.precision.FLOAT16 if is_half else coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS15,
        skip_model_load=True,
    )
    program.user_defined_metadata[METADATA_KEY] = describe(model, options).to_json()
    with folder_beside(dst) as folder:
        written = folder / dst.name
        program.save(str(written))
        written.rename(dst)

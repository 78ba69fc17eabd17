"""The table of all formats: what each can be, how it is written and run. Nothing heavy is imported."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .info import FORMS, DeployError

PRECISIONS = ('fp32', 'fp16', 'int8')
"""Floats of 32 or 16 bits, or whole numbers of 8 with a scale."""

FOCUSES = ('conv', 'slices')
"""The stem of CSP-Darknet as an equal convolution, or as slices of pixels."""


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    ``writer`` and ``runtime`` are names ``package.module:function``, imported when they are needed.

    Attributes:
        name: What ``--format`` calls it.
        title: What people call it.
        suffix: The suffix of the file, with its dot.
        writer: The name of a function ``(model, dst, options)``, which writes the file ``dst``; see
            :func:`mmyolox.export.formats.export_model`.
        runtime: The name of a function ``(path, threads)``, which returns a
            :class:`~mmyolox.deploy.runtimes.Runtime`.
        packages: The packages to install to write and run it. Their modules are called alike, with
            underscores.
        precisions: The precisions that it can have, of ``PRECISIONS``.
        forms: The values of :attr:`.ModelInfo.form` that it can have.
        focuses: The stems that it can have, of ``FOCUSES``.
        systems: The systems that it can be written on, as :func:`platform.system` names them; empty for
            everywhere.
        runs_on: The systems that have its runtime, in the same way.
        is_folder: Whether its file is a folder.
        is_flexible: Whether its graph may take any batch or size.
        has_batches: Whether its graph may take more than one image.
        has_preprocessing: Whether letterboxing may be in its graph.
        needs_gpu: Whether it needs an NVIDIA GPU.
        companions: The suffixes of the files beside it that belong to it.
    """

    name: str
    title: str
    suffix: str
    writer: str
    runtime: str
    packages: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ('fp32',)
    forms: tuple[str, ...] = ('raw', 'decoded')
    focuses: tuple[str, ...] = FOCUSES
    systems: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = ()
    is_folder: bool = False
    is_flexible: bool = False
    has_batches: bool = True
    has_preprocessing: bool = False
    needs_gpu: bool = False
    companions: tuple[str, ...] = ()

    def unrunnable(self) -> str | None:
        """Why its files cannot be run on this system, in one line, or None if they can."""
        if self.runs_on and platform.system() not in self.runs_on:
            return f'only {" and ".join(self.runs_on)} can run {self.title}'
        return None


_THROUGH_ONNX: dict[str, Any] = dict(
    precisions=PRECISIONS, forms=FORMS, is_flexible=True, has_preprocessing=True
)
"""What can be had of the formats that are made from ONNX."""

_FORMATS = (
    Format(
        'onnx',
        'ONNX',
        '.onnx',
        'mmyolox.export.onnx_format:write_onnx',
        'mmyolox.deploy.runtimes:open_onnx',
        packages=('onnx', 'onnxslim', 'onnxruntime'),
        **_THROUGH_ONNX,
    ),
    Format(
        'openvino',
        'OpenVINO IR',
        '.xml',
        'mmyolox.export.openvino_ir:write_openvino',
        'mmyolox.deploy.runtimes:open_openvino',
        packages=('openvino', 'onnx', 'onnxslim'),
        **_THROUGH_ONNX,
        companions=('.bin',),
    ),
    Format(
        'tensorrt',
        'TensorRT engine',
        '.engine',
        'mmyolox.export.tensorrt_engine:write_tensorrt',
        'mmyolox.deploy.runtimes:open_tensorrt',
        packages=('tensorrt', 'onnx', 'onnxslim'),
        systems=('Linux', 'Windows'),
        **_THROUGH_ONNX,
        needs_gpu=True,
        companions=('.json',),
    ),
    Format(
        'torchscript',
        'TorchScript',
        '.torchscript',
        'mmyolox.export.torch_formats:write_torchscript',
        'mmyolox.deploy.runtimes:open_torchscript',
        is_flexible=True,
    ),
    Format(
        'torch-export',
        'torch.export',
        '.pt2',
        'mmyolox.export.torch_formats:write_torch_export',
        'mmyolox.deploy.runtimes:open_torch_export',
        is_flexible=True,
    ),
    Format(
        'ncnn',
        'ncnn',
        '.param',
        'mmyolox.export.ncnn:write_ncnn',
        'mmyolox.deploy.runtimes:open_ncnn',
        packages=('ncnn', 'pnnx'),
        precisions=('fp32', 'fp16'),
        focuses=('conv',),
        has_batches=False,
        companions=('.bin', '.json'),
    ),
    Format(
        'tflite',
        'TensorFlow Lite (LiteRT)',
        '.tflite',
        'mmyolox.export.mobile_formats:write_tflite',
        'mmyolox.deploy.runtimes:open_tflite',
        packages=('litert-torch', 'ai-edge-litert'),
        systems=('Linux', 'Darwin'),
        companions=('.json',),
    ),
    Format(
        'coreml',
        'Core ML',
        '.mlpackage',
        'mmyolox.export.mobile_formats:write_coreml',
        'mmyolox.deploy.runtimes:open_coreml',
        packages=('coremltools',),
        precisions=('fp32', 'fp16'),
        systems=('Linux', 'Darwin'),
        runs_on=('Darwin',),
        is_folder=True,
    ),
)

FORMATS: dict[str, Format] = {known.name: known for known in _FORMATS}
"""All formats by name, with those of :func:`register_format`."""


def register_format(format: Format) -> None:
    """Adds a format, which every tool then writes and runs.

    A project calls it in the module of its :mod:`extension <mmyolox.extensions>`, which the tools import.
    :mod:`mmyolox.deploy` does not: whoever uses it alone imports that module.

    Raises:
        DeployError: Another format has the suffix.
    """
    other = format_of(f'a{format.suffix}')
    if other is not None and other.name != format.name:
        raise DeployError(f'format {format.name}: files of {other.name} end in {format.suffix} already')
    FORMATS[format.name] = format


def format_of(path: str | Path) -> Format | None:
    """The format that the suffix of a file says, in whatever case; None if it is none of an exported file."""
    suffix = Path(path).suffix.lower()
    return next((known for known in FORMATS.values() if known.suffix == suffix), None)

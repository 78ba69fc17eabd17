"""The formats that a detector can be exported to, and what each needs; nothing heavy is imported here."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mmyolox.errors import UserError

from .options import ExportOptions
from .precision import PRECISIONS, calibration_files

if TYPE_CHECKING:
    from mmyolox.deploy.runtimes import Runtime
    from mmyolox.models import YOLODetector


@dataclass(frozen=True)
class Format:
    """A format to export to.

    Attributes:
        name: What ``--format`` calls it.
        title: What people call it.
        suffix: Of the file, with its dot.
        module: Of this package, with ``export(model, dst, options)``, which writes ``dst``, and
            ``load(path)``, which returns a :class:`~mmyolox.deploy.runtimes.Runtime`.
        packages: What to ``pip install`` for it. Their modules are called alike, with underscores.
        precisions: Those it can have.
        forms: The values of ``ExportOptions.form`` that it can have.
        focuses: The values of ``ExportOptions.focus`` that it can have.
        systems: Where it can be had, as :func:`platform.system` names them; empty for everywhere.
        runs_on: Where its runtime is, in the same way.
        flexible: Whether its graph may take any batch or size.
        batches: Whether its graph may take more than one image.
        preprocess: Whether letterboxing may be in its graph.
        gpu: Whether it needs an NVIDIA GPU.
        companions: Suffixes of the files beside it that belong to it.
    """

    name: str
    title: str
    suffix: str
    module: str
    packages: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ('fp32',)
    forms: tuple[str, ...] = ('raw', 'decoded')
    focuses: tuple[str, ...] = ('conv', 'slices')
    systems: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = ()
    flexible: bool = False
    batches: bool = True
    preprocess: bool = False
    gpu: bool = False
    companions: tuple[str, ...] = ()

    def unavailable(self, precision: str = 'fp32') -> str | None:
        """Why it cannot be had on this machine, in one line, or None if it can."""
        if self.systems and platform.system() not in self.systems:
            systems = ' or '.join(self.systems)
            return f'format {self.name} cannot be had on {platform.system()}, only on {systems}'
        packages = (*self.packages, 'nncf') if precision == 'int8' else self.packages
        if any(importlib.util.find_spec(package.replace('-', '_')) is None for package in packages):
            return (
                f'format {self.name} needs packages that are not installed: pip install {" ".join(packages)}'
            )
        if self.gpu and shutil.which('nvidia-smi') is None:
            return f'format {self.name} needs an NVIDIA GPU with its driver, and there is none'
        return None

    def unverifiable(self) -> str | None:
        """Why its files can be written here but not run, in one line, or None if they can be run."""
        if self.runs_on and platform.system() not in self.runs_on:
            return f'not verified: only {" and ".join(self.runs_on)} can run {self.title}'
        return None

    def check(self, options: ExportOptions) -> None:
        """Raises a ``UserError`` if it cannot be had here or cannot be what is asked for; loads no model."""
        refusal = self._refusal(options)
        if refusal:
            raise UserError(refusal)
        if options.precision.name == 'int8':
            calibration_files(options.precision)
        reason = self.unavailable(options.precision.name)
        if reason:
            raise UserError(reason)

    def _refusal(self, options: ExportOptions) -> str | None:
        """Why it cannot be what is asked for."""
        for key, value, known in (
            ('precision', options.precision.name, self.precisions),
            ('form', options.form, self.forms),
            ('focus', options.focus, self.focuses),
        ):
            if value not in known:
                return f'format {self.name}: {key} {value} cannot be had; choose one of {", ".join(known)}'
        if options.preprocess and not self.preprocess:
            return f'format {self.name} has no preprocessing in the graph; leave preprocess out'
        if (options.dynamic_batch or options.dynamic_size) and not self.flexible:
            return f'format {self.name} has fixed shapes; leave dynamic batch and dynamic size out'
        if options.batch > 1 and not self.batches:
            return f'format {self.name} takes one image at a time, not batch {options.batch}'
        return None

    def export(self, model: YOLODetector, dst: Path, options: ExportOptions) -> Path:
        """Writes a detector.

        Args:
            model: Of :func:`mmyolox.apis.inference.init_detector`, in float32; not changed.
            dst: The file, see :meth:`target`; its folder is made.
            options: What is to be in it.

        Returns:
            The file.

        Raises:
            UserError: As of :meth:`check` and :meth:`target`, or the options do not fit the model.
        """
        self.check(options)
        dst = self.target(dst)
        try:
            dst.parent.mkdir(parents=True, exist_ok=True)
            self._module().export(model, dst, options)
        except OSError as error:
            raise UserError(f'{dst} cannot be written: {error.strerror or error}') from error
        return dst

    def target(self, dst: Path) -> Path:
        """The file to write: the path with the format's suffix, which is added where it has none.

        Raises:
            UserError: It is a folder, has the suffix of another format, or its folder cannot be written to.
        """
        others = {entry.suffix: f'for that add --format {entry.name}' for entry in FORMATS.values()}
        others |= dict.fromkeys(('.pth', '.pt'), 'name another file')
        if dst.suffix != self.suffix and dst.suffix in others:
            raise UserError(f'{dst}: format {self.name} writes {self.suffix}; {others[dst.suffix]}')
        path = dst if dst.suffix == self.suffix else dst.with_name(dst.name + self.suffix)
        for folder in (dst, path):
            if folder.is_dir():
                raise UserError(f'{folder}: this is a folder; name a file, or remove it')
        existing = next(parent for parent in path.absolute().parents if parent.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise UserError(f'{path}: the folder {existing} cannot be written to')
        return path

    def load(self, path: Path) -> Runtime:
        """Opens an exported file in its runtime.

        Raises:
            UserError: The runtime cannot be had here or cannot load the file.
        """
        runtime: Runtime = self._module().load(path)
        return runtime

    def remove(self, path: Path) -> None:
        """Removes an exported file and those beside it that belong to it."""
        for part in (path, *(path.with_suffix(suffix) for suffix in self.companions)):
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)

    def _module(self) -> ModuleType:
        return importlib.import_module(f'{__package__}.{self.module}')


_ALL_FORMS = ('raw', 'decoded', 'end2end')
_FORMATS = (
    Format(
        'onnx',
        'ONNX',
        '.onnx',
        'onnx_graph',
        packages=('onnx', 'onnxslim', 'onnxruntime'),
        precisions=PRECISIONS,
        forms=_ALL_FORMS,
        flexible=True,
        preprocess=True,
    ),
    Format(
        'openvino',
        'OpenVINO IR',
        '.xml',
        'openvino_ir',
        packages=('openvino', 'onnx', 'onnxslim'),
        precisions=PRECISIONS,
        forms=_ALL_FORMS,
        flexible=True,
        preprocess=True,
        companions=('.bin',),
    ),
    Format(
        'tensorrt',
        'TensorRT engine',
        '.engine',
        'tensorrt_engine',
        packages=('tensorrt', 'onnx', 'onnxslim'),
        precisions=PRECISIONS,
        forms=_ALL_FORMS,
        systems=('Linux', 'Windows'),
        flexible=True,
        preprocess=True,
        gpu=True,
        companions=('.json',),
    ),
    Format('torchscript', 'TorchScript', '.torchscript', 'torchscript', flexible=True),
    Format('torch-export', 'torch.export', '.pt2', 'torch_program', flexible=True),
    Format(
        'ncnn',
        'ncnn',
        '.param',
        'ncnn',
        packages=('ncnn', 'pnnx'),
        precisions=('fp32', 'fp16'),
        focuses=('conv',),
        batches=False,
        companions=('.bin', '.json'),
    ),
    Format(
        'tflite',
        'TensorFlow Lite (LiteRT)',
        '.tflite',
        'tflite',
        packages=('litert-torch', 'ai-edge-litert'),
        systems=('Linux', 'Darwin'),
        companions=('.json',),
    ),
    Format(
        'coreml',
        'Core ML',
        '.mlpackage',
        'coreml',
        packages=('coremltools',),
        precisions=('fp32', 'fp16'),
        systems=('Linux', 'Darwin'),
        runs_on=('Darwin',),
    ),
)
FORMATS: dict[str, Format] = {entry.name: entry for entry in _FORMATS}
"""All formats by name."""

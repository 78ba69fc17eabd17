"""The runtimes behind one small interface; each is imported when a file of its kind is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .info import METADATA_KEY, DeployError

Array = NDArray[np.generic]


class Runtime(Protocol):
    """A loaded graph with one input.

    Attributes:
        input_name: Its name.
        input_shape: Its shape; None for an axis of any length.
        input_dtype: What it takes.
        output_names: Of what :meth:`run` returns.
        metadata: The JSON text of the file's :class:`~mmyolox.deploy.ModelInfo`; None if it holds none.
    """

    input_name: str
    input_shape: tuple[int | None, ...]
    input_dtype: np.dtype[Any]
    output_names: tuple[str, ...]
    metadata: str | None

    def run(self, batch: Array) -> list[Array]:
        """The outputs for a batch of the input's shape and dtype."""


class OnnxRuntime:
    """An ONNX file in ONNX Runtime, on the CPU; see :class:`Runtime`.

    Args:
        path: The ``.onnx`` file.
        threads: How many compute one call; None for the runtime's own choice.

    Raises:
        DeployError: The file cannot be loaded, or onnxruntime is not installed.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        with _needed(path, 'onnxruntime'):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: what it warns of, users cannot mend
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # its exceptions have no other class in common
            name = f'ONNX Runtime {onnxruntime.__version__}'
            raise DeployError(f'{path}: {_onnx_reason(str(error), name)}') from error
        graph_input = _only(path, self._session.get_inputs())
        self.input_name: str = graph_input.name
        self.input_shape = tuple(x if isinstance(x, int) else None for x in graph_input.shape)
        self.input_dtype = _onnx_dtype(path, graph_input.type)
        self.output_names = tuple(output.name for output in self._session.get_outputs())
        self.metadata: str | None = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)

    def run(self, batch: Array) -> list[Array]:
        """The outputs for a batch."""
        outputs: list[Array] = self._session.run(None, {self.input_name: batch})
        return outputs


class OpenVINORuntime:
    """An OpenVINO IR file in OpenVINO, on the CPU; see :class:`Runtime`.

    Layers that are not quantised compute in float32, whatever the processor would rather do.

    Args:
        path: The ``.xml`` file, beside which its ``.bin`` lies.
        threads: How many compute one call; None for the runtime's own choice.

    Raises:
        DeployError: The file cannot be loaded, or openvino is not installed.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        with _needed(path, 'openvino'):
            import openvino
        options = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32')
        if threads:
            options['INFERENCE_NUM_THREADS'] = str(threads)
        if not path.with_suffix('.bin').is_file():
            raise DeployError(f'{path}: its weights are missing, {path.with_suffix(".bin").name} beside it')
        core = openvino.Core()
        try:
            model = core.read_model(path)
            self._model = core.compile_model(model, 'CPU', options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            name = f'OpenVINO {openvino.__version__.split("-")[0]}'
            raise DeployError(f'{path}: {name} cannot load it, it is damaged or too new: {reason}') from error
        graph_input = _only(path, self._model.inputs)
        self.input_name: str = graph_input.get_any_name()
        shape = graph_input.get_partial_shape()
        self.input_shape = tuple(x.get_length() if x.is_static else None for x in shape)
        self.input_dtype = np.dtype(graph_input.get_element_type().to_dtype())
        self.output_names = tuple(
            next(iter(output.get_names()), str(index)) for index, output in enumerate(self._model.outputs)
        )
        self._request = self._model.create_infer_request()
        has_info = model.has_rt_info(METADATA_KEY)
        self.metadata: str | None = model.get_rt_info(METADATA_KEY).astype(str) if has_info else None

    def run(self, batch: Array) -> list[Array]:
        """The outputs for a batch."""
        results = self._request.infer([batch], share_inputs=True)
        return [results[index] for index in range(len(self.output_names))]


_RUNTIMES: dict[str, type[OnnxRuntime] | type[OpenVINORuntime]] = {
    '.onnx': OnnxRuntime,
    '.xml': OpenVINORuntime,
}

SUFFIXES = tuple(_RUNTIMES)
"""Of the files that :func:`open_runtime` opens."""


def open_runtime(path: str | Path, threads: int | None = None) -> Runtime:
    """Loads an exported file in its runtime.

    Args:
        path: An ``.onnx`` or ``.xml`` file.
        threads: How many compute one call; None for the runtime's own choice.

    Raises:
        DeployError: There is no such file, it cannot be loaded, or its runtime is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _RUNTIMES:
        raise DeployError(
            f'{path}: the name of an exported file must end in {" or ".join(SUFFIXES)}; '
            'tools/deployment/export.py makes one of a checkpoint'
        )
    if not path.is_file():
        raise DeployError(f'{path}: there is no such file')
    if threads is not None and threads < 1:
        raise DeployError(f'threads={threads}: at least 1 is needed')
    return _RUNTIMES[path.suffix.lower()](path, threads)


@contextmanager
def _needed(path: Path, package: str) -> Iterator[None]:
    """Says what to install if the import of a runtime fails."""
    try:
        yield
    except ImportError as error:
        raise DeployError(f'{path}: {package} is needed: pip install {package} ({error})') from error


def _only(path: Path, inputs: list[Any]) -> Any:
    if len(inputs) != 1:
        raise DeployError(f'{path}: it has {len(inputs)} inputs, where a detector has one')
    return inputs[0]


def _onnx_dtype(path: Path, kind: str) -> np.dtype[Any]:
    """NumPy's form of ONNX Runtime's ``tensor(float)`` and the like."""
    names = {'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(uint8)': 'uint8'}
    if kind not in names:
        raise DeployError(f'{path}: its input is {kind}, where a detector takes {" or ".join(names)}')
    return np.dtype(names[kind])


def _onnx_reason(message: str, name: str) -> str:
    """Why ONNX Runtime did not load a file, in one line."""
    opset = re.search(r'Opset (\d+) is under development.*till opset (\d+)', message, re.DOTALL)
    if opset:
        return (
            f'its opset {opset[1]} is newer than the {opset[2]} that {name} has: upgrade onnxruntime, or '
            f'export it again with opset {opset[2]} or lower'
        )
    version = re.search(r'IR version: (\d+), max supported IR version: (\d+)', message)
    if version:
        return (
            f'its IR version {version[1]} is newer than the {version[2]} that {name} has: upgrade '
            'onnxruntime, or export it again with an older onnx'
        )
    reason = message.strip().splitlines()[0].rpartition(' failed:')[2]
    return f'{name} cannot load it, it is damaged or no model: {reason}'

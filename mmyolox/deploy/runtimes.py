"""The runtimes of all formats behind one small class; each is imported when a file is opened in it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import printable

from .archives import check_archive
from .formats import FORMATS, format_of
from .info import METADATA_KEY, DeployError, ModelInfo

if TYPE_CHECKING:
    import torch

Array = NDArray[np.generic]

# OpenVINO and NNCF report their use to an analytics host, and keep a client's id in the home folder, unless
# this package is absent. Where the user has agreed, by `opt_in_out --opt_in`, it stays.
_CONSENT = Path(os.path.expanduser('~/intel/openvino_telemetry'))  # pathlib fails where there is no home
if not (_CONSENT.is_file() and _CONSENT.read_bytes().strip() == b'1'):
    absent: Any = None  # Python's sign of it
    sys.modules.setdefault('openvino_telemetry', absent)

INPUT_SHAPE_KEY = 'mmyolox_input_shape'
"""The key of the input's shape in a TorchScript file: a JSON list, null for an axis of any length."""
NCNN_INPUT, NCNN_OUTPUT = 'in0', 'out0'
"""The names that pnnx gives to what goes in and comes out."""


@dataclass
class Runtime:
    """A loaded graph with one input.

    Attributes:
        run: What maps a batch of the input's shape and dtype to the outputs.
        input_shape: The shape of the batch; None for an axis of any length.
        metadata: The JSON text of the file's :class:`~mmyolox.deploy.ModelInfo`; None if it holds none.
        output_names: The names of what ``run`` returns.
        input_dtype: The dtype of the batch.
    """

    run: Callable[[Array], list[Array]]
    input_shape: tuple[int | None, ...]
    metadata: str | bytes | None
    output_names: tuple[str, ...] = ('output',)
    input_dtype: np.dtype[Any] = np.dtype(np.float32)  # noqa: RUF009  (it is immutable)


def open_runtime(path: str | Path, threads: int | None = None) -> Runtime:
    """Loads an exported file in the runtime of its format, see :data:`~mmyolox.deploy.formats.FORMATS`.

    Args:
        path: The file; its suffix says the format.
        threads: How many threads compute one call; None for the runtime's own choice. TensorRT and Core ML
            have no such choice, and PyTorch has it for the whole process.

    Raises:
        DeployError: There is no such file, it cannot be loaded, or its runtime is not installed.
    """
    path = Path(path)
    chosen = format_of(path)
    if chosen is None:
        suffixes = [known.suffix for known in FORMATS.values()]
        raise DeployError(
            f'{path}: the name of an exported file must end in {", ".join(suffixes[:-1])} or {suffixes[-1]}; '
            'mmyolox export makes one of a checkpoint'
        )
    if not (path.is_dir() if chosen.is_folder else path.is_file()):
        raise DeployError(f'{path}: there is no such file')
    if printable(str(path)) != str(path):
        raise DeployError(f'{path}: runtimes take names of files and folders in UTF-8 only; rename it')
    if threads is not None and threads < 1:
        raise DeployError(f'threads={threads}: at least 1 is needed')
    reason = chosen.unrunnable()
    if reason:
        raise DeployError(f'{path}: {reason}')
    runtime: Runtime = resolve_name(chosen.runtime)(path, threads)
    return runtime


def read_sidecar(path: Path) -> bytes | None:
    """The JSON text of ``NAME.json`` beside an exported file, which says what the file itself does not."""
    sidecar = path.with_suffix('.json')
    return sidecar.read_bytes() if sidecar.is_file() else None


def open_onnx(path: Path, threads: int | None = None) -> Runtime:
    """Opens an ONNX file in ONNX Runtime, on the CPU."""
    with _needed(path, 'onnxruntime'):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: what it warns of, users cannot mend
    options.intra_op_num_threads = threads or 0
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its exceptions have no other class in common
        name = f'ONNX Runtime {onnxruntime.__version__}'
        raise DeployError(f'{path}: {_onnx_reason(str(error), name)}') from error
    images = _only(path, session.get_inputs())
    dtypes = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(uint8)': np.uint8}
    if images.type not in dtypes:
        raise DeployError(f'{path}: its input is {images.type}, where a detector takes {" or ".join(dtypes)}')
    input_name = images.name
    return Runtime(
        lambda batch: session.run(None, {input_name: batch}),
        tuple(length if isinstance(length, int) else None for length in images.shape),
        session.get_modelmeta().custom_metadata_map.get(METADATA_KEY),
        tuple(output.name for output in session.get_outputs()),
        np.dtype(dtypes[images.type]),
    )


def open_openvino(path: Path, threads: int | None = None) -> Runtime:
    """Opens OpenVINO's IR, an ``.xml`` file beside which its ``.bin`` lies, in OpenVINO, on the CPU.

    Layers that are not quantised compute in float32, whatever the processor would rather do.
    """
    with _needed(path, 'openvino'):
        import openvino
    options = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT='f32')
    if threads:
        options['INFERENCE_NUM_THREADS'] = str(threads)
    if not path.with_suffix('.bin').is_file():
        raise DeployError(f'{path}: its weights are missing, {path.with_suffix(".bin").name} beside it')
    core = openvino.Core()
    try:
        graph = core.read_model(path)
        compiled = core.compile_model(graph, 'CPU', options)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        name = f'OpenVINO {openvino.__version__.split("-")[0]}'
        raise DeployError(f'{path}: {name} cannot load it, it is damaged or too new: {reason}') from error
    images = _only(path, compiled.inputs)
    outputs = range(len(compiled.outputs))
    request = compiled.create_infer_request()

    def run(batch: Array) -> list[Array]:
        results = request.infer([batch], share_inputs=True)
        return [results[index] for index in outputs]

    return Runtime(
        run,
        tuple(length.get_length() if length.is_static else None for length in images.get_partial_shape()),
        graph.get_rt_info(METADATA_KEY).astype(str) if graph.has_rt_info(METADATA_KEY) else None,
        tuple(next(iter(compiled.outputs[index].get_names()), str(index)) for index in outputs),
        np.dtype(images.get_element_type().to_dtype()),
    )


def open_torchscript(path: Path, threads: int | None = None) -> Runtime:
    """Opens a TorchScript file in PyTorch, on the CPU."""
    with _needed(path, 'torch'):
        import torch
    check_archive(path)
    extra = {METADATA_KEY: b'', INPUT_SHAPE_KEY: b''}
    jit: Any = torch.jit  # has no annotations
    try:
        network = jit.load(str(path), map_location='cpu', _extra_files=extra)
    except RuntimeError as error:
        raise _damaged(path, 'PyTorch', error) from error
    shape = tuple(json.loads(extra[INPUT_SHAPE_KEY] or 'null') or (None,) * 4)
    return Runtime(_torch_run(network, threads), shape, extra[METADATA_KEY] or read_sidecar(path))


def open_torch_export(path: Path, threads: int | None = None) -> Runtime:
    """Opens a program of ``torch.export`` in PyTorch, on the CPU."""
    with _needed(path, 'torch'):
        import torch
    check_archive(path)
    extra = {METADATA_KEY: ''}
    try:
        program = torch.export.load(path, extra_files=extra)
    except Exception as error:  # a damaged file can fail in any way
        raise _damaged(path, 'PyTorch', error) from error
    (name,) = program.graph_signature.user_inputs
    images = next(node for node in program.graph.nodes if node.name == name)
    shape = tuple(length if isinstance(length, int) else None for length in images.meta['val'].shape)
    run = _torch_run(program.module(), threads)
    return Runtime(run, shape, extra[METADATA_KEY] or read_sidecar(path))


def open_ncnn(path: Path, threads: int | None = None) -> Runtime:
    """Opens a ``.param`` file, beside which its ``.bin`` lies, in ncnn, on the CPU in float32."""
    with _needed(path, 'ncnn'):
        import ncnn
    net = ncnn.Net()
    options = net.opt
    options.use_vulkan_compute = False
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    if threads:
        options.num_threads = threads
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix('.bin'))):
        raise DeployError(f'{path}: ncnn cannot load it, it is damaged or has layers that it does not know')

    def run(batch: Array) -> list[Array]:
        extractor = net.create_extractor()
        extractor.input(NCNN_INPUT, ncnn.Mat(batch[0]).clone())
        _, output = extractor.extract(NCNN_OUTPUT)
        return [np.array(output)[None]]

    metadata = read_sidecar(path)
    shape_hw = ModelInfo.from_json(metadata).input_size if metadata else (None, None)
    return Runtime(run, (1, ncnn_channels(path), *shape_hw), metadata)


def ncnn_channels(path: Path) -> int:
    """Channels of the images, from the first convolution: its numbers of outputs, weights and their size."""
    convolution = re.search(r'^Convolution .* 0=(\d+) 1=(\d+) .*\b6=(\d+)', path.read_text(), re.MULTILINE)
    if convolution is None:
        raise DeployError(f'{path}: it has no convolution')
    outputs, side, weights = map(int, convolution.groups())
    return weights // (outputs * side * side)


def open_tflite(path: Path, threads: int | None = None) -> Runtime:
    """Opens a TensorFlow Lite file in LiteRT's interpreter, on the CPU."""
    with _needed(path, 'ai-edge-litert'):
        from ai_edge_litert.interpreter import Interpreter
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, 'LiteRT', error) from error
    (images,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(batch: Array) -> list[Array]:
        interpreter.set_tensor(images['index'], batch)
        interpreter.invoke()
        return [interpreter.get_tensor(output['index'])]

    return Runtime(run, tuple(images['shape'].tolist()), read_sidecar(path))


def open_coreml(path: Path, threads: int | None = None) -> Runtime:
    """Opens an ML program, a folder, in Core ML, on the CPU of a Mac, which chooses the threads."""
    with _needed(path, 'coremltools'):
        import coremltools
    program = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit.CPU_ONLY)
    images = program.get_spec().description.input[0].type.multiArrayType
    return Runtime(
        lambda batch: [program.predict({'images': batch})['output']],
        tuple(images.shape),
        program.user_defined_metadata[METADATA_KEY],
    )


def open_tensorrt(path: Path, threads: int | None = None) -> Runtime:
    """Opens an engine in TensorRT, on the GPU, which has no threads to choose; PyTorch holds the memory."""
    with _needed(path, 'tensorrt'):
        import tensorrt
    with _needed(path, 'torch'):
        import torch
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        version = tensorrt.__version__
        raise DeployError(f'{path}: TensorRT {version} cannot load it; another version or GPU built it')
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    dtypes = {name: np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name))) for name in names}
    is_input = {name: engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT for name in names}
    images = _only(path, [name for name in names if is_input[name]])
    output_dtypes = {name: dtypes[name] for name in names if not is_input[name]}
    context, device = engine.create_execution_context(), torch.accelerator.current_accelerator()

    def run(batch: Array) -> list[Array]:
        taken = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
        context.set_input_shape(images, tuple(taken.shape))
        outputs = {
            name: torch.from_numpy(np.empty(tuple(context.get_tensor_shape(name)), dtype)).to(device)
            for name, dtype in output_dtypes.items()
        }
        for name, tensor in {images: taken, **outputs}.items():
            context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise DeployError(
                f'TensorRT could not run a batch of shape {batch.shape}; see its messages above'
            )
        stream.synchronize()
        return [tensor.cpu().numpy() for tensor in outputs.values()]

    return Runtime(
        run,
        tuple(None if length == -1 else length for length in engine.get_tensor_shape(images)),
        read_sidecar(path),
        tuple(output_dtypes),
        dtypes[images],
    )


def _torch_run(
    network: Callable[[torch.Tensor], torch.Tensor], threads: int | None
) -> Callable[[Array], list[Array]]:
    """Runs a network of PyTorch; the threads are those of the whole process."""
    import torch

    if threads:
        torch.set_num_threads(threads)

    def run(batch: Array) -> list[Array]:
        with torch.no_grad():
            return [network(torch.from_numpy(batch)).numpy()]

    return run


@contextmanager
def _needed(path: Path, package: str) -> Iterator[None]:
    """Says what to install if the import of a runtime fails."""
    try:
        yield
    except ImportError as error:
        raise DeployError(f'{path}: {package} is needed: pip install {package} ({error})') from error


def _damaged(path: Path, runtime: str, error: Exception) -> DeployError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DeployError(f'{path}: {runtime} cannot load it, it is damaged or too new: {reason}')


def _only(path: Path, inputs: list[Any]) -> Any:
    if len(inputs) != 1:
        raise DeployError(f'{path}: it has {len(inputs)} inputs, where a detector has one')
    return inputs[0]


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

"""mmyolox/deploy/runtimes.py: what is told of a file, and one clear line where it cannot be loaded."""

import builtins
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from onnx import TensorProto

from mmyolox.deploy import DeployError, ModelInfo
from mmyolox.deploy.info import METADATA_KEY
from mmyolox.deploy.runtimes import open_runtime
from tests.deploy.models import SMALL, rows_of, write_graph

ROWS = rows_of(SMALL, (10, 20, 8, 6, 0.9, 0.8, 0.1))


def to_openvino(source: Path, info: ModelInfo | None = SMALL) -> Path:
    """The same graph as OpenVINO's IR."""
    model = openvino.convert_model(source)
    if info is not None:
        model.set_rt_info(info.to_json(), METADATA_KEY)
    openvino.save_model(model, source.with_suffix('.xml'), compress_to_fp16=False)
    return source.with_suffix('.xml')


def make(tmp_path: Path, suffix: str, **kwargs) -> Path:
    path = write_graph(tmp_path / 'model.onnx', dict(output=ROWS), **kwargs)
    return path if suffix == '.onnx' else to_openvino(path, kwargs.get('info', SMALL))


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
@pytest.mark.parametrize(
    ('shape', 'expected'),
    [
        ((2, 3, 64, 96), (2, 3, 64, 96)),
        (('batch', 3, 64, 96), (None, 3, 64, 96)),
        (('batch', 3, 'height', 'width'), (None, 3, None, None)),
    ],
)
def test_a_runtime_knows_its_graph_and_runs_it(tmp_path: Path, suffix: str, shape, expected) -> None:
    runtime = open_runtime(make(tmp_path, suffix, shape=shape), threads=1)
    assert runtime.input_shape == expected
    assert runtime.input_dtype == np.float32
    assert runtime.output_names == ('output',)
    assert ModelInfo.from_json(runtime.metadata) == SMALL
    first = runtime.run(np.zeros((2, 3, 64, 96), np.float32))
    (second,) = runtime.run(np.ones((2, 3, 64, 96), np.float32))
    np.testing.assert_array_equal(second, np.stack([ROWS, ROWS]))
    np.testing.assert_array_equal(first[0], second)  # not overwritten by the second call


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_a_file_without_metadata_has_none(tmp_path: Path, suffix: str) -> None:
    assert open_runtime(make(tmp_path, suffix, info=None)).metadata is None


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
@pytest.mark.parametrize(
    ('dtype', 'expected'), [(TensorProto.FLOAT16, np.float16), (TensorProto.UINT8, np.uint8)]
)
def test_other_dtypes(tmp_path: Path, suffix: str, dtype: int, expected: type) -> None:
    assert open_runtime(make(tmp_path, suffix, dtype=dtype)).input_dtype == expected


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (
            dict(opset=99),
            r'model.onnx: its opset 99 is newer than the \d+ that ONNX Runtime \S+ has: upgrade',
        ),
        (dict(ir_version=99), r'its IR version 99 is newer than the \d+ that ONNX Runtime \S+ has: upgrade'),
        (dict(dtype=TensorProto.DOUBLE), r'its input is tensor\(double\), where a detector takes'),
    ],
)
def test_an_onnx_file_that_the_runtime_does_not_have(tmp_path: Path, kwargs: dict, message: str) -> None:
    with pytest.raises(DeployError, match=message) as caught:
        open_runtime(make(tmp_path, '.onnx', **kwargs))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['model.onnx', 'model.xml'])
@pytest.mark.parametrize('content', [b'', b'no model at all', 'half'])
def test_a_damaged_file(tmp_path: Path, name: str, content: bytes | str) -> None:
    path = make(tmp_path, Path(name).suffix)
    path.write_bytes(path.read_bytes()[:400] if content == 'half' else content)
    with pytest.raises(DeployError, match=rf'{name}: \w+\s?\w* \S+ cannot load it, it is damaged') as caught:
        open_runtime(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('suffix', ['.torchscript', '.pt2'])
def test_a_changed_bit_of_pytorch_files_is_found(tmp_path: Path, suffix: str) -> None:
    path, network = tmp_path / f'model{suffix}', torch.nn.Conv2d(3, 4, 3)
    if suffix == '.pt2':
        torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), path)
    else:
        torch.jit.trace(network, torch.zeros(1, 3, 8, 8)).save(str(path))
    assert open_runtime(path).run(np.zeros((1, 3, 8, 8), np.float32))[0].shape == (1, 4, 6, 6)
    content = bytearray(path.read_bytes())
    content[content.index(network.weight.detach().numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DeployError, match=rf'model{suffix} is damaged: its record \S+ is not what was written'
    ):
        open_runtime(path)


def test_weights_are_missing(tmp_path: Path) -> None:
    path = make(tmp_path, '.xml')
    path.with_suffix('.bin').unlink()
    with pytest.raises(DeployError, match=r'model\.xml: its weights are missing, model.bin beside it'):
        open_runtime(path)


@pytest.mark.parametrize(
    ('name', 'threads', 'message'),
    [
        ('absent.onnx', None, 'absent.onnx: there is no such file'),
        ('weights.pth', None, 'weights.pth: the name of an exported file must end in .onnx, .xml, .*'),
        ('model.onnx', 0, 'threads=0: at least 1'),
    ],
)
def test_wrong_arguments(tmp_path: Path, name: str, threads: int | None, message: str) -> None:
    make(tmp_path, '.onnx')
    with pytest.raises(DeployError, match=message):
        open_runtime(tmp_path / name, threads)


@pytest.mark.parametrize(('suffix', 'package'), [('.onnx', 'onnxruntime'), ('.xml', 'openvino')])
def test_a_runtime_that_is_not_installed(tmp_path: Path, monkeypatch, suffix: str, package: str) -> None:
    path = make(tmp_path, suffix)
    found = builtins.__import__

    def absent(name: str, *args, **kwargs):
        if name == package:
            raise ImportError(f'No module named {name!r}')
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', absent)
    with pytest.raises(DeployError, match=f'{package} is needed: pip install {package}'):
        open_runtime(path)


def test_more_than_one_input(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(make(tmp_path, '.onnx'))
    model.graph.input.append(onnx.helper.make_tensor_value_info('more', TensorProto.FLOAT, [1]))
    onnx.save(model, tmp_path / 'model.onnx')
    with pytest.raises(DeployError, match='it has 2 inputs, where a detector has one'):
        open_runtime(tmp_path / 'model.onnx')


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_outputs_come_in_the_order_of_their_names(tmp_path: Path, suffix: str) -> None:
    outputs = dict(scores=np.float32([1, 2]), bboxes=np.float32([[3]]), num=np.int64(4))
    path = write_graph(tmp_path / 'm.onnx', outputs)
    runtime = open_runtime(path if suffix == '.onnx' else to_openvino(path))
    found = dict(zip(runtime.output_names, runtime.run(np.zeros((1, 3, 64, 96), np.float32)), strict=True))
    assert {name: value[0].tolist() for name, value in found.items()} == dict(
        scores=[1, 2], bboxes=[[3]], num=4
    )


def spy(monkeypatch, owner: object, name: str) -> list:
    """What a function returns from now on, call by call."""
    function, results = getattr(owner, name), []

    def call(*args, **kwargs):
        results.append(function(*args, **kwargs))
        return results[-1]

    monkeypatch.setattr(owner, name, call)
    return results


def test_the_number_of_threads_is_obeyed(tmp_path: Path, monkeypatch) -> None:
    path = make(tmp_path, '.onnx')
    sessions = spy(monkeypatch, onnxruntime, 'InferenceSession')
    for threads, told in (1, 1), (2, 2), (None, 0):
        open_runtime(path, threads)
        assert sessions[-1].get_session_options().intra_op_num_threads == told
    models = spy(monkeypatch, openvino.Core, 'compile_model')
    open_runtime(to_openvino(path), 1)
    assert models[-1].get_property('INFERENCE_NUM_THREADS') == 1
    assert models[-1].get_property('INFERENCE_PRECISION_HINT') == openvino.Type.f32


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path, suffix)
    assert open_runtime(path.rename(path.with_suffix(suffix.upper()))).output_names == ('output',)

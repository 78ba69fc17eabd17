"""Every format whose runtime is here: written, opened again, and compared with PyTorch."""

import errno
import resource
import shutil
import warnings

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx import TensorProto

from mmyolox.deploy import ExportedModel, ModelInfo
from mmyolox.deploy.formats import FORMATS
from mmyolox.deploy.runtimes import open_runtime
from mmyolox.errors import UserError
from mmyolox.export.description import describe
from mmyolox.export.formats import export_model
from mmyolox.export.onnx_nodes import nodes_after_network, nodes_before_network
from mmyolox.export.onnx_precision import halve
from mmyolox.export.options import Precision
from tests.export.models import CLOSE, expected_predictions, noise, options, shared_detector

FP16 = Precision('fp16')


@pytest.fixture
def model():
    return shared_detector()


@pytest.mark.parametrize('name', ['onnx', 'openvino', 'torchscript', 'torch-export'])
@pytest.mark.parametrize('form', ['raw', 'decoded'])
def test_rows_of_a_fixed_batch(model, tmp_path, name, form):
    kind, chosen = FORMATS[name], options(form=form, batch=2)
    path = export_model(kind, model, tmp_path / 'new' / 'a', chosen)
    assert path == tmp_path / 'new' / f'a{kind.suffix}'
    runtime = open_runtime(path)
    assert runtime.input_shape == (2, 3, 64, 96)
    assert ModelInfo.from_json(runtime.metadata) == describe(model, chosen)
    images = noise(2, 3, 64, 96)
    (rows,) = runtime.run(images)
    np.testing.assert_allclose(rows, expected_predictions(model, images, form == 'decoded'), **CLOSE)


@pytest.mark.parametrize('name', ['openvino', 'torchscript', 'torch-export'])
def test_rows_of_any_batch_and_size(model, tmp_path, name):
    kind = FORMATS[name]
    path = export_model(kind, model, tmp_path / 'a', options(dynamic_batch=True, dynamic_size=True))
    runtime = open_runtime(path)
    assert runtime.input_shape == (None, 3, None, None)
    for shape in (1, 3, 64, 96), (3, 3, 96, 64):
        images = noise(*shape)
        np.testing.assert_allclose(
            runtime.run(images)[0], expected_predictions(model, images, True), rtol=1e-2, atol=1e-2
        )


@pytest.mark.parametrize('asked', [dict(), dict(preprocess=True), dict(form='end2end', preprocess=True)])
def test_half_precision_decodes_in_full(model, tmp_path, asked):
    chosen = options(precision=FP16, dynamic_batch=True, **asked)
    path = export_model(FORMATS['onnx'], model, tmp_path / 'a', chosen)
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    weights = {weight.name: weight for weight in graph.graph.initializer}
    kernels = [node.input[1] for node in graph.graph.node if node.op_type == 'Conv']
    assert {weights[name].data_type for name in kernels} == {TensorProto.FLOAT16}
    (image,) = np.random.default_rng(0).integers(0, 256, (1, 70, 90, 3), np.uint8)
    full = export_model(FORMATS['onnx'], model, tmp_path / 'b', options(dynamic_batch=True, **asked))
    halves, floats = (ExportedModel(name, score_thr=0.2)([image])[0] for name in (path, full))
    assert len(floats) > 10
    assert abs(len(halves) - len(floats)) <= len(floats) // 10
    np.testing.assert_allclose(halves.scores[:5], floats.scores[:5], atol=0.02)


def test_half_precision_of_a_graph_with_another_reader(model, tmp_path):
    """What the network writes in float16 and a subgraph reads in float32."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 3, 4, 4] x, bool b) => (float[1, 3, 4, 4] y)
    <float[3, 3, 1, 1] w = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0}> {
        a = Conv (x, w)
        s = Sigmoid (a)
        c = Conv (s, w)
        y = If (b) <then_branch = t () => (float[1, 3, 4, 4] z) { z = Add (s, c) },
                    else_branch = e () => (float[1, 3, 4, 4] z) { z = Identity (c) }>
    }"""
    graph = onnx.parser.parse_model(text)
    onnx.save(halve(graph), tmp_path / 'a.onnx')
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / 'a.onnx'))
    images = np.linspace(-3, 3, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    sigmoid = 1 / (1 + np.exp(-images))
    for condition, wanted in (True, 2 * sigmoid), (False, sigmoid):
        (found,) = session.run(None, dict(x=images, b=np.array(condition)))
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_what_lies_around_the_network(model, tmp_path):
    path = export_model(FORMATS['onnx'], model, tmp_path / 'a', options(focus='slices', form='decoded'))
    graph = onnx.load(path)
    kinds = {node.name: node.op_type for node in graph.graph.node}
    before = sorted(kinds[name] for name in nodes_before_network(graph))
    after = {kinds[name] for name in nodes_after_network(graph)}
    assert 'Slice' in before
    assert not {'Conv', 'MaxPool', 'Resize'} & (set(before) | after)
    assert {'Exp', 'Sigmoid', 'Transpose'} <= after
    lasts = nodes_after_network(graph, with_last=True) - nodes_after_network(graph)
    assert [kinds[name] for name in lasts] == ['Conv'] * 9
    assert len(nodes_before_network(graph, with_first=True) - nodes_before_network(graph)) == 1


def test_openvino_half_is_half_as_large(model, tmp_path):
    kind = FORMATS['openvino']
    sizes = [
        export_model(kind, model, tmp_path / name, options(precision=Precision(name)))
        .with_suffix('.bin')
        .stat()
        .st_size
        for name in ('fp32', 'fp16')
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_openvino_that_cannot_be_written(model, tmp_path, monkeypatch):
    def fail(graph, path, **kwargs):
        path.touch()
        raise RuntimeError('\nno space left')

    path = export_model(FORMATS['openvino'], model, tmp_path / 'a', options())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(openvino, 'save_model', fail)
    with pytest.raises(UserError, match=r'a\.xml cannot be written: .*no space left.*TMPDIR'):
        export_model(FORMATS['openvino'], model, path, options(form='raw'))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_tracing_warns_of_nothing(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('error', torch.jit.TracerWarning)
        export_model(FORMATS['torchscript'], model, tmp_path / 'a', options())


@pytest.mark.parametrize('name', ['torchscript', 'torch-export'])
def test_a_damaged_file_stays_away(model, tmp_path, name, monkeypatch):
    """An export that fails leaves nothing behind."""
    monkeypatch.setattr(torch.jit, 'trace', lambda *args: 1 / 0)
    monkeypatch.setattr(torch.export, 'export', lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_model(FORMATS[name], model, tmp_path / 'a', options())
    assert not list(tmp_path.iterdir())


def test_openvino_on_a_full_disk_leaves_the_old_pair(model, tmp_path, monkeypatch):
    path = export_model(FORMATS['openvino'], model, tmp_path / 'a', options())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(source, target):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(shutil, 'copyfile', full)
    with pytest.raises(UserError, match=r'a\.bin cannot be written: No space left on device; make room'):
        export_model(FORMATS['openvino'], model, path, options(form='raw'))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize('name', ['onnx', 'torchscript', 'torch-export'])
def test_a_full_disk_leaves_the_old_file(model, tmp_path, name):
    path = export_model(FORMATS[name], model, tmp_path / 'a', options())
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))
    try:
        with pytest.raises(UserError, match=f'{path.name} cannot be written: File too large; raise'):
            export_model(FORMATS[name], model, path, options())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before

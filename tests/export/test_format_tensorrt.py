"""Building TensorRT engines, with a stand-in that says what it was told to build."""

import enum
import sys
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto

from mmyolox.deploy import ModelInfo
from mmyolox.errors import UserError
from mmyolox.export import tensorrt_engine
from mmyolox.export.description import describe
from mmyolox.export.onnx_format import build_float_onnx
from mmyolox.export.options import Precision
from mmyolox.export.tensorrt_engine import shape_range
from tests.export.models import options, shared_detector


class Builder:
    """Writes down what the build was given; the engine is the text of it."""

    def __init__(self, logger):
        self.told = SimpleNamespace(graph=None, flags=None, cleared=[], profiles=[])

    def create_network(self, flags):
        self.told.flags = flags
        return self.told

    def create_builder_config(self):
        return SimpleNamespace(
            clear_flag=self.told.cleared.append, add_optimization_profile=self.told.profiles.append
        )

    def create_optimization_profile(self):
        profile = {}
        profile_of = lambda name, *shapes: profile.update({name: shapes})  # noqa: E731
        return SimpleNamespace(set_shape=profile_of, shapes=profile)

    def build_serialized_network(self, network, config):
        Builder.last = self.told
        return b'engine'


class OnnxParser:
    def __init__(self, network, logger):
        self.network = network

    def parse(self, content):
        graph = onnx.load_from_string(content)
        self.network.graph = graph
        (value,) = graph.graph.input
        shape = [size.dim_value or -1 for size in value.type.tensor_type.shape.dim]
        self.network.get_input = lambda index: SimpleNamespace(name=value.name, shape=shape)
        return True


@pytest.fixture
def tensorrt(monkeypatch):
    """A stand-in for the package."""
    module = SimpleNamespace(
        __version__='0',
        Logger=type('Logger', (), {'ERROR': 1, '__init__': lambda self, level: None}),
        Builder=Builder,
        OnnxParser=OnnxParser,
        NetworkDefinitionCreationFlag=enum.IntEnum('Flag', dict(STRONGLY_TYPED=1)),
        BuilderFlag=SimpleNamespace(TF32='tf32'),
    )
    monkeypatch.setitem(sys.modules, 'tensorrt', module)
    return module


def build(folder, **asked):
    """What the builder was told, and the description beside the engine."""
    path = folder / 'a.engine'
    tensorrt_engine.write_tensorrt(shared_detector(), path, options(**asked))
    assert path.read_bytes() == b'engine'
    return Builder.last, ModelInfo.from_json((folder / 'a.json').read_text())


def test_fixed_shapes(tensorrt, tmp_path):
    told, info = build(tmp_path, batch=3)
    assert told.flags == 2
    assert told.cleared == ['tf32']
    assert told.profiles == []
    assert info == describe(shared_detector(), options())


def test_dynamic_shapes(tensorrt, tmp_path):
    told, _ = build(tmp_path, batch=2, dynamic_batch=True, dynamic_size=True)
    (profile,) = told.profiles
    assert profile.shapes == {'images': ((1, 3, 32, 32), (2, 3, 64, 96), (16, 3, 128, 192))}


@pytest.mark.parametrize(
    ('shape', 'asked', 'wanted'),
    [
        ((-1, 3, 64, 96), dict(batch=32), ((1, 3, 64, 96), (32, 3, 64, 96), (32, 3, 64, 96))),
        ((1, 3, -1, -1), dict(), ((1, 3, 32, 32), (1, 3, 64, 96), (1, 3, 128, 192))),
        (
            (2, -1, -1, 3),
            dict(batch=2, preprocess=True),
            ((2, 16, 16, 3), (2, 64, 96, 3), (2, 8192, 8192, 3)),
        ),
    ],
)
def test_range_of_shapes(shape, asked, wanted):
    assert shape_range(shape, options(**asked), 32) == wanted


def test_quantised_as_tensorrt_wants_it(tensorrt, tmp_path, monkeypatch):
    asked = []

    def record(model, chosen, symmetric):
        asked.append((chosen.precision.name, symmetric))
        return build_float_onnx(model, chosen)

    monkeypatch.setattr(tensorrt_engine, 'build_onnx', record)
    build(tmp_path, precision=Precision('int8', tmp_path))
    assert asked == [('int8', True)]


def test_float16_is_in_the_graph(tensorrt, tmp_path):
    told, _ = build(tmp_path, precision=Precision('fp16'))
    kinds = {weight.name: weight.data_type for weight in told.graph.graph.initializer}
    kernels = [kinds[node.input[1]] for node in told.graph.graph.node if node.op_type == 'Conv']
    assert set(kernels) == {TensorProto.FLOAT16}


def test_a_graph_that_it_does_not_know(tensorrt, tmp_path, monkeypatch):
    monkeypatch.setattr(OnnxParser, 'parse', lambda self, content: False)
    monkeypatch.setattr(OnnxParser, 'get_error', lambda self, index: 'no such node', raising=False)
    with pytest.raises(UserError, match='TensorRT 0 cannot take the graph: no such node'):
        build(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_build_that_fails(tensorrt, tmp_path, monkeypatch):
    monkeypatch.setattr(Builder, 'build_serialized_network', lambda *args: None)
    with pytest.raises(UserError, match='could not build it'):
        build(tmp_path)
    assert not list(tmp_path.iterdir())

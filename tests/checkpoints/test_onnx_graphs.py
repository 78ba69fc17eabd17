"""ONNX files of a few nodes: what is read of them, and what is refused."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.sources.onnx import SOURCE, read_model
from mmyolox.errors import UserError


def graph_file(path, nodes, initializers=(), outputs=('y',)):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ('x', *outputs)]
    graph = helper.make_graph(nodes, 'graph', values[:1], values[1:], initializers)
    onnx.save(helper.make_model(graph), path)


WEIGHT = numpy_helper.from_array(np.zeros((2, 3, 1, 1), np.float32), 'w')
CONV = helper.make_node('Conv', ['x', 'w'], ['c'])


@pytest.mark.parametrize(
    ('nodes', 'message'),
    [
        ([helper.make_node('Relu', ['x'], ['y'])], 'is an ONNX model without convolutions'),
        (
            [CONV, helper.make_node('BatchNormalization', ['c', *'abde'], ['y'])],
            'batch norm is not folded into the convolutions',
        ),
        (
            [helper.make_node('Neg', ['w'], ['v']), helper.make_node('Conv', ['x', 'v'], ['y'])],
            'v is computed, as in a quantised model',
        ),
    ],
)
def test_a_graph_at_fault_is_refused(tmp_path, nodes, message):
    graph_file(tmp_path / 'x.onnx', nodes, [WEIGHT])
    with pytest.raises(UserError, match=message):
        read_model(tmp_path / 'x.onnx')


LOOP = [
    helper.make_node('Add', ['c', 'y'], ['d']),
    helper.make_node('Relu', ['d'], ['y']),
]


@pytest.mark.parametrize(
    ('nodes', 'message'),
    [
        ([CONV, *LOOP], 'x.onnx is damaged: the graph has a cycle through'),
        ([helper.make_node('Cast', ['y'], ['y'], to=1)], 'has a cycle through y'),
        (
            [helper.make_node('Identity', ['v'], ['v']), helper.make_node('Conv', ['x', 'v'], ['y'])],
            'has a cycle through v',
        ),
        ([CONV, helper.make_node('Relu', ['x'], ['c'])], 'is damaged: two nodes compute c'),
        ([helper.make_node('Conv', ['x'], ['y'])], 'is no YOLOX: convolution y has no weight'),
        (
            [helper.make_node('Constant', [], ['v']), helper.make_node('Conv', ['x', 'v'], ['y'])],
            'v is computed',
        ),
    ],
)
def test_a_graph_that_cannot_be_is_one_line(tmp_path, nodes, message):
    graph_file(tmp_path / 'x.onnx', nodes, [WEIGHT])
    with pytest.raises(UserError, match=message):
        read_model(tmp_path / 'x.onnx')


@pytest.mark.parametrize(
    ('dims', 'message'),
    [
        ((-1, 3, 1, 1), 'tensor w is not as large as it should be'),
        ((-2, -3, 1, 1), 'tensor w is not as large as it should be'),
        ((2**40, 2**40, 1, 1), 'tensor w is not as large as it should be'),
        ((2**62, 0, 1, 1), 'tensor w is not as large as it should be'),
        ((2, 3), r'w of shape \(2, 3\) is no weight of a convolution'),
    ],
)
def test_a_tensor_of_impossible_shape_is_one_line(tmp_path, dims, message):
    weight = numpy_helper.from_array(np.zeros((2, 3, 1, 1), np.float32), 'w')
    weight.dims[:] = dims
    graph_file(tmp_path / 'x.onnx', [helper.make_node('Conv', ['x', 'w'], ['y'])], [weight])
    with pytest.raises(UserError, match=message):
        read_model(tmp_path / 'x.onnx')


def test_another_network_is_refused(tmp_path):
    graph_file(tmp_path / 'x.onnx', [CONV, helper.make_node('Relu', ['c'], ['y'])], [WEIGHT])
    with pytest.raises(UserError, match='not the ONNX file of a YOLOX: no model has 1 convolutions'):
        convert(read_weights(tmp_path / 'x.onnx')[0])


def test_weights_behind_casts_and_in_nodes_are_read(tmp_path):
    """As converters to half precision and old exporters write them."""
    nodes = [
        helper.make_node('Cast', ['h'], ['v'], to=TensorProto.FLOAT),
        helper.make_node('Constant', [], ['b'], value=numpy_helper.from_array(np.float32([1, 2]))),
        helper.make_node('Conv', ['x', 'v', 'b'], ['y']),
    ]
    half = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float16), 'h')
    graph_file(tmp_path / 'x.onnx', nodes, [half])
    found = {name: tensor.flatten().tolist() for name, tensor in read_model(tmp_path / 'x.onnx').items()}
    assert found == {'Conv y.weight': [1] * 6, 'Conv y.bias': [1, 2]}


def test_a_deeper_model_has_its_names():
    weights = {f'Conv {i}.weight': torch.zeros(1) for i in range(59 + 24 * 9)}
    assert 'backbone.stage3.1.blocks.26.conv2.conv.weight' in SOURCE.translate(weights).tensors

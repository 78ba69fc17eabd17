"""Float16 in an ONNX graph, where it is exact enough: in the network of convolutions."""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from .onnx_nodes import inputs_of, name_nodes, nodes_after_network, nodes_before_network

_FLOAT_INPUTS = {'Resize': (1, 2)}
"""Which inputs of an operator are float32 by its definition."""


def halve(graph: ModelProto) -> ModelProto:
    """A graph whose network computes in float16, with the same inputs and outputs.

    Letterboxing, decoding and suppression stay in float32: float16 has steps of half a pixel above 512.
    """
    halved = name_nodes(shape_inference.infer_shapes(graph))
    others = nodes_after_network(halved) | nodes_before_network(halved)
    nodes = list(halved.graph.node)
    network = {node.name for node in nodes if node.name not in others and node.op_type != 'Constant'}
    read_outside = {name for node in nodes if node.name not in network for name in inputs_of(node)}
    read_outside |= {value.name for value in halved.graph.output}
    values = [*halved.graph.value_info, *halved.graph.input, *halved.graph.output]
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    floats |= {weight.name for weight in halved.graph.initializer if weight.data_type == TensorProto.FLOAT}
    known: dict[str, str] = {}
    del halved.graph.node[:]
    for node in nodes:
        if node.name in network:
            _halve_inputs(node, halved, floats, known)
        halved.graph.node.append(node)
        if node.name not in network:
            continue
        # What the network writes has another name in float16; what others read is cast back.
        outputs = halved.graph.node[-1].output
        for index, name in enumerate(outputs):
            if name in floats:
                outputs[index] = known[name] = f'{name}_half'
                if name in read_outside:
                    halved.graph.node.append(_cast(known[name], name, TensorProto.FLOAT))
    read = {name for node in halved.graph.node for name in inputs_of(node)}
    weights = [weight for weight in halved.graph.initializer if weight.name in read]
    del halved.graph.initializer[:]
    halved.graph.initializer.extend(weights)
    del halved.graph.value_info[:]
    return halved


def _halve_inputs(node: NodeProto, graph: ModelProto, floats: set[str], known: dict[str, str]) -> None:
    """Makes a node read float16; what is not there yet in float16 is added to the graph and to ``known``."""
    weights = {weight.name: weight for weight in graph.graph.initializer}
    for index, name in enumerate(node.input):
        if name not in floats or index in _FLOAT_INPUTS.get(node.op_type, ()):
            continue
        if name not in known:
            known[name] = f'{name}_half'
            if name in weights:
                half = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.graph.initializer.append(numpy_helper.from_array(half, known[name]))
            else:
                graph.graph.node.append(_cast(name, known[name], TensorProto.FLOAT16))
        node.input[index] = known[name]


def _cast(source: str, target: str, dtype: int) -> NodeProto:
    return helper.make_node('Cast', [source], [target], f'{target}_cast', to=dtype)

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
    floats = _float_tensors(halved)
    known: dict[str, str] = {}
    del halved.graph.node[:]
    for node in nodes:
        if node.name in network:
            _halve_inputs(node, halved, floats, known)
        halved.graph.node.append(node)
        if node.name in network:
            _halve_outputs(halved, floats, known, read_outside)
    _drop_unused_weights(halved)
    del halved.graph.value_info[:]
    return halved


def _float_tensors(graph: ModelProto) -> set[str]:
    """The names of all tensors of type float32."""
    values = [*graph.graph.value_info, *graph.graph.input, *graph.graph.output]
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return floats | {
        weight.name for weight in graph.graph.initializer if weight.data_type == TensorProto.FLOAT
    }


def _halve_inputs(node: NodeProto, graph: ModelProto, floats: set[str], known: dict[str, str]) -> None:
    """Makes a node read float16; what is not there yet in float16 is added to the graph and to ``known``."""
    weights = {weight.name: weight for weight in graph.graph.initializer}
    for place, name in enumerate(node.input):
        if name not in floats or place in _FLOAT_INPUTS.get(node.op_type, ()):
            continue
        if name not in known:
            known[name] = f'{name}_half'
            if name in weights:
                half = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.graph.initializer.append(numpy_helper.from_array(half, known[name]))
            else:
                graph.graph.node.append(_cast(name, known[name], TensorProto.FLOAT16))
        node.input[place] = known[name]


def _halve_outputs(
    graph: ModelProto, floats: set[str], known: dict[str, str], read_outside: set[str]
) -> None:
    """Renames what the graph's last node writes in float16, and casts what others read back to float32."""
    node = graph.graph.node[-1]
    for place, name in enumerate(node.output):
        if name in floats:
            node.output[place] = known[name] = f'{name}_half'
            if name in read_outside:
                graph.graph.node.append(_cast(known[name], name, TensorProto.FLOAT))


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node('Cast', [source], [target], f'{target}_cast', to=kind)


def _drop_unused_weights(graph: ModelProto) -> None:
    read = {name for node in graph.graph.node for name in inputs_of(node)}
    weights = [weight for weight in graph.graph.initializer if weight.name in read]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(weights)

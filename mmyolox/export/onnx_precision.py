"""Fewer bits in an ONNX graph: float16, or 8-bit integers by NNCF, calibrated on images of the user's.

Float16 is exact enough in the network of convolutions alone. With 8 bits, two things matter more than all
options of the quantiser. SiLU must be one operation, or its inner sigmoid is quantised too,
at ten points of AP. And the head's last convolutions stay in float, with what follows them: boxes need more
than 256 steps.
"""

from collections.abc import Iterable

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from .inputs import Batch
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


def quantise_onnx(graph: ModelProto, batches: Iterable[Batch], symmetric: bool) -> ModelProto:
    """Quantises an ONNX graph: pairs of ``QuantizeLinear`` and ``DequantizeLinear`` say what is 8 bits wide.

    Args:
        graph: The graph, of one input and of opset 13 or newer.
        batches: The batches that the graph takes.
        symmetric: Whether to quantise for TensorRT, which knows int8 with a zero point of 0 alone:
            activations are signed and symmetric, and the first convolution, whose input has no sign, stays in
            float. Otherwise activations are asymmetric, which costs less AP.

    Returns:
        A new graph.
    """
    import nncf

    nncf.set_log_level('ERROR')
    graph = name_nodes(graph)
    ignored = nodes_after_network(graph, with_last=True)
    if symmetric:
        ignored |= nodes_before_network(graph, with_first=True)
    preset = nncf.QuantizationPreset.PERFORMANCE if symmetric else nncf.QuantizationPreset.MIXED
    name = graph.graph.input[0].name
    data = [{name: batch} for batch in batches]
    quantised: ModelProto = nncf.quantize(
        graph,
        nncf.Dataset(data),
        preset=preset,
        subset_size=len(data),
        ignored_scope=nncf.IgnoredScope(names=sorted(ignored), validate=False),
    )
    return quantised

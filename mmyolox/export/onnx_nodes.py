"""Parts of an exported ONNX graph: the network of convolutions, and what lies before and behind it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from onnx import ModelProto, NodeProto


def name_nodes(graph: ModelProto) -> ModelProto:
    """A copy of a graph in which every node has a name of its own."""
    named = ModelProto()
    named.CopyFrom(graph)
    taken: set[str] = set()
    for index, node in enumerate(named.graph.node):
        if not node.name or node.name in taken:
            node.name = f'{node.op_type}_{index}'
        taken.add(node.name)
    return named


def inputs_of(node: NodeProto) -> list[str]:
    """The names of the tensors that a node reads, those that its subgraphs take from outside included."""
    names = list(node.input)
    for attribute in node.attribute:
        if attribute.HasField('g'):
            made = {name for inner in attribute.g.node for name in inner.output}
            names += [name for inner in attribute.g.node for name in inputs_of(inner) if name not in made]
            names += [value.name for value in attribute.g.output if value.name not in made]
    return names


def nodes_after_network(graph: ModelProto, with_last: bool = False) -> set[str]:
    """The names of the nodes behind the head's last convolutions: sigmoids, decoding, suppression.

    Args:
        graph: The graph, whose nodes have names of their own.
        with_last: Whether these convolutions count.
    """
    producers = {name: [node] for node in graph.graph.node for name in node.output}
    return _walk((value.name for value in graph.graph.output), producers, inputs_of, with_last)


def nodes_before_network(graph: ModelProto, with_first: bool = False) -> set[str]:
    """The names of the nodes before the first convolution: letterboxing, the Focus stem's slices.

    Args:
        graph: The graph, whose nodes have names of their own.
        with_first: Whether that convolution counts.
    """
    consumers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.graph.node:
        for name in inputs_of(node):
            consumers[name].append(node)
    return _walk((value.name for value in graph.graph.input), consumers, lambda node: node.output, with_first)


def _walk(
    tensors: Iterable[str],
    nodes: Mapping[str, list[NodeProto]],
    onward: Callable[[NodeProto], Iterable[str]],
    with_ends: bool,
) -> set[str]:
    """The names of the nodes on all ways from some tensors to a convolution, or to a question for a shape."""
    pending, seen, names = list(tensors), set[str](), set[str]()
    while pending:
        for node in nodes.get(pending.pop(), ()):
            if node.op_type == 'Shape':
                continue
            is_end = node.op_type == 'Conv'
            if with_ends or not is_end:
                names.add(node.name)
            if not is_end and node.name not in seen:
                seen.add(node.name)
                pending += onward(node)
    return names

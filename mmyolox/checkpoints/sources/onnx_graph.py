"""What an ONNX graph computes, as far as weights need it: its order, constants, activations and images."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmyolox.errors import UserError

Array = NDArray[Any]

SAME = ('Identity', 'Cast')
"""Operators that change no value, or its precision alone."""
_ACTIVATIONS = frozenset(
    ('Celu', 'Clip', 'Elu', 'Erf', 'Gelu', 'HardSigmoid', 'HardSwish', 'Mish', 'PRelu', 'Relu', 'Selu')
    + ('Softmax', 'Softplus', 'Softsign', 'Tanh', 'ThresholdedRelu')
)
_DEFAULT_ALPHA = dict(LeakyRelu=0.01, Swish=1.0, QuickGelu=1.702)
_SIDE = 64  # of images whose size the graph leaves open
_LARGE_SIDE = 640  # of the same, where no image is made
_MAX_ELEMENTS = 1 << 24
_ARITHMETIC = frozenset(
    ('Add', 'Cast', 'Concat', 'Constant', 'Div', 'Floor', 'Gather', 'Identity', 'Mul', 'Reshape', 'Shape')
    + ('Slice', 'Squeeze', 'Unsqueeze')
)
"""Operators by which exporters compute a size of others."""
_MAX_NUMBERS = 1000


def is_activation(operators: str) -> bool:
    """Whether :meth:`Graph.activation` found one; a sigmoid by itself is none."""
    return not {*operators.split()}.isdisjoint({*_ACTIVATIONS, *_DEFAULT_ALPHA, 'SiLU'})


class Graph:
    """The graph of a model.

    Attributes:
        nodes: Those that the outputs depend on, each once and after those that it depends on. Unlike the
            order in the file, this one depends on nothing but the graph.
    """

    def __init__(self, path: Path, model: Any) -> None:
        """Reads a graph.

        Args:
            path: The file, for messages.
            model: Its ``ModelProto``.

        Raises:
            UserError: The graph has a cycle, or a tensor that two nodes compute.
        """
        graph = model.graph
        self._path, self._inputs, self._opsets = path, graph.input, model.opset_import
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._producers: dict[str, Any] = {}
        self._users: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in filter(None, node.output):
                if name in self._producers:
                    raise UserError(f'{path} is damaged: two nodes compute {name}')
                self._producers[name] = node
            for name in filter(None, node.input):
                self._users.setdefault(name, []).append(node)
        self.nodes = self._before([output.name for output in graph.output])

    def _before(self, outputs: Sequence[str], ends: Collection[str] = ()) -> list[Any]:
        """The nodes that tensors depend on, but for those before the operators that end the search."""
        nodes: list[Any] = []
        begun: set[str] = set()
        done: set[str] = set()
        stack = [(name, False) for name in reversed(outputs)]
        while stack:
            name, is_ready = stack.pop()
            node = self._producers.get(name)
            if node is None or name in done:
                continue
            if is_ready:
                nodes.append(node)
                done.update(node.output)
            elif name in begun:
                raise UserError(f'{self._path} is damaged: the graph has a cycle through {name}')
            else:
                begun.update(node.output)
                stack.append((name, True))
                if node.op_type not in ends:
                    stack += [(source, False) for source in reversed(node.input)]
        return nodes

    def constant(self, name: str) -> Array:
        """The value of a tensor that does not depend on images.

        Raises:
            UserError: It does, or is damaged.
        """
        from onnx import numpy_helper

        while name in self._producers and self._producers[name].op_type in SAME:
            name = next(iter(self._producers[name].input), '')
        node = self._producers.get(name)
        if name in self._constants:
            tensor = self._constants[name]
        elif node is not None and node.op_type == 'Constant' and node.attribute:
            tensor = node.attribute[0].t
        else:
            raise UserError(
                f'{self._path}: {name or "the bias of a convolution"} is computed, as in a quantised model'
            )
        try:
            value = np.array(numpy_helper.to_array(tensor))
            if value.shape != tuple(tensor.dims):
                raise ValueError
        except Exception as error:  # a damaged tensor can fail in any way
            raise UserError(
                f'{self._path} is damaged: tensor {name} is not as large as it should be'
            ) from error
        return value

    def image_shape_hw(self) -> tuple[int, int]:
        """(height, width) of the images that the graph takes; of a graph that leaves it open, some size."""
        dims = [dim.dim_value for value in self._inputs for dim in value.type.tensor_type.shape.dim]
        height, width = (size if size > 0 else _LARGE_SIDE for size in (*dims, 0, 0, 0, 0)[2:4])
        return height, width

    def numbers(self, name: str, shape_of: Callable[[str], Sequence[int]]) -> list[float]:
        """The numbers of a tensor that depends on nothing but the shapes of others; none if it does.

        Args:
            name: Of the tensor.
            shape_of: What tells the shape of a tensor by its name.
        """
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        nodes = self._before([name], ['Shape'])
        sources = {source for node in nodes for source in node.input} | {name}
        constants = [self._constants[source] for source in sources & self._constants.keys()]
        size = sum(len(tensor.SerializeToString()) for tensor in constants)
        if size > _MAX_NUMBERS * 8 or not {node.op_type for node in nodes} <= _ARITHMETIC:
            return []
        # An array of one number, of any shape.
        shaped = {node.input[0]: node for node in nodes if node.op_type == 'Shape'}
        feeds = {source: np.broadcast_to(np.float32(0), shape_of(source)) for source in shaped}
        values = [
            [helper.make_empty_tensor_value_info(source) for source in names] for names in (feeds, [name])
        ]
        graph = helper.make_graph(nodes, 'numbers', *values, constants)
        try:
            model = helper.make_model(graph, opset_imports=self._opsets)
            (found,) = ReferenceEvaluator(model).run(None, feeds)
            return [float(number) for number in np.ravel(found)[:_MAX_NUMBERS]]
        except Exception:  # a damaged graph can fail in any way
            return []

    def activation(self, name: str) -> str:
        """What is done to a tensor: ``SiLU``, ``LeakyRelu 0.1``, another activation's name, or all operators.

        Args:
            name: Of the tensor.
        """
        users = self._users_of(name)
        operators = sorted({node.op_type for node in users})
        if operators == ['Mul', 'Sigmoid']:
            product, gate = sorted(users, key=lambda node: node.op_type)[:: len(users) - 1]
            if len(users) == 2 and any(node is product for node in self._users_of(gate.output[0])):
                return 'SiLU'
        if len(users) == 1 and operators[0] in _DEFAULT_ALPHA:
            alphas = [attribute.f for attribute in users[0].attribute if attribute.name == 'alpha']
            alpha = f'{(alphas or [_DEFAULT_ALPHA[operators[0]]])[0]:.4g}'
            is_silu = operators[0] != 'LeakyRelu' and alpha == '1'
            return 'SiLU' if is_silu else f'{operators[0]} {alpha}'
        return next((name for name in operators if name in _ACTIVATIONS), ' and '.join(operators))

    def _users_of(self, name: str) -> list[Any]:
        """The nodes that take a tensor, also after a change of its precision."""
        users: list[Any] = []
        names = [name]
        for alias in names:  # grows; a cycle has been refused
            for node in self._users.get(alias, []):
                if node.op_type in SAME:
                    names += node.output
                else:
                    users.append(node)
        return users

    def prepared_images(self, name: str, channels: int) -> tuple[Array, Array]:
        """Some images (1, C, H, W), and what the graph makes of them before its first convolution.

        Args:
            name: The input of that convolution.
            channels: C. Where the graph says that it takes them last, it gets them so.

        Raises:
            UserError: The graph does more than to move pixels, or takes no such images.
        """
        before = self._before([name])
        sources = {source for node in before for source in node.input} | {name}
        inputs = [value for value in self._inputs if value.name in sources - self._constants.keys()]
        other = next((node.op_type for node in before if node.op_type not in (*_MOVES, 'Constant')), None)
        if other or len(inputs) != 1:
            raise UserError(
                f'{self._path}: before the first convolution the graph has '
                f'{other or "not images alone"}, where YOLOX takes bare pixels: export the network alone'
            )
        sizes = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim] or [0] * 4
        is_last = sizes[-1] == channels != sizes[1 % len(sizes)]
        height, width = (size or _SIDE for size in (*sizes, 0, 0, 0)[1 if is_last else 2 :][:2])
        if len(sizes) != 4 or min(sizes) < 0 or channels * height * width > _MAX_ELEMENTS:
            raise UserError(f'{self._path}: its input of shape {sizes} is none of images')
        images = np.random.default_rng(0).integers(0, 256, (1, channels, height, width)).astype(np.float32)
        values = {inputs[0].name: images.transpose(0, 2, 3, 1) if is_last else images}
        for node in before:
            if node.op_type == 'Constant':
                continue
            try:
                values[node.output[0]] = _MOVES[node.op_type](self, node, values)
                if values[node.output[0]].size > _MAX_ELEMENTS:
                    raise ValueError('too many pixels')
            except (AttributeError, IndexError, KeyError, MemoryError, TypeError, ValueError) as error:
                raise UserError(
                    f'{self._path}: {node.op_type} before the first convolution cannot be followed: {error!r}'
                ) from error
        return images, values[name]

    def _slice(self, node: Any, values: Mapping[str, Array]) -> Array:
        """Up to opset 9 the numbers are attributes, from then on inputs."""
        given = zip(('starts', 'ends', 'axes', 'steps'), node.input[1:], strict=False)
        numbers = {key: self.constant(name) for key, name in given if name}
        numbers |= {attribute.name: np.array(attribute.ints) for attribute in node.attribute}
        starts, ends = numbers['starts'].tolist(), numbers['ends'].tolist()
        axes, steps = numbers.get('axes'), numbers.get('steps')
        images = values[node.input[0]]
        slices = [slice(None)] * images.ndim
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            slices[i if axes is None else int(axes[i])] = slice(
                start, end, None if steps is None else int(steps[i])
            )
        return images[tuple(slices)]

    def _concat(self, node: Any, values: Mapping[str, Array]) -> Array:
        parts = [values[name] for name in node.input]
        if sum(part.size for part in parts) > _MAX_ELEMENTS:
            raise ValueError('too many pixels')
        return np.concatenate(parts, node.attribute[0].i)

    def _transpose(self, node: Any, values: Mapping[str, Array]) -> Array:
        return values[node.input[0]].transpose(*(attribute.ints for attribute in node.attribute))

    def _same(self, node: Any, values: Mapping[str, Array]) -> Array:
        return values[node.input[0]]


_MOVES = dict.fromkeys(SAME, Graph._same) | dict(
    Slice=Graph._slice, Concat=Graph._concat, Transpose=Graph._transpose
)
"""Operators that move pixels and do not change them."""

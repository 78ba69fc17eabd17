"""Which layers each convolution of a network takes, in an ONNX graph and in our own network.

Weights say nothing of sums, pooling windows, enlargements and strides: a graph that differs there computes
something else of the same weights.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .onnx_graph import SAME, Graph

ShapeOf = Callable[[str], Sequence[int]]
"""What tells the shape of a tensor by its name."""

_COORDINATES: dict[str, Callable[[Any], Any]] = {
    'asymmetric': lambda x: x / 2,
    'half_pixel': lambda x: (x + 0.5) / 2 - 0.5,
    'pytorch_half_pixel': lambda x: (x + 0.5) / 2 - 0.5,
    'tf_half_pixel_for_nn': lambda x: (x + 0.5) / 2,
}
_ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    'floor': np.floor,
    'ceil': np.ceil,
    'round_prefer_floor': lambda x: np.ceil(x - 0.5),
    'round_prefer_ceil': lambda x: np.floor(x + 0.5),
}


@dataclass(frozen=True)
class Layer:
    """What an operator makes of other layers; a convolution stands for itself, whatever it takes.

    Attributes:
        operator: Its name as of ONNX, with what makes it another one.
        inputs: The layers that it takes.
        window: The side of what a pooling takes the maximum of, with those of poolings before it.
        node: The name of the node; empty in our network.
    """

    operator: str
    inputs: tuple['Layer', ...] = ()
    window: int = 0
    node: str = field(default='', compare=False)

    def __str__(self) -> str:
        """The operator, and the node that it is of."""
        text = f'{self.operator} {self.window}x{self.window}' if self.window else self.operator
        return f'{text} ({self.node})' if self.node else text

    def difference(self, other: 'Layer') -> tuple['Layer', 'Layer'] | None:
        """The first layers, from here on down, that differ from those of another; None if all are alike."""
        is_same = (self.operator, self.window) == (other.operator, other.window)
        if not is_same or len(self.inputs) != len(other.inputs):
            return self, other
        pairs = zip(self.inputs, other.inputs, strict=True)
        return next(filter(None, (one.difference(two) for one, two in pairs)), None)


@dataclass(frozen=True)
class Convolution:
    """A convolution and the layer that it takes.

    Attributes:
        layer: What it takes.
        settings: ``strides``, ``pads``, ``dilations`` and ``group``, as in ONNX.
        node: The name of the node; empty in our network.
    """

    layer: Layer
    settings: Mapping[str, Any]
    node: str = ''

    def difference(self, expected: 'Convolution') -> str:
        """Where this one is another than what is expected, in words; empty if they are alike."""
        for name, value in expected.settings.items():
            if self.settings[name] != value:
                return f'{name}={self.settings[name]} of the convolution {self.node}, where YOLOX has {value}'
        layers = self.layer.difference(expected.layer)
        if layers is None:
            return ''
        return f'the convolution {self.node} takes {layers[0]}, where YOLOX has {layers[1]}'


def convolutions_of(network: nn.Module, channels: int) -> dict[str, Convolution]:
    """The convolutions of our own network, by the names of their modules.

    Args:
        network: Its ``backbone``, ``neck`` and ``bbox_head``, on the meta device.
        channels: Of its images.
    """
    with _Recorder(network) as recorder, torch.device('meta'):
        network.eval()
        features = network.get_submodule('neck')(
            network.get_submodule('backbone')(torch.zeros(1, channels, 64, 64))
        )
        network.get_submodule('bbox_head.head_module')(features)
    return recorder.convolutions


class _Recorder(TorchFunctionMode):
    """Notes which layers the tensors of a network's pass are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.convolutions: dict[str, Convolution] = {}
        self._names = {
            id(module.weight): name
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d)
        }
        self._layers: dict[int, Layer] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the id of one

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Calls the function, and notes what it is where it is an operator of ours."""
        made = func(*args, **(kwargs or {}))
        name = getattr(func, '__name__', '')
        if name not in _OPERATORS and name not in ('conv2d', 'max_pool2d', 'batch_norm'):
            return made
        tensors = args[0] if isinstance(args[0], list | tuple) else args[:2]
        inputs = [self._layers[id(tensor)] for tensor in tensors if id(tensor) in self._layers]
        if not inputs and name != 'conv2d':
            return made
        if name == 'conv2d':
            module = self._names[id(args[1])]
            strides, pads, dilations, group = args[3:7]
            settings = dict(strides=[*strides], pads=[*pads, *pads], dilations=[*dilations], group=group)
            self.convolutions[module] = Convolution(next(iter(inputs), Layer('images')), settings)
            layer = Layer(f'Conv {module}')
        elif name == 'batch_norm':
            layer = inputs[0]
        elif name == 'max_pool2d':
            layer = pooled(inputs[0], args[1], '')
        else:
            layer = joined(_OPERATORS[name], inputs, '')
        self._layers[id(made)] = layer
        self._kept.append(made)
        return made


_OPERATORS = {
    'add': 'Add',
    'cat': 'Concat',
    'interpolate': 'Resize',
    'leaky_relu': 'LeakyRelu',
    'silu': 'SiLU',
}
"""What PyTorch's functions are in ONNX."""


def convolutions_in(graph: Graph, modules: Iterable[str]) -> dict[str, Convolution]:
    """The convolutions of a graph.

    Args:
        graph: The graph.
        modules: Our names of the layers, in the order of the graph's nodes.
    """
    names, convolutions = iter(modules), {}
    layers: dict[str, Layer] = {}
    strides: dict[str, int] = {}

    def shape_of(name: str) -> tuple[int, ...]:
        return 1, 1, *(side // strides.get(name, 1) for side in graph.image_shape_hw())

    for node in graph.nodes:
        title = node.name or node.output[0]
        inputs = [layers[name] for name in node.input if name in layers]
        stride = next((strides[name] for name in node.input if name in strides), 0)
        if node.op_type == 'Conv':
            module = next(names)
            settings = _settings(node, list(graph.constant(node.input[1]).shape[2:]))
            taken = inputs[0] if stride else Layer('images')
            convolutions[module] = Convolution(taken, settings, title)
            layer = Layer(f'Conv {module}', node=title)
            # What is before the first one makes patches of 2 x 2 pixels, but for DarkNet53.
            stride = (stride or (1 if module == 'backbone.stem.0.conv' else 2)) * settings['strides'][0]
        elif not inputs:
            continue
        elif node.op_type in SAME:  # changes no value
            layer = inputs[0]
        elif node.op_type == 'MaxPool':
            layer = size_keeping_pooling(node, inputs[0], title)
        elif node.op_type in ('Resize', 'Upsample'):
            layer = joined(enlargement(graph, node, shape_of), inputs[:1], title)
            stride = max(stride // 2, 1)
        else:
            layer = elementwise(node, inputs, title)
        layers[node.output[0]], strides[node.output[0]] = layer, stride
    return convolutions


def pooled(layer: Layer, window: int, node: str) -> Layer:
    """A maximum over a window at every pixel; maxima of maxima are those of a larger window."""
    if layer.operator == 'MaxPool':
        return Layer('MaxPool', layer.inputs, layer.window + window - 1, node)
    return Layer('MaxPool', (layer,), window, node)


def joined(operator: str, inputs: Iterable[Layer], node: str) -> Layer:
    """An operator of layers; a sum has them in any order."""
    parts = list(inputs)
    if operator == 'Add':
        parts.sort(key=lambda layer: (layer.operator, *(part.operator for part in layer.inputs)))
    return Layer(operator, tuple(parts), node=node)


def elementwise(node: Any, inputs: list[Layer], title: str) -> Layer:
    """A node that is neither a convolution nor changes a size."""
    operator = node.op_type
    if operator == 'Mul' and len(inputs) == 2:
        product, gate = sorted(inputs, key=lambda layer: layer.operator == 'Sigmoid')
        if gate.operator == 'Sigmoid' and gate.inputs[0] is product:
            return Layer('SiLU', (product,), node=title)
    if operator in ('Swish', 'QuickGelu'):
        operator = 'SiLU'
    if operator == 'Concat' and _attributes(node).get('axis') not in (1, -3):
        operator = f'Concat axis={_attributes(node).get("axis")}'
    if len(inputs) < len(node.input):
        operator = f'{operator} of a constant'
    return joined(operator, inputs, title)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _settings(node: Any, window: list[int]) -> dict[str, Any]:
    """The settings of a convolution or a pooling of such a window, with those that are left out."""
    given = _attributes(node)
    settings = dict(strides=[1] * 2, pads=[0] * 4, dilations=[1] * 2, group=1)
    settings |= {name: value for name, value in given.items() if name in settings}
    padding = given.get('auto_pad', b'NOTSET').decode(errors='replace')
    if padding.startswith('SAME') and settings['strides'] == settings['dilations'] == [1, 1]:
        settings['pads'] = [side // 2 for side in window] * 2
    elif padding not in ('NOTSET', 'VALID', ''):
        settings['pads'] = padding
    if given.get('kernel_shape', window) != window:
        settings['pads'] = f'those of a window {given["kernel_shape"]}'
    return settings


def size_keeping_pooling(node: Any, layer: Layer, title: str) -> Layer:
    """A pooling that keeps the size, or one of another kind that is named."""
    window = _attributes(node).get('kernel_shape', [0])
    settings, side = _settings(node, window), window[0]
    kept = dict(strides=[1] * 2, pads=[side // 2] * 4, dilations=[1] * 2, group=1)
    if window == [side] * 2 and side % 2 and settings == kept:
        return pooled(layer, side, title)
    told = ''.join(f' {name}={value}' for name, value in settings.items() if value != kept[name])
    return Layer(f'MaxPool kernel_shape={window}{told}', (layer,), node=title)


def enlargement(graph: Graph, node: Any, shape_of: ShapeOf) -> str:
    """``Resize`` where a node repeats each pixel twice in both directions, else that and what it does."""
    given = _attributes(node)
    mode = given.get('mode', b'nearest').decode(errors='replace')
    if mode != 'nearest':
        return f'Resize mode={mode}'
    is_recent = len(node.input) > 2  # of opset 11 on
    if is_recent:
        kind = given.get('coordinate_transformation_mode', b'half_pixel').decode(errors='replace')
        rounding = given.get('nearest_mode', b'round_prefer_floor').decode(errors='replace')
        targets = np.arange(8)
        known = kind in _COORDINATES and rounding in _ROUNDINGS
        sources = _ROUNDINGS[rounding](_COORDINATES[kind](targets)).clip(0, 3) if known else targets
        if not np.array_equal(sources, targets // 2):
            return f'Resize coordinate_transformation_mode={kind} nearest_mode={rounding}'
    factors = given.get('scales', [])  # of Upsample up to opset 8
    for name in node.input[2 if is_recent else 1 :][:1]:
        factors = graph.numbers(name, shape_of) if name else factors
    if not factors and len(node.input) > 3:
        before, after = shape_of(node.input[0])[-2:], graph.numbers(node.input[3], shape_of)[-2:]
        factors = [size / side for size, side in zip(after, before, strict=False)]
    is_double = len(factors) > 1 and all(
        factor == wanted for factor, wanted in zip(reversed(factors), (2, 2, 1, 1), strict=False)
    )
    return 'Resize' if is_double else f'Resize scales={[float(factor) for factor in factors]}'

"""ONNX files of Megvii's export tool, with batch norm folded into the convolutions.

Exporters name the nodes as they like: by module (``/backbone/backbone/stem/conv/conv/Conv``), by number
(``Conv_41``, or ``402`` for the output alone), and simplifiers rename and reorder them. What stays is how the
convolutions depend on one another, so they are told apart by that: the graph is walked from its outputs
through the inputs of every node in their order, and the convolutions come in the order of Megvii's network,
whatever their names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmyolox.checkpoints.recognise import recognise
from mmyolox.deploy.info import METADATA_KEY
from mmyolox.errors import UserError
from mmyolox.models.networks.blocks import BN

from .base import Source, Translation
from .onnx_graph import Graph, is_activation
from .onnx_layers import convolutions_in, convolutions_of

FIRST_BYTE = b'\x08'  # of ModelProto's first field, the number ir_version
_PREFIX = 'Conv '
_MAX_DEPTH = 30
_HEAD = 'bbox_head.head_module.multi_level_'


def read_model(path: Path) -> dict[str, Tensor]:
    """Reads the convolutions of an ONNX model.

    Args:
        path: The file; tensors that it keeps in other files are read from there.

    Returns:
        ``Conv NAME.weight`` (out, in / groups, kH, kW) and ``Conv NAME.bias`` (out), float32, of every
        convolution that the outputs depend on, where NAME is that of its output. They come in the order of a
        walk from the outputs, inputs first.

    Raises:
        UserError: The file is damaged or no ONNX model, is of our own exporter or quantised, has batch norm
            that is not folded, or is another network: of other activations, or of images that are normalised
            or ordered otherwise; or onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError('reading ONNX files needs the package onnx: install it') from error
    try:
        model = onnx.load(path, format='protobuf')
    except Exception as error:  # a damaged file, or one of tensors beside it, can fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f'{path} is damaged or no ONNX model ({reason})') from error
    if METADATA_KEY in {entry.key for entry in model.metadata_props}:
        raise UserError(f'{path} is an export of mmyolox: take the checkpoint that it was made of')
    graph = Graph(path, model)
    if any(node.op_type == 'BatchNormalization' for node in graph.nodes):
        raise UserError(f'{path}: batch norm is not folded into the convolutions; export in eval mode')
    convolutions = [node for node in graph.nodes if node.op_type == 'Conv']
    if not convolutions:
        raise UserError(f'{path} is an ONNX model without convolutions')
    tensors: dict[str, Tensor] = {}
    for node in convolutions:
        if len(node.input) < 2:
            raise UserError(f'{path} is no YOLOX: convolution {node.output[0]} has no weight')
        for name, parameter, ndim in zip(node.input[1:], ('weight', 'bias'), (4, 1), strict=False):
            value = graph.constant(name)
            if value.ndim != ndim or value.size == 0:
                raise UserError(f'{path}: {name} of shape {value.shape} is no {parameter} of a convolution')
            tensors[f'{_PREFIX}{node.output[0]}.{parameter}'] = torch.from_numpy(value.astype(np.float32))
    modules = _modules_of(len(convolutions))
    if modules:
        _check_network(path, graph, convolutions, modules)
        check_layers(path, graph, tensors, modules)
    return tensors


def _check_network(path: Path, graph: Graph, convolutions: list[Any], modules: list[str]) -> None:
    """Refuses a graph that computes something else of the same convolutions.

    Absent sigmoids after the predictions change no weights, and are not missed.
    """
    is_darknet53 = modules[0] == 'backbone.stem.0'
    expected = 'LeakyRelu 0.1' if is_darknet53 else 'SiLU'
    for node, module in zip(convolutions, modules, strict=True):
        found = graph.activation(node.output[0])
        is_wrong = is_activation(found) if module.startswith(f'{_HEAD}conv_') else found != expected
        if is_wrong:
            wanted = 'none' if module.startswith(f'{_HEAD}conv_') else expected
            raise UserError(
                f'{path}: another network than YOLOX: {found or "nothing"} follows the convolution '
                f'{node.output[0]} ({module}), where YOLOX has {wanted}'
            )
    first = convolutions[0]
    patches = 1 if is_darknet53 else 4
    images, prepared = graph.prepared_images(
        first.input[0], graph.constant(first.input[1]).shape[1] // patches
    )
    if not is_darknet53:
        starts = ((0, 0), (1, 0), (0, 1), (1, 1))  # those of Focus
        images = np.concatenate([images[:, :, y::2, x::2] for y, x in starts], 1)
    if not np.array_equal(images, prepared):
        raise UserError(
            f'{path}: its graph orders the pixels of images otherwise than YOLOX: export the network alone'
        )


def check_layers(path: Path, graph: Graph, tensors: Mapping[str, Tensor], modules: list[str]) -> None:
    """Refuses a graph whose convolutions have other settings, or take other layers, than those of YOLOX."""
    try:
        architecture = recognise(_translate(tensors).tensors)
    except UserError as error:
        raise UserError(f'{path}: {error}') from error
    with torch.device('meta'):
        network = architecture.build()
    expected = convolutions_of(network, architecture.input_channels)
    names = [name if name in expected else f'{name}.conv' for name in modules]
    try:
        found = convolutions_in(graph, names)
    except Exception as error:  # attributes may be of any type
        raise UserError(f'{path} is damaged: its layers cannot be followed ({error!r})') from error
    for module, convolution in found.items():
        difference = convolution.difference(expected[module])
        if difference:
            raise UserError(f'{path}: another network than YOLOX: {difference} ({module})')


def _modules_of(count: int) -> list[str] | None:
    """Our names of the convolutions of the model that has so many; None if there is none."""
    # No two models have as many: 59 + 24 depth, depthwise ones 77 + 36 depth, and DarkNet53's 94.
    models = [
        _darknet53(),
        *(_csp_darknet(depth, separable) for depth in range(1, _MAX_DEPTH) for separable in (False, True)),
    ]
    return next((modules for modules in models if len(modules) == count), None)


def _translate(state_dict: Mapping[str, Tensor]) -> Translation:
    """Gives the convolutions the names of our modules, and batch norms that change nothing."""
    names = [name for name in state_dict if name.endswith('.weight')]
    modules = _modules_of(len(names))
    if modules is None:
        raise UserError(f'not the ONNX file of a YOLOX: no model has {len(names)} convolutions')
    translation = Translation()
    for name, module in zip(names, modules, strict=True):
        is_predictor = module.startswith(f'{_HEAD}conv_')
        parts = {name: f'{module}.weight' if is_predictor else f'{module}.conv.weight'}
        bias = f'{name.removesuffix("weight")}bias'
        if bias in state_dict:
            parts[bias] = f'{module}.bias' if is_predictor else f'{module}.bn.bias'
        translation.tensors |= {ours: state_dict[theirs] for theirs, ours in parts.items()}
        translation.origins |= {ours: theirs for theirs, ours in parts.items()}
        if not is_predictor:
            # The rest of a batch norm that adds its bias and is the identity else, exactly so in float32.
            for field, value in (('weight', 1.0), ('running_mean', 0.0), ('running_var', 1 - BN['eps'])):
                translation.tensors[f'{module}.bn.{field}'] = torch.full((len(state_dict[name]),), value)
                translation.origins[f'{module}.bn.{field}'] = name
    return translation


def _csp_darknet(depth: int, separable: bool) -> list[str]:
    """Our names of the convolutions in the order of the walk: nano to X, ``depth`` bottlenecks first."""
    modules = ['backbone.stem.conv']
    for stage, factor in ((1, 1), (2, 3), (3, 3)):
        modules += _spatial(f'backbone.stage{stage}.0', separable)
        modules += _csp(f'backbone.stage{stage}.1', factor * depth, separable)
    modules += _spatial('backbone.stage4.0', separable)
    modules += ['backbone.stage4.1.conv1', 'backbone.stage4.1.conv2']
    modules += _csp('backbone.stage4.2', depth, separable)
    modules += ['neck.reduce_layers.2', *_csp('neck.top_down_layers.0.0', depth, separable)]
    modules += ['neck.top_down_layers.0.1', *_csp('neck.top_down_layers.1', depth, separable)]
    modules += _head(0, separable)
    for level in range(2):
        modules += _spatial(f'neck.downsample_layers.{level}', separable)
        modules += _csp(f'neck.bottom_up_layers.{level}', depth, separable)
        modules += _head(level + 1, separable)
    return modules


def _darknet53() -> list[str]:
    modules = ['backbone.stem.0', 'backbone.stem.1', 'backbone.stem.2.conv1', 'backbone.stem.2.conv2']
    for stage, depth in enumerate((2, 8, 8, 4), 1):
        modules.append(f'backbone.stage{stage}.0')
        modules += [f'backbone.stage{stage}.{i}.conv{j}' for i in range(1, depth + 1) for j in (1, 2)]
    spp = ('5', '6', '7.conv1', '7.conv2', '8', '9')
    modules += [f'backbone.stage4.{part}' for part in spp]
    for i in range(2):
        modules += [f'neck.reduce_layers.{i}', *(f'neck.top_down_layers.{i}.{j}' for j in range(5))]
    return modules + [module for level in range(3) for module in _head(level, False)]


def _csp(name: str, depth: int, separable: bool) -> list[str]:
    blocks = [
        module
        for i in range(depth)
        for module in (f'{name}.blocks.{i}.conv1', *_spatial(f'{name}.blocks.{i}.conv2', separable))
    ]
    return [f'{name}.main_conv', *blocks, f'{name}.short_conv', f'{name}.final_conv']


def _head(level: int, separable: bool) -> list[str]:
    """A level's stem and predictions, in the order of the columns: box, objectness, classes."""
    towers = {
        branch: [x for i in range(2) for x in _spatial(f'{_HEAD}{branch}_convs.{level}.{i}', separable)]
        for branch in ('reg', 'cls')
    }
    predictors = {branch: f'{_HEAD}conv_{branch}.{level}' for branch in ('reg', 'obj', 'cls')}
    boxes = [*towers['reg'], predictors['reg'], predictors['obj']]
    return [f'neck.out_layers.{level}', *boxes, *towers['cls'], predictors['cls']]


def _spatial(name: str, separable: bool) -> list[str]:
    """A 3x3 convolution, or a depthwise and a pointwise one."""
    return [f'{name}.depthwise_conv', f'{name}.pointwise_conv'] if separable else [name]


SOURCE = Source(
    'onnx',
    "ONNX of Megvii's export tool",
    lambda names: bool(names) and all(name.startswith(_PREFIX) for name in names),
    _translate,
    by_position=True,
)

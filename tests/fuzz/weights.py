"""Weight files of all kinds with changed bits, missing and additional bytes, and other graphs."""

import contextlib
import io
from functools import partial

import numpy as np
import onnx
import torch
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from mmyolox.checkpoints.load import load_checkpoint, weights_in
from mmyolox.checkpoints.record import recorded_values
from mmyolox.errors import UserError
from tests.checkpoints import mindspore_writer
from tests.fuzz.checks import Target
from tests.fuzz.strategies import VALUES, changed, damaged

WEIGHTS = {f'backbone.{i}.weight': torch.full((3, 2, 3, 3), i + 0.5) for i in range(4)}
CONTENT = dict(state_dict=WEIGHTS, meta=dict(epoch=3, sigmas=np.float32([1, 2]), classes=('a', 'b')))


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def saved_npz():
    file = io.BytesIO()
    np.savez(file, **{name: tensor.numpy() for name, tensor in WEIGHTS.items()})
    return file.getvalue()


def small_graph():
    """Convolution, SiLU and a concatenation of slices before it."""
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), 'w')
    numbers = [numpy_helper.from_array(np.int64([value]), f'n{value}') for value in (0, 1, 2, 64)]
    nodes = [
        helper.make_node('Slice', ['x', 'n0', 'n64', 'n2', 'n2'], ['s']),
        helper.make_node('Concat', ['s', 's'], ['k'], axis=2),
        helper.make_node('Conv', ['k', 'w'], ['c']),
        helper.make_node('Sigmoid', ['c'], ['g']),
        helper.make_node('Mul', ['c', 'g'], ['y']),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in 'xy')
    return helper.make_model(helper.make_graph(nodes, 'g', [x], [y], [weight, *numbers]))


FILES = dict(
    torch=saved(CONTENT),
    torch_old=saved(CONTENT, _use_new_zipfile_serialization=False),
    safetensors=save(WEIGHTS, dict(format='pt', mmyolox_meta='{"epoch": 3, "classes": ["a"]}')),
    npz=saved_npz(),
    mindspore=mindspore_writer.checkpoint(WEIGHTS),
    onnx=small_graph().SerializeToString(),
)


def read(content, folder, is_checked=False):
    """Reads a file, its weights and what it records; those of a file with checksums are the right ones."""
    path = folder / 'x.pth'
    path.write_bytes(content)
    loaded = load_checkpoint(path)
    found = weights_in(loaded, 'x')[0]
    if is_checked:
        assert all(torch.equal(found[name], tensor) for name, tensor in WEIGHTS.items())
    with contextlib.suppress(UserError):  # of most of these weights nothing can be made
        recorded_values(loaded, 'x')


def read_content(content, folder):
    """Writes what hypothesis made as a checkpoint, and reads it."""
    read(saved(content), folder)


@st.composite
def graphs(draw):
    """ONNX models whose nodes, names, attributes and tensors are exchanged."""
    model = onnx.ModelProto()
    model.CopyFrom(small_graph())
    graph = model.graph
    names = ['x', 'w', 's', 'k', 'c', 'g', 'y', 'n0', 'n1', 'n64', '', 'z']
    for _ in range(draw(st.integers(1, 4))):
        node = draw(st.sampled_from(list(graph.node)))
        how = draw(
            st.sampled_from(['input', 'output', 'type', 'dims', 'drop', 'repeat', 'number', 'shape', 'data'])
        )
        if how in ('input', 'output'):
            side = getattr(node, how)
            if side:
                side[draw(st.integers(0, len(side) - 1))] = draw(st.sampled_from(names))
            if draw(st.booleans()):
                side.append(draw(st.sampled_from(names)))
        elif how == 'type':
            node.op_type = draw(st.sampled_from(OPERATORS))
        elif how == 'drop' and len(graph.node) > 1:
            graph.node.remove(node)
        elif how == 'repeat':
            graph.node.append(node)
        elif how == 'number':
            node.attribute.append(
                helper.make_attribute(
                    draw(st.sampled_from(['axis', 'alpha', 'perm', 'starts'])), draw(NUMBERS)
                )
            )
        elif how == 'shape':
            dims = graph.input[0].type.tensor_type.shape.dim
            dims[draw(st.integers(0, 3))].dim_value = draw(st.sampled_from([-1, 0, 1, 2**31, 2**62]))
        elif how == 'dims':
            tensor = draw(st.sampled_from(list(graph.initializer)))
            tensor.dims.append(draw(st.sampled_from([-1, 0, 1, 2, 2**40, 2**62])))
        else:
            tensor = draw(st.sampled_from(list(graph.initializer)))
            tensor.data_type = draw(st.integers(0, 25))
    return model.SerializeToString()


OPERATORS = [
    'Conv',
    'Concat',
    'Slice',
    'Sigmoid',
    'Mul',
    'Relu',
    'Clip',
    'Constant',
    'Identity',
    'Cast',
    'Transpose',
]
OPERATORS += ['LeakyRelu', 'BatchNormalization', 'Loop', 'If', 'Unknown', '']
NUMBERS = st.sampled_from([0, -1, 5, 2**62, 0.1, float('nan'), [0, 1, 2, 3], [9, 9], [2**62] * 4, 'x'])

PLAIN = dict(
    state_dict=dict(a=1, b=[1]),
    meta=dict(
        epoch=1,
        iter=2,
        CLASSES=['a'],
        dataset_meta=dict(classes=['a', 'b']),
        mmyolox=dict(
            format=1, recipe='a', img_scale=[64, 64], channels=3, mean=[0], std=[1], bgr_to_rgb=False
        ),
    ),
    ema_state_dict={},
    optimizer={},
    message_hub=dict(log_scalars={}),
)


@st.composite
def contents(draw):
    """What a file may hold beside its weights, or in their place."""
    content = draw(changed(PLAIN))
    if isinstance(content.get('state_dict'), dict) and draw(st.integers(0, 4)):
        content['state_dict'] |= WEIGHTS
    if draw(st.integers(0, 3)) == 0:
        content[draw(st.sampled_from(['model', 'net', 'ema', 'meta', 'state_dict']))] = draw(VALUES)
    return content


TARGETS = {
    name: Target(damaged(content), partial(read, is_checked=name == 'torch'), 4500)
    for name, content in FILES.items()
} | dict(
    onnx_graphs=Target(graphs(), read, 4000),
    checkpoint_content=Target(contents(), read_content, 4000),
)

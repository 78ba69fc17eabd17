"""ONNX files of Megvii's tool; ``benchmarks/parity/megvii_onnx.py`` compares the real one's.

They are made here of our own network, whose graph is Megvii's, with our export of its Focus as slices.
"""

import shutil
import sys
import warnings
from itertools import count

import numpy as np
import onnx
import onnxruntime
import onnxslim
import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.checkpoints.sources.onnx import SOURCE, read_model
from mmyolox.errors import UserError
from tests.checkpoints.layouts import DATA, published

IMAGES = torch.Generator().manual_seed(1)


class Exported(nn.Module):
    """A network with Megvii's outputs: rows of box, objectness and class scores."""

    def __init__(self, network, decode=False):
        super().__init__()
        self.network = network
        self.decode = decode

    def forward(self, images):
        network = self.network
        outputs = network.bbox_head.head_module(network.neck(network.backbone(images)))
        levels = [
            torch.cat([reg, obj.sigmoid(), cls.sigmoid()], 1) for cls, reg, obj in zip(*outputs, strict=True)
        ]
        rows = torch.cat([level.flatten(2) for level in levels], dim=2).permute(0, 2, 1)
        if not self.decode:
            return rows
        return torch.cat([rows[..., :2] + 1, rows[..., 2:4].exp() * 8, rows[..., 4:]], dim=-1)


def random_network(model):
    torch.manual_seed(0)
    network = model.build()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, 0, 1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.constant_(module.bias, 0.1)  # equal ones are stored once in a file
    return network.eval()


def export(network, path, decode=False):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        images = torch.zeros(1, 3, 64, 64)
        torch.onnx.export(Exported(network, decode), (images,), path, opset_version=11, dynamo=False)
    return path


@pytest.fixture(scope='module')
def small():
    return Architecture('custom', 0.33, 0.125, False, 3)


@pytest.fixture(scope='module')
def exported(small, tmp_path_factory):
    """A small model's ONNX file."""
    return export(random_network(small), tmp_path_factory.mktemp('onnx') / 'yolox.onnx')


def rows_of(path, images):
    session = onnxruntime.InferenceSession(path)
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def loaded(conversion):
    network = conversion.architecture.build().eval()
    network.load_state_dict(conversion.state_dict)
    return network


@torch.no_grad()
def check_outputs(path, model, raw_path=None):
    """Whether our network gives the rows that ONNX Runtime gives for a file."""
    conversion = convert(read_weights(path)[0])
    assert conversion.source is SOURCE
    assert (conversion.unused, conversion.dropped, conversion.missing) == ({}, {}, ())
    assert conversion.architecture.shapes() == model.shapes()
    images = torch.rand(1, 3, 64, 64, generator=IMAGES) * 255
    expected = rows_of(raw_path or path, images)
    network = loaded(conversion)
    torch.testing.assert_close(Exported(network)(images), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(Exported(fuse_conv_bn(network))(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'model',
    [
        Architecture('custom', 0.33, 0.125, False, 3),
        Architecture('custom', 0.67, 0.125, True, 1),
        published('nano'),
    ],
    ids=['small', 'depthwise', 'nano'],
)
def test_a_model_computes_what_its_file_does(tmp_path, model):
    check_outputs(export(random_network(model), tmp_path / 'yolox.onnx'), model)


def weights_by_dependence(output):
    """The weights of the convolutions before a tensor, by autograd's own graph, inputs first."""
    weights, seen, stack = [], set(), [(output.grad_fn, False)]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            weights += [node.next_functions[1][0].variable] if 'Convolution' in node.name() else []
        elif node is not None and node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(source, False) for source, _ in reversed(node.next_functions)]
    return weights


@pytest.mark.parametrize('size', PUBLISHED)
def test_the_order_of_convolutions_is_that_of_the_network(size):
    with torch.device('meta'):
        network = published(size).build().eval()
        output = Exported(network)(torch.rand(1, 3, 64, 64))
    names = {id(tensor): name for name, tensor in network.named_parameters()}
    weights = weights_by_dependence(output)
    translation = SOURCE.translate({f'Conv {i}.weight': weight for i, weight in enumerate(weights)})
    origins = {translation.origins[names[id(weight)]]: i for i, weight in enumerate(weights)}
    assert origins == {f'Conv {i}.weight': i for i in range(len(weights))}


def test_decoded_boxes_change_nothing(tmp_path, exported, small):
    path = export(random_network(small), tmp_path / 'decoded.onnx', decode=True)
    check_outputs(path, small, exported)


class Bare(Exported):
    """Without the sigmoids."""

    def forward(self, images):
        network = self.network
        outputs = network.bbox_head.head_module(network.neck(network.backbone(images)))
        return [torch.cat([reg, obj, cls], 1) for cls, reg, obj in zip(*outputs, strict=True)]


class Prepared(Exported):
    """With something done to the images first."""

    def __init__(self, network, prepare):
        super().__init__(network)
        self.prepare = prepare

    def forward(self, images):
        return super().forward(self.prepare(images))


def saved(module, path, shape=(1, 3, 64, 64)):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(module.eval(), (torch.zeros(shape),), path, opset_version=11, dynamo=False)
    return path


def same_weights(path, other):
    found, expected = read_model(path), read_model(other)
    return all(map(torch.equal, found.values(), expected.values())) and len(found) == len(expected)


def test_absent_sigmoids_change_nothing(tmp_path, exported, small):
    assert same_weights(saved(Bare(random_network(small)), tmp_path / 'bare.onnx'), exported)


def test_images_with_channels_last_change_nothing(tmp_path, exported, small):
    model = Prepared(random_network(small), lambda images: images.permute(0, 3, 1, 2))
    assert same_weights(saved(model, tmp_path / 'last.onnx', (1, 64, 64, 3)), exported)


@pytest.mark.parametrize(
    ('prepare', 'message'),
    [
        (lambda images: images / 255, 'before the first convolution the graph has Div, where YOLOX takes'),
        (lambda images: images - 114, 'before the first convolution the graph has Sub'),
        (lambda images: images[:, [2, 1, 0]], 'before the first convolution the graph has Gather'),
        (
            lambda images: torch.cat([images[:, 2:], images[:, 1:2], images[:, :1]], 1),
            'its graph orders the pixels of images otherwise than YOLOX',
        ),
        (lambda images: images.transpose(2, 3), 'its graph orders the pixels of images otherwise'),
    ],
)
def test_images_that_are_changed_in_the_graph_are_refused(tmp_path, small, prepare, message):
    path = saved(Prepared(random_network(small), prepare), tmp_path / 'x.onnx')
    with pytest.raises(UserError, match=message):
        read_model(path)


@pytest.mark.parametrize(
    ('activation', 'found'),
    [
        (nn.ReLU6(), 'Clip'),
        (nn.ReLU(), 'Relu'),
        (nn.Hardswish(), 'HardSigmoid'),
        (nn.LeakyReLU(0.1), 'LeakyRelu 0.1'),
        (nn.Mish(), 'Softplus'),
        (nn.Identity(), 'Conv'),
    ],
)
def test_other_activations_are_refused(tmp_path, small, activation, found):
    network = random_network(small)
    for module in network.modules():
        if hasattr(module, 'activate'):
            module.activate = activation
    path = saved(Exported(network), tmp_path / 'x.onnx')
    with pytest.raises(UserError, match=rf'({found}) follows .*stem.conv\), where YOLOX has SiLU'):
        read_model(path)


def test_an_activation_after_a_prediction_is_refused(tmp_path, small):
    network = random_network(small)
    head = network.bbox_head.head_module
    head.multi_level_conv_reg[1] = nn.Sequential(head.multi_level_conv_reg[1], nn.ReLU())
    with pytest.raises(UserError, match=r'Relu follows .*conv_reg\.1\), where YOLOX has none'):
        read_model(saved(Exported(network), tmp_path / 'x.onnx'))


def test_a_simplified_file_is_read(tmp_path, exported, small):
    onnx.save(onnxslim.slim(onnx.load(exported)), tmp_path / 'slim.onnx')
    check_outputs(tmp_path / 'slim.onnx', small)


def test_names_and_order_of_nodes_do_not_matter(tmp_path, exported, small):
    """Old exporters numbered everything, and simplifiers sort."""
    model = onnx.load(exported)
    numbers = map(str, count(4000))
    names = {value.name: value.name for value in (*model.graph.input, *model.graph.output)} | {'': ''}
    for node in model.graph.node:
        node.ClearField('name')
        node.input[:] = [names.setdefault(name, next(numbers)) for name in node.input]
        node.output[:] = [names.setdefault(name, next(numbers)) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    late_first(model.graph)
    onnx.save(model, tmp_path / 'old.onnx')
    assert list(read_model(tmp_path / 'old.onnx')) != list(read_model(exported))
    check_outputs(tmp_path / 'old.onnx', small)


def late_first(graph):
    """Reverses the order of nodes as far as it may be."""
    nodes = list(graph.node)
    waiting = {output for node in nodes for output in node.output}
    del graph.node[:]
    while nodes:
        ready = max(i for i, node in enumerate(nodes) if waiting.isdisjoint(node.input))
        graph.node.append(nodes.pop(ready))
        waiting.difference_update(graph.node[-1].output)


def test_half_precision_is_read(tmp_path, exported, small):
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / 'half.onnx')
    expected = read_model(exported)
    for name, tensor in read_model(tmp_path / 'half.onnx').items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected[name].half().float())


def test_tensors_beside_the_file_are_read(tmp_path, exported):
    onnx.save(
        onnx.load(exported), tmp_path / 'yolox.onnx', save_as_external_data=True, location='weights.bin'
    )
    expected = read_model(exported)
    found = read_model(tmp_path / 'yolox.onnx')
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    (tmp_path / 'weights.bin').unlink()
    with pytest.raises(UserError, match='is damaged or no ONNX model'):
        read_model(tmp_path / 'yolox.onnx')


def test_the_norms_are_exactly_the_identity(exported):
    conversion = convert(read_model(exported))
    layer = loaded(conversion).backbone.stage1[0]
    nn.init.zeros_(layer.bn.bias)
    features = torch.randn(1, 16, 4, 4)
    assert torch.equal(layer.bn(features), features)


def test_other_image_channels_are_recognised(exported):
    tensors = read_model(exported)
    stem = next(iter(tensors))
    assert convert(tensors | {stem: tensors[stem][:, :4]}).architecture.input_channels == 1


def test_what_the_outputs_do_not_depend_on_is_left(tmp_path, exported):
    model = onnx.load(exported)
    model.graph.node.append(helper.make_node('Conv', [model.graph.input[0].name, 'w'], ['unused']))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2, 3, 1, 1), np.float32), 'w'))
    onnx.save(model, tmp_path / 'x.onnx')
    assert list(read_model(tmp_path / 'x.onnx')) == list(read_model(exported))


def test_a_tensor_of_another_size_than_stated_is_refused(tmp_path, exported):
    model = onnx.load(exported)
    model.graph.initializer[0].dims[0] += 1
    onnx.save(model, tmp_path / 'x.onnx')
    with pytest.raises(UserError, match=r'x\.onnx is damaged: tensor .* is not as large as it should be'):
        read_model(tmp_path / 'x.onnx')


def test_the_name_of_the_file_does_not_matter(tmp_path, exported):
    shutil.copy(exported, tmp_path / 'weights.json')
    assert list(read_weights(tmp_path / 'weights.json')[0]) == list(read_model(exported))


def test_an_absent_bias_is_missing(exported):
    tensors = read_model(exported)
    del tensors[next(name for name in tensors if name.endswith('.bias'))]
    assert convert(tensors).missing == ('backbone.stem.conv.bn.bias',)


@pytest.mark.parametrize('end', [3, 500, -100])
def test_a_cut_off_file_is_refused(tmp_path, exported, end):
    (tmp_path / 'x.onnx').write_bytes(exported.read_bytes()[:end])
    with pytest.raises(UserError, match=r'x\.onnx is') as caught:
        read_weights(tmp_path / 'x.onnx')
    assert '\n' not in str(caught.value)


def test_our_own_exports_are_told(tmp_path, exported):
    graph = onnx.load(exported)
    helper.set_model_props(graph, {'mmyolox': '{}'})
    onnx.save(graph, tmp_path / 'x.onnx')
    with pytest.raises(UserError, match=r'x\.onnx is an export of mmyolox: take the checkpoint'):
        read_model(tmp_path / 'x.onnx')


def test_onnx_may_be_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(UserError, match='needs the package onnx'):
        read_model(DATA / 'any.onnx')


@pytest.mark.parametrize('names', [[], ['Conv 402.weight', 'head.cls_preds.0.weight'], ['402.weight']])
def test_other_weights_are_not_recognised(names):
    assert not SOURCE.recognises(names)


def changed(exported, path, change):
    """The file with its graph changed by a function."""
    model = onnx.load(exported)
    change(model.graph)
    onnx.save(model, path)
    return path


def of_type(graph, operator):
    return [node for node in graph.node if node.op_type == operator]


def set_attribute(node, **values):
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(key, value) for key, value in values.items())])


def without(graph, node):
    """Has what takes the output of a node take its first input."""
    for other in graph.node:
        other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]


def enlarged_by_3(graph):
    node = of_type(graph, 'Resize')[0]
    graph.initializer.append(numpy_helper.from_array(np.float32([1, 1, 3, 3]), 'three'))
    node.input[2] = 'three'


@pytest.mark.parametrize(
    ('operator', 'place', 'change', 'message'),
    [
        (
            'Conv',
            1,
            dict(strides=[1, 1]),
            r'strides=\[1, 1\] of the convolution .*, where YOLOX has \[2, 2\]',
        ),
        (
            'Conv',
            1,
            dict(pads=[0, 0, 2, 2]),
            r'pads=\[0, 0, 2, 2\] of the convolution .*YOLOX has \[1, 1, 1, 1',
        ),
        ('Conv', 0, dict(dilations=[2, 2]), r'dilations=\[2, 2\] of the convolution'),
        ('Conv', 3, dict(group=4), 'group=4 of the convolution .*, where YOLOX has 1'),
        ('Conv', 1, dict(auto_pad='SAME_UPPER'), 'pads=SAME_UPPER of the convolution'),
        (
            'MaxPool',
            0,
            dict(kernel_shape=[3, 3], pads=[1] * 4),
            r'takes MaxPool 3x3 \(.*YOLOX has MaxPool 5x5',
        ),
        (
            'MaxPool',
            2,
            dict(kernel_shape=[7, 7], pads=[3] * 4),
            r'takes MaxPool 15x15 \(.*YOLOX has MaxPool 13',
        ),
        ('MaxPool', 1, dict(strides=[2, 2]), r'takes MaxPool kernel_shape=\[5, 5\] strides=\[2, 2\] \('),
        ('Resize', 0, dict(mode='linear'), r'takes Resize mode=linear \(.*, where YOLOX has Resize'),
        ('Resize', 1, dict(nearest_mode='ceil'), 'transformation_mode=asymmetric nearest_mode=ceil'),
        ('Concat', 1, dict(axis=2), r'takes Concat axis=2 \('),
    ],
)
def test_other_settings_of_nodes_are_refused_by_name(tmp_path, exported, operator, place, change, message):
    name = ''

    def edit(graph):
        nonlocal name
        node = of_type(graph, operator)[place]
        name = node.name
        set_attribute(node, **change)

    path = changed(exported, tmp_path / 'x.onnx', edit)
    with pytest.raises(UserError, match=f'x.onnx: another network than YOLOX: .*{message}') as caught:
        read_model(path)
    assert name in str(caught.value)


@pytest.mark.parametrize('change', [dict(strides=5), dict(auto_pad=1)], ids=str)
def test_settings_of_other_types_are_one_line(tmp_path, exported, change):
    path = changed(
        exported, tmp_path / 'x.onnx', lambda graph: set_attribute(of_type(graph, 'Conv')[1], **change)
    )
    with pytest.raises(UserError, match=r'x\.onnx is damaged: its layers cannot be followed \(') as caught:
        read_model(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda graph: without(graph, of_type(graph, 'Add')[0]), r'takes SiLU \(.*, where YOLOX has Add'),
        (enlarged_by_3, r'takes Resize scales=\[1.0, 1.0, 3.0, 3.0\] \('),
        (
            lambda graph: without(graph, of_type(graph, 'MaxPool')[1]),
            r'takes MaxPool 5x5 .*has MaxPool 9x9',
        ),
    ],
)
def test_absent_and_other_nodes_are_refused(tmp_path, exported, change, message):
    with pytest.raises(UserError, match=f'another network than YOLOX: the convolution .*{message}'):
        read_model(changed(exported, tmp_path / 'x.onnx', change))


def pools_side_by_side(graph):
    """As Megvii's SPP has them: windows of 5, 9 and 13 of one tensor."""
    pools = of_type(graph, 'MaxPool')
    for node, side in zip(pools, (5, 9, 13), strict=True):
        node.input[0] = pools[0].input[0]
        set_attribute(node, kernel_shape=[side] * 2, pads=[side // 2] * 4)


def sums_turned(graph):
    for node in of_type(graph, 'Add'):
        node.input[:] = reversed(node.input)


def same_pads(graph):
    node = of_type(graph, 'Conv')[0]
    kept = [attribute for attribute in node.attribute if attribute.name != 'pads']
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute('auto_pad', 'SAME_UPPER')])


def sizes_computed(graph):
    """As PyTorch before 1.6 wrote an enlargement: twice the shape."""
    two = numpy_helper.from_array(np.int64([1, 1, 2, 2]), 'two')
    graph.initializer.extend([two])
    for number, node in enumerate(of_type(graph, 'Resize')):
        nodes = [
            helper.make_node('Shape', [node.input[0]], [f'shape {number}']),
            helper.make_node('Mul', [f'shape {number}', 'two'], [f'size {number}']),
        ]
        place = list(graph.node).index(node)
        for other in reversed(nodes):
            graph.node.insert(place, other)
        node.input[:] = [node.input[0], '', '', f'size {number}']


def sizes_given(graph):
    for node, size in zip(of_type(graph, 'Resize'), (4, 8), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.int64([1, 16, size, size]), f'size {size}'))
        node.input[:] = [node.input[0], '', '', f'size {size}']


@pytest.mark.parametrize(
    'change',
    [pools_side_by_side, sums_turned, same_pads, sizes_computed, sizes_given],
    ids=lambda f: f.__name__,
)
def test_what_is_only_spelt_otherwise_is_read(tmp_path, exported, change):
    assert same_weights(changed(exported, tmp_path / 'x.onnx', change), exported)

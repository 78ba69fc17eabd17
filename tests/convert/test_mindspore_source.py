"""MindSpore's files, and what MindYOLO and the model zoo call the tensors in them.

The layouts and the small file under ``tests/data`` are of the real MindSpore and MindYOLO, and of the zoo's
source; ``tests/parity/mindspore_forward.py`` compares outputs.
"""

import sys
from binascii import crc32

import numpy as np
import pytest
import torch
from layouts import DATA, published, read_layouts
from torch import nn

from mmyolox.convert import mindspore_file
from mmyolox.convert.conversion import convert
from mmyolox.convert.files import read_weights
from mmyolox.convert.mindspore import SOURCE
from mmyolox.convert.mindspore_file import read_checkpoint
from mmyolox.utils import UserError

LAYOUTS = read_layouts('mindspore_yolox_keys.json')
NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')
OUR_NORM = tuple(
    f'bn.{name}' for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
)
REAL_FILE = DATA / 'mindspore_2.10.ckpt'


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def chunk(field, content):
    """A field of protobuf's that has a length."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def value(name, kind, dims, content):
    """A tensor as MindSpore stores it."""
    shape = b''.join(b'\x08' + varint(size) for size in dims)
    return chunk(1, chunk(1, name.encode()) + chunk(2, shape + chunk(2, kind.encode()) + chunk(3, content)))


def checkpoint(tensors):
    """A file's content, of float32 tensors."""
    return b''.join(
        value(name, 'Float32', tensor.shape, tensor.numpy().tobytes()) for name, tensor in tensors.items()
    )


def weights(model):
    return {name: torch.empty(shape, device='meta') for name, shape in LAYOUTS[model].items()}


def test_a_file_of_mindspore_is_read():
    tensors, others = read_weights(REAL_FILE)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        'conv.weight': (3, 2, 1, 1),
        'conv.bias': (3,),
        'bn.moving_mean': (3,),
        'bn.moving_variance': (3,),
        'bn.gamma': (3,),
        'bn.beta': (3,),
        'half': (2,),
        'brain': (2,),
        'epoch': (),
        'lr': (),
        'flag': (),
    }
    assert tensors['conv.weight'].flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert tensors['bn.moving_mean'].tolist() == [1, 2, 3]
    assert torch.equal(tensors['half'], torch.tensor([1.5, -2], dtype=torch.float16))
    assert torch.equal(tensors['brain'], torch.tensor([1.5, -2], dtype=torch.bfloat16))
    assert (tensors['epoch'].item(), tensors['flag'].item()) == (3, True)
    assert others == ()


def test_a_tensor_in_parts_is_joined(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3)
    content = tensor.numpy().tobytes()
    parts = [value('a', 'Float32', (2, 3), content[i : i + 8]) for i in range(0, 24, 8)]
    number = value('b', 'Int64', (0,), np.int64(-5).tobytes())
    (tmp_path / 'x.ckpt').write_bytes(b''.join([*parts[:2], number, parts[2]]))
    found = read_checkpoint(tmp_path / 'x.ckpt')
    assert torch.equal(found['a'], tensor)
    assert torch.equal(found['b'], torch.tensor(-5))


def test_an_empty_tensor_is_read(tmp_path):
    (tmp_path / 'x.ckpt').write_bytes(value('a', 'Float32', (0, 4), b''))
    assert read_checkpoint(tmp_path / 'x.ckpt')['a'].shape == (0, 4)


SOME = value('a', 'Float32', (2,), bytes(8))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (SOME[:-1], 'is cut off or damaged: 26 bytes of a tensor should follow'),
        (SOME + SOME[:1], 'is damaged or no MindSpore checkpoint'),
        (SOME + b'\x0a\x80', 'is damaged or no MindSpore checkpoint'),
        (SOME + b'\x12\x00', 'is damaged or no MindSpore checkpoint'),
        (b'\x0a\x03abc', 'is damaged or no MindSpore checkpoint'),
        (chunk(1, chunk(1, b'a') + chunk(2, b'')), 'is damaged or no MindSpore checkpoint'),
        (chunk(1, chunk(1, b'a')), 'is a MindSpore checkpoint without tensors'),
        (value('a', 'str', (0,), b'y\0\0\0'), 'is a MindSpore checkpoint without tensors'),
        (value('a', 'Float32', (3,), bytes(8)), r'tensor a has 8 bytes for shape \[3\], Float32'),
        (value('a', 'Int4', (2,), bytes(1)), 'tensor a is of type Int4, which cannot be read here'),
        (SOME + b'crc_num' + (crc32(SOME) ^ 1).to_bytes(10, 'big'), 'is damaged: its checksum is wrong'),
        (b'\xd8\x5e\x3a\x7f' + bytes(99), 'is encrypted'),
    ],
)
def test_a_file_at_fault_is_refused(tmp_path, content, message):
    (tmp_path / 'x.ckpt').write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_weights(tmp_path / 'x.ckpt')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('end', range(1, 60))
def test_a_file_that_ends_early_is_refused_or_lacks_tensors(tmp_path, end):
    (tmp_path / 'x.ckpt').write_bytes((SOME + value('b', 'Float32', (3,), bytes(12)))[:end])
    try:
        found = read_checkpoint(tmp_path / 'x.ckpt')
    except UserError:
        return
    assert end == len(SOME)
    assert list(found) == ['a']


@pytest.mark.parametrize(
    ('model', 'prefix'),
    [
        *((model, '') for model in LAYOUTS),
        *(('zoo x', prefix) for prefix in ('ema.', 'network.', 'ema.network.')),
    ],
)
def test_every_tensor_of_a_model_is_used(model, prefix):
    given = {prefix + name: tensor for name, tensor in weights(model).items()}
    conversion = convert(given)
    assert conversion.source is SOURCE
    assert conversion.architecture == published(model.split()[1])
    assert (conversion.unused, conversion.dropped, conversion.missing) == ({}, {}, ())
    assert set(conversion.used_names) == set(given)


HEAD = 'bbox_head.head_module.multi_level_'


@pytest.mark.parametrize(
    ('model', 'theirs', 'ours'),
    [
        ('mindyolo s', 'model.model.0.conv.bn.gamma', 'backbone.stem.conv.bn.weight'),
        ('mindyolo s', 'model.model.1.bn.beta', 'backbone.stage1.0.bn.bias'),
        ('mindyolo s', 'model.model.4.m.2.conv1.conv.weight', 'backbone.stage2.1.blocks.2.conv1.conv.weight'),
        ('mindyolo s', 'model.model.8.conv2.bn.moving_mean', 'backbone.stage4.1.conv2.bn.running_mean'),
        ('mindyolo s', 'model.model.9.conv3.conv.weight', 'backbone.stage4.2.final_conv.conv.weight'),
        ('mindyolo s', 'model.model.10.conv.weight', 'neck.reduce_layers.2.conv.weight'),
        ('mindyolo s', 'model.model.13.conv1.conv.weight', 'neck.top_down_layers.0.0.main_conv.conv.weight'),
        ('mindyolo s', 'model.model.14.conv.weight', 'neck.top_down_layers.0.1.conv.weight'),
        ('mindyolo s', 'model.model.17.conv2.conv.weight', 'neck.top_down_layers.1.short_conv.conv.weight'),
        ('mindyolo s', 'model.model.18.bn.moving_variance', 'neck.downsample_layers.0.bn.running_var'),
        ('mindyolo s', 'model.model.20.conv3.conv.weight', 'neck.bottom_up_layers.0.final_conv.conv.weight'),
        ('mindyolo s', 'model.model.21.conv.weight', 'neck.downsample_layers.1.conv.weight'),
        ('mindyolo s', 'model.model.23.conv1.conv.weight', 'neck.bottom_up_layers.1.main_conv.conv.weight'),
        ('mindyolo s', 'model.model.24.stems.2.bn.gamma', 'neck.out_layers.2.bn.weight'),
        ('mindyolo s', 'model.model.24.cls_convs.1.0.bn.gamma', f'{HEAD}cls_convs.1.0.bn.weight'),
        ('mindyolo s', 'model.model.24.obj_preds.1.bias', f'{HEAD}conv_obj.1.bias'),
        ('mindyolo nano', 'model.model.3.dconv.bn.gamma', 'backbone.stage2.0.depthwise_conv.bn.weight'),
        ('mindyolo darknet53', 'model.model.2.conv2.bn.gamma', 'backbone.stem.2.conv2.bn.weight'),
        ('mindyolo darknet53', 'model.model.6.7.conv1.bn.gamma', 'backbone.stage2.8.conv1.bn.weight'),
        ('mindyolo darknet53', 'model.model.13.conv2.bn.gamma', 'backbone.stage4.7.conv2.bn.weight'),
        ('mindyolo darknet53', 'model.model.24.conv.weight', 'neck.reduce_layers.1.conv.weight'),
        ('mindyolo darknet53', 'model.model.31.conv.weight', 'neck.top_down_layers.1.4.conv.weight'),
        ('zoo darknet53', 'backbone.backbone.dark5.4.layer2.bn.gamma', 'backbone.stage4.4.conv2.bn.weight'),
        ('zoo darknet53', 'backbone.out1.3.bn.gamma', 'neck.top_down_layers.0.3.bn.weight'),
        ('zoo x', 'head_l.stem.conv.weight', 'neck.out_layers.0.conv.weight'),
        ('zoo x', 'head_m.reg_convs.1.bn.beta', f'{HEAD}reg_convs.1.1.bn.bias'),
        ('zoo x', 'head_s.cls_preds.weight', f'{HEAD}conv_cls.2.weight'),
    ],
)
def test_names(model, theirs, ours):
    assert SOURCE.translate(weights(model)).origins[ours] == theirs


def test_averaged_weights_go_before_raw_ones():
    given = {}
    for name, tensor in weights('zoo darknet53').items():
        given |= {f'network.{name}': tensor, f'ema.network.{name}': tensor, f'moments.network.{name}': tensor}
    numbers = dict.fromkeys(('updates', 'learning_rate', 'global_step'), torch.tensor(0))
    conversion = convert(given | numbers)
    assert all(name.startswith('ema.') for name in conversion.used_names)
    assert (conversion.unused, conversion.missing) == ({}, ())
    assert (
        conversion.dropped['network.head_l.stem.conv.weight']
        == 'the raw weights; their moving average is taken'
    )
    assert conversion.dropped['moments.network.head_l.stem.conv.weight'] == 'a state of the training'
    assert conversion.dropped['updates'] == 'a state of the training'


@pytest.mark.parametrize(
    'names',
    [
        [
            'model.model.0.conv.weight',
            'model.model.0.bn.gamma',
            'model.model.24.m.0.weight',
        ],  # MindYOLO's YOLOv5
        ['conv1.weight', 'bn1.gamma', 'bn1.moving_mean'],
        ['model.24.obj_preds.0.weight'],
        [],
    ],
)
def test_other_models_are_not_recognised(names):
    assert not SOURCE.recognises(names)


def test_an_unknown_tensor_is_unused():
    given = weights('mindyolo nano') | {'model.model.11.conv.weight': torch.empty(1, device='meta')}
    assert convert(given).unused == {'model.model.11.conv.weight': 'the model has no such tensor'}


@torch.no_grad()
def random_network(model):
    """A network of ours, with batch norms that are not trivial."""
    torch.manual_seed(0)
    network = model.build()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.3, 0.8)
            nn.init.uniform_(norm.bias, 0, 1.5)
            norm.reset_running_stats()
            norm.momentum = None
    return network.train()


@torch.no_grad()
def logits(network, images):
    outputs = network.bbox_head.head_module(network.neck(network.backbone(images)))
    return torch.cat([level.flatten() for levels in outputs for level in levels])


def as_theirs(network, model):
    """The weights of a network under the names of another project."""
    state_dict = network.state_dict()
    return {theirs: state_dict[ours] for ours, theirs in SOURCE.translate(weights(model)).origins.items()}


def test_mindyolo_took_rgb_images_from_0_to_1(tmp_path):
    theirs = random_network(published('nano'))
    images = torch.rand(2, 3, 64, 64) * 255
    as_mindyolo_sees = images.flip(1) / 255
    logits(theirs, as_mindyolo_sees)
    theirs.eval()
    path = tmp_path / 'yolox.ckpt'
    path.write_bytes(checkpoint(as_theirs(theirs, 'mindyolo nano')))
    ours = published('nano').build().eval()
    ours.load_state_dict(convert(read_weights(path)[0]).state_dict)
    expected = logits(theirs, as_mindyolo_sees)
    assert (logits(ours, images) - expected).abs().max() < 1e-4
    assert (logits(ours, images / 255) - expected).abs().max() > 0.1


def test_the_stem_of_darknet53_is_adapted_too():
    torch.manual_seed(0)
    stem = {'model.model.0.conv.weight': torch.randn(32, 3, 3, 3)}
    stem |= {f'model.model.0.bn.{name}': torch.rand(32) for name in NORM}
    state_dict = convert(weights('mindyolo darknet53') | stem).state_dict
    layer = nn.Sequential(nn.Conv2d(3, 32, 3, bias=False), nn.BatchNorm2d(32, eps=1e-3)).eval()
    ours = {name: state_dict[f'backbone.stem.0.{name}'] for name in ('conv.weight', *OUR_NORM)}
    layer.load_state_dict(dict(zip(layer.state_dict(), ours.values(), strict=True)))
    images = torch.rand(2, 3, 8, 8) * 255
    weight, gamma, beta, mean, variance = stem.values()
    features = nn.functional.conv2d(images.flip(1) / 255, weight)
    expected = nn.functional.batch_norm(features, mean, variance, gamma, beta, eps=1e-3)
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-4)


def test_the_stem_of_a_grey_model_keeps_its_channels():
    given = weights('mindyolo nano')
    stem = {
        name: torch.rand(shape) for name, shape in LAYOUTS['mindyolo nano'].items() if '.0.conv.bn' in name
    }
    given |= stem | {'model.model.0.conv.conv.weight': torch.rand(16, 4, 3, 3)}
    conversion = convert(given)
    assert conversion.architecture == published('nano', input_channels=1)
    name = 'backbone.stem.conv.conv.weight'
    assert torch.equal(conversion.state_dict[name], given['model.model.0.conv.conv.weight'])


def test_the_zoo_has_another_epsilon():
    torch.manual_seed(0)
    norm = {f'head_l.stem.bn.{name}': torch.rand(256) for name in NORM}
    norm['head_l.stem.bn.moving_variance'][:3] = torch.tensor([0, 1e-6, 1e-3])
    ours = nn.BatchNorm2d(256, eps=1e-3)
    state_dict = convert(weights('zoo darknet53') | norm).state_dict
    ours.load_state_dict({name: state_dict[f'neck.out_layers.0.bn.{name}'] for name in ours.state_dict()})
    features = torch.randn(2, 256, 3, 4)
    gamma, beta, mean, variance = norm.values()
    expected = nn.functional.batch_norm(features, mean, variance, gamma, beta, eps=1e-5)
    torch.testing.assert_close(ours.eval()(features), expected, rtol=1e-5, atol=1e-4)


def test_protobuf_may_be_absent(monkeypatch):
    mindspore_file._value_parser.cache_clear()
    monkeypatch.setitem(sys.modules, 'google.protobuf', None)
    with pytest.raises(UserError, match='needs the package protobuf'):
        read_checkpoint(REAL_FILE)

"""What MindYOLO and MindSpore's model zoo call their tensors, and how they differ from ours.

The layouts under ``tests/data`` are MindYOLO's and those of the zoo's source;
``benchmarks/parity/mindspore_forward.py`` compares outputs.
"""

import pytest
import torch
from torch import nn

from mmyolox.checkpoints.convert import convert
from mmyolox.checkpoints.load import read_weights
from mmyolox.checkpoints.sources.mindspore import SOURCE
from tests.checkpoints.layouts import published, read_layouts
from tests.checkpoints.mindspore_writer import checkpoint

LAYOUTS = read_layouts('mindspore_yolox_keys.json')
NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')
OUR_NORM = tuple(
    f'bn.{name}' for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
)


def weights(model):
    return {name: torch.empty(shape, device='meta') for name, shape in LAYOUTS[model].items()}


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
    project, size = model.split()
    assert conversion.architecture == published(size, spp_zero_padding=project == 'zoo')
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
    ('model', 'name', 'ours'),
    [
        ('mindyolo s', 'model.model.0.conv.bn.gamma', 'backbone.stem.conv.bn.weight'),
        ('zoo x', 'head_l.stem.bn.gamma', 'neck.out_layers.0.bn.weight'),
    ],
)
def test_an_absent_tensor_of_a_norm_is_missing(model, name, ours):
    given = weights(model)
    del given[name]
    assert convert(given).missing == (ours,)


@pytest.mark.parametrize('state', ['moments', 'accum', 'stat', 'moment1', 'moment2'])
def test_states_of_every_optimizer_are_dropped(state):
    name = f'{state}.model.model.0.conv.conv.weight'
    conversion = convert(weights('mindyolo nano') | {name: torch.empty(1, device='meta')})
    assert (conversion.dropped, conversion.unused) == ({name: 'a state of the training'}, {})


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


@pytest.mark.parametrize(
    ('model', 'name'),
    [
        ('mindyolo nano', 'model.model.11.conv.weight'),
        ('mindyolo darknet53', 'model.model.4.conv.weight'),
        ('zoo x', 'head_xl.stem.conv.weight'),
    ],
)
def test_an_unknown_tensor_is_unused(model, name):
    given = weights(model) | {name: torch.empty(1, device='meta')}
    assert convert(given).unused == {name: 'the model has no such tensor'}


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

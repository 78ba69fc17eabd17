"""Which model a state dict in our layout belongs to; and that layout against MMYOLO's."""

import pytest
import torch

from mmyolox.checkpoints.recognise import PUBLISHED, Architecture, recognise
from mmyolox.errors import UserError
from tests.checkpoints.layouts import our_weights, published, read_layouts
from tests.models.test_more_levels import P2, P6, model_of

MMYOLO = read_layouts('mmyolo_yolox_keys.json')


@pytest.mark.parametrize('size', MMYOLO)
def test_our_layout_is_that_of_mmyolo(size):
    assert published(size).shapes() == MMYOLO[size]


@pytest.mark.parametrize(
    ('model', 'millions'),
    [('nano', 0.91), ('tiny', 5.06), ('s', 9.0), ('m', 25.3), ('l', 54.2), ('x', 99.1), ('darknet53', 63.7)],
)
def test_published_models_have_their_parameters(model, millions):
    with torch.device('meta'):
        network = published(model).build()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize('size', PUBLISHED)
@pytest.mark.parametrize(('num_classes', 'channels'), [(80, 3), (1, 4)])
def test_published_models_are_recognised(size, num_classes, channels):
    model = published(size, num_classes=num_classes, input_channels=channels)
    assert recognise(our_weights(model)) == model


@pytest.mark.parametrize('deepen', [0.1, 0.33, 0.5, 0.67, 1.1, 1.5])
@pytest.mark.parametrize(('widen', 'depthwise'), [(0.125, False), (0.3, True), (1.1, False)])
def test_a_model_of_other_factors_is_recognised_by_its_shapes(deepen, widen, depthwise):
    weights = our_weights(Architecture('custom', deepen, widen, depthwise, 7))
    found = recognise(weights)
    assert found.name == 'custom'
    assert found.shapes() == {name: tuple(tensor.shape) for name, tensor in weights.items()}


def test_round_factors_are_found_again():
    model = Architecture('custom', 0.67, 0.125, True, 2)
    assert recognise(our_weights(model)) == model


def test_a_model_is_described():
    assert published('nano', num_classes=3).describe() == (
        'YOLOX-nano, deepen_factor 0.33, widen_factor 0.25, use_depthwise True, 3 classes, 3 image channels'
    )
    assert published('x', spp_zero_padding=True).describe().endswith('channels, spp_zero_padding True')


def test_the_nano_of_mmyolo_is_refused():
    """Its CSP layers have plain 3x3 convolutions."""
    weights = {
        name.replace('.blocks.0.conv2.depthwise_conv.', '.blocks.0.conv2.'): tensor
        for name, tensor in our_weights(published('nano')).items()
        if '.blocks.0.conv2.pointwise_conv.' not in name
    }
    with pytest.raises(UserError, match="this is MMYOLO's nano"):
        recognise(weights)


CLASSES = 'bbox_head.head_module.multi_level_conv_cls.0.weight'
THREE_LEVELS = {CLASSES.replace('0', str(level)): torch.zeros(80, 64, 1, 1) for level in range(3)}
STEM = 'backbone.stem.conv.conv.weight'


@pytest.mark.parametrize(
    ('weights', 'name'),
    [
        ({}, CLASSES),
        ({'conv1.weight': torch.zeros(64, 3, 7, 7)}, CLASSES),
        ({CLASSES: torch.zeros(80)}, CLASSES),
        (THREE_LEVELS, STEM),
        ({**THREE_LEVELS, 'neck.reduce_layers.0.conv.weight': 0}, 'backbone.stem.0.conv'),
        ({**THREE_LEVELS, STEM: torch.zeros(16, 12, 3, 3)}, 'backbone.stage4.2.final_conv'),
    ],
)
def test_what_is_no_model_is_refused(weights, name):
    with pytest.raises(UserError, match=f'not the weights of a YOLOX: there is no convolution weight {name}'):
        recognise(weights)


MORE_STAGES = dict(
    backbone=dict(P6['backbone'], out_indices=(3, 4, 5)),
    neck=dict(in_channels=P6['neck']['in_channels'][1:]),
    bbox_head=dict(head_module=dict(featmap_strides=(16, 32, 64))),
)


@pytest.mark.parametrize('changes', [P6, P2, MORE_STAGES])
def test_other_levels_need_a_config(changes):
    with pytest.raises(UserError, match=r'a YOLOX of other levels .* needs the config'):
        recognise(model_of(changes).state_dict())

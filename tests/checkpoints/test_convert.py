"""What becomes of every tensor of a file."""

import pytest
import torch
from torch import Tensor, nn

from mmyolox.checkpoints import convert as conversion_module
from mmyolox.checkpoints.convert import convert, state_dict_of
from mmyolox.checkpoints.sources.base import Source, Translation
from mmyolox.errors import UserError
from tests.checkpoints.layouts import megvii_weights, our_weights, published

HEAD = 'bbox_head.head_module.multi_level_'


@pytest.mark.parametrize(
    ('key', 'value', 'reason'),
    [
        ('head.extra.weight', torch.zeros(1), 'the model has no such tensor'),
        (
            'head.stems.0.conv.weight',
            torch.zeros(64, 32, 1, 1),
            'shape (64, 32, 1, 1), the model has (64, 64, 1, 1)',
        ),
        ('neck.out_layers.0.conv.weight', torch.zeros(64, 64, 1, 1), 'is there already'),
    ],
)
def test_what_does_not_fit_is_named(key, value, reason):
    weights = megvii_weights('nano')
    replaced = key in weights
    conversion = convert(weights | {key: value})
    assert list(conversion.unused) == [key]
    assert reason in conversion.unused[key]
    assert conversion.missing == (('neck.out_layers.0.conv.weight',) if replaced else ())
    assert len(conversion.used_names) == 642 - replaced


def test_of_tensors_told_by_their_place_one_misfit_condemns_all(told):
    shapes = [m.weight.shape for m in published('nano').build().modules() if isinstance(m, nn.Conv2d)]
    weights = {f'Conv {i}.weight': torch.zeros(shape) for i, shape in enumerate(shapes)}
    with pytest.raises(UserError, match=r"no ONNX of Megvii's export tool: \d+ of its tensors, .*Conv \d+"):
        convert(weights)
    with pytest.raises(UserError, match=r"yolox\.onnx: no ONNX of Megvii's export tool"):
        state_dict_of(weights, 'yolox.onnx')


def test_missing_tensors_are_named():
    weights = megvii_weights('nano')
    del weights['backbone.C3_p3.conv2.conv.weight'], weights['head.obj_preds.2.bias']
    assert convert(weights).missing == (
        'neck.top_down_layers.1.short_conv.conv.weight',
        f'{HEAD}conv_obj.2.bias',
    )


def test_depths_that_no_factor_gives_are_accounted_for():
    """Two bottlenecks in the first stage are of a larger model than three in the second."""
    weights = our_weights(published('s'))
    extra = 'backbone.stage1.1.blocks.1.conv1.conv.weight'
    conversion = convert(weights | {extra: torch.zeros(32, 32, 1, 1)})
    assert conversion.architecture.name == 'custom'
    assert (conversion.unused, conversion.missing) == ({extra: 'the model has no such tensor'}, ())


def test_counters_that_a_file_lacks_are_zero():
    weights = {key: value for key, value in megvii_weights('nano').items() if 'num_batches' not in key}
    conversion = convert(weights)
    assert not conversion.missing
    assert list(conversion.state_dict) == list(conversion.architecture.shapes())
    assert conversion.state_dict['backbone.stem.conv.bn.num_batches_tracked'] == 0


@pytest.mark.parametrize('weights', [megvii_weights('nano'), our_weights(published('nano'))])
def test_the_prefix_of_a_wrapper_is_dropped(weights):
    plain, wrapped = convert(weights), convert({f'module.{name}': tensor for name, tensor in weights.items()})
    assert (wrapped.used, wrapped.unused, wrapped.missing) == (plain.used, {}, ())


def test_a_name_with_and_without_the_wrapper_is_unused():
    weights = megvii_weights('nano')
    twice = f'module.{next(iter(weights))}'
    conversion = convert({**weights, twice: torch.zeros(1)})
    assert list(conversion.unused) == [twice]
    assert not conversion.missing


def test_our_own_weights_stay_as_they_are():
    weights = our_weights(published('tiny'))
    conversion = convert(weights)
    assert conversion.source.name == 'mmyolo'
    assert conversion.used == {name: name for name in weights}
    assert all(conversion.state_dict[name] is tensor for name, tensor in weights.items())


def test_a_tensor_made_of_several_uses_them_all(monkeypatch):
    def translate(weights):
        translation = Translation(
            dict(our_weights(published('nano'))), {}, {'left': 'useless'}, {'copy': 'a copy'}
        )
        translation.origins |= dict.fromkeys(translation.tensors, 'one, two')
        return translation

    source = Source('test', 'Test', lambda _: True, translate)
    monkeypatch.setattr(conversion_module, 'find_source', lambda *_: source)
    names = ('one', 'two', 'left', 'copy', 'forgotten')
    conversion = convert(dict.fromkeys(names, torch.zeros(1)))
    assert conversion.used_names == ('one', 'two')
    assert conversion.unused == {'left': 'useless', 'forgotten': 'the source says nothing of it'}
    assert conversion.dropped == {'copy': 'a copy'}


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({}, 'its tensors: none at all'),
        (
            {'conv1.weight': torch.zeros(64, 3, 7, 7), 'fc.bias': torch.zeros(9)},
            'tensors: conv1.weight, fc.bias',
        ),
        (
            {key: value for key, value in megvii_weights('s').items() if 'stem.' not in key},
            'no convolution weight backbone.stem.conv.conv.weight',
        ),
    ],
)
def test_other_weights_are_refused(weights, message):
    with pytest.raises(UserError, match=message):
        convert(weights)


def test_a_source_can_be_forced():
    weights = our_weights(published('nano'))
    assert convert(weights, 'mmyolo').source.name == 'mmyolo'
    with pytest.raises(UserError, match="source 'caffe' is unknown; known are megvii, mindspore, mm"):
        convert(weights, 'caffe')
    with pytest.raises(UserError, match='these are weights of megvii, not of mmyolo'):
        convert(megvii_weights('nano'), 'mmyolo')
    with pytest.raises(UserError, match='not the weights of a YOLOX'):
        convert({'stem.weight': torch.zeros(1)}, 'mmyolo')


# --- for a model at hand -------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(conversion_module, 'print_log', lambda line, *_: lines.append(line))
    return lines


def test_weights_are_translated_and_that_is_told(told):
    weights = megvii_weights('nano', 'cpu') | {'head.extra.weight': torch.zeros(1)}
    ours = state_dict_of(dict(start_epoch=3, model=weights, optimizer={}), 'w.pth')
    expected = convert(weights).state_dict
    assert {name: ours[name] for name in expected} == expected
    assert ours.keys() - expected.keys() == {'head.extra.weight'}
    assert told == ['checkpoint w.pth: translated from the layout of Megvii YOLOX (0.1.1 - 0.3.0)']


def test_what_has_no_place_keeps_its_name(told):
    stem = 'backbone.backbone.stem'
    twice = {f'{stem}.dconv.x': torch.zeros(1), f'{stem}.depthwise_conv.x': torch.ones(1)}
    ours = state_dict_of(megvii_weights('nano', 'cpu') | twice, 'w.pth')
    assert ours['backbone.stem.depthwise_conv.x'] is twice[f'{stem}.dconv.x']
    assert ours[f'{stem}.depthwise_conv.x'] is twice[f'{stem}.depthwise_conv.x']


def test_weights_that_no_source_knows_keep_their_names(told):
    weights = {'module.conv.weight': torch.zeros(1), 'fc.bias': torch.zeros(2)}
    ours = state_dict_of(weights, 'w.pth')
    assert list(ours) == ['conv.weight', 'fc.bias']
    assert all(isinstance(tensor, Tensor) for tensor in ours.values())
    assert not told


def test_weights_of_others_are_translated():
    theirs = {'head.stems.0.conv.weight': torch.ones(1), 'head.stems.0.bn.running_mean': torch.ones(2)}
    weights = state_dict_of(dict(model=theirs, start_epoch=3), 'm.pth')
    assert weights == {
        'neck.out_layers.0.conv.weight': theirs['head.stems.0.conv.weight'],
        'neck.out_layers.0.bn.running_mean': theirs['head.stems.0.bn.running_mean'],
    }


def test_weights_are_found_in_both_forms():
    state = {'conv.weight': torch.zeros(1)}
    assert state_dict_of(dict(state_dict=state, meta={}), 'a.pth') == dict(state)
    assert state_dict_of(state, 'a.pth') == dict(state)

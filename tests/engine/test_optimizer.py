"""Merged parameter groups, fused kernels and bfloat16, beside what MMEngine does."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from mmyolox.engine import AutocastOptimWrapper, YOLOXOptimWrapperConstructor
from mmyolox.engine.optimizer import merge_groups
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.errors import UserError

NO_DECAY = dict(norm_decay_mult=0.0, bias_decay_mult=0.0)
SGD = dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)
ADAMW = dict(type='AdamW', lr=0.01, weight_decay=0.1)


def small_model():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    return nn.ModuleDict(dict(body=body, head=nn.Conv2d(4, 2, 1))).to(memory_format=torch.channels_last)


def build(model, optimizer, paramwise=NO_DECAY, constructor='YOLOXOptimWrapperConstructor', **kwargs):
    return build_optim_wrapper(
        model, dict(constructor=constructor, optimizer=optimizer, paramwise_cfg=paramwise, **kwargs)
    )


def train(model, wrapper, steps=5):
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        images = torch.randn(4, 3, 8, 8, generator=generator)
        loss = model['head'](model['body'](images).relu()).square().mean()
        wrapper.update_params(loss)


def largest_difference(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


PARAMWISE = [
    NO_DECAY,
    dict(bias_lr_mult=2.0, norm_decay_mult=0.0),
    dict(custom_keys={'head': dict(lr_mult=0.1), 'body.0': dict(decay_mult=0.5)}),
    None,
]


@pytest.mark.parametrize('paramwise', PARAMWISE)
@pytest.mark.parametrize('optimizer', [SGD, ADAMW])
def test_steps_are_those_of_one_group_a_parameter(optimizer, paramwise):
    merged, split = small_model(), small_model()
    train(merged, build(merged, optimizer, paramwise))
    train(split, build(split, dict(optimizer, foreach=False), paramwise, 'DefaultOptimWrapperConstructor'))
    assert largest_difference(split, small_model()) > 0.01
    assert largest_difference(merged, split) < 1e-6


def test_two_groups_with_and_without_decay():
    model = small_model()
    groups = build(model, SGD).optimizer.param_groups
    assert [group['weight_decay'] for group in groups] == [0.1, 0.0]
    norm = model['body'][1]
    expected = [[model['body'][0].weight, model['head'].weight], [norm.weight, norm.bias, model['head'].bias]]
    for group, weights in zip(groups, expected, strict=True):
        assert all(a is b for a, b in zip(group['params'], weights, strict=True))


def test_the_weights_that_take_the_pixels_have_a_rate_of_their_own():
    model = small_model()
    groups = build(model, ADAMW, dict(NO_DECAY, pixel_lr_mult=0.02)).optimizer.param_groups
    assert [(group['lr'], len(group['params'])) for group in groups] == [(0.01, 3), (0.01, 1), (0.0002, 1)]
    assert groups[2]['params'][0] is model['body'][0].weight
    assert groups[2]['weight_decay'] == 0.1
    model['body'].requires_grad_(False)
    groups = build(model, ADAMW, dict(NO_DECAY, pixel_lr_mult=0.02)).optimizer.param_groups
    assert [group['lr'] for group in groups] == [0.01, 0.01]


def test_their_steps_are_those_of_a_custom_key():
    models = [small_model() for _ in range(2)]
    for model, paramwise in zip(
        models, (dict(pixel_lr_mult=0.1), dict(custom_keys={'body.0': dict(lr_mult=0.1)})), strict=True
    ):
        train(model, build(model, ADAMW, paramwise))
    assert largest_difference(*models) == 0.0
    assert largest_difference(models[0], small_model()) > 0.01


@pytest.mark.parametrize(
    ('start', 'mult'), [({}, 1.0), (dict(_load_from='a.pth'), 0.02), (dict(_resume=True), 0.02)]
)
def test_pixels_have_a_rate_of_their_own_where_weights_have_learned(start, mult):
    runner = YOLOXRunner.__new__(YOLOXRunner)
    vars(runner).update(dict(_load_from=None, _resume=False, model=small_model()) | start)
    paramwise = dict(NO_DECAY, pixel_lr_mult=0.02)
    cfg = dict(constructor='YOLOXOptimWrapperConstructor', optimizer=ADAMW, paramwise_cfg=paramwise)
    groups = runner.build_optim_wrapper(cfg).optimizer.param_groups
    assert [group['lr'] for group in groups] == [0.01, 0.01, 0.01 * mult]
    assert len(groups[2]['params']) == 1


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('haed', "'haed' is in no name .*did you mean head"),
        ('body.00', "'body.00' is in .*did you mean body.0"),
    ],
)
def test_a_custom_key_that_reaches_no_weight_is_named(key, message):
    with pytest.raises(UserError, match=message):
        build(small_model(), SGD, dict(custom_keys={key: dict(lr_mult=0.1)}))


def test_merging_keeps_what_differs_apart():
    groups = [dict(params=[i], lr=lr) for i, lr in enumerate((1, 2, 1, 3, 2))] + [dict(params=[5])]
    assert merge_groups(groups) == [
        dict(params=[0, 2], lr=1),
        dict(params=[1, 4], lr=2),
        dict(params=[3], lr=3),
        dict(params=[5]),
    ]
    assert groups[0] == dict(params=[0], lr=1)


def test_scaling_the_learning_rate_reaches_all_groups():
    wrapper = build(small_model(), SGD, dict(NO_DECAY, custom_keys={'head': dict(lr_mult=0.1)}))
    runner = SimpleNamespace(world_size=2, _train_dataloader=dict(batch_size=4), param_schedulers=None)
    runner.logger = SimpleNamespace(info=lambda text: None)
    before = [group['lr'] for group in wrapper.optimizer.param_groups]
    Runner.scale_lr(runner, wrapper, dict(enable=True, base_batch_size=16))
    assert len(set(before)) == 2
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == [0.5 * lr for lr in before]


def test_frozen_parameters_are_left_out():
    model = small_model()
    model['body'].requires_grad_(False)
    groups = build(model, SGD).optimizer.param_groups
    assert sum(len(group['params']) for group in groups) == 2


@pytest.mark.parametrize(
    ('options', 'fused'), [({}, True), (dict(fused=False), False), (dict(foreach=False), None)]
)
def test_fused_unless_the_config_decides(options, fused):
    wrapper = build(small_model(), dict(ADAMW, **options))
    assert wrapper.optimizer.defaults['fused'] is fused


@pytest.mark.parametrize('kind', ['Adadelta', 'RMSprop'])
def test_optimizers_without_a_fused_kernel(kind):
    model = small_model()
    wrapper = build(model, dict(type=kind, lr=0.01, weight_decay=0.1))
    train(model, wrapper, 1)
    assert 'fused' not in wrapper.optimizer.defaults


def test_device_without_a_fused_kernel():
    # There is no kernel for the meta device, as there is none for some accelerators.
    model = small_model().to('meta')
    assert not build(model, SGD).optimizer.defaults['fused']


@pytest.mark.parametrize('optimizer', [SGD, ADAMW])
def test_moments_of_another_memory_layout_are_those_of_their_weights(optimizer):
    straight, resumed = small_model(), small_model()
    wrapper = build(straight, optimizer)
    train(straight, wrapper)
    state = copy.deepcopy(wrapper.state_dict())
    for moments in state['state'].values():
        for name, value in moments.items():
            moments[name] = value.contiguous() if torch.is_tensor(value) else value
    resumed.load_state_dict(straight.state_dict())
    again = build(resumed, optimizer)
    again.load_state_dict(state)
    for model, one in ((straight, wrapper), (resumed, again)):
        train(model, one)
    assert largest_difference(straight, resumed) == 0


def test_constructor_takes_what_mmengine_does():
    assert issubclass(YOLOXOptimWrapperConstructor, DefaultOptimWrapperConstructor)
    with pytest.raises(ValueError, match='base_wd'):
        build(small_model(), dict(type='SGD', lr=0.1))


def test_autocast_trains_float32_weights_with_bfloat16_convolutions():
    model = small_model()
    wrapper = build(model, SGD, type='AutocastOptimWrapper')
    assert isinstance(wrapper, AutocastOptimWrapper)
    before = copy.deepcopy(model)
    with wrapper.optim_context(model):
        features = model['body'](torch.randn(4, 3, 8, 8))
        output = model['head'](features)
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().square().mean())
    assert largest_difference(model, before) > 0
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.parametrize('dtype', ['bf17', 'int8'])
def test_autocast_to_what_it_cannot(dtype):
    with pytest.raises(UserError, match=rf'optim_wrapper\.dtype={dtype}: autocast takes bfloat16'):
        build(small_model(), SGD, type='AutocastOptimWrapper', dtype=dtype)

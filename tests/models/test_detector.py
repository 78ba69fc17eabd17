"""YOLODetector: its modes, and one step of each kind as MMEngine's loops make them."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.structures import DetDataSample
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData
from torch import nn
from torch._dynamo.testing import CompileCounter

from mmyolox.datasets import yolox_collate
from mmyolox.engine import AutocastOptimWrapper, YOLOXOptimWrapperConstructor
from mmyolox.errors import UserError
from mmyolox.fake_device import LiveBytes
from mmyolox.models import YOLODetector, YOLOXBatchNorm
from mmyolox.models.detector import pack_prediction
from mmyolox.models.networks.norms import count_batch
from mmyolox.registry import MODELS

TEST_CFG = dict(score_thr=0.0, multi_label=True, nms_pre=200, nms=dict(iou_threshold=0.65), max_per_img=20)
TRAIN_CFG = dict(assigner=dict(type='SimOTAAssigner'))


def small_detector(train_cfg=TRAIN_CFG, test_cfg=TEST_CFG, backbone=(), neck=(), **kwargs):
    torch.manual_seed(0)
    model = YOLODetector(
        backbone=dict(type='YOLOXCSPDarknet', deepen_factor=0.33) | dict(widen_factor=0.125) | dict(backbone),
        neck=dict(type='YOLOXPAFPN', deepen_factor=0.33, widen_factor=0.125) | dict(neck),
        bbox_head=dict(
            type='YOLOXHead',
            use_l1=True,
            head_module=dict(type='YOLOXHeadModule', num_classes=3, widen_factor=0.125),
        ),
        train_cfg=train_cfg,
        test_cfg=test_cfg,
        data_preprocessor=dict(type='YOLOXDataPreprocessor'),
        **kwargs,
    )
    model.init_weights()
    return model


def sample(bboxes, size=(64, 96), img_id=1):
    """A packed sample with these (x1, y1, x2, y2, label)."""
    generator = torch.Generator().manual_seed(img_id)
    table = torch.tensor(bboxes).float().reshape(-1, 5)
    meta = dict(
        img_id=img_id,
        img_path=f'{img_id}.jpg',
        ori_shape=size,
        img_shape=size,
        matrix=np.eye(3, dtype=np.float32),
    )
    return dict(
        inputs=torch.randint(256, (3, *size), dtype=torch.uint8, generator=generator).numpy(),
        data_samples=dict(
            bboxes=table[:, :4].numpy(),
            labels=table[:, 4].long().numpy(),
            ignored_bboxes=np.zeros((0, 4), np.float32),
            meta=meta,
        ),
    )


def batch(*images):
    return yolox_collate([sample(boxes, img_id=i) for i, boxes in enumerate(images)])


def train_step(model, data):
    """One training step; returns the logged losses."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model.train().train_step(data, OptimWrapper(optimizer))


def statistics(model):
    return [x.clone() for name, x in model.named_buffers() if 'running' in name or 'tracked' in name]


def test_tensor_mode_gives_the_raw_outputs():
    model = small_detector().eval()
    outputs = model(torch.rand(2, 3, 64, 96) * 255)
    assert [[tuple(x.shape) for x in levels] for levels in outputs] == [
        [(2, channels, 64 // s, 96 // s) for s in (8, 16, 32)] for channels in (3, 4, 1)
    ]


def test_loss_mode_gives_finite_scalars():
    model = small_detector()
    data = model.data_preprocessor(batch([[8, 8, 60, 60, 2]], [[1, 1, 2, 2, 0], [-9, 3, 200, 20, 1]]))
    losses = model(**data, mode='loss')
    assert set(losses) == {'loss_cls', 'loss_bbox', 'loss_obj', 'loss_l1'}
    assert all(loss.shape == () and bool(loss.isfinite()) and float(loss) > 0 for loss in losses.values())


def test_predict_mode_gives_a_sample_for_each_image():
    model = small_detector().eval()
    data = batch([], [[8, 8, 60, 60, 2]], [])
    predictions = model.val_step(data)
    assert [prediction.img_id for prediction in predictions] == [0, 1, 2]
    for prediction in predictions:
        assert isinstance(prediction, DetDataSample)
        assert 0 < len(prediction.pred_instances) <= 20
        assert set(prediction.pred_instances.keys()) == {'bboxes', 'scores', 'labels'}
        assert bool((prediction.pred_instances.scores.diff() <= 0).all())


def test_a_batch_predicts_what_its_images_do():
    model = small_detector().eval()
    together = model.test_step(batch([], [], []))
    for i, prediction in enumerate(together):
        [alone] = model.test_step(yolox_collate([sample([], img_id=i)]))
        assert torch.allclose(alone.pred_instances.bboxes, prediction.pred_instances.bboxes, atol=1e-3)


def test_another_mode_is_an_error():
    with pytest.raises(ValueError, match="mode='train'"):
        small_detector().eval()(torch.rand(1, 3, 32, 32), mode='train')


@pytest.mark.parametrize('images', [([],), ([], []), ([[300, 300, 310, 310, 0]],), ([[8, 8, 60, 60, 2]], [])])
def test_every_parameter_gets_a_finite_gradient(images):
    model = small_detector()
    data = model.data_preprocessor(batch(*images))
    sum(model(**data, mode='loss').values()).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_training_steps_lower_the_loss():
    model = small_detector()
    data = batch([[8, 8, 60, 60, 2]], [[40, 4, 90, 50, 0]])
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    losses = [float(model.train().train_step(data, optimizer)['loss']) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize('norm_eval', [False, True])
def test_norm_eval_keeps_the_statistics(norm_eval):
    model = small_detector(norm_eval=norm_eval)
    before = statistics(model)
    train_step(model, batch([[8, 8, 60, 60, 2]]))
    is_same = [torch.equal(x, y) for x, y in zip(before, statistics(model), strict=True)]
    assert all(is_same) == norm_eval
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not norm_eval}
    assert model.training
    assert not any(m.training for m in model.eval().modules())


def test_norms_keep_pytorchs_statistics_and_counters():
    models = [small_detector(freeze='backbone'), small_detector(freeze='backbone')]
    for part in (models[1].neck, models[1].bbox_head.head_module):
        for conv in (module for module in part.modules() if isinstance(module, ConvModule)):
            conv.bn = nn.BatchNorm2d(conv.bn.num_features, conv.bn.eps, conv.bn.momentum)
    models[1].load_state_dict(models[0].state_dict())
    for step in range(3):
        data = batch([[8, 8, 60, 60, 2]], [[step, 0, 30, 40, 1]])
        for model in models:
            train_step(model, data)
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    counters = {name: int(x) for name, x in states[0].items() if name.endswith('num_batches_tracked')}
    assert {counters[name] for name in counters if name.startswith('backbone')} == {0}
    assert {counters[name] for name in counters if not name.startswith('backbone')} == {3}


def test_norms_across_processes_count_for_themselves():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(small_detector())
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert {type(norm) for norm in norms} == {nn.SyncBatchNorm}
    assert {int(norm.num_batches_tracked) for norm in norms} == {0}
    train_step(model, batch([[8, 8, 60, 60, 2]], [[5, 0, 30, 40, 1]]))
    assert {int(norm.num_batches_tracked) for norm in norms} == {1}


def test_a_norm_without_momentum_averages_its_batches():
    ours, theirs = YOLOXBatchNorm(4, momentum=None), nn.BatchNorm2d(4, momentum=None)
    for features in torch.rand(3, 2, 4, 5, 5):
        count_batch([ours])
        assert torch.equal(ours(features), theirs(features))
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


def test_activations_work_in_place_where_nothing_trains():
    model = small_detector(freeze='backbone')

    def places(part):
        return {module.inplace for module in part.modules() if isinstance(module, nn.SiLU)}

    assert (places(model.backbone), places(model.neck)) == ({True}, {False})
    assert places(model.eval()) == {True}
    assert (places(model.train().backbone), places(model.bbox_head)) == ({True}, {False})


def test_frozen_stages_are_frozen_once_and_stay_so():
    model = small_detector(backbone=dict(frozen_stages=1))
    before = {name: p.clone() for name, p in model.backbone.named_parameters()}
    frozen = {name for name, p in model.backbone.named_parameters() if not p.requires_grad}
    train_step(model, batch([[8, 8, 60, 60, 2]]))
    same = {name for name, p in model.backbone.named_parameters() if torch.equal(p, before[name])}
    assert 0 < len(frozen) < len(before)
    assert same == frozen
    assert {name for name, p in model.backbone.named_parameters() if not p.requires_grad} == frozen


@pytest.mark.parametrize(
    ('freeze', 'frozen'), [(None, ()), ('backbone', ('backbone',)), ('neck', ('backbone', 'neck'))]
)
def test_what_is_frozen_keeps_weights_and_statistics(freeze, frozen):
    model = small_detector(freeze=freeze)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_step(model, batch([[8, 8, 60, 60, 2]]))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    parts = ('backbone', 'neck', 'bbox_head')
    assert {name.split('.')[0] for name in changed} == set(parts) - set(frozen)
    assert all(model.get_submodule(name).training is (name not in frozen) for name in parts)
    optimizer = dict(optimizer=dict(type='SGD', lr=0.1, weight_decay=0.1))
    wrapper = YOLOXOptimWrapperConstructor(optimizer, dict(norm_decay_mult=0.0))(model)
    trained = sum(len(group['params']) for group in wrapper.optimizer.param_groups)
    assert trained == sum(name.split('.')[0] not in frozen for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (
            dict(backbone=dict(widen_factor=0.25)),
            'model.neck does not take .* 64, 128, 256',
        ),
        (
            dict(neck=dict(out_channels=128)),
            'model.bbox_head does not take .* 16, 16, 16',
        ),
        (dict(neck=dict(widen_factor=0.25)), 'model.neck does not take'),
    ],
)
def test_parts_whose_channels_disagree_are_refused_when_built(parts, message):
    with pytest.raises(UserError, match=message):
        small_detector(**parts)


def test_trying_the_parts_changes_nothing():
    before = torch.get_rng_state()
    model = small_detector()
    kept = statistics(model)
    torch.set_rng_state(before)
    model.try_parts()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(old, new) for old, new in zip(kept, statistics(model), strict=True))
    assert all(module.training for module in model.modules())


def test_keys_of_train_cfg_that_nothing_reads_are_refused():
    with pytest.raises(UserError, match=r"train_cfg must have the key assigner alone; it has \['asigner'\]"):
        small_detector(train_cfg=dict(asigner=TRAIN_CFG['assigner']))


def test_a_model_without_train_cfg_predicts():
    assert len(small_detector(train_cfg=None).eval().test_step(batch([]))) == 1


def test_a_model_without_test_cfg_trains_and_says_why_it_does_not_predict():
    model = small_detector(test_cfg=None)
    assert float(train_step(model, batch([]))['loss']) > 0
    with pytest.raises(UserError, match='test_cfg'):
        model.eval().test_step(batch([]))


def test_autocast_gives_losses_in_float32_near_those_without():
    model = small_detector()
    data = model.data_preprocessor(batch([[8, 8, 60, 60, 2]], [[40, 4, 90, 50, 0]]))
    expected = model.eval()(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(**data, mode='loss')
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert float(sum(losses.values())) == pytest.approx(float(sum(expected.values())), rel=0.1)


def all_tensors(outputs):
    return [x for levels in outputs for x in levels]


def test_channels_last_changes_the_layout_and_nothing_else():
    one, other = small_detector().eval(), small_detector(channels_last=False).eval()
    expected = other.state_dict()
    assert one.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in one.state_dict().items())
    weights = [w for w in one.parameters() if w.dim() == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert not all(weight.is_contiguous() for weight in weights)
    assert all(weight.is_contiguous() for weight in other.parameters())
    images = torch.rand(2, 3, 64, 96) * 255
    for inputs in (images, images.contiguous(memory_format=torch.channels_last)):
        for x, y in zip(all_tensors(one(inputs)), all_tensors(other(inputs)), strict=True):
            assert x.is_contiguous(memory_format=torch.channels_last)
            assert y.is_contiguous()
            assert torch.allclose(x, y, atol=1e-5, rtol=1e-5)


def test_bfloat16_training_step():
    model = small_detector()
    before = model.backbone.stem.conv.conv.weight.clone()
    wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.01))
    data = batch([[8, 8, 60, 60, 2]], [[40, 4, 90, 50, 0]])
    plain = float(small_detector().train().train_step(data, OptimWrapper(wrapper.optimizer))['loss'])
    losses = model.train().train_step(data, wrapper)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert float(losses['loss']) == pytest.approx(plain, rel=0.1)
    assert float(losses['loss']) != plain
    assert all(
        weight.dtype == torch.float32 and bool(weight.isfinite().all()) for weight in model.parameters()
    )
    assert not torch.equal(model.backbone.stem.conv.conv.weight, before)


@pytest.mark.parametrize('dtype', [None, 'bfloat16'])
@pytest.mark.parametrize('options', [{}, dict(freeze='backbone'), dict(norm_eval=True)])
def test_norms_that_are_computed_anew_change_nothing_but_the_memory(options, dtype):
    models = [small_detector(**options), small_detector(recompute_norms=True, **options)]
    data = batch([[8, 8, 60, 60, 2]], [[5, 0, 30, 40, 1], [1, 1, 20, 20, 0]])
    peaks = []
    for model in models:
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
        if dtype:
            wrapper = AutocastOptimWrapper(dtype, optimizer=wrapper.optimizer)
        with LiveBytes(list(model.state_dict().values())) as memory:
            for _ in range(2):
                model.train().train_step(copy.deepcopy(data), wrapper)
        peaks.append(memory.peak)
    assert all(
        torch.equal(*pair) for pair in zip(*(model.state_dict().values() for model in models), strict=True)
    )
    # Norms that keep their statistics have nothing to compute anew.
    assert peaks[1] == peaks[0] if options.get('norm_eval') else peaks[1] < 0.95 * peaks[0]


def test_a_compiled_network_chooses_itself_what_is_computed_anew():
    with pytest.raises(UserError, match='leave recompute_norms out'):
        small_detector(recompute_norms=True, compile_network=True, compile_backend='eager')


@pytest.fixture
def counter():
    """A compiler backend that counts what it is given and runs it as it is."""
    torch._dynamo.reset()
    yield CompileCounter()
    torch._dynamo.reset()


def test_a_compiled_network_gives_the_same_losses_and_gradients_at_all_sizes(counter):
    plain, compiled = small_detector(), small_detector(compile_network=True, compile_backend=counter)
    counts = []
    for side in (160, 64, 96, 128, 192, 224, 256, 288):
        data = yolox_collate([sample([[8, 8, 60, 60, 2]], (side, side)), sample([], (side, side))])
        results = []
        for model in (plain, compiled):
            model.zero_grad()
            losses = model.train()(**model.data_preprocessor(data), mode='loss')
            sum(losses.values()).backward()
            grads = [weight.grad for weight in model.parameters()]
            results.append([*losses.values(), *grads])
        counts.append(counter.frame_count)
        assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))
    # Backbone, neck and head, each without a break in its graph; once more for the second size, then no more.
    assert counts == [3] + [6] * 7


def test_a_compiled_network_predicts_the_same(counter):
    plain, compiled = small_detector(), small_detector(compile_network=True, compile_backend=counter)
    data = batch([], [[8, 8, 60, 60, 2]])
    for one, other in zip(plain.eval().test_step(data), compiled.eval().test_step(data), strict=True):
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)
    assert counter.frame_count == 3


def test_compiled_losses_are_the_same_for_all_sizes_and_numbers_of_boxes(counter):
    plain, compiled = small_detector(), small_detector(compile_losses=True, compile_backend=counter)
    box = [8, 8, 60, 60, 2]
    for count, side, frames in ((7, 160, 1), (5, 128, 1), (9, 64, 1), (1, 96, 2), (0, 96, 3), (6, 96, 3)):
        data = yolox_collate([sample([box] * count, (side, side)), sample([], (side, side))])
        results = []
        for model in (plain, compiled):
            model.zero_grad()
            losses = model.train()(**model.data_preprocessor(data), mode='loss')
            sum(losses.values()).backward()
            results.append([*losses.values(), *(weight.grad for weight in model.parameters())])
        assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))
        # One graph without a break for any number of boxes, and one each for a single one and for none.
        assert counter.frame_count == frames


def test_compilation_does_not_show_in_the_state_dict_nor_in_copies(counter):
    options = dict(compile_network=True, compile_losses=True, compile_backend=counter)
    compiled = small_detector(**options).eval()
    assert compiled.state_dict().keys() == small_detector().state_dict().keys()
    images = torch.rand(1, 3, 64, 64)
    expected = compiled(images)
    for other in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert all(
            torch.equal(*pair) for pair in zip(*map(all_tensors, (expected, other(images))), strict=True)
        )
        with torch.no_grad():
            for weight in other.parameters():
                weight.zero_()
    assert all(
        torch.equal(*pair) for pair in zip(*map(all_tensors, (expected, compiled(images))), strict=True)
    )
    assert counter.frame_count == 3


def test_compilation_without_a_compiler_is_refused_before_the_training(monkeypatch):
    monkeypatch.setenv('CXX', '/nowhere/g++')
    monkeypatch.setenv('CC', '/nowhere/gcc')
    with pytest.raises(UserError, match=r'model\.compile_network or .*/nowhere'):
        small_detector(compile_network=True)
    with pytest.raises(UserError, match=r'compile_losses: .*/nowhere'):
        small_detector(compile_losses=True)
    small_detector(compile_network=True, compile_losses=True, compile_backend='eager')


def annotated_meta():
    return dict(
        img_id=7,
        ori_shape=(20, 30),
        gt_bboxes=np.array([[0, 0, 5, 5], [1, 1, 9, 9], [2, 2, 4, 4]], np.float32),
        gt_labels=np.array([2, 0, 1]),
        gt_ignored=np.array([False, True, False]),
    )


def test_packing_parts_objects_from_ignored_regions():
    detections = InstanceData(bboxes=torch.rand(4, 4), scores=torch.rand(4), labels=torch.arange(4))
    packed = pack_prediction(detections, annotated_meta())
    assert packed.pred_instances is detections
    assert packed.metainfo == dict(img_id=7, ori_shape=(20, 30))
    assert packed.gt_instances.bboxes.tolist() == [[0, 0, 5, 5], [2, 2, 4, 4]]
    assert packed.gt_instances.labels.tolist() == [2, 1]
    assert packed.ignored_instances.bboxes.tolist() == [[1, 1, 9, 9]]
    assert packed.ignored_instances.labels.tolist() == [0]


def test_packing_takes_all_that_is_annotated():
    meta = annotated_meta() | dict(gt_outlines=np.arange(30, dtype=np.float32).reshape(3, 5, 2), id=[4, 5, 6])
    packed = pack_prediction(InstanceData(bboxes=torch.zeros(0, 4)), meta)
    assert set(packed.gt_instances.keys()) == {'bboxes', 'labels', 'outlines'}
    assert packed.gt_instances.outlines[:, 0, 0].tolist() == [0, 20]
    assert packed.ignored_instances.outlines[:, 0, 0].tolist() == [10]
    assert packed.id == [4, 5, 6]


def test_packing_an_image_that_is_annotated_as_empty():
    empty = dict(
        gt_bboxes=np.zeros((0, 4), np.float32), gt_labels=np.zeros(0, int), gt_ignored=np.zeros(0, bool)
    )
    packed = pack_prediction(InstanceData(bboxes=torch.zeros(0, 4)), {**annotated_meta(), **empty})
    assert len(packed.gt_instances) == len(packed.ignored_instances) == len(packed.pred_instances) == 0
    assert packed.gt_instances.bboxes.shape == (0, 4)


def test_packing_an_image_without_annotations():
    packed = pack_prediction(InstanceData(bboxes=torch.zeros(0, 4)), dict(img_id=7, ori_shape=(20, 30)))
    assert 'gt_instances' not in packed
    assert 'ignored_instances' not in packed


def test_packing_leaves_the_meta_alone():
    meta = annotated_meta()
    pack_prediction(InstanceData(bboxes=torch.zeros(0, 4)), meta)
    assert meta.keys() == annotated_meta().keys()


def test_registered_by_name():
    assert MODELS.get('YOLODetector') is YOLODetector

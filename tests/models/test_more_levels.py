"""Levels are a matter of the config: P3 to P6, P2 to P5, and what is said where the parts disagree."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from mmyolox.config import load_config
from mmyolox.datasets import yolox_collate
from mmyolox.errors import UserError
from mmyolox.export.description import describe
from mmyolox.models.networks.csp_darknet import YOLOXCSPDarknet
from mmyolox.registry import MODELS
from tests.export.models import CLOSE, expected_predictions, export_onnx, noise, options, randomised, run
from tests.models.batches import set_run
from tests.models.test_detector import sample

CHANNELS, DEPTHS = (64, 128, 256, 384, 512), (3, 3, 3, 3, 3)
P6 = dict(
    backbone=dict(stage_channels=CHANNELS, stage_depths=DEPTHS, out_indices=(2, 3, 4, 5)),
    neck=dict(in_channels=CHANNELS[1:]),
    bbox_head=dict(head_module=dict(featmap_strides=(8, 16, 32, 64))),
)
P2 = dict(
    backbone=dict(out_indices=(1, 2, 3, 4)),
    neck=dict(in_channels=(128, 256, 512, 1024)),
    bbox_head=dict(head_module=dict(featmap_strides=(4, 8, 16, 32))),
)


def model_of(changes):
    """A nano of three classes with other levels."""
    config = Config(load_config('yolox_nano_fast_8xb8-300e_coco').model)
    config.merge_from_dict(changes)
    config.merge_from_dict({'bbox_head.head_module.num_classes': 3, 'test_cfg.score_thr': 0.0})
    torch.manual_seed(0)
    return MODELS.build(config)


@pytest.mark.parametrize(
    ('changes', 'strides', 'padded'), [(P6, (8, 16, 32, 64), (64, 128)), (P2, (4, 8, 16, 32), (64, 96))]
)
def test_other_levels_train_and_predict(changes, strides, padded):
    set_run(seed=0, iteration=0)
    model = model_of(changes)
    model.init_weights()
    assert model.backbone.strides == strides
    data = yolox_collate(
        [sample([[8, 8, 60, 60, 2]]), sample([[40, 4, 90, 50, 0], [3, 3, 9, 9, 1]], img_id=2)]
    )
    assert model.data_preprocessor(data)['inputs'].shape[2:] == padded
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=0.01))
    losses = [float(model.train().train_step(data, optimizer)['loss']) for _ in range(4)]
    assert losses[-1] < losses[0]
    assert len(model(torch.zeros(1, 3, *padded)).cls_logits) == 4
    predictions = model.eval().val_step(data)
    assert [prediction.img_id for prediction in predictions] == [1, 2]
    assert all(float(one.pred_instances.bboxes.max()) <= 96 for one in predictions)


def test_sizes_of_multi_scale_training_follow_the_largest_stride():
    model = model_of(P6)
    assert model.size_divisor == 64
    data = yolox_collate([sample([[8, 8, 60, 60, 2]], (128, 192))])
    shapes = set()
    for iteration in range(10, 300, 10):
        set_run(0, iteration)
        shapes.add(tuple(model.data_preprocessor(data, training=True)['inputs'].shape[2:]))
    assert len(shapes) > 1
    assert all(side % 64 == 0 for shape in shapes for side in shape)


def test_other_levels_are_exported(tmp_path):
    model = randomised(model_of(P6), ('a', 'b', 'c'))
    chosen = options((64, 128))
    assert describe(model, chosen).strides == (8, 16, 32, 64)
    images = noise(1, 3, 64, 128)
    table = run(export_onnx(model, tmp_path / 'p6.onnx', chosen), images)['output']
    assert table.shape == (1, 128 + 32 + 8 + 2, 8)
    np.testing.assert_allclose(table, expected_predictions(model, images, True), **CLOSE)
    with pytest.raises(UserError, match=r'64x96 .*multiples of the largest stride, 64'):
        describe(model, options((64, 96)))


def test_names_of_the_first_stages_stay():
    usual, more = (
        YOLOXCSPDarknet(0.33, 0.125, **changes)
        for changes in ({}, dict(stage_channels=(128, 256, 512, 1024, 1024), stage_depths=(3, 9, 9, 3, 3)))
    )
    shapes = {name: value.shape for name, value in usual.state_dict().items() if 'stage4' not in name}
    assert shapes.items() <= {name: value.shape for name, value in more.state_dict().items()}.items()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'backbone.out_indices': (1, 2, 3)},
            r'out_indices=\(1, 2, 3\) give .*strides \(4, 8, 16\), but .*featmap_strides=\(8, 16, 32\)',
        ),
        ({'bbox_head.head_module.featmap_strides': (8, 16)}, r'strides \(8, 16, 32\), but .*=\(8, 16\)'),
        ({'neck.in_channels': (512, 1024)}, 'neck.in_channels has 2 levels, but model.backbone gives 3'),
        ({'backbone.stage_depths': (3, 9)}, r'stage_channels=.*stage_depths=\(3, 9\)'),
    ],
)
def test_parts_that_disagree_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        model_of(changes)

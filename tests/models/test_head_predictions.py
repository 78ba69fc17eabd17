"""The predictions of YOLOXHead against a plain loop, and their edge cases."""

import copy
import math

import numpy as np
import pytest
import torch

from mmyolox.errors import UserError
from mmyolox.models import YOLOXHead
from mmyolox.models.boxes import decode_bboxes
from mmyolox.models.postprocess import to_original
from tests.models.given_outputs import (
    TEST_CFG,
    GivenOutputs,
    flatten,
    given_head,
    mapped,
    plain_predictions,
    random_outputs,
)

IDENTITY = dict(matrix=np.eye(3), ori_shape=(64, 64))


def compare(instances, expected, matrix=None, size=(64, 64)):
    """Compares detections with those of the plain loop, mapped by the (sx, sy, dx, dy) of ``matrix``."""
    scale_x, scale_y, shift_x, shift_y = matrix or (1, 1, 0, 0)
    assert len(instances) == len(expected)
    for found, (score, label, bbox) in zip(instances, expected, strict=True):
        xs = sorted(min(max((x - shift_x) / scale_x, 0), size[1]) for x in bbox[::2])
        ys = sorted(min(max((y - shift_y) / scale_y, 0), size[0]) for y in bbox[1::2])
        assert float(found.scores) == pytest.approx(score, abs=1e-5)
        assert int(found.labels) == label
        assert found.bboxes[0].tolist() == pytest.approx([xs[0], ys[0], xs[1], ys[1]], abs=1e-3)


@pytest.mark.parametrize('size', [(64, 64), (32, 96)])
@pytest.mark.parametrize(
    'changes',
    [
        dict(),
        dict(multi_label=False),
        dict(score_thr=0.4),
        dict(max_per_img=3),
        dict(nms_pre=12),
        dict(nms_pre=1),
        dict(nms=dict(iou_threshold=0.2)),
        dict(multi_label=False, score_thr=0.3, nms_pre=20, max_per_img=10),
    ],
    ids=str,
)
def test_predictions_equal_a_plain_loop(size, changes):
    cfg = {**TEST_CFG, **changes}
    outputs = random_outputs(size)
    predictions = given_head(cfg).predict(outputs, [dict(matrix=np.eye(3), ori_shape=size)] * 2)
    counts = []
    for image, instances in enumerate(predictions):
        expected = plain_predictions(outputs, image, cfg)
        compare(instances, expected, size=size)
        counts.append(len(expected))
    assert min(counts) > 0


def test_every_limit_bites():
    outputs = random_outputs()
    counts = [
        len(plain_predictions(outputs, 0, {**TEST_CFG, **changes}))
        for changes in (
            {},
            dict(multi_label=False),
            dict(score_thr=0.4),
            dict(nms_pre=12),
            dict(max_per_img=3),
        )
    ]
    assert counts == sorted(set(counts), reverse=True)


@pytest.mark.parametrize(
    ('matrix', 'size'),
    [
        ((0.5, 0.5, 0, 0), (128, 128)),
        ((0.32, 0.32, 0, 7.5), (100, 200)),
        ((1.6, 1.6, 3, 0), (40, 36)),
        ((0.5, 2.0, 0, 0), (32, 128)),
        ((-1, 1, 64, 0), (64, 64)),
        ((-0.32, 0.32, 64, 7.5), (100, 200)),
        ((-0.5, -0.5, 64, 64), (128, 128)),
    ],
    ids=['smaller', 'letterbox', 'larger', 'stretched', 'flipped', 'letterbox, flipped', 'turned'],
)
def test_predictions_are_in_pixels_of_the_original(matrix, size):
    outputs = random_outputs(batch=1)
    meta = dict(
        matrix=np.array([[matrix[0], 0, matrix[2]], [0, matrix[1], matrix[3]], [0, 0, 1]]), ori_shape=size
    )
    [instances] = given_head().predict(outputs, [meta])
    compare(instances, plain_predictions(outputs, 0, TEST_CFG), matrix, size)
    limit = torch.tensor([size[1], size[0]] * 2)
    assert bool((instances.bboxes >= 0).all() and (instances.bboxes <= limit).all())
    assert instances.bboxes.dtype == instances.scores.dtype == torch.float32
    assert instances.labels.dtype == torch.int64


def test_each_image_has_its_own_matrix():
    outputs = random_outputs()
    metas = [IDENTITY, dict(matrix=np.diag([0.5, 0.25, 1]), ori_shape=(256, 128))]
    first, second = given_head().predict(outputs, metas)
    compare(first, plain_predictions(outputs, 0, TEST_CFG))
    compare(second, plain_predictions(outputs, 1, TEST_CFG), (0.5, 0.25, 0, 0), (256, 128))


def assert_same(instances, others):
    assert instances.labels.tolist() == others.labels.tolist()
    assert torch.allclose(instances.scores, others.scores, rtol=0, atol=1e-6)
    assert torch.allclose(instances.bboxes, others.bboxes, rtol=0, atol=1e-4)


@pytest.mark.parametrize('changes', [dict(), dict(multi_label=False, nms_pre=7, max_per_img=4)], ids=str)
def test_images_of_a_batch_do_not_see_each_other(changes):
    outputs = random_outputs(batch=5)
    for level in outputs.obj_logits:
        level[0].fill_(-50)  # nothing in the first image and in the third
        level[2].fill_(-50)
    for levels in outputs:
        for level in levels:
            level[4] = level[1]  # the same boxes in two images
    head, metas = given_head({**TEST_CFG, **changes}), [IDENTITY] * 5
    together = head.predict(outputs, metas)
    assert [len(found) > 0 for found in together] == [False, True, False, True, True]
    assert_same(together[1], together[4])
    for image, found in enumerate(together):
        [alone] = head.predict(mapped(lambda level: level[image : image + 1], outputs), [IDENTITY])  # noqa: B023
        assert_same(found, alone)


def test_memory_layout_changes_nothing():
    outputs = random_outputs((64, 96))
    metas = [dict(matrix=np.eye(3), ori_shape=(64, 96))] * 2
    last = mapped(lambda level: level.contiguous(memory_format=torch.channels_last), outputs)
    for found, other in zip(
        given_head().predict(outputs, metas), given_head().predict(last, metas), strict=True
    ):
        assert_same(found, other)


@pytest.mark.parametrize('multi_label', [True, False])
@pytest.mark.parametrize(('below', 'count'), [(0.0, 0), (1e-7, 1)])
def test_a_score_as_high_as_its_objectness_is_compared_exactly(multi_label, below, count):
    """The class probability is 1, and the threshold lies at or just below the objectness."""
    outputs = single_level_outputs(torch.zeros(16, 4), torch.tensor([0.4] + [-50.0] * 15))
    cfg = {**TEST_CFG, 'multi_label': multi_label, 'score_thr': float(torch.tensor(0.4).sigmoid()) - below}
    outputs.cls_logits[0][:, 1:] = -50
    [found] = given_head(cfg).predict(outputs, [dict(matrix=np.eye(3), ori_shape=(32, 32))])
    assert len(found) == count


@pytest.mark.parametrize('multi_label', [True, False])
def test_a_score_equal_to_the_threshold_is_not_enough(multi_label):
    outputs, cfg = random_outputs(batch=1), {**TEST_CFG, 'multi_label': multi_label}
    [found] = given_head(cfg).predict(outputs, [IDENTITY])
    middle = float(found.scores[len(found) // 2])
    [fewer] = given_head({**cfg, 'score_thr': middle}).predict(outputs, [IDENTITY])
    assert torch.equal(fewer.scores, found.scores[found.scores > middle])


def test_equal_scores_go_by_level_then_cell_then_class():
    outputs = random_outputs((64, 64), batch=1, spread=0)
    cfg = {**TEST_CFG, 'nms': dict(iou_threshold=1.0), 'nms_pre': 200, 'max_per_img': 200}
    [found] = given_head(cfg).predict(outputs, [IDENTITY])
    # 64 cells of stride 8, then two of the 16 of stride 16, with 3 classes each.
    assert found.labels.tolist() == ([0, 1, 2] * 67)[:200]
    assert found.bboxes[195:198].tolist() == [[8, 0, 24, 8]] * 3
    corners = found.bboxes[:192:3, 2:]
    assert corners.tolist() == [[8 * x + 4.0, 8 * y + 4.0] for y in range(8) for x in range(8)]


def test_an_image_keeps_no_memory_of_its_batch():
    for found in given_head().predict(random_outputs(), [IDENTITY] * 2):
        assert found.bboxes.untyped_storage().nbytes() == found.bboxes.nbytes
        assert found.scores.untyped_storage().nbytes() == found.scores.nbytes


def single_level_outputs(raw, score):
    """An input of 32 x 32 pixels where the cells of stride 8 predict ``raw`` (16, 4); all others nothing."""
    outputs = random_outputs((32, 32), batch=1, spread=0)
    for level in outputs.obj_logits:
        level.fill_(-50)
    outputs.cls_logits[0].fill_(50)
    outputs.bbox_preds[0].copy_(raw.T.reshape(1, 4, 4, 4))
    outputs.obj_logits[0].copy_(score.reshape(1, 1, 4, 4))
    return outputs


def test_boxes_over_the_border_are_compared_before_they_are_clipped():
    # Boxes [-10, 0, 10, 10] and [-90, 0, 10, 10] overlap by a fifth, their parts in the image entirely.
    raw, score = torch.zeros(16, 4), torch.full((16,), -50.0)
    for n, (center, width) in enumerate([(0, 20), (-40, 100)]):
        raw[n] = torch.tensor([center / 8 - n, 5 / 8, math.log(width / 8), math.log(10 / 8)])
        score[n] = 2.0 - n
    cfg = {**TEST_CFG, 'multi_label': False}
    [instances] = given_head(cfg).predict(
        single_level_outputs(raw, score), [dict(matrix=np.eye(3), ori_shape=(32, 32))]
    )
    assert torch.allclose(instances.bboxes, torch.tensor([[0.0, 0.0, 10.0, 10.0]] * 2), atol=1e-4)


class WithCells(YOLOXHead):
    """A head that says of each detection whose and of which prior it is, and what class logits that has."""

    def add_fields(self, detections, outputs, metas):
        detections.cells = torch.stack([detections.images, detections.priors], dim=1)
        logits = torch.cat([level.flatten(2) for level in outputs.cls_logits], dim=2)
        detections.logits = logits[detections.images, :, detections.priors]
        detections.width = torch.tensor([meta['ori_shape'][1] for meta in metas])[detections.images]


def test_fields_are_added_to_the_detections_that_are_kept():
    outputs = random_outputs((64, 96))
    metas = [dict(matrix=np.eye(3), ori_shape=(64, width)) for width in (96, 90)]
    head, plain = WithCells(dict(type=GivenOutputs), test_cfg=TEST_CFG), given_head().predict(outputs, metas)
    _, raw_boxes, _, priors = flatten(outputs)
    decoded = decode_bboxes(raw_boxes, priors)
    for image, (found, expected) in enumerate(zip(head.predict(outputs, metas), plain, strict=True)):
        assert_same(found, expected)
        assert set(expected.keys()) == {'bboxes', 'scores', 'labels'}
        assert set(found.keys()) == {*expected.keys(), 'cells', 'logits', 'width'}
        images, cells = found.cells.T
        assert images.unique().tolist() == [image]
        limit = torch.tensor([metas[image]['ori_shape'][1], 64] * 2)
        assert torch.equal(found.bboxes, decoded[image, cells].clamp(min=0).minimum(limit))
        assert found.width.unique().tolist() == [metas[image]['ori_shape'][1]]


def test_nothing_over_the_threshold_is_an_empty_result():
    [instances, other] = given_head({**TEST_CFG, 'score_thr': 0.999}).predict(
        random_outputs(), [IDENTITY] * 2
    )
    assert len(instances) == len(other) == 0
    assert instances.bboxes.shape == (0, 4)
    assert instances.scores.shape == instances.labels.shape == (0,)


def test_all_scores_below_any_threshold():
    outputs = random_outputs()
    for level in outputs.obj_logits:
        level.fill_(-200)
    assert [len(x) for x in given_head({**TEST_CFG, 'score_thr': 0.0}).predict(outputs, [IDENTITY] * 2)] == [
        0,
        0,
    ]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_predictions_of_half_precision_are_computed_in_float32(dtype):
    outputs = mapped(lambda level: level.to(dtype), random_outputs((32, 1280), batch=1))
    metas = [dict(matrix=np.eye(3), ori_shape=(32, 1280))]
    with torch.autocast('cpu', dtype):
        [found] = given_head().predict(outputs, metas)
    [expected] = given_head().predict(mapped(torch.Tensor.float, outputs), metas)
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)


def test_prediction_without_test_cfg_says_what_is_missing():
    with pytest.raises(UserError, match='test_cfg'):
        given_head(None).predict(random_outputs(), [IDENTITY] * 2)


def test_prediction_needs_no_train_cfg():
    head = YOLOXHead(
        head_module=dict(type='YOLOXHeadModule', num_classes=4, widen_factor=0.0625), test_cfg=TEST_CFG
    )
    feats = [torch.rand(1, 16, 4 >> i, 4 >> i) for i in range(3)]
    assert len(head.eval().predict(feats, [IDENTITY])) == 1
    assert head.num_classes == 4


def test_predict_leaves_its_settings_alone():
    cfg = copy.deepcopy(TEST_CFG)
    given_head(cfg).predict(random_outputs(), [IDENTITY] * 2)
    assert cfg == TEST_CFG


def test_map_to_the_original_is_the_inverse_of_the_matrix():
    torch.manual_seed(0)
    corners = torch.rand(20, 2) * 100
    original = torch.cat([corners, corners + 1 + torch.rand(20, 2) * 50], dim=1)
    matrix = torch.tensor([[-0.3, 0, 60.0], [0, 0.7, 4.0], [0, 0, 1]])
    ends = (original.reshape(20, 2, 2) @ matrix[:2, :2].T + matrix[:2, 2]).sort(dim=1).values
    meta = dict(matrix=matrix.numpy(), ori_shape=(200, 200))
    images = torch.zeros(20, dtype=torch.int64)
    assert torch.allclose(to_original(ends.flatten(1), images, [meta]), original, atol=1e-3)


@pytest.mark.parametrize('nms', [dict(type='nms', iou_threshold=0.65), dict(iou_threshold=0.65)])
def test_the_suppression_may_be_named_as_in_mmdetection(nms):
    head = YOLOXHead(dict(type=GivenOutputs), test_cfg=dict(TEST_CFG, nms=nms))
    assert head.export_info(dict(classes=('a',)))['iou_thr'] == 0.65


@pytest.mark.parametrize('nms', [dict(type='soft_nms', iou_threshold=0.65), dict(type='nms')])
def test_other_suppressions_are_refused(nms):
    with pytest.raises(UserError, match='nms is too much or missing'):
        YOLOXHead(dict(type=GivenOutputs), test_cfg=dict(TEST_CFG, nms=nms))

"""mmyolox/deploy/decode.py gives what YOLOXHead.postprocess gives, from the rows of an exported network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mmyolox.deploy import Detections, ModelInfo
from mmyolox.deploy.decode import detections_of, prior_count
from mmyolox.deploy.letterbox import Size
from mmyolox.models import HeadOutputs, YOLOXHead
from mmyolox.models.boxes import grid_priors
from mmyolox.models.levels import flatten_levels

STRIDES = (8, 16, 32)


class Towers(nn.Module):
    """Stands for the convolutions of a head."""

    featmap_strides = STRIDES

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes


def random_outputs(size: tuple[int, int], classes: int, seed: int, shift: float = 0.0) -> HeadOutputs:
    """Raw outputs of one image."""
    torch.manual_seed(seed)
    levels = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    spreads = ((classes, 2.0, shift), (4, 0.8, 0.0), (1, 2.0, shift))
    return HeadOutputs(
        *([torch.randn(1, c, h, w) * spread + mean for h, w in levels] for c, spread, mean in spreads)
    )


def as_rows(outputs, size: tuple[int, int], form: str) -> np.ndarray:
    """The rows (N, 5 + C) that an exported network would return."""
    cls_logits, box, obj_logits = (flatten_levels(levels)[0] for levels in outputs)
    if form == 'decoded':
        sizes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
        priors = grid_priors(sizes, STRIDES, torch.device('cpu'))
        box = torch.cat([box[:, :2] * priors[:, 2:] + priors[:, :2], box[:, 2:].exp() * priors[:, 2:]], 1)
    return torch.cat([box, obj_logits.sigmoid(), cls_logits.sigmoid()], 1).numpy()


def by_head(outputs, info: ModelInfo, meta: dict):
    """What our head makes of the raw outputs."""
    head = YOLOXHead(
        dict(type=Towers, num_classes=len(info.classes)),
        test_cfg=dict(
            score_thr=info.score_thr,
            multi_label=info.multi_label,
            nms_pre=info.nms_pre,
            nms=dict(iou_threshold=info.iou_thr),
            max_per_img=info.max_per_img,
        ),
    )
    return head.postprocess(outputs, [meta])[0]


def an_info(classes: int, size: tuple[int, int], **changes) -> ModelInfo:
    return replace(ModelInfo(tuple(map(str, range(classes))), size), **changes)


@pytest.mark.parametrize('form', ['raw', 'decoded'])
@pytest.mark.parametrize('size', [(64, 64), (96, 160), (32, 32)])
@pytest.mark.parametrize(
    ('classes', 'changes'),
    [
        (5, dict()),
        (5, dict(multi_label=False)),
        (80, dict(score_thr=0.05)),
        (5, dict(score_thr=0.5, iou_thr=0.3)),
        (5, dict(max_per_img=7)),
        (5, dict(nms_pre=12)),
        (1, dict(multi_label=False, score_thr=0.3, nms_pre=40, max_per_img=10)),
        (1, dict(max_per_img=-1, nms_pre=-1)),
        (5, dict(score_thr=1.0)),
    ],
    ids=str,
)
def test_detections_are_those_of_the_head(form, size, classes, changes) -> None:
    info = an_info(classes, size, form=form, **changes)
    for seed in range(3):
        outputs = random_outputs(size, classes, seed)
        scale, original = (0.37, 0.41), (int(size[0] / 0.5), int(size[1] / 0.6))
        expected = by_head(outputs, info, dict(matrix=np.diag([*scale, 1.0]), ori_shape=original))
        found = detections_of(as_rows(outputs, size, form), info).in_original(scale, Size.of_shape(original))
        assert len(found) == len(expected) == len(found.bboxes)
        # The last bit of torch's sigmoid depends on where in memory a number lies.
        np.testing.assert_allclose(found.scores, expected.scores, rtol=3e-7)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.bboxes, expected.bboxes, atol=0 if form == 'decoded' else 1e-3)
        assert (found.bboxes.dtype, found.scores.dtype, found.labels.dtype) == (
            np.float32,
            np.float32,
            np.int64,
        )
        assert found.points is None


def test_equal_scores_come_by_prior_and_class() -> None:
    rows = np.zeros((prior_count(Size(64, 64), STRIDES), 8), np.float32)
    rows[:, :4] = np.random.default_rng(0).uniform(0, 60, (len(rows), 4))
    rows[:, 4], rows[:, 5:] = 1, 0.5
    found = detections_of(rows, an_info(3, (64, 64), iou_thr=1.0, nms_pre=8))
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    centres = found.bboxes[:, :2] + (found.bboxes[:, 2:] - found.bboxes[:, :2]) / 2
    np.testing.assert_allclose(centres, rows[[0, 0, 0, 1, 1, 1, 2, 2], :2], atol=1e-4)
    single = detections_of(rows, an_info(3, (64, 64), iou_thr=1.0, multi_label=False))
    assert not single.labels.any()


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('form', ['raw', 'decoded'])
def test_points_are_those_of_the_kept_rows(form: str) -> None:
    size, names = (64, 96), ('nose', 'left_eye')
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 1, (prior_count(Size.of_shape(size), STRIDES), 5 + 1 + 6)).astype(np.float32)
    info = an_info(1, size, form=form, points=names, iou_thr=0.5, score_thr=0.3)
    found = detections_of(rows, info)
    assert 5 < len(found) < len(rows)
    sizes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    cells = grid_priors(sizes, STRIDES, torch.device('cpu')).numpy()
    for score, points in zip(found.scores, found.points, strict=True):
        (prior,) = np.flatnonzero(rows[:, 4] * rows[:, 5] == score)
        expected = rows[prior, 6:].reshape(2, 3).copy()
        if form == 'raw':
            expected[:, :2] = expected[:, :2] * cells[prior, 2] + cells[prior, :2]
        np.testing.assert_array_equal(points, expected)
    mapped = found.in_original((0.5, 0.25), Size(10, 10))
    np.testing.assert_array_equal(mapped.points[..., 0], found.points[..., 0] / 0.5)
    np.testing.assert_array_equal(mapped.points[..., 1], found.points[..., 1] / 0.25)
    np.testing.assert_array_equal(mapped.points[..., 2], found.points[..., 2])


def test_rows_are_left_alone_and_nothing_is_found_in_nothing() -> None:
    rows = np.zeros((prior_count(Size(32, 32), STRIDES), 7), np.float32)
    found = detections_of(rows, an_info(2, (32, 32), form='raw', points=()))
    assert (len(found), found.bboxes.shape, found.scores.shape) == (0, (0, 4), (0,))
    with_points = an_info(1, (32, 32), points=('a', 'b'))
    assert detections_of(np.zeros((21, 12), np.float32), with_points).points.shape == (0, 2, 3)
    rows[0, 4:] = 1
    before = rows.copy()
    detections_of(rows, an_info(2, (32, 32), form='raw'))
    np.testing.assert_array_equal(rows, before)


def test_some_are_selected_with_all_their_fields() -> None:
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = Detections(np.eye(2, 4, dtype=np.float32), np.float32([0.9, 0.1]), np.array([3, 4]), points)
    best = found.select(found.scores > 0.5)
    assert (best.labels.tolist(), best.bboxes.tolist(), best.points.tolist()) == (
        [3],
        [[1, 0, 0, 0]],
        [points[0].tolist()],
    )


@pytest.mark.parametrize('multi_label', [True, False])
def test_a_score_at_the_threshold_is_none(multi_label: bool) -> None:
    rows = np.zeros((prior_count(Size(32, 32), STRIDES), 6), np.float32)
    rows[:2] = [(10, 10, 4, 4, 1, 0.25), (20, 20, 4, 4, 1, 0.2500001)]
    found = detections_of(rows, an_info(1, (32, 32), score_thr=0.25, multi_label=multi_label))
    assert found.bboxes.tolist() == [[18, 18, 22, 22]]


@pytest.mark.filterwarnings('error')
def test_a_box_without_end_is_cut_at_the_image() -> None:
    rows = np.zeros((prior_count(Size(32, 32), STRIDES), 6), np.float32)
    rows[0] = (0.5, 0.5, 1000, 1000, 1, 1)  # what a network makes of noise: the exponential is infinite
    found = detections_of(rows, an_info(1, (32, 32), form='raw'))
    assert found.in_original((0.5, 0.5), Size(60, 40)).bboxes.tolist() == [[0, 0, 60, 40]]

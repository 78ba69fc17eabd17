"""mmyolox/deploy/info.py: what is written is read again, and what is wrong is named."""

import json

import pytest

from mmyolox.config import load_config
from mmyolox.deploy import DeployError, ModelInfo

SMALL = dict(classes=['cat', 'dog'], input_size=[416, 640])
POSE = ModelInfo(
    classes=('person', 'ball'),
    input_size=(640, 640),
    strides=(8, 16, 32, 64),
    form='end2end',
    colour='rgb',
    pad_value=0,
    preprocessing=True,
    score_thr=0.01,
    iou_thr=0.45,
    max_per_img=-1,
    nms_pre=1000,
    multi_label=False,
    points=('nose', 'left_eye', 'right_eye'),
    links=((0, 1), (0, 2)),
    category_ids=(1, 37),
    class_points=((0, 1, 2), ()),
    fold=(5, 4, -1),
    version='9.9',
)


@pytest.mark.parametrize('info', [POSE, ModelInfo(('ä "quoted" \\ name',), (64, 32))])
def test_what_is_written_is_read_again(info: ModelInfo) -> None:
    assert ModelInfo.from_json(info.to_json()) == info


def test_most_values_have_defaults() -> None:
    assert ModelInfo.from_json(json.dumps(SMALL)) == ModelInfo(('cat', 'dog'), (416, 640))


def test_the_default_thresholds_are_those_of_the_published_models() -> None:
    cfg, info = load_config('yolox_s_fast_8xb8-300e_coco').model.test_cfg, ModelInfo.of(SMALL)
    assert (info.score_thr, info.iou_thr) == (cfg.score_thr, cfg.nms.iou_threshold)
    assert (info.max_per_img, info.nms_pre, info.multi_label) == (
        cfg.max_per_img,
        cfg.nms_pre,
        cfg.multi_label,
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"classes": ["cat"', r'model info: not JSON \('),
        ('[1, 2]', 'model info: not a JSON object'),
        ('{}', 'classes and input_size is missing'),
        (
            '{"classes": ["a"], "input_size": [1, 2], "zoom": 3, "version": "9.9"}',
            'zoom is unknown .* is of 9.9',
        ),
    ],
)
def test_text_that_is_no_info(text: str, message: str) -> None:
    with pytest.raises(DeployError, match=message):
        ModelInfo.from_json(text)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('classes', []),
        ('classes', 'cat'),
        ('classes', [1, 2]),
        ('classes', ['cat', 'cat']),
        ('input_size', [640]),
        ('input_size', [640, 0]),
        ('input_size', [100_000_000, 100_000_000]),
        ('input_size', [640.0, 640]),
        ('strides', []),
        ('strides', [32, 16, 8]),
        ('strides', [8, 8, 16]),
        ('form', 'boxes'),
        ('colour', 'BGR'),
        ('pad_value', 256),
        ('pad_value', True),
        ('preprocessing', 1),
        ('score_thr', 1.5),
        ('score_thr', True),
        ('iou_thr', '0.5'),
        ('max_per_img', -2),
        ('nms_pre', None),
        ('multi_label', 'yes'),
        ('points', [0]),
        ('links', [[0, 1, 2]]),
        ('links', [[0, 2]]),
        ('category_ids', [1]),
        ('category_ids', [1, -1]),
        ('category_ids', [1, 1]),
        ('class_points', [[0]]),
        ('class_points', [[0], [2]]),
        ('fold', [5, 5, 0]),
        ('fold', [5, 0]),
        ('version', 1),
    ],
)
def test_a_wrong_value_is_named(name: str, value: object) -> None:
    with pytest.raises(DeployError, match=name):
        ModelInfo.of(SMALL | dict(points=['a', 'b']) | {name: value})


def test_brackets_without_end_are_no_info() -> None:
    with pytest.raises(DeployError, match='model info: not JSON'):
        ModelInfo.from_json('[' * 100_000)

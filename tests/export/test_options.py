"""Options of exports that contradict one another or the model."""

import pytest

from mmyolox.deploy.letterbox import Size
from mmyolox.errors import UserError
from mmyolox.export.description import describe
from mmyolox.export.options import ExportOptions
from tests.export.models import THRESHOLDS, small_detector


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(form='cooked'), 'form cooked: choose one of raw, decoded, end2end'),
        (dict(colour='gbr'), 'colour gbr'),
        (dict(focus='lens'), 'focus lens'),
        (dict(batch=0), 'batch 0'),
        (dict(preprocess=True, dynamic_size=True), 'preprocess with dynamic size'),
    ],
)
def test_values_that_there_are_not(kwargs, message):
    with pytest.raises(UserError, match=message):
        ExportOptions(Size(64, 64), **kwargs)


def test_thresholds_are_the_models_unless_given():
    model = small_detector()
    info = describe(model, ExportOptions(Size(96, 64)))
    assert (info.score_thr, info.iou_thr, info.max_per_img, info.nms_pre) == (0.2, 0.6, 50, 1000)
    assert info.multi_label
    given = dict(score_thr=0.5, iou_thr=0.0, max_per_img=7, nms_pre=-1)
    info = describe(model, ExportOptions(Size(96, 64), **given))
    assert {name: getattr(info, name) for name in given} == given


def test_the_description():
    model = small_detector(num_classes=2)
    model.dataset_meta['cat_ids'] = [3, 9]
    info = describe(model, ExportOptions(Size(96, 64), form='end2end', colour='rgb', preprocess=True))
    assert (info.classes, info.category_ids) == (('thing 0', 'thing 1'), (3, 9))
    assert (info.input_size, info.strides, info.pad_value) == ((64, 96), (8, 16, 32), 114)
    assert (info.form, info.colour, info.preprocessing) == ('end2end', 'rgb', True)
    assert (info.points, info.links) == ((), ())


def test_no_number_of_detections():
    model = small_detector(test_cfg=THRESHOLDS | dict(max_per_img=-1))
    assert describe(model, ExportOptions(Size(64, 64))).max_per_img == -1
    with pytest.raises(UserError, match='max_per_img -1'):
        describe(model, ExportOptions(Size(64, 64), form='end2end'))
    with pytest.raises(UserError, match='max_per_img=0'):
        describe(model, ExportOptions(Size(64, 64), form='end2end', max_per_img=0))


def test_strides_are_the_models():
    model = small_detector()
    model.bbox_head.head_module.featmap_strides = (16, 32, 64)
    assert describe(model, ExportOptions(Size(128, 64))).strides == (16, 32, 64)
    with pytest.raises(UserError, match='multiples of the largest stride, 64'):
        describe(model, ExportOptions(Size(96, 64)))


def test_a_model_that_cannot_predict():
    with pytest.raises(UserError, match=r'model\.test_cfg is missing'):
        describe(small_detector(test_cfg=None), ExportOptions(Size(64, 64)))


@pytest.mark.parametrize('size', [(64, 100), (0, 64), (16, 64), (60, 60)])
def test_a_size_that_is_no_multiple(size):
    with pytest.raises(UserError, match=f'size {size[0]}x{size[1]}.*multiples of the largest stride, 32'):
        describe(small_detector(), ExportOptions(Size.of_shape(size)))

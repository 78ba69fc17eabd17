"""The input that is suggested, and limits of a training."""

import pytest

from mmyolox.doctor.check import NotExaminedError
from mmyolox.doctor.checks import fit
from mmyolox.doctor.examined import Plan
from tests.doctor.made_data import Made, examined


def made(sides, size, img_scale=(640, 640)):
    """One image with an object of each side."""
    boxes = [(0, 0, 0, 0, side, side) for side in sides]
    return examined({'train': Made(['a.jpg'], boxes, size)}, Plan(img_scale))


@pytest.mark.parametrize(
    ('sides', 'size', 'img_scale', 'suggested'),
    [
        ([10] * 20, (2560, 1920), (640, 640), (1920, 1920)),  # no larger than that
        ([10] * 20, (1600, 1200), (640, 640), (1280, 1280)),
        ([20] * 20, (2560, 1440), (640, 640), (1024, 1024)),
        ([20] * 20, (2560, 1440), (640, 384), (1024, 640)),
        ([6] * 20, (1280, 960), (640, 640), (1280, 1280)),  # not more than there is to see
        ([6] * 20, (640, 480), (640, 640), None),
        ([2] * 4 + [50] * 96, (1280, 960), (640, 640), None),  # few are small
    ],
)
def test_the_suggested_input_shows_objects_in_eight_pixels(sides, size, img_scale, suggested):
    assert fit.suggest_input(made(sides, size, img_scale)) == suggested


@pytest.mark.parametrize(('small', 'count'), [(1, 0), (2, 0), (3, 3)])
def test_a_tenth_may_be_small(small, count):
    data = made([10] * small + [100] * (20 - small), (1280, 960))
    assert fit.input_too_small.find(data).count == count


def test_the_advice_names_the_input():
    found = fit.input_too_small.find(made([10] * 20, (1600, 1200)))
    assert 'img_scale=[1280,1280] instead of [640,640], which takes 4.0 times' in found.advice


def test_of_images_that_are_no_larger_the_input_is_not_blamed():
    assert fit.input_too_small.find(made([6] * 20, (640, 480))).advice == ''


@pytest.mark.parametrize(
    ('size', 'img_scale', 'advice'),
    [
        ((1920, 1080), (640, 640), 'img_scale=[640,384]'),
        ((1080, 1920), (640, 640), 'img_scale=[384,640]'),
        ((640, 480), (640, 640), ''),
    ],
)
def test_a_long_image_asks_for_a_long_input(size, img_scale, advice):
    found = fit.input_of_other_shape.find(made([50], size, img_scale))
    assert bool(found.count) == bool(advice)
    assert advice in found.advice


@pytest.mark.parametrize(
    ('sides', 'advice'),
    [([60], 'img_scale=[160,160]'), ([20], 'img_scale=[160,160]'), ([6], ''), ([], '')],
)
def test_a_smaller_input_is_suggested_where_objects_stay_large(sides, advice):
    found = fit.input_too_large.find(made(sides, (160, 120)))
    assert bool(found.count) == bool(advice)
    assert advice in found.advice


CFG = dict(train_dataloader=dict(batch_size=8), train_cfg=dict(max_epochs=50))


@pytest.mark.parametrize(('images', 'steps'), [(1, 50), (8, 50), (9, 100), (40, 250), (41, 0)])
def test_steps_are_counted_with_the_last_batch_of_an_epoch(images, steps):
    data = examined({'train': Made([str(number) for number in range(images)])}, Plan(cfg=CFG))
    found = fit.training_too_short.find(data)
    assert found.count == bool(steps)
    assert not steps or found.examples[0].detail.startswith(f'{steps} steps')


@pytest.mark.parametrize(
    'name', [name for name in vars(fit) if name.startswith(('class_', 'batch_', 'training_'))]
)
def test_without_a_config_nothing_is_said_of_it(name):
    with pytest.raises(NotExaminedError, match='config'):
        getattr(fit, name).find(examined({'train': Made(['a'])}))


def test_a_batch_that_is_found_out_later_is_no_number():
    cfg = dict(CFG, train_dataloader=dict(batch_size='auto'))
    data = examined({'train': Made(['a'])}, Plan(cfg=cfg))
    assert not fit.batch_too_large.find(data).count
    with pytest.raises(NotExaminedError, match='number'):
        fit.training_too_short.find(data)


def test_the_class_that_may_be_meant_is_named():
    cfg = dict(CFG, train_dataloader=dict(dataset=dict(metainfo=dict(classes=['cat', 'Dog']))))
    found = fit.class_not_in_data.find(examined({'train': Made(['a'])}, Plan(cfg=cfg)))
    assert [str(example) for example in found.examples] == ['Dog: not in the data; did you mean dog?']

"""Whole steps of all models and recipes on a fake device: nothing is elsewhere, nothing waits for a value."""

import pytest

from tests.accelerator.conftest import fake_steps

YOLOX = 'yolox_{}_fast_{}_coco'
POSE = 'yolox-pose_{}_8xb32-300e-rtmdet-hyp{}_coco'
FEW = {
    'published': (YOLOX.format('s', '8xb8-300e'), {}, None),
    'device augmentation': (YOLOX.format('tiny', '8xb8-300e-cached'), {}, 'bfloat16'),
    'adamw': (YOLOX.format('nano', '8xb32-300e-rtmdet-hyp'), {}, 'float16'),
    'pose': (POSE.format('s', ''), {}, 'bfloat16'),
}
REST = {
    **{
        f'{size} {recipe}': (YOLOX.format(size, recipe), {}, dtype)
        for size in ('nano', 'tiny', 's', 'm', 'l', 'x')
        for recipe, dtype in (('8xb8-300e', 'bfloat16'), ('8xb32-300e-rtmdet-hyp', 'float16'))
    },
    'darknet53': (YOLOX.format('darknet53', '8xb8-300e'), {}, 'bfloat16'),
    'cached float16': (YOLOX.format('s', '8xb8-300e-cached'), {}, 'float16'),
    **{f'pose {size}': (POSE.format(size, ''), {}, 'bfloat16') for size in ('nano', 'tiny', 'm', 'l')},
    'pose oks': (POSE.format('s', '-oks').replace('-oks_coco', '-coco-oks_coco'), {}, None),
    'normalised, rgb': (
        YOLOX.format('s', '8xb8-300e'),
        {
            'model.data_preprocessor.mean': [123.0, 116.0, 103.0],
            'model.data_preprocessor.std': [58.0, 57.0, 57.0],
            'model.data_preprocessor.bgr_to_rgb': True,
        },
        'bfloat16',
    ),
}


def check(outcome):
    """What holds of each step."""
    assert outcome['devices'] == ['fake']
    assert outcome['step'] == []
    # The losses, which the log has an iteration later.
    assert outcome['log'] == ['_to_copy']
    # Of thousands of priors few are worth a box: how many, the host has to know.
    assert outcome['place'] == 'confident_priors'


@pytest.fixture(scope='module')
def few():
    """The outcomes of a few steps, by name."""
    return dict(zip(FEW, fake_steps('whole', FEW.values()), strict=True))


@pytest.mark.parametrize('name', FEW)
def test_a_step_stays_on_the_device_and_waits_for_nothing(few, name):
    check(few[name])


def test_a_step_may_have_another_size(few):
    assert few['published']['side'] != 640


@pytest.mark.slow
@pytest.mark.parametrize('name', REST)
def test_a_step_of_any_model_and_recipe_does(name):
    check(*fake_steps('whole', [REST[name]]))


def test_a_compiled_step_is_four_graphs():
    names = ['yolox_nano', POSE.format('nano', '')]
    for outcome in fake_steps('compiled', [[name] for name in names]):
        # Backbone, neck, the convolutions of the head, matching and losses.
        assert outcome == dict(graphs=4, devices=['fake'])

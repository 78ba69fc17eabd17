"""What a checkpoint records of its images against what a config and its options say."""

import logging

import pytest

from mmyolox.config import load_config, recorded as module
from mmyolox.config.recorded import Normalisation, follow_start, network_settings, normalisation
from mmyolox.errors import UserError
from mmyolox.registry import MODELS

NANO = 'yolox_nano_fast_8xb8-300e_coco'
SIZE = 'test_dataloader.dataset.img_scale'
MEAN = 'model.data_preprocessor.mean'
STD = 'model.data_preprocessor.std'
COLOURS = 'model.data_preprocessor.bgr_to_rgb'
PIXELS = Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), True)


@pytest.fixture
def lines(monkeypatch) -> list[tuple[int, str]]:
    """What was told, with its level."""
    told: list[tuple[int, str]] = []
    monkeypatch.setattr(module, 'print_log', lambda line, _, level=logging.INFO: told.append((level, line)))
    return told


def size_of(cfg) -> tuple[int, int]:
    return tuple(cfg.test_dataloader.dataset.img_scale)


@pytest.mark.parametrize('name', [NANO, 'yolox_s_fast_1xb8-50e_voc'])
def test_the_size_of_a_config_gives_way_and_that_is_told(lines, name):
    before = size_of(load_config(name))
    assert size_of(load_config(name, recorded=dict(img_scale=(256, 192)))) == (256, 192)
    expected = f'{SIZE}: {before} of the config gives way to (256, 192), which the checkpoint records'
    assert lines == [(logging.INFO, expected)]


@pytest.mark.parametrize('size', [(320, 320), (416, 416)])
@pytest.mark.parametrize('option', ['img_scale', SIZE])
def test_an_option_goes_before_the_record_also_one_that_says_what_the_config_says(lines, option, size):
    assert size_of(load_config(NANO, {option: size}, dict(img_scale=(256, 256)))) == size
    expected = f'{SIZE}: {size} is used, as you say, instead of (256, 256), which the checkpoint records'
    assert lines == [(logging.WARNING, expected)]


def test_an_option_that_the_size_is_computed_from_counts(lines, tmp_path):
    file = tmp_path / 'own.py'
    file.write_text(
        f"_base_ = 'mmyolox::yolox/{NANO}.py'\nside = 416\nimg_scale = (side, side)\n"
        'test_dataloader = dict(dataset=dict(img_scale=img_scale))\n'
    )
    assert size_of(load_config(file, dict(side=320), dict(img_scale=(256, 256)))) == (320, 320)
    assert size_of(load_config(file, recorded=dict(img_scale=(256, 256)))) == (256, 256)
    assert [level for level, _ in lines] == [logging.WARNING, logging.INFO]


@pytest.mark.parametrize('options', [{}, dict(img_scale=(256, 256))])
def test_nothing_is_told_of_what_agrees(lines, options):
    load_config('yolox_s_fast_8xb8-300e_coco', recorded=dict(img_scale=(640, 640)))
    load_config(NANO, options, dict(classes=('a',), normalisation=Normalisation()))
    load_config(NANO, dict(img_scale=(256, 256)), dict(img_scale=(256, 256)))
    assert not lines


NETWORK = {
    'model.backbone.act_cfg': dict(type='LeakyReLU', negative_slope=0.2),
    'model.backbone.spp_kernel_sizes': [3, 5],
    'model.neck.norm_cfg.eps': 0.1,
}


def test_the_network_is_the_recorded_one_where_weights_do_not_tell(lines):
    cfg = load_config(NANO, recorded=dict(network=NETWORK))
    assert network_settings(cfg) == network_settings(load_config(NANO)) | NETWORK
    assert cfg.model.neck.norm_cfg == dict(type='mmyolox.YOLOXBN', momentum=0.03, eps=0.1)
    assert [level for level, _ in lines] == [logging.INFO] * 3
    assert "model.backbone.act_cfg: {'type': 'SiLU'} of the config gives way to" in lines[0][1]


def test_an_option_of_the_network_stays(lines):
    chosen = {'model.backbone.act_cfg': dict(type='SiLU', inplace=True)}
    cfg = load_config(NANO, chosen, dict(network={key: NETWORK[key] for key in chosen}))
    assert network_settings(cfg) == network_settings(load_config(NANO))
    assert [level for level, _ in lines] == [logging.WARNING]


@pytest.mark.parametrize('name', [NANO, 'yolox_darknet53_fast_8xb8-300e_coco'])
def test_nothing_is_told_of_the_same_network(lines, name):
    network = network_settings(load_config(name))
    assert network_settings(load_config(name, recorded=dict(network=network))) == network
    assert not lines


def test_a_recorded_network_that_cannot_be_is_named():
    for key, value, message in (
        ('model.neck.norm_cfg.eps', 'x', 'model.neck.norm_cfg.eps.* YOLOXBatchNorm takes a number'),
        ('model.neck.act_cfg', dict(type='Rlu'), 'there is no Rlu'),
        ('model.neck.act_cfg', 'ReLU', 'takes dict there'),
    ):
        with pytest.raises(UserError, match=message):
            load_config(NANO, recorded=dict(network={key: value}))


def test_other_options_of_the_data_set_do_not_hold_the_size(lines):
    cfg = load_config(NANO, {'test_dataloader.dataset.ann_file': 'x.json'}, dict(img_scale=(256, 256)))
    assert size_of(cfg) == (256, 256)


def test_a_data_set_without_a_size_gets_one(lines, tmp_path):
    file = tmp_path / 'own.py'
    file.write_text(
        "default_scope = 'mmyolox'\ntest_dataloader = dict(dataset=dict(type='YOLOXCocoDataset'))\n"
    )
    assert size_of(load_config(file, recorded=dict(img_scale=(256, 256)))) == (256, 256)
    file.write_text("test_dataloader = dict(dataset=dict(type='mmdet.CocoDataset'))\n")
    assert 'img_scale' not in load_config(file, recorded=dict(img_scale=(256, 256))).test_dataloader.dataset


@pytest.mark.parametrize(
    ('options', 'is_kept'), [({}, False), ({MEAN: [0, 0, 0], STD: [1, 1, 1], COLOURS: False}, True)]
)
@pytest.mark.parametrize('key', ['normalisation', 'guessed_normalisation'])
def test_pixels_are_normalised_as_the_checkpoint_says_unless_an_option_does(lines, options, is_kept, key):
    cfg = load_config(NANO, options, {key: PIXELS})
    assert normalisation(cfg.model.data_preprocessor) == (Normalisation() if is_kept else PIXELS)
    ((level, line),) = lines
    assert level == (logging.WARNING if is_kept else logging.INFO)
    assert 'mean=None std=None bgr_to_rgb=False' in line
    assert 'mean=[1.0,2.0,3.0] std=[4.0,5.0,6.0] bgr_to_rgb=True' in line


@pytest.fixture
def config_with(tmp_path):
    """Writes a config with such arguments of the preprocessor; returns its path."""

    def write(given: str):
        file = tmp_path / 'own.py'
        file.write_text(
            f"_base_ = 'mmyolox::yolox/{NANO}.py'\nmodel = dict(data_preprocessor=dict({given}))\n"
        )
        return file

    return write


def test_a_config_that_normalises_knows_better_than_a_guess_but_not_than_a_record(lines, config_with):
    file = config_with('mean=[10, 10, 10], std=[4, 4, 4]')
    cfg = load_config(file, recorded=dict(guessed_normalisation=PIXELS))
    assert cfg.model.data_preprocessor.mean == [10, 10, 10]
    assert not lines
    cfg = load_config(file, recorded=dict(normalisation=Normalisation()))
    assert cfg.model.data_preprocessor.mean is None
    assert len(lines) == 1


@pytest.mark.parametrize('guess', [Normalisation(), Normalisation((0.0,) * 3, (255.0,) * 3, True)])
def test_a_config_that_normalises_to_other_sizes_than_a_guess_stays_with_a_warning(lines, config_with, guess):
    cfg = load_config(
        config_with('mean=[100, 100, 100], std=[60, 60, 60]'), recorded=dict(guessed_normalisation=guess)
    )
    assert cfg.model.data_preprocessor.std == [60, 60, 60]
    ((level, line),) = lines
    assert level == logging.WARNING
    assert f'instead of {guess}, which the checkpoint was trained with, as the size of its weights' in line


@pytest.mark.parametrize(('guess', 'expected'), [(PIXELS, PIXELS), (Normalisation(), None)])
def test_a_guess_says_nothing_of_colours_where_nothing_is_normalised(lines, config_with, guess, expected):
    cfg = load_config(config_with('bgr_to_rgb=True'), recorded=dict(guessed_normalisation=guess))
    assert normalisation(cfg.model.data_preprocessor) == (expected or Normalisation(bgr_to_rgb=True))
    assert len(lines) == (expected is not None)


@pytest.mark.parametrize(
    ('given', 'options', 'is_followed'),
    [
        ('', {}, True),
        ('', {'model.norm_eval': True}, True),
        ('mean=[10, 10, 10], std=[2, 2, 2]', {}, False),
        ('', {MEAN: [0, 0, 0], STD: [1, 1, 1]}, False),
    ],
)
def test_a_training_takes_the_pixels_of_its_start_where_nobody_says_others(
    lines, config_with, given, options, is_followed
):
    cfg = load_config(config_with(given), options)
    before = normalisation(cfg.model.data_preprocessor)
    follow_start(cfg, Normalisation(), options)
    follow_start(cfg, None, options)
    assert normalisation(cfg.model.data_preprocessor) == before
    assert not lines
    follow_start(cfg, PIXELS, options)
    assert normalisation(cfg.model.data_preprocessor) == (PIXELS if is_followed else before)
    told = f'model.data_preprocessor: {PIXELS} is used, which the weights to start from were trained with'
    assert lines == [(logging.INFO, told)] * is_followed


@pytest.mark.parametrize('is_rgb', [False, True])
@pytest.mark.parametrize('key', ['normalisation', 'guessed_normalisation'])
def test_an_option_for_the_colours_alone_holds_these_alone(lines, key, is_rgb):
    cfg = load_config(NANO, {COLOURS: is_rgb}, {key: PIXELS})
    assert normalisation(cfg.model.data_preprocessor) == PIXELS._replace(bgr_to_rgb=is_rgb)
    ((level, line),) = lines
    assert level == (logging.INFO if is_rgb else logging.WARNING)
    assert f'{PIXELS}, which the checkpoint' in line


@pytest.mark.parametrize(('key', 'is_rgb'), [('normalisation', True), ('guessed_normalisation', False)])
def test_an_option_for_mean_and_deviation_leaves_the_colours_to_a_record_not_to_a_guess(lines, key, is_rgb):
    cfg = load_config(NANO, {MEAN: [99, 99, 99], STD: [88, 88, 88]}, {key: PIXELS})
    assert normalisation(cfg.model.data_preprocessor) == Normalisation((99.0,) * 3, (88.0,) * 3, is_rgb)
    assert [level for level, _ in lines] == [logging.WARNING]


@pytest.mark.parametrize(
    ('given', 'options', 'is_rgb'),
    [('bgr_to_rgb=True', {}, True), ('', {COLOURS: True}, True), ('', {COLOURS: False}, False)],
)
def test_a_training_with_colours_of_its_own_takes_mean_and_deviation_of_its_start(
    lines, config_with, given, options, is_rgb
):
    cfg = load_config(config_with(given), options)
    follow_start(cfg, PIXELS, options)
    expected = PIXELS._replace(bgr_to_rgb=is_rgb)
    assert normalisation(cfg.model.data_preprocessor) == expected
    told = f'model.data_preprocessor: {expected} is used, which the weights to start from were trained with'
    assert lines == [(logging.INFO, told)]


@pytest.mark.parametrize('key', ['normalisation', 'guessed_normalisation'])
def test_a_preprocessor_without_mean_and_deviation_is_left_alone(lines, config_with, key):
    file = config_with("_delete_=True, type='mmengine.BaseDataPreprocessor'")
    cfg = load_config(file, recorded={key: PIXELS})
    follow_start(cfg, PIXELS, ())
    assert set(cfg.model.data_preprocessor) == {'type'}
    assert MODELS.build(cfg.model.data_preprocessor)
    assert not lines


def test_means_that_are_no_numbers_are_named():
    with pytest.raises(UserError, match=r'model\.data_preprocessor: mean and std must be lists of numbers'):
        load_config(NANO, {MEAN: 'grey', STD: 'wide'}, dict(normalisation=PIXELS))

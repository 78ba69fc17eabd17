"""What a checkpoint records of its images, and what weights tell of them."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmyolox.checkpoints.recognise import PUBLISHED, Architecture
from mmyolox.checkpoints.record import (
    GREY_LEVELS,
    IMAGENET,
    UNIT,
    InputRecord,
    read_record,
    record_of,
    recorded_values,
    trained_pixels,
)
from mmyolox.config import load_config
from mmyolox.config.recorded import Normalisation
from mmyolox.datasets import YOLOXCocoDataset
from mmyolox.errors import UserError
from mmyolox.registry import MODELS
from tests.checkpoints.layouts import our_weights

NAMES = tuple(f'c{label}' for label in range(80))
NANO = Architecture('nano', *PUBLISHED['nano'])
RECORDS = [
    InputRecord(),
    InputRecord('mine', (256, 192), 3, Normalisation(), network={'model.neck.act_cfg': dict(type='ReLU')}),
    InputRecord('mine', (256, 192), 4, Normalisation((1.0,) * 4, (2.0,) * 4, True)),
    InputRecord(fold=dict(count=3, index=2, seed=7)),
]


@pytest.mark.parametrize('record', RECORDS)
def test_what_is_written_is_read_by_the_safe_way(tmp_path, record):
    torch.save(dict(meta=dict(mmyolox=record.to_meta())), tmp_path / 'a.pth')
    assert read_record(torch.load(tmp_path / 'a.pth', weights_only=True), {}, 'a.pth') == record


@pytest.mark.parametrize(
    ('stored', 'message'),
    [
        (dict(format=2), 'its record has format 2, but this version of mmyolox knows 1: install'),
        (dict(format=1), 'meta.mmyolox is no record of mmyolox'),
        (RECORDS[1].to_meta() | dict(img_scale=5), 'meta.mmyolox is no record of mmyolox'),
        (RECORDS[1].to_meta() | dict(fold=5), 'meta.mmyolox is no record of mmyolox'),
        (RECORDS[1].to_meta() | dict(fold=dict(count=3)), 'meta.mmyolox is no record of mmyolox'),
        (
            RECORDS[1].to_meta() | dict(fold=dict(count=3, index=3, seed=0)),
            'no record .*index be from 0 to 2',
        ),
        (RECORDS[1].to_meta() | dict(network=5), 'meta.mmyolox is no record of mmyolox'),
        (RECORDS[1].to_meta() | dict(mean=['x']), 'meta.mmyolox is no record of mmyolox'),
        (RECORDS[2].to_meta() | dict(std=[1, 0, 1]), 'no record of mmyolox .*std=.*above 0'),
        (RECORDS[2].to_meta() | dict(std=[float('nan')] * 3), 'no record of mmyolox'),
        (RECORDS[2].to_meta() | dict(mean=[float('inf')] * 3), 'no record of mmyolox .*mean=.*finite'),
        (
            RECORDS[1].to_meta() | dict(img_scale=(10**8, 10**8)),
            'no record of .*at most 134217728 pixels',
        ),
        (RECORDS[1].to_meta() | dict(img_scale=(0, 32)), 'no record of mmyolox .*sides from 1'),
        (RECORDS[1].to_meta() | dict(img_scale=(float('nan'), 32)), 'no record of mmyolox'),
        (
            RECORDS[1].to_meta() | dict(network={'a.eps': float('nan')}),
            'network.a.eps=nan: a finite',
        ),
        (
            RECORDS[1].to_meta() | dict(network=dict(a=dict(b=[1e999]))),
            'network.a.b.0=inf: a finite',
        ),
        ('text', 'meta.mmyolox is no record of mmyolox'),
        ([1], 'meta.mmyolox is no record of mmyolox'),
    ],
)
def test_records_that_cannot_be_read_are_named(stored, message):
    with pytest.raises(UserError, match=f'checkpoint a.pth: .*{message}'):
        read_record(dict(meta=dict(mmyolox=stored)), {}, 'a.pth')


@pytest.mark.parametrize('val_size', [None, (128, 96)])
def test_the_record_of_a_training(tmp_path, val_size):
    options = {'model.data_preprocessor.bgr_to_rgb': True, 'model.neck.act_cfg': dict(type='ReLU')}
    cfg = load_config('yolox_nano_fast_8xb8-300e_coco', options)
    (tmp_path / 'my_recipe.py').touch()
    init_default_scope('mmyolox')

    fold = dict(count=3, index=2, seed=7)

    def loader(size):
        dataset = YOLOXCocoDataset(img_scale=size, lazy_init=True, fold=dict(fold, held_out=False))
        return SimpleNamespace(dataset=SimpleNamespace(datasets=[dataset]))

    runner = SimpleNamespace(
        model=MODELS.build(cfg.model),
        cfg=Config(cfg.to_dict(), filename=tmp_path / 'my_recipe.py'),
        train_dataloader=loader((256, 256)),
        val_loop=val_size and object(),
        val_dataloader=val_size and loader(val_size),
    )
    record = record_of(runner)
    pixels = Normalisation(bgr_to_rgb=True)
    expected = InputRecord('my_recipe', val_size or (256, 256), 3, pixels, network=record.network, fold=fold)
    assert record == expected
    assert record.network['model.neck.act_cfg'] == dict(type='ReLU')
    assert record.network['model.backbone.norm_cfg.eps'] == 0.001


@pytest.mark.parametrize('name', ['nano', 's', 'darknet53'])
def test_weights_tell_the_pixels_that_they_were_trained_on(name):
    architecture = Architecture(name, *PUBLISHED[name])
    state = our_weights(architecture, 'cpu')
    stem = next(key for key in state if 'stem' in key)
    torch.nn.init.kaiming_uniform_(state[stem], a=5**0.5)
    norm = stem.replace('conv.weight', 'bn.')
    state[f'{norm}weight'].fill_(1)
    state[f'{norm}running_var'].fill_(1)
    assert trained_pixels(state) is None  # never trained
    size = state[stem].abs().mean()
    sizes = ((0.005, GREY_LEVELS), (0.3, IMAGENET), (0.5, IMAGENET), (1.3, UNIT), (2.2, UNIT))
    for size_of_weights, expected in sizes:
        state[f'{norm}weight'].fill_(4 * size_of_weights / size)
        state[f'{norm}running_var'].fill_(16 - 1e-3)
        assert trained_pixels(state) == expected
    assert read_record({}, state, 'a.pth') == InputRecord(normalisation=UNIT, is_guess=True)
    assert read_record(dict(meta=dict(mmyolox=RECORDS[1].to_meta())), state, 'a.pth') == RECORDS[1]
    state[stem].fill_(float('nan'))
    assert trained_pixels(state) is None


def test_nothing_is_guessed_of_images_of_other_channels():
    state = our_weights(Architecture('nano', *PUBLISHED['nano'], input_channels=4), 'cpu')
    for tensor in state.values():
        tensor.fill_(1)
    assert trained_pixels(state) is None
    assert trained_pixels({}) is None


def test_what_a_config_takes():
    state = our_weights(NANO, 'cpu')
    meta = dict(dataset_meta=dict(classes=NAMES), mmyolox=RECORDS[1].to_meta())
    expected = dict(classes=NAMES, img_scale=(256, 192), normalisation=Normalisation())
    expected |= dict(network=RECORDS[1].network, recipe='mine')
    assert recorded_values(dict(state_dict=state, meta=meta), 'a.pth') == expected
    state['backbone.stem.conv.conv.weight'].fill_(1)
    state['backbone.stem.conv.bn.weight'].fill_(1)
    assert recorded_values(state, 'a.pth') == dict(guessed_normalisation=UNIT)

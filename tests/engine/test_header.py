"""The header's lines on data and time, on a terminal and in a file."""

import io
import json
import os
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from mmyolox.engine.hooks.header import HeaderHook
from mmyolox.engine.terminal import Terminal
from mmyolox.models.batch_augments import YOLOXBatchSyncRandomResize
from tests.datasets.small_sets import open_coco, write_coco


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp('header'), 2, empty=[1])


def printed(
    root,
    epochs=10,
    interval=5,
    augments=(),
    console=None,
    metainfo=None,
    change=None,
    workers=0,
    val_begin=1,
    **values,
):
    """What the header of a training says, each line by its name; at a milestone the interval may change."""
    milestones, intervals = zip((0, interval), *([change] if change else []), strict=True)
    console = console or Console(file=io.StringIO(), width=40)
    loader = DataLoader(open_coco(root, [], test_mode=True, metainfo=metainfo), 2, num_workers=workers)
    model = nn.Linear(1, 1)
    model.data_preprocessor = SimpleNamespace(batch_augments=augments)
    runner = SimpleNamespace(
        train_dataloader=loader, val_dataloader=loader, val_loop=0, model=model, hooks=[]
    )
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    vars(loop).update(_runner=runner, dataloader=loader, _max_epochs=epochs, _epoch=0, val_begin=val_begin)
    vars(loop).update(val_interval=interval, dynamic_milestones=milestones, dynamic_intervals=intervals)
    vars(runner).update(train_loop=loop, optim_wrapper=None, param_schedulers=None, seed=0, world_size=1)
    vars(runner).update(_resume=False, _load_from=None, work_dir=root, logger=SimpleNamespace(handlers=[]))
    runner.cfg = Config(dict(data_root=str(root)) | values)
    HeaderHook(Terminal(console=console)).before_train(runner)
    return console.file.getvalue()


def row(text, name):
    (line,) = (line for line in text.splitlines() if line.startswith(f'  {name} '))
    return line.removeprefix(f'  {name}').strip()


def test_files_are_relative_to_the_root_that_a_line_names(root):
    text = printed(root, data_layout=f'COCO in {root}')
    assert row(text, 'train') == row(text, 'val') == 'ann.json: 2 images, 3 boxes; shown at 64 x 32'
    assert row(printed(root), 'train') == f'{root}/ann.json: 2 images, 3 boxes; shown at 64 x 32'
    elsewhere = printed(root, data_layout='COCO elsewhere', data_root='/elsewhere')
    assert row(elsewhere, 'train').startswith(f'{root}/ann.json: ')


def test_the_names_of_classes_and_keypoints_are_told_once(root):
    text = printed(root, metainfo=dict(keypoint_id2name=dict(enumerate('abcdefghi'))))
    assert row(text, 'classes') == '3: a, b, c'
    assert row(text, 'keypoints') == '9: a, b, c, d, e, f, g, h, ...'
    assert '  keypoints ' not in printed(root)


def test_settings_that_are_on_are_told_as_they_were_given(root):
    values = dict(
        patience=15, class_weights=['a:2', 'b:0.5'], oversample_thr=0, val_loss=True, trackers='wandb'
    )
    parts = dict(
        default_hooks=dict(patience=dict(patience=15), val_loss=dict(type='ValidationLossHook')),
        model=dict(bbox_head=dict(class_weights=[2.0, 0.5, 1.0])),
        visualizer=dict(trackers='wandb'),
    )
    told = 'patience=15; class_weights={}; val_loss=True; trackers=wandb'
    assert row(printed(root, **values, **parts), 'settings') == told.format('a:2, b:0.5')
    assert row(printed(root, **parts), 'settings') == told.format('2.0, 0.5, 1.0')
    assert '  settings ' not in printed(root, patience=None, val_loss=False)


def test_a_setting_that_the_config_replaces_is_not_told(root):
    sampler = dict(type='BalancedSampler', dataset_weights=[3, 1])
    text = printed(root, oversample_thr=0.3, train_dataloader=dict(sampler=sampler))
    assert '  settings ' not in text


def test_keypoints_that_a_detector_passes_over_are_told(root, tmp_path):
    content = json.loads((root / 'ann.json').read_text())
    content['categories'][0]['keypoints'] = ['nose']
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    (tmp_path / 'images').symlink_to(root / 'images')
    assert row(printed(tmp_path), 'keypoints').startswith('passed over by a detector; pose configs such as')


def test_numbers_of_one_are_singular(tmp_path):
    text = printed(write_coco(tmp_path, 1, empty=[0]))
    assert row(text, 'val').endswith('ann.json: 1 image, 0 boxes; shown at 64 x 32')


def test_training_images_have_the_sizes_of_multi_scale_training(root):
    text = printed(root, augments=[YOLOXBatchSyncRandomResize((0.5, 3.0))])
    assert row(text, 'train').endswith('boxes; shown at 64 x 32 to 192 x 96')
    assert row(text, 'val').endswith('boxes; shown at 64 x 32')
    text = printed(root, augments=[YOLOXBatchSyncRandomResize((1.0, 1.0))])
    assert row(text, 'train').endswith('boxes; shown at 64 x 32')


@pytest.mark.filterwarnings('ignore:This DataLoader will create')
def test_more_data_workers_than_cores_are_told(root, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(2), raising=False)
    assert '; 3 data workers on 2 CPU cores; seed' in row(printed(root, workers=3), 'device')
    assert '; 2 data workers; seed' in row(printed(root, workers=2), 'device')


@pytest.mark.parametrize(
    ('epochs', 'interval', 'change', 'said'),
    [
        (10, 5, None, 'validation every 5 epochs'),
        (3, 5, None, 'validation after the last epoch'),
        (1, 5, None, 'validation after the last epoch'),
        (3, 1, None, 'validation after each epoch'),
        (1, 1, None, 'validation after each epoch'),
        (300, 10, (285, 1), 'validation every 10 epochs, from epoch 284 after each epoch'),
        (9, 2, (7, 3), 'validation every 2 epochs, from epoch 6 every 3 epochs'),
        (3, 10, (2, 1), 'validation after each epoch'),
        (3, 2, (4, 1), 'validation every 2 epochs'),
        (3, 10, (3, 3), 'validation after the last epoch'),
    ],
)
def test_when_is_validated(root, epochs, interval, change, said):
    text = printed(root, epochs, interval, change=change)
    assert row(text, 'length') == f'1 iteration an epoch, batch 2 on 1 device, {said}'


@pytest.mark.parametrize(
    ('begin', 'said'),
    [(8, 'validation every 2 epochs, not before epoch 8'), (10, 'validation after the last epoch')],
)
def test_validations_that_begin_later_are_told(root, begin, said):
    assert row(printed(root, epochs=10, interval=2, val_begin=begin), 'length').endswith(f', {said}')


def test_what_is_said_of_validations_is_what_the_loop_does(root):
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    vars(loop).update(dynamic_milestones=(0, 285), dynamic_intervals=(10, 1))
    for epoch, interval in ((283, 10), (284, 1)):
        loop._epoch = epoch
        loop._decide_current_val_interval()
        assert loop.val_interval == interval


def test_a_terminal_gets_lines_that_go_on_below_their_beginning(root):
    console = Console(file=io.StringIO(), width=45, force_terminal=True, _environ=dict(NO_COLOR='1'))
    lines = printed(root, data_layout=f'COCO in {root}', console=console).splitlines()
    start = lines.index('  train     ann.json: 2 images, 3 boxes;')
    assert lines[start + 1] == '            shown at 64 x 32'
    assert f'            {root}' in lines  # what can be copied is not broken

"""Sheets of validation images, and curves, that a training keeps."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.runner import EpochBasedTrainLoop
from mmengine.structures import InstanceData

from mmyolox.engine import CurvesHook, ValidationPicturesHook
from mmyolox.engine.hooks import pictures
from mmyolox.registry import VISUALIZERS


class Loop(EpochBasedTrainLoop):
    def __init__(self, epoch):
        self._epoch = epoch


def instances(x, **more):
    return InstanceData(
        bboxes=torch.tensor([[x, 10.0, x + 20, 30]]), labels=torch.zeros(1, dtype=torch.int64), **more
    )


@pytest.fixture
def samples(tmp_path):
    """Ten grey images; what is annotated lies left, what is found right, with scores from 0 to 0.9."""
    samples = []
    for number in range(10):
        path = tmp_path / f'{number}.png'
        cv2.imwrite(str(path), np.full((40, 60, 3), 90 + number, np.uint8))
        sample = DetDataSample(metainfo=dict(img_path=str(path)))
        sample.gt_instances = instances(2.0)
        sample.pred_instances = instances(35.0, scores=torch.tensor([number / 10]))
        samples.append(sample)
    (tmp_path / '3.png').write_bytes(b'no image')
    return samples


@pytest.fixture
def runner(tmp_path):
    visualizer = VISUALIZERS.build(dict(type='YOLOXVisualizer', name=f'sheets of {tmp_path.name}'))
    visualizer.dataset_meta = dict(classes=('cat',))
    warnings = []
    return SimpleNamespace(
        work_dir=str(tmp_path),
        visualizer=visualizer,
        val_dataloader=torch.utils.data.DataLoader(range(10), batch_size=4),
        logger=SimpleNamespace(warning=warnings.append, info=lambda *_, **__: None),
        warnings=warnings,
        _train_loop=None,
    )


def validate(hook, runner, samples, epoch):
    runner._train_loop = Loop(epoch)
    for index in range(3):
        hook.after_val_iter(runner, index, None, samples[4 * index : 4 * index + 4])
    hook.after_val_epoch(runner, {})


def test_a_sheet_has_annotations_and_what_was_found_beside_and_says_so(
    tmp_path, runner, samples, monkeypatch
):
    titles = []
    sheet_of = runner.visualizer.sheet
    monkeypatch.setattr(
        runner.visualizer,
        'sheet',
        lambda pictures, title: titles.append(title) or sheet_of(pictures, title),
    )
    validate(ValidationPicturesHook(max_images=2, score_thr=0.5), runner, samples, epoch=3)
    sheet = cv2.imread(str(tmp_path / 'validation/epoch_3.jpg')).astype(int)
    assert sheet.shape == (28 + 40 + 2 * 6, 2 * 120 + 3 * 6, 3)  # images 0 and 5, each twice
    is_drawn = np.ptp(sheet, axis=2)[34 + 26 : 74] > 60  # below the names, which may reach to the left
    parts = [is_drawn[:, start : start + 60] for start in (6, 66, 132, 192)]
    left, right = slice(0, 30), slice(33, 60)
    assert [bool(part[:, left].any()) for part in parts] == [True, False, True, False]
    assert [bool(part[:, right].any()) for part in parts] == [False, False, False, True]
    assert titles == [
        'epoch 3: annotations at the left of each pair, detections (score 0.5 or more) at the right'
    ]


def test_the_images_are_the_same_each_time_and_those_that_do_not_decode_are_left_out(
    tmp_path, runner, samples
):
    hook = ValidationPicturesHook(max_images=10)
    for epoch in (1, 2):
        validate(hook, runner, samples, epoch)
    first, second = (cv2.imread(str(tmp_path / f'validation/epoch_{epoch}.jpg')) for epoch in (1, 2))
    assert first.shape == (172, 384, 3)  # nine pairs
    np.testing.assert_array_equal(first[32:], second[32:])
    assert (first != second).any()  # the number of the epoch


def test_few_images_are_all_drawn(tmp_path, runner, samples):
    runner.val_dataloader = torch.utils.data.DataLoader(range(1), batch_size=4)
    validate(ValidationPicturesHook(max_images=8), runner, samples[:1], epoch=1)
    assert cv2.imread(str(tmp_path / 'validation/epoch_1.jpg')).shape == (80, 132, 3)


def test_trackers_get_the_sheet(tmp_path, runner, samples, monkeypatch):
    tracked = []
    monkeypatch.setattr(runner.visualizer, 'track_picture', lambda *given: tracked.append(given))
    validate(ValidationPicturesHook(max_images=2), runner, samples, epoch=3)
    ((name, picture, step),) = tracked
    assert (name, step) == ('validation/pictures', 3)
    sheet = cv2.imread(str(tmp_path / 'validation/epoch_3.jpg'))
    assert np.abs(sheet.astype(int) - picture).mean() < 3  # it is a JPEG


def test_a_tracker_that_fails_costs_no_sheet(tmp_path, runner, samples, monkeypatch):
    def fail(*_):
        raise ConnectionError('the server is gone')

    monkeypatch.setattr(runner.visualizer, 'track_picture', fail)
    validate(ValidationPicturesHook(max_images=2), runner, samples, epoch=3)
    assert (tmp_path / 'validation/epoch_3.jpg').is_file()
    assert runner.warnings == ['no pictures for the trackers: ConnectionError: the server is gone']


def test_large_images_are_shrunk(tmp_path, runner, samples):
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((1000, 2000, 3), np.uint8))
    validate(ValidationPicturesHook(max_images=1), runner, samples, epoch=1)
    assert cv2.imread(str(tmp_path / 'validation/epoch_1.jpg')).shape == (200, 652, 3)


def test_the_newest_sheets_stay(tmp_path, runner, samples):
    (tmp_path / 'validation').mkdir()
    (tmp_path / 'validation/mine.jpg').touch()
    hook = ValidationPicturesHook(max_images=1, max_sheets=2)
    for epoch in (8, 9, 10, 11):
        validate(hook, runner, samples, epoch)
    assert {path.name for path in (tmp_path / 'validation').iterdir()} == {
        'mine.jpg',
        'epoch_10.jpg',
        'epoch_11.jpg',
    }


def test_sheets_of_a_training_before_are_older_than_those_of_this_one(tmp_path, runner, samples):
    hook = ValidationPicturesHook(max_images=1, max_sheets=2)
    for epoch in (49, 50, 1, 2):
        validate(hook, runner, samples, epoch)
    assert {path.name for path in (tmp_path / 'validation').iterdir()} == {'epoch_1.jpg', 'epoch_2.jpg'}


def test_no_sheet_is_kept_where_none_is_wanted(tmp_path, runner, samples):
    validate(ValidationPicturesHook(max_images=1, max_sheets=0), runner, samples, epoch=1)
    assert not any((tmp_path / 'validation').iterdir())


def test_a_visualizer_that_draws_nothing_is_left_alone(tmp_path, runner, samples):
    runner.visualizer = SimpleNamespace()
    validate(ValidationPicturesHook(), runner, samples, epoch=1)
    assert not (tmp_path / 'validation').exists()


def test_a_training_goes_on_where_no_picture_can_be_written(tmp_path, runner, samples):
    (tmp_path / 'validation').touch()
    validate(ValidationPicturesHook(), runner, samples, epoch=1)
    (tmp_path / 'run/vis_data').mkdir(parents=True)
    (tmp_path / 'run/vis_data/scalars.json').write_text(json.dumps(dict(loss=1.0, step=1)))
    (tmp_path / 'curves.png').mkdir()
    CurvesHook().after_val_epoch(runner)
    assert [line.partition(' cannot be written')[0] for line in runner.warnings] == [
        str(tmp_path / 'validation/epoch_1.jpg'),
        str(tmp_path / 'curves.png'),
    ]


@pytest.mark.parametrize('name', ['draw_sample', 'sheet', 'read_image', 'imencode', 'plot_curves'])
def test_a_training_goes_on_where_no_picture_can_be_drawn(tmp_path, runner, samples, monkeypatch, name):
    def fail(*_, **__):
        raise TypeError('two\nlines')

    (tmp_path / 'run/vis_data').mkdir(parents=True)
    (tmp_path / 'run/vis_data/scalars.json').write_text(json.dumps(dict(loss=1.0, step=1)))
    owner = runner.visualizer if hasattr(runner.visualizer, name) else pictures
    monkeypatch.setattr(cv2 if name == 'imencode' else owner, name, fail)
    validate(ValidationPicturesHook(max_images=1), runner, samples, epoch=1)
    CurvesHook().after_val_epoch(runner)
    (line,) = runner.warnings
    assert line.endswith(r': TypeError: two\nlines')
    assert line.startswith('no ')


def test_curves_are_drawn_of_what_was_recorded(tmp_path, runner):
    runner._train_loop = Loop(1)
    CurvesHook().after_val_epoch(runner)
    assert not runner.warnings
    assert not (tmp_path / 'curves.png').exists()
    (tmp_path / 'run/vis_data').mkdir(parents=True)
    (tmp_path / 'run/vis_data/scalars.json').write_text(json.dumps(dict(loss=1.0, step=1)))
    runner._train_loop = None  # a test
    CurvesHook().after_val_epoch(runner)
    assert not (tmp_path / 'curves.png').exists()
    runner._train_loop = Loop(1)
    CurvesHook().after_val_epoch(runner)
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')

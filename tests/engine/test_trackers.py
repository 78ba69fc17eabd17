"""Charts of validations for trackers."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmyolox.engine import TrackersHook
from mmyolox.engine.hooks import trackers
from mmyolox.engine.hooks.trackers import validated_case
from mmyolox.errors import UserError
from mmyolox.evaluation import YOLOXCocoMetric
from mmyolox.registry import DATASETS
from tests.datasets.small_sets import write_coco
from tests.engine.test_pictures import Loop


@pytest.fixture
def dataset(tmp_path):
    write_coco(tmp_path, 4)
    return DATASETS.build(
        dict(
            type='YOLOXCocoDataset',
            data_root=str(tmp_path),
            ann_file='ann.json',
            data_prefix=dict(img='images/'),
            test_mode=True,
            pipeline=[],
        )
    )


@pytest.fixture
def runner(dataset, tmp_path):
    """A runner whose validation has found every object."""
    metric = YOLOXCocoMetric()
    metric.dataset_meta = dataset.metainfo
    metric.take_dataset(dataset)
    truth = trackers.GroundTruth.of_dataset(dataset)
    metric.last_results = [
        (
            image_id,
            np.concatenate(
                [
                    truth.bboxes[own := truth.images == index],
                    np.full((own.sum(), 1), 0.9),
                    truth.labels[own, None],
                ],
                axis=1,
            ).astype(np.float32),
        )
        for index, image_id in enumerate(truth.image_ids)
    ]
    tracked, warnings = {}, []
    return SimpleNamespace(
        visualizer=SimpleNamespace(
            trackers=['Board'],
            track_picture=lambda name, picture, step: tracked.update({(name, step): picture}),
        ),
        val_evaluator=SimpleNamespace(metrics=[SimpleNamespace(), metric]),
        val_dataloader=SimpleNamespace(dataset=dataset),
        logger=SimpleNamespace(warning=warnings.append, info=lambda *_, **__: None),
        _train_loop=Loop(3),
        tracked=tracked,
        warnings=warnings,
        metric=metric,
    )


def validate(runner):
    hook = TrackersHook()
    hook.before_train(runner)
    hook.after_val_epoch(runner, {})


def test_trackers_get_the_charts_of_a_validation(runner):
    validate(runner)
    assert runner.warnings == []
    assert [*runner.tracked] == [('validation/precision_and_recall', 3), ('validation/confusion_matrix', 3)]
    for picture in runner.tracked.values():
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert min(picture.shape[:2]) > 100
        assert np.ptp(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) > 100


def test_a_case_is_what_was_found_and_what_was_to_be_found(runner):
    case = validated_case(runner)
    np.testing.assert_array_equal(case.detections.images, case.truth.images)
    np.testing.assert_allclose(case.detections.bboxes, case.truth.bboxes, atol=1e-4)


def test_what_is_not_there_has_no_chart(runner):
    runner.metric.last_results = []
    validate(runner)
    assert runner.warnings == []
    # Nothing is found: all objects are in the column of background.
    assert ('validation/confusion_matrix', 3) in runner.tracked


def forbid(*_):
    raise AssertionError('it was analysed')


def without_trackers(runner, monkeypatch):
    runner.visualizer.trackers = []


def with_another_visualizer(runner, monkeypatch):
    runner.visualizer = SimpleNamespace()


def without_a_metric(runner, monkeypatch):
    runner.val_evaluator.metrics = [SimpleNamespace()]


def outside_of_a_training(runner, monkeypatch):
    runner._train_loop = None


def in_another_process(runner, monkeypatch):
    monkeypatch.setattr(trackers, 'is_main_process', lambda: False)


@pytest.mark.parametrize(
    'change',
    [without_trackers, with_another_visualizer, without_a_metric, outside_of_a_training, in_another_process],
)
def test_nothing_is_analysed_for_nobody(runner, monkeypatch, change):
    change(runner, monkeypatch)
    monkeypatch.setattr(trackers, 'analyse', forbid)
    validate(runner)
    assert runner.tracked == {}
    assert runner.warnings == []


def test_without_the_packages_of_the_report_a_line_says_so_once(runner, monkeypatch):
    def lack(*others):
        raise UserError('a report needs altair, not installed here')

    monkeypatch.setattr(trackers, 'require_packages', lack)
    monkeypatch.setattr(trackers, 'analyse', forbid)
    hook = TrackersHook()
    hook.before_train(runner)
    for _ in range(2):
        hook.after_val_epoch(runner, {})
    assert runner.warnings == ['no charts for Board: a report needs altair, not installed here']


def test_a_training_goes_on_without_charts(runner, monkeypatch):
    runner.metric.last_results = [('unknown', np.zeros((1, 6), np.float32))]
    validate(runner)
    (warning,) = runner.warnings
    assert 'unknown' in warning
    assert '\n' not in warning

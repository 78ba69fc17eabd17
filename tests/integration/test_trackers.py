"""What trackers have of a training, through the command that a user gives and their own readers."""

import re

import cv2
import numpy as np
import pytest

from tests.integration.runs import ONE_EPOCH, run_tool, succeed

PICTURES = {'pictures', 'precision_and_recall', 'confusion_matrix'}


@pytest.fixture
def train(config, tmp_path):
    """Trains two epochs, with a validation after each, and returns the work dir."""

    def train(tracker):
        work_dir = tmp_path / 'run'
        options = [*ONE_EPOCH, 'max_epochs=2', 'val_interval=1', f'trackers={tracker}']
        # In an interpreter of its own, which has the environment of the test.
        arguments = ('train.py', config, '--work-dir', work_dir, '--cfg-options', *options)
        said = succeed(run_tool(*arguments, imported=False))
        assert f'trackers={tracker}' in re.search('  settings (.*)', said)[1]
        assert 'Please make sure' not in said
        return work_dir

    return train


def is_picture(content):
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return picture is not None and np.ptp(picture) > 100


def test_tensorboard(train):
    pytest.importorskip('tensorboard', reason='TensorBoard is not installed')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = train('tensorboard').glob('*/vis_data/events.out.tfevents.*')
    events = EventAccumulator(str(file), size_guidance=dict(images=0))
    events.Reload()
    assert {*events.Tags()['images']} == {f'validation/{name}' for name in PICTURES}
    for name in PICTURES:
        images = events.Images(f'validation/{name}')
        assert [image.step for image in images] == [1, 2]
        assert all(is_picture(image.encoded_image_string) for image in images)
    assert [scalar.step for scalar in events.Scalars('coco/bbox_mAP')] == [1, 2]


def test_wandb_offline(train, monkeypatch):
    pytest.importorskip('wandb', reason='W&B is not installed')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    (run,) = train('wandb').glob('*/vis_data/wandb/offline-run-*')
    files = [*run.glob('files/media/images/validation/*.png')]
    names = sorted(re.sub(r'_\d+_\w+$', '', file.stem) for file in files)
    assert names == sorted([*PICTURES, *PICTURES])
    assert all(is_picture(file.read_bytes()) for file in files)
    assert any(run.glob('run-*.wandb'))


def test_mlflow(train, monkeypatch):
    mlflow = pytest.importorskip('mlflow', reason='MLflow is not installed')
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    work_dir = train('mlflow')
    client = mlflow.MlflowClient(f'sqlite:///{work_dir}/mlflow.db')
    experiment = client.get_experiment_by_name('run')
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == 'FINISHED'
    assert [one.step for one in client.get_metric_history(run.info.run_id, 'coco/bbox_mAP')] == [1, 2]
    files = [*work_dir.glob('mlartifacts/*/artifacts/validation/*.png')]
    assert sorted(file.name for file in files) == sorted(
        f'{name}_{epoch:04}.png' for name in PICTURES for epoch in (1, 2)
    )
    assert all(is_picture(file.read_bytes()) for file in files)
    assert not (work_dir.parent / 'mlruns').exists()

"""Trackers by their names."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mmyolox.apis import trackers
from mmyolox.apis.trackers import tracker_backends
from mmyolox.errors import UserError


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Every package is installed but clearml; MLflow is told nothing by the environment."""
    monkeypatch.setattr(
        trackers, 'find_spec', lambda name: None if name == 'clearml' else ModuleSpec(name, None)
    )
    for name in ('MLFLOW_TRACKING_URI', 'MLFLOW_EXPERIMENT_NAME'):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ('names', 'types'),
    [
        ('tensorboard', ['TensorboardVisBackend']),
        (['wandb', 'tensorboard'], ['WandbVisBackend', 'TensorboardVisBackend']),
        (('dvclive',), ['DVCLiveVisBackend']),
        ([], []),
    ],
)
def test_a_name_is_that_of_a_class_of_mmengine(names, types):
    assert tracker_backends(names) == [dict(type=name) for name in types]


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ('tensorbord', "trackers: there is no 'tensorbord'; did you mean tensorboard?"),
        (['wandb', 3], r'trackers: there is no 3 \(there are aim, .*, mlflow, .*, wandb\)'),
        ('local', "trackers: there is no 'local'"),  # it is there without being asked for
        ('clearml', 'trackers=clearml: its package is not installed; pip install clearml'),
    ],
)
def test_a_mistake_is_one_line(names, message):
    with pytest.raises(UserError, match=message):
        tracker_backends(names)


def test_mlflow_writes_to_a_database_in_the_work_dir():
    (backend,) = tracker_backends('mlflow', 'runs/birds nest/20300101_000000')
    work_dir = Path('runs/birds nest').absolute()
    assert backend == dict(
        type='MLflowVisBackend',
        exp_name='birds nest',
        run_name='20300101_000000',
        tracking_uri=f'sqlite:///{work_dir}/mlflow.db',
        artifact_location=(work_dir / 'mlartifacts').as_uri(),
        artifact_suffix=(),
    )


def test_mlflow_writes_to_where_the_environment_says(monkeypatch):
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://localhost:5000')
    monkeypatch.setenv('MLFLOW_EXPERIMENT_NAME', 'birds')
    (backend,) = tracker_backends('mlflow', 'runs/a/20300101_000000')
    assert backend == dict(
        type='MLflowVisBackend',
        exp_name='birds',
        run_name='20300101_000000',
        tracking_uri='http://localhost:5000',
    )

"""Training from object storage: the same bits as from a disk; what is wrong with it is one line."""

import os
import subprocess
import sys
import time

import pytest

from tests.datasets.storage import BUCKET, VARIABLES, FailingServer, storage, upload
from tests.integration.forking import TIMEOUT
from tests.integration.runs import (
    ONE_EPOCH,
    ROOT,
    largest_difference,
    load,
    read_log,
    run_tool,
    succeed,
    write_config,
)

SET = f's3://{BUCKET}/set'
FILES = ['train_ann_file=annotations/train.json', 'val_ann_file=annotations/val.json']
IMPATIENT = """
backend_args = dict(backend='s3', attempts=1, max_failures=2)
loading = [dict(type='LoadImage', backend_args=backend_args), dict(type='LoadAnnotations')]
pipeline = [*loading, dict(type='Letterbox'), *_base_.pack_transform]
train_dataloader = dict(dataset=dict(max_undecodable_ratio=0.9, pipeline=pipeline))
"""
OPTIONS = [*ONE_EPOCH, 'chunk_size=2', 'val_interval=1', 'train_num_workers=2']


@pytest.fixture(scope='module')
def packed(tmp_path_factory, shapes):
    folder = tmp_path_factory.mktemp('packed') / 'shards'
    succeed(run_tool('dataset_converters/make_shards.py', shapes, folder))
    return folder


@pytest.fixture
def environment(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def train(tmp_path, data, name):
    # In an interpreter of its own: others are forks of one that began with another environment.
    config = write_config(tmp_path, data)
    options = [*OPTIONS, *FILES]
    return run_tool(
        'train.py', config, '--work-dir', tmp_path / name, '--cfg-options', *options, imported=False
    )


@pytest.mark.parametrize('kind', ['shards', 'files'])
def test_a_training_is_that_of_a_disk(environment, packed, shapes, tmp_path, kind):
    folder = packed if kind == 'shards' else shapes
    with storage() as address:
        environment.setenv('AWS_ENDPOINT_URL', address)
        upload(address, folder, 'set/')
        succeed(train(tmp_path, SET, 'stored'))
    succeed(train(tmp_path, folder, 'local'))
    stored, local = (load(tmp_path / f'{name}/epoch_1.pth') for name in ('stored', 'local'))
    assert largest_difference(stored['state_dict'], local['state_dict']) == 0
    assert 'bbox_mAP' in read_log(tmp_path / 'stored')


@pytest.mark.parametrize(
    ('script', 'line'),
    [
        (['404 NoSuchBucket'], f'there is no bucket {BUCKET} at'),
        (
            ['403 InvalidAccessKeyId'],
            'does not take the credentials (InvalidAccessKeyId); set AWS_ACCESS_KEY_ID',
        ),
    ],
)
def test_a_mistake_is_one_line_before_training(environment, tmp_path, script, line):
    server = FailingServer()
    server.script = script
    environment.setenv('AWS_ENDPOINT_URL', server.address)
    result = train(tmp_path, SET, 'run')
    server.shutdown()
    assert result.returncode == 1
    assert 'Traceback' not in result.stderr
    (error,) = [text for text in result.stderr.splitlines() if text.startswith('error')]
    assert line in error


def test_a_storage_that_goes_away_ends_a_training_with_a_line(environment, shapes, tmp_path):
    config = write_config(tmp_path, SET)
    config.write_text(config.read_text() + IMPATIENT)
    work_dir = tmp_path / 'run'
    command = [sys.executable, ROOT / 'tools/train.py', config, '--work-dir', work_dir, '--cfg-options']
    environment.setenv('PYTHONPATH', os.pathsep.join(map(str, [ROOT, ROOT / 'tests/integration'])))
    with storage() as address:
        environment.setenv('AWS_ENDPOINT_URL', address)
        upload(address, shapes, 'set/')
        training = subprocess.Popen([*command, *FILES, 'max_epochs=500'], stderr=subprocess.PIPE, text=True)
        while training.poll() is None and not (work_dir / 'record_rank0.jsonl').exists():
            time.sleep(0.1)
    _, errors = training.communicate(timeout=TIMEOUT)
    assert training.returncode == 1
    assert 'Traceback' not in errors
    assert '2 objects in a row could not be read (1 attempt failed, at last: ' in errors
    assert errors.strip().endswith('look whether the storage is there, then go on by --resume')

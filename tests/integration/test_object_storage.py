"""Training from object storage: the same bits as from a disk; what is wrong with it is one line."""

import pytest

from tests.datasets.storage import BUCKET, VARIABLES, FailingServer, storage, upload
from tests.integration.runs import (
    ONE_EPOCH,
    largest_difference,
    load,
    read_log,
    run_tool,
    succeed,
    write_config,
)

ROOT = f's3://{BUCKET}/set'
FILES = ['train_ann_file=annotations/train.json', 'val_ann_file=annotations/val.json']
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
        succeed(train(tmp_path, ROOT, 'stored'))
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
    result = train(tmp_path, ROOT, 'run')
    server.shutdown()
    assert result.returncode == 1
    assert 'Traceback' not in result.stderr
    (error,) = [text for text in result.stderr.splitlines() if text.startswith('error')]
    assert line in error

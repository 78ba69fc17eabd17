"""Training from shards: the cached recipe, each image once a pass, exact resuming within it, damage named."""

import json
import shutil

import pytest

from mmyolox.datasets.shards import parse_index
from tests.integration.runs import (
    largest_difference,
    load,
    read_log,
    read_record,
    run_tool,
    succeed,
    write_config,
)

CACHED = """
train_pipeline = [
    *_base_.cached_transform,
    dict(type='Mosaic', pre_transform=_base_.pre_transform),
    dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5)),
    dict(type='YOLOXMixUp', pre_transform=_base_.pre_transform, ratio_range=(0.8, 1.6)),
    *_base_.pack_transform,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
"""
OPTIONS = ['chunk_size=2', 'pass_epochs=2', 'train_num_workers=2', 'train_batch_size_per_gpu=2']


@pytest.fixture(scope='module')
def packed(tmp_path_factory, shapes):
    folder = tmp_path_factory.mktemp('packed') / 'shards'
    succeed(run_tool('dataset_converters/make_shards.py', shapes, folder))
    return folder


def config_for(folder, data):
    path = write_config(folder, data)
    path.write_text(path.read_text() + CACHED)
    return path


def test_a_training_killed_within_a_pass_ends_with_the_same_bits(packed, tmp_path):
    config = config_for(tmp_path, packed)
    folders = [tmp_path / 'undisturbed', tmp_path / 'killed']
    succeed(run_tool('train.py', config, '--work-dir', folders[0], '--cfg-options', *OPTIONS))
    kill = 'default_hooks.recorder.kill_at=6'  # 4 iterations an epoch, 2 epochs a pass
    killed = run_tool('train.py', config, '--work-dir', folders[1], '--cfg-options', *OPTIONS, kill)
    assert killed.returncode == -9
    assert sorted(path.name for path in folders[1].glob('epoch_*.pth')) == ['epoch_1.pth']
    succeed(run_tool('train.py', config, '--work-dir', folders[1], '--resume', '--cfg-options', *OPTIONS))
    before, after = map(read_record, folders)
    images = [image for line in before[:8] for image in line['images']]
    assert sorted(images) == list(range(1, 17))
    assert sorted(image for line in before[8:] for image in line['images']) == list(range(1, 17))
    assert after[:7] == before[:7]
    assert after[7:] == before[4:]
    expected, actual = (load(folder / 'epoch_4.pth') for folder in folders)
    assert largest_difference(expected['ema_state_dict'], actual['ema_state_dict']) == 0


def test_damaged_members_do_not_end_a_training(packed, tmp_path):
    shutil.copytree(packed, tmp_path / 'data')
    shard = tmp_path / 'data/images/train-000000.tar'
    members = parse_index(shard.with_suffix('.idx').read_text())
    images = [name for name in members if not name.endswith('.json')]
    content = bytearray(shard.read_bytes())
    content[members[images[0]].offset - 512] ^= 1  # a header
    content[members[images[1]].offset : members[images[1]].offset + 16] = bytes(16)  # an image
    shard.write_bytes(content[: members[images[-1]].offset + 20])  # and the last one breaks off
    config = config_for(tmp_path, tmp_path / 'data')
    options = [*OPTIONS, 'max_epochs=2', 'train_dataloader.dataset.max_undecodable_ratio=0.5']
    succeed(run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options))
    log = read_log(tmp_path / 'run')
    for number in (0, 1, -1):
        (line,) = [line for line in log.splitlines() if f'{shard.name}/{images[number]}' in line]
        assert 'cannot decode the image' in line
        assert 'another sample takes its place' in line
    content = json.loads((packed / 'annotations/train.json').read_text())
    ids = {image['file_name'].partition('/')[2]: image['id'] for image in content['images']}
    seen = {image for line in read_record(tmp_path / 'run') for image in line['images']}
    assert seen == {*ids.values()} - {ids[images[number]] for number in (0, 1, -1)}

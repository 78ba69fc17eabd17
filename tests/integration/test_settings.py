"""Settings of a training, through the command that a user gives."""

import json
import re

import torch

from tests.integration.runs import ONE_EPOCH, largest_difference, load, read_record, run_tool, succeed


def test_validation_losses_are_recorded_and_change_nothing(config, straight, tmp_path):
    options = ['val_loss=True', 'val_interval=1', 'default_hooks.checkpoint.save_best=val/loss']
    succeed(run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options))
    expected, actual = load(straight / 'epoch_4.pth'), load(tmp_path / 'run/epoch_4.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert largest_difference(expected[key], actual[key]) == 0
    (scalars,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in scalars.read_text().splitlines()]
    losses = {entry['step']: entry for entry in entries if 'val/loss' in entry}
    assert sorted(losses) == [1, 2, 3, 4]
    assert [('val/loss_l1' in losses[epoch]) for epoch in sorted(losses)] == [False, False, True, True]
    best = min(losses, key=lambda epoch: losses[epoch]['val/loss'])
    assert [path.name for path in (tmp_path / 'run').glob('best_*')] == [f'best_val_loss_epoch_{best}.pth']


def test_an_automatic_batch_size_is_told_and_kept(config, tmp_path):
    args = ['train.py', config, '--work-dir', tmp_path / 'run']
    options = [*ONE_EPOCH, 'train_batch_size_per_gpu=auto', 'train_num_workers=0']
    said = succeed(run_tool(*args, '--cfg-options', *options))
    (number,) = {int(found) for found in re.findall(r'train_batch_size_per_gpu=auto: (\d+) \(', said)}
    assert 1 <= number <= 16
    assert len(read_record(tmp_path / 'run')[0]['images']) == number
    saved = load(tmp_path / 'run/epoch_1.pth')
    assert saved['meta']['train_batch_size'] == number
    # As if the memory had been another one when the training began.
    saved['meta']['train_batch_size'] = 3
    torch.save(saved, tmp_path / 'run/epoch_1.pth')
    said = succeed(run_tool(*args, '--resume', '--cfg-options', *options, 'max_epochs=2'))
    assert 'train_batch_size_per_gpu=auto: 3, as the training began with' in said
    assert len(read_record(tmp_path / 'run')[-2]['images']) == 3

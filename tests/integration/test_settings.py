"""Settings of a training, through the command that a user gives."""

import json

from tests.integration.runs import largest_difference, load, run_tool, succeed


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

"""A killed training goes on as if nothing had happened."""

import math

import pytest
import torch

from tests.integration.runs import largest_difference, load, read_record, run_tool, succeed


def test_killed_and_resumed_run_ends_with_the_same_bits(config, straight, tmp_path):
    resumed = tmp_path / 'resumed'
    # 4 iterations an epoch: the kill comes in the third epoch, the first one after the mode switch.
    killed = run_tool(
        'train.py', config, '--work-dir', resumed, '--cfg-options', 'default_hooks.recorder.kill_at=9'
    )
    assert killed.returncode == -9
    assert not (resumed / 'epoch_3.pth').exists()
    succeed(run_tool('train.py', config, '--work-dir', resumed, '--resume'))

    expected, actual = load(straight / 'epoch_4.pth'), load(resumed / 'epoch_4.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert largest_difference(expected[key], actual[key]) == 0
    for old, new in zip(
        expected['optimizer']['state'].values(), actual['optimizer']['state'].values(), strict=True
    ):
        assert torch.equal(old['exp_avg'], new['exp_avg'])
    metas = [
        {
            key: repr(value)
            for key, value in saved['meta'].items()
            if key not in ('time', 'experiment_name', 'cfg')
        }
        for saved in (expected, actual)
    ]
    assert metas[0] == metas[1]
    before, after = read_record(straight), read_record(resumed)
    # The killed run saw iterations 8 and 9 once before: what it saw again is what it had seen.
    assert after[8:10] == after[10:12] == before[8:10]
    assert after[12:] == before[10:]


@pytest.mark.parametrize(
    ('name', 'status', 'message'), [('SIGINT', 130, 'stopped; to go on from epoch_'), ('SIGTERM', -15, '')]
)
def test_a_run_that_is_told_to_stop_does_so_and_goes_on(config, straight, tmp_path, name, status, message):
    args = ['train.py', config, '--work-dir', tmp_path / 'run']
    stop = ['default_hooks.recorder.kill_at=13', f'default_hooks.recorder.by={name}']
    stopped = run_tool(*args, '--cfg-options', *stop)
    assert stopped.returncode == status
    assert 'Traceback' not in stopped.stderr
    lines = [line for line in stopped.stderr.splitlines() if line.startswith(('error', 'stopped'))]
    assert len(lines) == bool(message)
    assert ''.join(lines).startswith(message)
    succeed(run_tool(*args, '--resume'))
    expected, actual = load(straight / 'epoch_4.pth'), load(tmp_path / 'run/epoch_4.pth')
    assert largest_difference(expected['ema_state_dict'], actual['ema_state_dict']) == 0


def test_a_validation_that_was_killed_is_done_when_resumed(config, tmp_path):
    best = ['val_interval=2', 'default_hooks.checkpoint.save_best=auto']
    folders = [tmp_path / 'undisturbed', tmp_path / 'killed']
    kill = 'default_hooks.recorder.kill_at_validation=4'
    succeed(run_tool('train.py', config, '--work-dir', folders[0], '--cfg-options', *best))
    killed = run_tool('train.py', config, '--work-dir', folders[1], '--cfg-options', *best, kill)
    assert killed.returncode == -9
    succeed(run_tool('train.py', config, '--work-dir', folders[1], '--resume', '--cfg-options', *best))
    expected, actual = ({path.name: load(path) for path in folder.glob('*.pth')} for folder in folders)
    assert expected.keys() == actual.keys()
    assert any(name.startswith('best_coco_bbox_mAP_epoch_') for name in expected)
    for name, saved in expected.items():
        for key in ('state_dict', 'ema_state_dict'):
            assert largest_difference(saved[key], actual[name][key]) == 0


def test_mode_switch_and_schedule_follow_the_epoch(straight):
    record = read_record(straight)
    assert [line['use_l1'] for line in record] == [False] * 8 + [True] * 8
    assert all(('loss_l1' in line['losses']) == line['use_l1'] for line in record)
    assert all(line['persistent_workers'] for line in record)
    assert sorted(image for line in record[:4] for image in line['images']) == list(range(1, 17))
    rates = [line['lr'] for line in record]
    # One warm-up epoch, then a cosine that falls to its end, just below the last step.
    assert rates[:4] == sorted(rates[:4])
    cosine = [1e-4 + 19e-4 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
    assert rates[4:] == pytest.approx(cosine)


def test_run_shorter_than_the_last_epochs_is_all_second_phase(one_epoch):
    assert all(line['use_l1'] for line in read_record(one_epoch))


def test_epochs_of_a_part_of_the_batches_pass_the_mode_switch(config, tmp_path):
    cut = 'train_dataloader.num_batch_per_epoch=2'
    succeed(run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', cut))
    assert load(tmp_path / 'run/epoch_4.pth')['meta']['iter'] == 8

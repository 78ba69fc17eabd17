"""Two processes on the CPU do what one does."""

import json
from collections import Counter

import numpy as np

from tests.integration.runs import (
    check_as_one_process,
    largest_difference,
    load,
    read_record,
    run_tool,
    succeed,
)

# Batch norm is frozen: its statistics are those of one process' share of the batch otherwise (on accelerators
# SyncBN, `sync_bn='torch'`, is the alternative; PyTorch has none for the CPU).
FROZEN = ['model.norm_eval=True', 'max_epochs=2', 'num_last_epochs=1', 'warmup_epochs=0']


def test_two_processes_train_like_one(config, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    options = ['--cfg-options', *FROZEN]
    succeed(run_tool('train.py', config, '--work-dir', one, *options, 'train_batch_size_per_gpu=8'))
    succeed(
        run_tool('train.py', config, '--work-dir', two, *options, 'train_batch_size_per_gpu=4', processes=2)
    )
    check_as_one_process(one, two)


def test_rank_without_ground_truth_does_not_hang(config, shapes, tmp_path):
    # Unshuffled with one image a process, rank 1 gets every second image: those lose their annotations.
    annotations = json.loads((shapes / 'annotations/train.json').read_text())
    odd = {image['id'] for image in annotations['images'][1::2]}
    annotations['annotations'] = [a for a in annotations['annotations'] if a['image_id'] not in odd]
    path = tmp_path / 'half_empty.json'
    path.write_text(json.dumps(annotations))
    options = [
        *('max_epochs=1', 'num_last_epochs=1', 'warmup_epochs=0', 'train_batch_size_per_gpu=1'),
        *(
            f'train_ann_file={path}',
            'train_dataloader.sampler.shuffle=False',
            'train_dataloader.dataset.indices=8',
        ),
    ]
    run = run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options, processes=2)
    succeed(run)
    ranks = [read_record(tmp_path / 'run', rank) for rank in (0, 1)]
    assert [len(rank) for rank in ranks] == [4, 4]
    assert sum(line['num_gts'] for line in ranks[0]) > 0
    assert all(line['num_gts'] == 0 for line in ranks[1])
    assert np.isfinite([line['losses']['loss'] for rank in ranks for line in rank]).all()


def test_two_processes_evaluate_like_one(config, one_epoch, tmp_path):
    # Every prior counts: which of two nearly equal ones survives would depend on the last bit.
    everything = ['score_thr=0', 'nms.iou_threshold=1', 'max_per_img=2000', 'nms_pre=2000']
    results = []
    for processes in (1, 2):
        out = tmp_path / f'by{processes}.json'
        args = ['test.py', config, one_epoch / 'epoch_1.pth', '--work-dir', tmp_path / 'test', '--out', out]
        args += ['--cfg-options', *(f'model.test_cfg.{option}' for option in everything)]
        succeed(run_tool(*args, processes=processes))
        results.append(json.loads((tmp_path / f'by{processes}.bbox.json').read_text()))
    # 5 images on 2 processes: the one that fills up the last round counts once.
    one, two = ([(d['image_id'], d['category_id']) for d in result] for result in results)
    assert len(one) > 5 * 84
    assert Counter(one) == Counter(two)
    for key in Counter(one):
        found = [
            [(*d['bbox'], d['score']) for d in result if (d['image_id'], d['category_id']) == key]
            for result in results
        ]
        np.testing.assert_allclose(*(np.sort(values, axis=0) for values in found), atol=1e-3)


def test_processes_that_are_started_anew_go_on_to_the_same_bits(config, tmp_path):
    options = ['--cfg-options', *FROZEN]
    straight, restarted = tmp_path / 'straight', tmp_path / 'restarted'
    succeed(run_tool('train.py', config, '--work-dir', straight, *options, processes=2))
    args = ['train.py', config, '--work-dir', restarted, *options, 'default_hooks.recorder.kill_at=3']
    succeed(run_tool(*args, processes=2, restarts=1))
    expected, actual = load(straight / 'epoch_2.pth'), load(restarted / 'epoch_2.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert largest_difference(expected[key], actual[key]) == 0
    assert [line['iter'] for line in read_record(restarted)] == [0, 1, 2, 3, 2, 3]

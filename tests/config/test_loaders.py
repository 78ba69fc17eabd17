"""What a loader or an evaluator is given without a word would be done otherwise than it reads."""

import pytest

from mmyolox.config import load_config
from mmyolox.errors import UserError

NANO = 'yolox_nano_fast_8xb8-300e_coco'
INFINITE = "dict(sampler=dict(_delete_=True, type='InfiniteSampler'))"
LOOP = """train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=9)
param_scheduler = None
default_hooks = dict(mode_switch=None, checkpoint=dict(by_epoch=False))
"""


@pytest.fixture
def load(tmp_path):
    """Loads a config of some lines over a nano."""

    def load_lines(lines):
        path = tmp_path / 'c.py'
        path.write_text(f"_base_ = 'mmyolox::yolox/{NANO}.py'\n{lines}\n")
        return load_config(path)

    return load_lines


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (
            'train_dataloader = dict(sampler=None)',
            r"train_dataloader.sampler=None: nothing .* such as dict\(type='SeededSampler', shuffle=True\)",
        ),
        (
            'val_dataloader = dict(sampler=None)',
            r"val_dataloader.sampler=None: .* such as dict\(type='DefaultSampler', shuffle=False\)",
        ),
        (
            'test_dataloader = dict(sampler=[0, 1])',
            r'test_dataloader.sampler=\[0, 1\]: nothing would shuffle',
        ),
        (f'train_dataloader = {INFINITE}', 'sampler.type=InfiniteSampler: an epoch with it never ends; use'),
        (f'val_dataloader = {INFINITE}', 'InfiniteSampler: an evaluation with it never ends; use'),
        (f'{LOOP}test_dataloader = {INFINITE}', 'InfiniteSampler: an evaluation with it never ends; use'),
        ('train_dataloader = dict(shuffle=True)', 'shuffle=True: .*; set train_dataloader.sampler.shuffle'),
        ('train_dataloader = dict(shuffle=False)', 'shuffle=False: the sampler says whether to shuffle'),
        (
            'train_dataloader = dict(dataset=dict(test_mode=True))',
            'train_dataloader.dataset.test_mode=True: .* it must be False',
        ),
        (
            "train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[dict("
            '_base_.train_dataloader.dataset, test_mode=True)]))',
            'train_dataloader.dataset.datasets.0.test_mode=True: .* it must be False',
        ),
        (
            'val_dataloader = dict(dataset=dict(test_mode=False))',
            'val_dataloader.dataset.test_mode=False: .* it must be True',
        ),
        (
            'val_evaluator = []',
            r'val_evaluator=\[\] measures nothing: .* set val_dataloader, val_cfg and val_',
        ),
        ('test_evaluator = []', r'test_evaluator=\[\] measures nothing: .* set test_dataloader'),
        (
            "val_evaluator = dict(_delete_=True, type='Evaluator', metrics=[])",
            r'val_evaluator.metrics=\[\] measures nothing',
        ),
        ('val_evaluator = dict(metric_items=[])', r'val_evaluator.metric_items=\[\] measures nothing'),
    ],
)
def test_what_would_be_done_otherwise_is_named(load, line, message):
    with pytest.raises(UserError, match=message):
        load(line)


@pytest.mark.parametrize(
    'lines',
    [
        f'{LOOP}train_dataloader = {INFINITE}',
        'val_dataloader = dict(shuffle=False)',
        "val_evaluator = [dict(_base_.val_evaluator), dict(_base_.val_evaluator, prefix='again')]",
        'val_dataloader = None\nval_cfg = None\nval_evaluator = None',
    ],
)
def test_what_does_as_it_reads_passes(load, lines):
    load(lines)


def test_a_data_set_that_evaluates_is_in_test_mode_by_itself(load):
    dataset = "dict(type='YOLOXCocoDataset', ann_file='a.json', pipeline=[])"
    wrapped = f"dict(_delete_=True, type='ConcatDataset', datasets=[{dataset}])"
    cfg = load(f'val_dataloader = dict(dataset={wrapped})\ntrain_dataloader = dict(dataset={wrapped})')
    assert cfg.val_dataloader.dataset.datasets[0].test_mode is True
    assert 'test_mode' not in cfg.train_dataloader.dataset.datasets[0]

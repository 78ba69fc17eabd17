"""A training that gets no better ends, and a resumed one ends at the same epoch."""

from contextlib import suppress

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmyolox.checkpoints.load import latest_checkpoint, use_safe_loading
from mmyolox.config import load_config
from mmyolox.engine import PatienceHook, YOLOXModeSwitchHook
from mmyolox.errors import UserError


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.bbox_head = nn.Linear(2, 1)

    def forward(self, *inputs, mode='tensor'):
        out = self.bbox_head(torch.stack(inputs))
        return dict(loss=out.square().mean()) if mode == 'loss' else out


class Score(BaseMetric):
    """The scores of the epochs, one after the other; stops the process before the one in ``killed_in``."""

    def __init__(self, scores, killed_in=None):
        super().__init__()
        self.scores, self.killed_in, self.validated = scores, killed_in, []

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        epoch = self.runner.epoch
        if epoch == self.killed_in:
            raise KeyboardInterrupt
        self.validated.append(epoch)
        return dict(score=self.scores[epoch - 1])


def train(folder, scores, patience, last=0, interval=1, killed_in=None, save_best='score', every=1):
    """Trains as many epochs as there are scores; returns those that were validated and the log."""
    metric, latest = Score(scores, killed_in), latest_checkpoint(folder)
    data = dict(dataset=list(torch.ones(2, 2)), sampler=dict(type='DefaultSampler'), batch_size=2)
    kind = 'mmyolox.ResumableCheckpointHook'
    checkpoint = dict(type=kind, interval=every, save_best=save_best, rule='greater')
    train.count += 1
    use_safe_loading()
    runner = Runner(
        model=Tiny(),
        work_dir=str(folder),
        train_dataloader=data,
        train_cfg=dict(by_epoch=True, max_epochs=len(scores), val_interval=interval),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=[PatienceHook(patience), Switch(num_last_epochs=last)],
        val_dataloader=data,
        val_cfg=dict(),
        val_evaluator=Evaluator(metric),
        experiment_name=f'patience-{train.count}',
        load_from=latest and str(latest),
        resume=latest is not None,
    )
    metric.runner = runner
    with suppress(KeyboardInterrupt):
        runner.train()
    return metric.validated, ''.join(path.read_text() for path in folder.rglob('*.log'))


train.count = 0


class Switch(YOLOXModeSwitchHook):
    """Has a number of last epochs, and no pipelines to switch."""

    def before_train(self, runner):
        pass

    before_train_epoch = before_train


RISE = [0.1, 0.3, 0.2, 0.3, 0.2, 0.2, 0.2, 0.9]


@pytest.mark.parametrize(
    ('scores', 'patience', 'last', 'interval', 'ended'),
    [
        (RISE, None, 0, 1, 8),
        (RISE, 0, 0, 1, 8),
        (RISE, 3, 0, 1, 5),  # the same score again is no better one
        (RISE, 6, 0, 1, 8),  # the better one comes in the last epoch that it waits for
        (RISE, 3, 0, 2, 6),  # epochs are counted, not validations
        (RISE, 3, 4, 1, 7),  # the last epochs begin behind the fourth
        (RISE, 3, 3, 1, 5),
        ([0.0] * 5, 2, 0, 1, 3),
        ([float('nan')] * 5, 2, 0, 1, 2),
    ],
)
def test_where_a_training_ends(tmp_path, scores, patience, last, interval, ended):
    validated, log = train(tmp_path, scores, patience, last, interval)
    assert validated[-1] == ended
    is_early = ended < len(scores)
    assert (f'The training ends after epoch {ended} of {len(scores)}' in log) is is_early
    assert (f'The last epochs (num_last_epochs={last})' in log) is (
        is_early and bool(last) and ended <= len(scores) - last
    )


@pytest.mark.parametrize('killed_in', [3, 5])
def test_a_resumed_training_ends_at_the_same_epoch(tmp_path, killed_in):
    train(tmp_path, RISE, 3, killed_in=killed_in)
    validated, log = train(tmp_path, RISE, 3)
    assert validated == list(range(killed_in, 6))
    assert log.count('The training ends after epoch 5 of 8') == 1
    # It has ended, whoever resumes it; and goes on where more patience is asked for.
    assert train(tmp_path, RISE, 3)[0] == []
    assert train(tmp_path, RISE, 6)[0] == [6, 7, 8]


@pytest.mark.parametrize('every', [3, 8])
def test_the_epoch_that_a_training_ends_with_is_kept(tmp_path, every):
    assert train(tmp_path, RISE, 3, every=every)[0][-1] == 5
    assert (tmp_path / 'epoch_5.pth').is_file()
    assert train(tmp_path, RISE, 3, every=every)[0] == []
    assert train(tmp_path, RISE, 6, every=every)[0] == [6, 7, 8]


def test_without_a_best_checkpoint_it_says_so(tmp_path):
    with pytest.raises(UserError, match=r'patience=3 goes by what default_hooks\.checkpoint\.save_best'):
        train(tmp_path, RISE, 3, save_best=None)


def test_the_variable_of_the_configs():
    name = 'yolox_nano_fast_8xb8-300e_coco'
    assert load_config(name).default_hooks.patience.patience is None
    assert load_config(name, {'patience': 20}).default_hooks.patience.patience == 20
    with pytest.raises(UserError, match='config key patience=-1: it must be at least 0'):
        load_config(name, {'patience': -1})
    with pytest.raises(UserError, match="patience='x': PatienceHook takes a whole number or None there"):
        load_config(name, {'patience': 'x'})

"""Header, living line, validations and summary of a training of no network, on terminals of all kinds."""

import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop
from rich.console import Console
from torch import nn

from mmyolox.checkpoints.load import use_safe_loading
from mmyolox.engine import progress_line
from mmyolox.engine.hooks import progress
from mmyolox.engine.hooks.progress import Pace, validations_left
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.engine.terminal import Terminal, attach

SCORES = {1: 0.2, 2: 0.4, 3: 0.3}
"""By epoch."""


@pytest.fixture(autouse=True)
def no_loggers():
    """Every test begins without loggers of tests before it."""
    MMLogger._instance_dict.clear()


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, *inputs, mode='tensor'):
        out = self.layer(torch.stack(inputs))
        return dict(loss=out.square().mean(), loss_cls=out.abs().mean()) if mode == 'loss' else out


class Score(BaseMetric):
    """The score of the epoch, over all and of a class; 0.5 in a test."""

    default_prefix = 'coco'

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        score = SCORES[self.runner.epoch] if self.runner else 0.5
        self.by_class = [SimpleNamespace(name='cat', objects=7, precisions=dict(AP=score))]
        return {'bbox_mAP': score, 'bbox_mAP_50': 2 * score}


def run(work_dir, console, verbose=False, test=False, by_epoch=True, save_best='auto', **options):
    """Trains three epochs of two iterations, or tests, and returns what the terminal shows."""
    attach(Terminal(verbose, console), MMLogger.get_instance('mmengine'))
    use_safe_loading()
    run.count += 1
    metric = Score()
    metric.runner = None
    data = dict(sampler=dict(type='DefaultSampler', shuffle=False), batch_size=4)
    checkpoint = dict(
        type='mmyolox.ResumableCheckpointHook',
        by_epoch=by_epoch,
        interval=1,
        save_best=save_best,
        rule='less' if save_best == 'val/loss' else 'greater',
    )
    length = dict(max_epochs=3) if by_epoch else dict(max_iters=3, val_interval=1)
    runner = YOLOXRunner(
        model=Tiny(),
        work_dir=str(work_dir),
        train_dataloader=dict(dataset=list(torch.ones(8, 2)), **data),
        train_cfg=dict(by_epoch=by_epoch, **length),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=checkpoint),
        val_dataloader=dict(dataset=[torch.ones(2)], **data),
        val_cfg=dict(),
        val_evaluator=Evaluator(metric),
        test_dataloader=dict(dataset=list(torch.ones(8, 2)), **data),
        test_cfg=dict(),
        test_evaluator=Evaluator(metric),
        log_processor=dict(by_epoch=by_epoch),
        experiment_name=f'progress-{run.count}',
        **options,
    )
    if not test:
        metric.runner = runner if by_epoch else SimpleNamespace(epoch=2)
    runner.test() if test else runner.train()
    return re.sub('warning: Dataset list has no metainfo.*\n', '', console.file.getvalue())


run.count = 0


def plain():
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def test_a_training_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmyolox train', 'tiny.py'])
    monkeypatch.chdir(tmp_path)
    text = run(tmp_path, plain())
    assert '\x1b' not in text
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith('epoch'))
    assert lines[0].startswith('mmyolox ')
    assert begin <= 25
    header = dict(line.split(maxsplit=1) for line in lines[1:begin])
    assert header['weights'] == 'random'
    assert header['length'] == '2 iterations an epoch, batch 4 on 1 device, validation after each epoch'
    assert header['model'] == 'Tiny, 0.00 M parameters'
    assert header['train'] == 'list, 8 samples'
    (log,) = tmp_path.glob('*/*.log')
    assert header['to'] == f'.; log: {log.relative_to(tmp_path)}'
    validations = lines[begin : begin + 3]
    assert validations[0].startswith('epoch 1/3  AP 0.200  AP50 0.400  best 0.200 (epoch 1)  loss ')
    assert validations[1].startswith('epoch 2/3  AP 0.400  AP50 0.800  best 0.400 (epoch 2)  loss ')
    assert validations[2].startswith('epoch 3/3  AP 0.300  AP50 0.600  best 0.400 (epoch 2)  loss ')
    assert ['ETA' in line for line in validations] == [True, True, False]
    assert lines[begin + 3].startswith('trained 3 epochs in 0:00:')
    summary = [line.strip() for line in lines[begin + 4 :]]
    best = 'best_coco_bbox_mAP_epoch_2.pth'
    assert summary[:2] == ['class  objects      AP', 'cat          7   0.400']  # of the best, not of the last
    assert summary[2] == f'best      AP 0.400  AP50 0.800  {best}'
    assert summary[3] == 'last      epoch_3.pth'
    assert summary[-1] == f'next      mmyolox predict photo.jpg {best}'


class AddLoss(Hook):
    """Adds a loss of the validation to the figures, which rises with the epochs."""

    priority = 'VERY_HIGH'

    def after_val_epoch(self, runner, metrics=None):
        metrics['val/loss'] = 8.0 + runner.epoch


def test_the_loss_of_the_validations_and_what_the_best_is_the_best_of(tmp_path):
    text = run(tmp_path, plain(), save_best='val/loss', custom_hooks=[AddLoss()])
    last = next(line for line in text.splitlines() if line.startswith('epoch 3/3'))
    assert last.startswith(
        'epoch 3/3  AP 0.300  AP50 0.600  val loss 11.000  best val loss 9.000 (epoch 1)  loss '
    )
    best = next(line for line in text.splitlines() if line.startswith('  best'))
    assert best.startswith('  best      AP 0.200  AP50 0.400  val loss 9.000  ')


def test_without_a_best_checkpoint_the_figures_are_those_of_the_last_validation(tmp_path):
    lines = [line.strip() for line in run(tmp_path, plain(), save_best=None).splitlines()]
    begin = lines.index('cat          7   0.300')
    assert lines[begin + 1] == 'figures   AP 0.300  AP50 0.600'
    assert lines[begin + 2].startswith('last ')


def test_the_losses_are_those_of_the_log(tmp_path):
    text = run(tmp_path, plain())
    (log,) = tmp_path.glob('*/*.log')
    logged = [float(value) for value in re.findall(r'Epoch\(train\).* loss: ([\d.]+)', log.read_text())]
    shown = [float(value) for value in re.findall(r'^epoch .* loss ([\d.]+)', text, re.MULTILINE)]
    assert shown == pytest.approx(logged, abs=0.006)


def test_a_resumed_training_says_what_it_goes_on_from(tmp_path):
    run(tmp_path, plain())
    for path in tmp_path.glob('epoch_3.pth'):
        path.unlink()
    text = run(tmp_path, plain(), load_from=str(tmp_path / 'epoch_2.pth'), resume=True)
    assert f'weights   resumed after epoch 2 from {tmp_path}/epoch_2.pth' in text
    assert 'trained 1 epoch in' in text
    assert 'best 0.400 (epoch 2)' in text


def test_a_training_that_was_over_says_so_with_the_best_of_before(tmp_path, monkeypatch):
    run(tmp_path, plain())
    monkeypatch.chdir(tmp_path)
    text = run(tmp_path, plain(), load_from='epoch_3.pth', resume=True)
    assert 'nothing was left to train\n' in text
    assert '  best      0.400 (epoch 2)  best_coco_bbox_mAP_epoch_2.pth' in text.splitlines()


def test_the_figures_of_a_resumed_training_are_not_taken_for_those_of_the_best_before(tmp_path, monkeypatch):
    run(tmp_path, plain())
    monkeypatch.chdir(tmp_path)
    text = run(tmp_path, plain(), load_from='epoch_2.pth', resume=True)
    assert '  best      0.400 (epoch 2)  best_coco_bbox_mAP_epoch_2.pth' in text.splitlines()


@pytest.mark.parametrize('is_moved', [False, True])
@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.parametrize('last', [2, 3])
def test_the_files_that_a_resumed_training_names_are_there(tmp_path, monkeypatch, by_epoch, last, is_moved):
    """In the folder that was moved, or beside the checkpoint if the training goes on in another one."""
    monkeypatch.chdir(tmp_path)
    run(tmp_path / 'old', plain(), by_epoch=by_epoch)
    kind = 'epoch' if by_epoch else 'iter'
    for step in range(last + 1, 4):
        (tmp_path / f'old/{kind}_{step}.pth').unlink()
    place = (tmp_path / 'old').rename(tmp_path / 'moved') if is_moved else tmp_path / 'old'
    folder = place if is_moved else tmp_path / 'other'
    start = dict(load_from=str(place / f'{kind}_{last}.pth'), resume=True)
    lines = run(folder, plain(), by_epoch=by_epoch, **start).splitlines()
    named = dict(line.split(maxsplit=1) for line in lines[-6:] if line.startswith('  '))
    assert named['best'].endswith(f'{place.name}/best_coco_bbox_mAP_{kind}_{2 if by_epoch else 1}.pth')
    for path in (named['best'].split()[-1], named['last'], named['next'].split()[-1]):
        assert (tmp_path / path).is_file()
    assert named['last'] == f'{folder.name if last < 3 else place.name}/{kind}_3.pth'
    trained = (
        f'trained 1 {"epoch" if by_epoch else "iteration"} in ' if last < 3 else 'nothing was left to train'
    )
    assert any(line.startswith(trained) for line in lines)


def test_a_best_checkpoint_that_is_gone_is_not_named(tmp_path):
    run(tmp_path, plain())
    for path in (*tmp_path.glob('best*'), tmp_path / 'epoch_3.pth'):
        path.unlink()
    lines = run(tmp_path, plain(), load_from=str(tmp_path / 'epoch_2.pth'), resume=True).splitlines()
    assert not any(line.startswith('  best') for line in lines)
    assert lines[-1] == f'  next      mmyolox predict photo.jpg {tmp_path}/epoch_3.pth'


class Killed(Hook):
    """Ends the training in the validation of its last epoch."""

    def before_val_epoch(self, runner):
        if runner.epoch == 3:
            raise KeyboardInterrupt


def test_a_validation_that_was_missed_does_not_lend_its_figures_to_the_best(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plain(), custom_hooks=[Killed()])
    lines = run(tmp_path, plain(), load_from='epoch_3.pth', resume=True).splitlines()
    assert any(line.startswith('epoch 3/3  AP 0.300  AP50 0.600  best 0.400 (epoch 2)') for line in lines)
    assert '  best      0.400 (epoch 2)  best_coco_bbox_mAP_epoch_2.pth' in lines


class Reported(Hook):
    """Writes a page at the end."""

    def after_train(self, runner):
        (Path(runner.work_dir) / 'report.html').write_text('new')


@pytest.mark.parametrize(
    ('hooks', 'options', 'named'),
    [
        ([], {}, set()),
        ([Reported()], {}, {'report'}),
        ([], dict(load_from='epoch_2.pth', resume=True), {'pictures', 'curves'}),
        ([Reported()], dict(load_from='epoch_2.pth', resume=True), {'pictures', 'curves', 'report'}),
    ],
)
def test_what_an_earlier_training_left_is_not_named(tmp_path, monkeypatch, hooks, options, named):
    monkeypatch.chdir(tmp_path)
    run(tmp_path, plain())
    for name in ('curves.png', 'report.html'):
        (tmp_path / name).write_text('old')
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / 'validation').mkdir()
    lines = run(tmp_path, plain(), custom_hooks=hooks, **options).splitlines()
    made = {'pictures': 'validation', 'curves': 'curves.png', 'report': 'report.html'}
    shown = dict(line.split(maxsplit=1) for line in lines if line.startswith('  '))
    assert {name: shown[name] for name in made if name in shown} == {name: made[name] for name in named}


def test_a_training_of_iterations(tmp_path):
    text = run(tmp_path, plain(), by_epoch=False)
    assert 'length    3 iterations, batch 4 on 1 device, validation after each iteration' in text
    assert re.search(r'^iteration 1  AP 0.400  AP50 0.800  best 0.400  loss', text, re.MULTILINE)
    assert 'trained 3 iterations in' in text


def test_a_test_prints_every_class_and_one_line(tmp_path):
    lines = run(tmp_path, plain(), test=True).splitlines()
    assert lines[0].endswith('testing ')
    assert lines[-3:] == ['  class  objects      AP', '  cat          7   0.500', 'AP 0.500  AP50 1.000']


def test_all_of_the_log_has_header_and_summary_too(tmp_path):
    text = run(tmp_path, plain(), verbose=True)
    assert 'System environment' in text
    assert 'weights   random' in text
    assert 'trained 3 epochs' in text


@pytest.mark.parametrize('width', [20, 50, 80, 200])
@pytest.mark.parametrize('encoding', ['ascii', 'utf-8'])
def test_a_line_lives_in_a_terminal_of_any_width(tmp_path, monkeypatch, width, encoding):
    monkeypatch.setattr(progress_line, '_LIVE', 0.0)

    class File(io.StringIO):
        pass

    File.encoding = encoding
    console = Console(file=File(), force_terminal=True, width=width, _environ=dict(NO_COLOR='1'))
    text = run(tmp_path, console)
    drawn = re.sub(r'\x1b\[[?\d;]*[A-Za-z]', '', text)
    frames = re.findall(r'[^\r\n]*epoch 1/3  [12]/2[^\r\n]*', drawn)
    assert len(dict.fromkeys(frames)) == 2
    assert all(len(frame) < width for frame in frames)
    assert ('ETA' in frames[-1]) == (width > 20)
    assert ('cls' in frames[-1]) == (width == 200)
    colours = re.findall(r'\x1b\[[\d;]*m', text)
    assert not [code for code in colours if re.search(r'[349][0-7]', code)]  # bold is none
    if encoding == 'ascii':
        assert text.isascii()


def test_lines_come_before_ten_seconds_have_passed(monkeypatch, tmp_path):
    now = [0.0]

    def monotonic():
        now[0] += 4
        return now[0]

    monkeypatch.setattr(progress, 'time', SimpleNamespace(monotonic=monotonic))
    text = run(tmp_path, plain())
    assert len(re.findall(r'^epoch \d/3  [12]/2  ETA', text, re.MULTILINE)) >= 2


def test_the_pace_has_all_but_the_validations():
    pace = Pace(window=3)
    assert pace.left(10, 1, guess=2) is None
    pace.step(0.0)
    assert pace.left(10, 1) is None
    pace.step(2.0)
    assert pace.left(10, 1, guess=3) == 10 * 2 + 3 * 2
    pace.validated(5.0)
    pace.step(9.0)  # 7 s, of which 5 in the validation
    assert pace.left(10, 2, guess=99) == 10 * 2 + 2 * 5
    for second in (10.0, 11.0, 12.0):
        pace.step(second)
    assert pace.seconds == 1.0  # the first ones are forgotten


@pytest.mark.parametrize(
    ('done', 'end', 'interval', 'begin', 'dynamic', 'left'),
    [
        (0, 10, 5, 1, [], 2),
        (0, 11, 5, 1, [], 3),
        (5, 10, 5, 1, [], 1),
        (0, 10, 1, 8, [], 3),
        (0, 10, 5, 1, [(7, 1)], 6),
        (9, 10, 3, 1, [], 1),
        (10, 10, 3, 1, [], 0),
    ],
)
def test_validations_that_are_left(done, end, interval, begin, dynamic, left):
    """Counted as MMEngine's loop does it."""
    runner = SimpleNamespace(visualizer=SimpleNamespace(), logger=None, val_loop=1)
    loop = EpochBasedTrainLoop(
        runner,
        torch.utils.data.DataLoader([1]),
        end,
        val_begin=begin,
        val_interval=interval,
        dynamic_intervals=dynamic,
    )
    count = 0
    loop._epoch = done
    runner.train_loop = loop
    assert validations_left(runner) == left
    while loop._epoch < end:
        loop._epoch += 1
        loop._decide_current_val_interval()
        is_due = loop._epoch % loop.val_interval == 0 or loop._epoch == end
        count += loop._epoch >= loop.val_begin and is_due
    assert count == left
    runner.val_loop = None
    assert validations_left(runner) == 0

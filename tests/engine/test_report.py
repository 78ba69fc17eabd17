"""The report that a training writes at its end, and the detections that it keeps for it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmyolox.engine import ReportHook
from mmyolox.engine.hooks import report
from mmyolox.errors import UserError
from mmyolox.report.training_records import KeptValidation, kept_file, note_kept, read_kept, read_runs


class Epochs(EpochBasedTrainLoop):
    def __init__(self):
        self._epoch = self._iter = 0


class Iterations(IterBasedTrainLoop):
    def __init__(self):
        self._iter = 0


class Metric:
    """A metric whose detections are the number of the validation."""

    def __init__(self):
        self.validation = 0

    def write_results(self, prefix):
        Path(prefix).parent.mkdir(exist_ok=True)
        Path(f'{prefix}.bbox.json').write_text(json.dumps([self.validation]))


class Runner(SimpleNamespace):
    epoch = property(lambda self: getattr(self._train_loop, '_epoch', 0))
    iter = property(lambda self: self._train_loop._iter)


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.setattr(report, 'training_lines', lambda runner: [('model', 'nano')])
    warnings = []
    return Runner(
        work_dir=str(tmp_path),
        log_dir=str(tmp_path / '20250101_000000'),
        logger=SimpleNamespace(warning=warnings.append, info=lambda *_, **__: None),
        warnings=warnings,
        message_hub=SimpleNamespace(runtime_info={}),
        model=torch.nn.Linear(1, 1),
        val_evaluator=SimpleNamespace(metrics=[SimpleNamespace(), Metric()]),
        val_loop=None,
        _resume=False,
        _train_loop=Epochs(),
    )


def validate(hook, runner, step, best=None):
    """A validation after a step; ``best`` is the checkpoint that the checkpoint hook has made the best."""
    loop, metric = runner._train_loop, runner.val_evaluator.metrics[-1]
    setattr(loop, '_epoch' if isinstance(loop, Epochs) else '_iter', step)
    metric.validation = step
    hook.before_val_epoch(runner)
    if best:
        runner.message_hub.runtime_info['best_ckpt'] = f'/somewhere/{best}'
    hook.after_val_epoch(runner, {})


def kept(runner):
    """The number of the validation whose detections are kept, and of the note."""
    [number] = json.loads(kept_file(runner.work_dir).read_text())
    noted = read_kept(runner.work_dir)
    assert noted.number == number
    return noted


@pytest.mark.parametrize(
    ('validations', 'expected'),
    [
        ([(1, 'one.pth')], KeptValidation('epoch', 1, 'one.pth')),
        ([(1, 'one.pth'), (2, None), (3, None)], KeptValidation('epoch', 1, 'one.pth')),
        ([(1, 'one.pth'), (2, 'two.pth'), (3, None)], KeptValidation('epoch', 2, 'two.pth')),
        ([(1, None), (2, None)], KeptValidation('epoch', 2)),  # nothing says which is the best
    ],
)
def test_the_detections_of_the_best_validation_are_kept_else_of_the_last(runner, validations, expected):
    hook = ReportHook()
    hook.before_train(runner)
    for epoch, best in validations:
        validate(hook, runner, epoch, best)
    assert kept(runner) == expected
    assert not runner.warnings


def test_a_training_of_iterations_counts_those(runner):
    runner._train_loop = Iterations()
    hook = ReportHook()
    validate(hook, runner, 200, 'best.pth')
    assert kept(runner) == KeptValidation('iteration', 200, 'best.pth')


def resumed(runner, best):
    """A runner that goes on, after its checkpoint said which one is the best."""
    runner._resume = True
    runner.message_hub.runtime_info = dict(best_ckpt=f'/elsewhere/{best}') if best else {}
    return ReportHook()


def test_a_resumed_training_keeps_the_detections_of_the_best_before(runner):
    validate(ReportHook(), runner, 1, 'one.pth')
    hook = resumed(runner, 'one.pth')
    hook.before_train(runner)
    validate(hook, runner, 2)
    assert kept(runner) == KeptValidation('epoch', 1, 'one.pth')
    validate(hook, runner, 3, 'three.pth')
    assert kept(runner) == KeptValidation('epoch', 3, 'three.pth')


@pytest.mark.parametrize('best', ['two.pth', None])
def test_detections_that_are_not_of_the_best_checkpoint_give_way(runner, best):
    """One that was killed between its checkpoint and the detections, or goes on from an earlier one."""
    validate(ReportHook(), runner, 1, 'one.pth')
    hook = resumed(runner, best)
    hook.before_train(runner)
    validate(hook, runner, 3)
    assert kept(runner) == KeptValidation('epoch', 3)


def test_a_training_that_begins_anew_forgets_those_of_the_one_before(runner):
    validate(ReportHook(), runner, 1, 'one.pth')
    ReportHook().before_train(runner)
    assert read_kept(runner.work_dir) is None


def test_files_of_which_some_are_written_count_for_nothing(runner, monkeypatch):
    hook = ReportHook()
    validate(hook, runner, 1, 'one.pth')
    monkeypatch.setattr(Metric, 'write_results', lambda *_: 1 / 0)
    validate(hook, runner, 2, 'two.pth')
    assert read_kept(runner.work_dir) is None
    [warning] = runner.warnings
    assert warning == 'the detections of this validation are not kept: ZeroDivisionError: division by zero'


def test_a_validation_alone_keeps_nothing(runner):
    runner._train_loop = None
    hook = ReportHook()
    hook.before_val_epoch(runner)
    hook.after_val_epoch(runner, {})
    assert not any(Path(runner.work_dir).iterdir())


def test_a_metric_that_keeps_no_detections_is_left_alone(runner):
    runner.val_evaluator.metrics.pop()
    runner.val_evaluator.metrics.append(SimpleNamespace())
    hook = ReportHook()
    hook.before_train(runner)
    validate(hook, runner, 1, 'one.pth')
    assert read_kept(runner.work_dir) is None
    assert not runner.warnings


def test_the_record_of_a_run_says_what_and_how_far(runner):
    hook = ReportHook()
    hook.before_train(runner)
    [run] = read_runs(runner.work_dir)
    assert (run.first_epoch, run.epoch, run.facts) == (0, 0, [['model', 'nano']])
    assert run.environment.keys() >= {'mmyolox', 'torch', 'mmengine', 'Python', 'device'}
    validate(hook, runner, 2, 'two.pth')
    [run] = read_runs(runner.work_dir)
    assert run.epoch == 2
    assert run.seconds > 0


def test_what_is_not_installed_is_told_in_a_line_and_nothing_is_written(runner, monkeypatch):
    def refuse(*others):
        raise UserError('a report needs altair: pip install it')

    monkeypatch.setattr(report, 'require_packages', refuse)
    ReportHook().after_train(runner)
    assert runner.warnings == ['a report needs altair: pip install it']
    assert not (Path(runner.work_dir) / 'report.html').exists()


def test_a_fault_of_ours_ends_no_training(runner, monkeypatch):
    monkeypatch.setattr(report, 'report_page', lambda run: 1 / 0)
    ReportHook().after_train(runner)
    assert runner.warnings == ['no report.html: ZeroDivisionError: division by zero']


def test_other_processes_do_nothing(runner, monkeypatch):
    monkeypatch.setattr(report, 'is_main_process', lambda: False)
    hook = ReportHook()
    hook.before_train(runner)
    validate(hook, runner, 1, 'one.pth')
    hook.after_train(runner)
    assert not any(Path(runner.work_dir).iterdir())


def test_a_note_without_its_file_is_replaced(runner):
    note_kept(runner.work_dir, KeptValidation('epoch', 1, 'one.pth'))
    hook = resumed(runner, 'one.pth')
    validate(hook, runner, 2)
    assert kept(runner) == KeptValidation('epoch', 2)

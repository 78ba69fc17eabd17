"""The report of a training, written when it ends, and what that is made of, kept while it goes on."""

import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from mmyolox.analysis import GroundTruth, analyse
from mmyolox.compat import installed_packages
from mmyolox.pages import require_packages
from mmyolox.registry import HOOKS
from mmyolox.report.build import kept_case, training_run
from mmyolox.report.page import report_page
from mmyolox.report.training_records import (
    KeptValidation,
    RunRecord,
    forget_kept,
    kept_prefix,
    note_kept,
    read_kept,
)
from mmyolox.utils.devices import device_name
from mmyolox.version import __version__

from .header import training_lines
from .pictures import going_on
from .summary import best_checkpoint

REPORT = 'report.html'


@HOOKS.register_module()
class ReportHook(Hook):
    """Writes ``<work_dir>/report.html`` when a training ends: what it was, and what its model does wrong.

    While it goes on, the detections of the best validation are kept, else those of the last one:
    ``<work_dir>/validation/detections.bbox.json``, in COCO's result format, and of a pose model
    ``detections.keypoints.json``. They are those of the first metric that has a method ``write_results``.

    What cannot be written is told, and the training goes on.
    """

    # After the hook that decides which checkpoint is the best, before the summary.
    priority = 92

    def __init__(self) -> None:
        self._record: RunRecord | None = None
        self._began = time.monotonic()
        self._best: str | None = None

    def before_train(self, runner: Runner) -> None:
        """Notes what is trained, on what, and with what.

        Args:
            runner: The runner, with all that it needs built and loaded.
        """
        self._began = time.monotonic()
        if not is_main_process():
            return
        with going_on(runner.logger, 'no record of this run for its report'):
            if not runner._resume:
                forget_kept(runner.work_dir)
            self._record = RunRecord(
                f'{datetime.now():%Y-%m-%d %H:%M}', runner.epoch, training_lines(runner), environment(runner)
            )
            self._write_record(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Notes the best checkpoint; a resumed training may validate before it begins."""
        self._best = best_checkpoint(runner)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Keeps the detections of the best validation, else those of the last one.

        Args:
            runner: The runner.
            metrics: The figures.
        """
        loop = runner._train_loop
        if not is_main_process() or not isinstance(loop, BaseLoop):
            return
        with going_on(runner.logger, 'the detections of this validation are not kept'):
            best, kept = best_checkpoint(runner), read_kept(runner.work_dir)
            is_best = best is not None and best != self._best
            has_best = kept is not None and best is not None and kept.checkpoint == Path(best).name
            metric = next(
                (one for one in runner.val_evaluator.metrics if hasattr(one, 'write_results')), None
            )
            if metric is not None and (is_best or not has_best):
                by_epoch = isinstance(loop, EpochBasedTrainLoop)
                unit, number = ('epoch', loop.epoch) if by_epoch else ('iteration', loop.iter)
                forget_kept(runner.work_dir)
                metric.write_results(str(kept_prefix(runner.work_dir)))
                name = Path(best).name if best and is_best else ''
                note_kept(runner.work_dir, KeptValidation(unit, number, name))
            self._write_record(runner)

    def after_train(self, runner: Runner) -> None:
        """Writes the report.

        Args:
            runner: The runner.
        """
        if not is_main_process():
            return
        with going_on(runner.logger, f'no {REPORT}'):
            self._write_record(runner)
            require_packages('hotcoco')
            case = None
            if runner.val_loop is not None:
                case = kept_case(runner.work_dir, GroundTruth.of_dataset(runner.val_dataloader.dataset))
            run = training_run(runner.work_dir, None if case is None else analyse(case))
            report_page(run).write(Path(runner.work_dir, REPORT))

    def _write_record(self, runner: Runner) -> None:
        """Writes how far the training is."""
        if self._record is not None:
            done = dict(epoch=runner.epoch, iteration=runner.iter, seconds=time.monotonic() - self._began)
            replace(self._record, **done).write(runner.log_dir)


def environment(runner: Runner) -> dict[str, str]:
    """The versions of the packages that a training stands on, and its machine.

    Args:
        runner: The runner.
    """
    return dict(
        mmyolox=__version__,
        torch=torch.__version__,
        **installed_packages(),
        Python=f'{platform.python_version()} on {platform.platform()}',
        device=device_name(next(runner.model.parameters()).device),
    )

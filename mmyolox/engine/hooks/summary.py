"""What came of a training or a test: the last lines on a terminal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from mmyolox.engine.figures import class_table, format_figures, short_figures
from mmyolox.engine.progress_line import format_time
from mmyolox.engine.terminal import Terminal, next_command, shown_path
from mmyolox.errors import counted, one_line

from .header import log_file
from .progress import best_score

_CLASSES = 15
"""How many classes the summary of a training shows."""
_MADE = dict(pictures='validation', curves='curves.png', report='report.html')
"""What a training makes in its work dir; what an earlier one left there under these names is not named."""


class SummaryHook(Hook):
    """Prints what came of a training, or of an evaluation alone.

    Args:
        terminal: Where to print.
    """

    # When all else is done, early stopping included.
    priority = 'LOWEST'

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._began = time.monotonic()
        self._best: str | None = None
        self._figures: dict[str, float] = {}
        self._by_class: Sequence[Any] = []
        self._first_epoch = self._first_iter = 0
        self._earlier: dict[Path, int] = {}

    def before_train(self, runner: Runner) -> None:
        """Notes when the training begins, with which epoch and iteration, and what lies in its work dir."""
        self._began = time.monotonic()
        self._first_epoch, self._first_iter = runner.epoch, runner.iter
        # A training that goes on has its curves and pictures already; a report is of where it ended.
        files = [_MADE['report']] if runner._resume else _MADE.values()
        paths = (Path(runner.work_dir, file) for file in files)
        self._earlier = {path: path.stat().st_mtime_ns for path in paths if path.exists()}

    def before_val_epoch(self, runner: Runner) -> None:
        """Notes the best checkpoint; a resumed training may validate before it begins."""
        self._best = best_checkpoint(runner)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Keeps the figures of the best checkpoint, or of the last validation where none is the best.

        Args:
            runner: The runner.
            metrics: The figures.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            self._print_figures(runner.val_evaluator, metrics or {})
            return
        best = best_checkpoint(runner)
        if best is None or best != self._best:
            self._figures = short_figures(metrics or {})
            self._by_class = by_class(runner.val_evaluator)

    def after_train(self, runner: Runner) -> None:
        """Prints the summary of a training.

        Args:
            runner: The runner.
        """
        self.terminal.clear()
        if not is_main_process():
            return
        taken = format_time(time.monotonic() - self._began)
        done = counted(runner.iter - self._first_iter, 'iteration')
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            done = counted(runner.epoch - self._first_epoch, 'epoch')
        is_over = runner.iter == self._first_iter
        self.terminal.print('nothing was left to train' if is_over else f'trained {done} in {taken}', 'bold')
        for line in class_table(self._by_class, _CLASSES):
            self.terminal.print(f'  {line}')
        for name, text in self._results(runner):
            self.terminal.print(f'  {name:<9} {one_line(text)}')

    def _results(self, runner: Runner) -> Iterator[tuple[str, str]]:
        """Where everything is, and what to do next."""
        best, last = best_checkpoint(runner), runner.message_hub.runtime_info.get('last_ckpt')
        if best:
            figures = format_figures(self._figures) or best_score(runner)  # of a validation before a resume
            yield 'best', f'{figures}  {shown_path(best)}'.strip()
        elif self._figures:
            yield 'figures', format_figures(self._figures)
        if last:
            yield 'last', shown_path(last)
        folder = Path(runner.work_dir)
        for name, path in ((name, folder / file) for name, file in _MADE.items()):
            if path.exists() and path.stat().st_mtime_ns != self._earlier.get(path):
                yield name, shown_path(path)
        yield 'log', shown_path(folder / log_file(runner))
        if best or last:
            yield 'next', next_command('predict', 'image_demo.py', 'photo.jpg', shown_path(best or last))

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Prints the figures of a test, overall and of each class.

        Args:
            runner: The runner.
            metrics: The figures.
        """
        self._print_figures(runner.test_evaluator, metrics or {})

    def _print_figures(self, evaluator: Evaluator, metrics: Mapping[str, Any]) -> None:
        self.terminal.clear()
        if not is_main_process():
            return
        for line in class_table(by_class(evaluator)):
            self.terminal.print(f'  {line}')
        self.terminal.print(format_figures(short_figures(metrics)) or 'no figures', 'bold')


def by_class(evaluator: Evaluator) -> Sequence[Any]:
    """What the first metric that tells it has measured of each class.

    Args:
        evaluator: The metrics.
    """
    return next((found for metric in evaluator.metrics if (found := getattr(metric, 'by_class', None))), [])


def best_checkpoint(runner: Runner) -> str | None:
    """The file of the best checkpoint so far, by the first figure that one is kept for.

    Args:
        runner: The runner.
    """
    info = runner.message_hub.runtime_info
    return next((info[name] for name in info if name.startswith('best_ckpt') and info[name]), None)

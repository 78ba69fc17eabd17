"""The line that lives while a training or a test goes on, and the line after each validation."""

import time
from bisect import bisect
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmyolox.engine.figures import format_figures, format_value, short_figures
from mmyolox.engine.progress_line import ProgressLine, format_time
from mmyolox.engine.terminal import Terminal

from .checkpoint_saving import BEST_EPOCH

_WINDOW = 50


class Pace:
    """How fast a training goes, from what was measured.

    The time of an iteration is that from one to the next, without validations, and with all else that
    happens between them: saving a checkpoint, starting workers.

    Args:
        window: The number of iterations that count, the last ones.
    """

    def __init__(self, window: int = 500) -> None:
        self._marks: deque[float] = deque(maxlen=window + 1)
        self._in_validations = 0.0
        self._validations = 0

    def step(self, now: float) -> None:
        """Notes the end of an iteration.

        Args:
            now: The time in seconds, as of the other methods.
        """
        self._marks.append(now - self._in_validations)

    def validated(self, seconds: float) -> None:
        """Notes a validation.

        Args:
            seconds: How long it took.
        """
        self._in_validations += seconds
        self._validations += 1

    @property
    def seconds(self) -> float | None:
        """The mean time of an iteration; None before two of them."""
        count = len(self._marks) - 1
        return (self._marks[-1] - self._marks[0]) / count if count > 0 else None

    def left(self, iterations: int, validations: int, guess: float = 0) -> float | None:
        """The time that is left, in seconds; None as long as nothing was measured.

        Args:
            iterations: How many are to come.
            validations: How many are to come.
            guess: How many iterations a validation takes, as long as there was none.
        """
        if self.seconds is None:
            return None
        one = self._in_validations / self._validations if self._validations else guess * self.seconds
        return iterations * self.seconds + validations * one


class ProgressHook(Hook):
    """Draws how far a training or a test is, and prints a line after each validation.

    On a terminal a line lives; elsewhere a line is printed so often that ten seconds do not pass without one.
    The losses are means of the last 50 iterations.

    Args:
        terminal: Where to draw.
    """

    # After the checkpoint hook, which decides which validation is the best.
    priority = 95

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.pace = Pace()
        self._began = time.monotonic()
        self._line = ProgressLine(terminal, self._began)

    def before_train(self, runner: Runner) -> None:
        """Begins to measure."""
        self.pace = Pace()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the progress of the training, if it is due."""
        now = time.monotonic()
        self.pace.step(now)
        if not self._line.is_due(now, self.pace.seconds or 0):
            return
        loop, loader = runner.train_loop, runner.train_dataloader
        if isinstance(loop, EpochBasedTrainLoop):
            done, total = batch_idx + 1, len(loader)
            where = f'{_epoch(runner.epoch + 1, loop)}  {done:>{len(str(total))}}/{total}'
        else:
            done, total = runner.iter + 1, loop.max_iters
            where = f'iteration {done}/{total}'
        losses = losses_of(runner)
        parts = [where, f'ETA {self.time_left(runner, 1)}']
        if 'loss' in losses:
            parts.append(f'loss {losses.pop("loss"):.2f}')
        parts += [self._speed(loader), *_memory(runner)]
        parts += [f'{name.removeprefix("loss_")} {value:.2f}' for name, value in losses.items()]
        self._line.show(done / total, parts)

    def before_val_epoch(self, runner: Runner) -> None:
        """Notes when the validation begins."""
        self._began = time.monotonic()

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the progress of the validation, if it is due."""
        total = len(runner.val_dataloader)
        if self._line.is_due(time.monotonic(), self.pace.seconds or 0):
            self._line.show((batch_idx + 1) / total, [f'validation {batch_idx + 1}/{total}'])

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Prints the figures of a validation, the best so far, the losses and the time left."""
        now = time.monotonic()
        self.pace.validated(now - self._began)
        self._line.clear(now)
        loop = runner._train_loop
        if not is_main_process() or not isinstance(loop, BaseLoop):  # a validation alone has a summary
            return
        if isinstance(loop, EpochBasedTrainLoop):
            where = _epoch(runner.epoch, loop)
        else:
            where = f'iteration {runner.iter}'
        best = best_score(runner)
        parts = [where, format_figures(short_figures(metrics or {})), f'best {best}' if best else '']
        parts += [f'{name} {value:.2f}' for name, value in losses_of(runner).items() if name == 'loss']
        if loop.iter < loop.max_iters and not loop.stop_training:
            parts.append(f'ETA {self.time_left(runner)}')
        self.terminal.print('  '.join(filter(None, parts)))

    def before_test(self, runner: Runner) -> None:
        """Begins to measure."""
        self.pace = Pace()

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the progress of the test, if it is due."""
        now, total = time.monotonic(), len(runner.test_dataloader)
        self.pace.step(now)
        if self._line.is_due(now, self.pace.seconds or 0):
            left = format_time(self.pace.left(total - batch_idx - 1, 0))
            where = f'test {batch_idx + 1}/{total}'
            self._line.show(
                (batch_idx + 1) / total, [where, f'ETA {left}', self._speed(runner.test_dataloader)]
            )

    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Removes the line that lives."""
        self.terminal.clear()

    def time_left(self, runner: Runner, ahead: int = 0) -> str:
        """How long the training goes on, with its validations, from what was measured.

        A validation that was not measured yet is taken to be as fast as the training, image by image.

        Args:
            runner: The runner.
            ahead: The number of iterations that are done and that the loop has not counted yet.
        """
        validations, guess = validations_left(runner), 0.0
        if validations:
            images = len(runner.val_dataloader) * (runner.val_dataloader.batch_size or 1)
            guess = images / (runner.train_dataloader.batch_size or 1)
        loop = runner.train_loop
        return format_time(self.pace.left(loop.max_iters - loop.iter - ahead, validations, guess))

    def _speed(self, loader: DataLoader) -> str:
        seconds = self.pace.seconds
        if not seconds or not loader.batch_size:
            return ''
        speed = loader.batch_size * get_world_size() / seconds
        return f'{speed:.{0 if speed >= 10 else 1}f} images/s'


def losses_of(runner: Runner) -> dict[str, float]:
    """The means of the last losses of the training, by their names.

    Args:
        runner: The runner.
    """
    scalars = runner.message_hub.log_scalars
    names = [name for name in scalars if name.startswith('train/loss')]
    return {name.removeprefix('train/'): float(scalars[name].mean(_WINDOW)) for name in names}


def validations_left(runner: Runner) -> int:
    """How often will be validated in the rest of the training, as MMEngine's loops decide it.

    Args:
        runner: The runner.
    """
    loop = runner.train_loop
    if runner.val_loop is None:
        return 0
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    done, end = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)

    def is_validated(step: int) -> bool:
        interval = loop.dynamic_intervals[bisect(loop.dynamic_milestones, step + 1) - 1]
        return step >= loop.val_begin and (step % interval == 0 or step == end)

    return sum(is_validated(step) for step in range(done + 1, end + 1))


def _epoch(number: int, loop: EpochBasedTrainLoop) -> str:
    return f'epoch {number:>{len(str(loop.max_epochs))}}/{loop.max_epochs}'


def best_score(runner: Runner) -> str:
    """The best value of the figure by which checkpoints are kept, and its epoch; empty for none.

    The figure's name stands before it where it is another than the AP.

    Args:
        runner: The runner.
    """
    info = runner.message_hub.runtime_info
    score = next((info[name] for name in info if name.startswith('best_score')), None)
    if score is None:
        return ''
    is_known = BEST_EPOCH in info and isinstance(runner.train_loop, EpochBasedTrainLoop)
    epoch = f' (epoch {info[BEST_EPOCH]})' if is_known else ''
    keepers = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_best)
    figure = next((hook.key_indicators[0] for hook in keepers), 'auto')
    [name] = short_figures({figure: 0})
    return f'{"" if name in ("AP", "auto") else f"{name} "}{format_value(float(score))}{epoch}'


def _memory(runner: Runner) -> list[str]:
    """What the training takes of the device's memory, where there is one of its own."""
    device = next(runner.model.parameters()).device
    measure = None
    if device.type != 'cpu':
        measure = getattr(torch.get_device_module(device), 'memory_reserved', None)
    return [f'{measure(device) / 2**30:.1f} GiB'] if measure else []

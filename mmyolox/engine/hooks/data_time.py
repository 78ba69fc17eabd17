"""A warning for trainings that wait for data."""

import os
from collections import deque

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.engine.host_copy import DeviceMark
from mmyolox.registry import HOOKS
from mmyolox.utils.memory import processes_on_machine


@HOOKS.register_module()
class DataTimeHook(Hook):
    """Warns, at most once an epoch, when the device waits for data, and says what helps.

    Reads the times of MMEngine's ``IterTimerHook``. Loading that the device did not wait for, because it was
    still busy with the batch before, does not count.

    Args:
        max_share: of the time of an iteration that may be spent waiting for data.
        window: iterations to judge by, over the borders of epochs.
        skip: iterations at the begin of every epoch that do not count: the workers start there.
    """

    # After the hook that takes the times.
    priority = 'LOW'

    def __init__(self, max_share: float = 0.2, window: int = 50, skip: int = 5) -> None:
        self.max_share = max_share
        self.skip = skip
        self._times: deque[tuple[float, float]] = deque(maxlen=window)
        self._waited = 0.0
        self._mark: DeviceMark | None = None
        self._warned_in: int | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Notes how long the device waited for this batch."""
        is_idle = self._mark is None or self._mark.is_reached()
        self._waited = _current(runner, 'data_time') if is_idle else 0.0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Judges the last iterations."""
        self._mark = DeviceMark(next(iter(outputs.values())).device) if outputs else None
        if batch_idx < self.skip:
            return
        self._times.append((self._waited, _current(runner, 'time')))
        waited, total = (sum(times) / len(self._times) for times in zip(*self._times, strict=True))
        is_full = len(self._times) == self._times.maxlen
        if is_full and waited > self.max_share * total and self._warned_in != runner.epoch:
            self._warned_in = runner.epoch
            runner.logger.warning(
                f'The training waits for data: {waited:.3f} of {total:.3f} s an iteration '
                f'({waited / total:.0%}). {_advice(runner.train_dataloader.num_workers)}'
            )


def _current(runner: Runner, name: str) -> float:
    return float(runner.message_hub.get_scalar(f'train/{name}').current())


def _advice(num_workers: int) -> str:
    cores = max(1, _usable_cores() // processes_on_machine())
    if num_workers < cores:
        workers = f'train_num_workers={cores} (now {num_workers}; so many CPU cores are there)'
    else:
        workers = f'more CPU cores ({num_workers} workers share {cores} now)'
    return (
        f'What helps: {workers}; one image decoded a sample instead of five (a *-cached config); '
        'train_dataloader.dataset.image_cache=ram if the images fit; max_shrink=8 (large JPEG files decoded '
        'smaller); YOLOXBatchHSV and YOLOXBatchFlip on the device. See docs/speed.md'
    )


def _usable_cores() -> int:
    """The CPU cores that this process may use, where the system tells, else those of the machine."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

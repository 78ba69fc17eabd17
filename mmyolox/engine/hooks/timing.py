"""Where a training's time goes: until it starts, and while it waits for data."""

import time
from collections import deque

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.registry import HOOKS
from mmyolox.utils.cli import STARTED
from mmyolox.utils.devices import usable_cores


class DeviceMark:
    """A point in the work that was given to a device.

    Args:
        device: The device; a CPU has always come so far.
    """

    def __init__(self, device: torch.device) -> None:
        self._event = None if device.type == 'cpu' else torch.get_device_module(device).Event()
        if self._event is not None:
            self._event.record()

    def is_reached(self) -> bool:
        """Whether the device has come so far; asks without waiting."""
        return self._event is None or bool(self._event.query())

    def wait(self) -> None:
        """Waits until the device has come so far, not for what it was given since."""
        if self._event is not None:
            self._event.synchronize()


@HOOKS.register_module()
class StartUpTimeHook(Hook):
    """Logs once, after the first iteration, the time since the tool was started, and what it went into.

    In a program that is not one of our tools the time counts from the import of ``mmyolox.engine``.
    """

    def __init__(self) -> None:
        self._last = STARTED
        self._parts: dict[str, float] = {}
        self._is_done = False
        # The Runner builds its hooks at its very end.
        self._take('imports, config and model')

    def before_run(self, runner: Runner) -> None:
        """Notes the time until data sets and optimizer were there."""
        self._take('data sets')

    def before_train(self, runner: Runner) -> None:
        """Notes the time until the weights were initialised or loaded."""
        self._take('weights')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Notes the time until the first batch was there."""
        if not self._is_done:
            self._take('first batch')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Waits for the first step and logs."""
        if self._is_done:
            return
        self._is_done = True
        for value in (outputs or {}).values():
            value.cpu()  # waits for the device, this once
        self._take('first step')
        parts = ', '.join(f'{name} {seconds:.1f}' for name, seconds in self._parts.items())
        runner.logger.info(f'first iteration after {sum(self._parts.values()):.1f} s ({parts})')

    def _take(self, name: str) -> None:
        now = time.monotonic()
        self._parts[name] = now - self._last
        self._last = now


@HOOKS.register_module()
class DataTimeHook(Hook):
    """Warns once when the device waits for data, and says what helps.

    Reads the times of MMEngine's ``IterTimerHook``. Loading that the device did not wait for, because it was
    still busy with the batch before, does not count.

    Args:
        max_share: The share of an iteration's time that may be spent waiting for data.
        window: The number of iterations to judge by, over the borders of epochs.
        skip: The number of iterations at the begin of every epoch that do not count: the workers start there.
    """

    # After the hook that takes the times.
    priority = 'LOW'

    def __init__(self, max_share: float = 0.2, window: int = 50, skip: int = 5) -> None:
        self.max_share = max_share
        self.skip = skip
        self._times: deque[tuple[float, float]] = deque(maxlen=window)
        self._waited = 0.0
        self._mark: DeviceMark | None = None
        self._has_warned = False

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
        if is_full and waited > self.max_share * total and not self._has_warned:
            self._has_warned = True
            runner.logger.warning(
                f'The training waits for data: {waited:.3f} of {total:.3f} s an iteration '
                f'({waited / total:.0%}). {_advice(runner.train_dataloader.num_workers)}'
            )


def _current(runner: Runner, name: str) -> float:
    """The last of the times of a name; 0 where no hook takes them."""
    times = runner.message_hub.log_scalars.get(f'train/{name}')
    return 0.0 if times is None else float(times.current())


def _advice(num_workers: int) -> str:
    cores = usable_cores()
    if num_workers < cores:
        workers = f'train_num_workers={cores} (now {num_workers}; so many CPU cores are there)'
    else:
        workers = f'more CPU cores ({num_workers} workers share {cores} now)'
    return (
        f'What helps: {workers}; one image decoded a sample instead of five (a *-cached config); '
        'train_dataloader.dataset.image_cache=ram if the images fit; max_shrink=8 (large JPEG files decoded '
        'smaller); YOLOXBatchHSV and YOLOXBatchFlip on the device'
    )

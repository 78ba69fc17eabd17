"""How long it takes until a training trains."""

import time

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.registry import HOOKS
from mmyolox.utils.cli import STARTED


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
        """Data sets and optimizer are there."""
        self._take('data sets')

    def before_train(self, runner: Runner) -> None:
        """The weights are initialised or loaded."""
        self._take('weights')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """The first batch is there."""
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

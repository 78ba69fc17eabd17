"""Logging that costs a training step nothing."""

from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner

from mmyolox.engine.host_copy import HostCopy
from mmyolox.registry import HOOKS


@HOOKS.register_module()
class AsyncRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, without its waits for the device.

    MMEngine calls ``.item()`` on every loss in every iteration, so that the device idles until the host has
    caught up. Here, losses reach the message hub one iteration later; when the logger is to print or an
    epoch ends, at once, so that what is logged is the same.

    MMEngine also keeps the last million values of every scalar, copies them at every update and writes
    them into every checkpoint; here fewer are kept.

    Args:
        max_history: values kept of each scalar; a ``window_size`` of the log processor can be no larger.
    """

    def __init__(self, max_history: int = 10_000) -> None:
        self.max_history = max_history
        self._pending: HostCopy | None = None
        self._intervals: list[int] = []

    def before_train(self, runner: Runner) -> None:
        """Learns how often is logged."""
        super().before_train(runner)
        self._intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Records the outputs of the iteration before, and these too if they are wanted now."""
        self._record(runner)
        if not outputs:
            return
        self._pending = HostCopy(outputs)
        is_logged = any(self.every_n_inner_iters(batch_idx, interval) for interval in self._intervals)
        if is_logged or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._record(runner)
            for history in runner.message_hub.log_scalars.values():
                history.max_length = self.max_history

    def _record(self, runner: Runner) -> None:
        pending, self._pending = self._pending, None
        for name, value in (pending.wait() if pending else {}).items():
            runner.message_hub.update_scalar(f'train/{name}', value)

"""The end of a training that gets no better."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmyolox.errors import SHOWN, UserError
from mmyolox.registry import HOOKS

from .checkpoint_saving import BEST_EPOCH, EPOCH_VALIDATED, ResumableCheckpointHook
from .mode_switch import last_epochs


@HOOKS.register_module()
class PatienceHook(Hook):
    """Ends a training that has had no new best checkpoint for some epochs.

    Which checkpoint is the best is decided once, by the ``save_best`` of :class:`ResumableCheckpointHook`,
    which writes its epoch into every checkpoint. A resumed training so ends where it would have ended
    without the break. MMEngine's ``EarlyStoppingHook`` begins anew when resumed, counts validations, whose
    interval may change, and takes a figure that is the same for a better one.

    The last epochs (:class:`YOLOXModeSwitchHook`) train otherwise than those before and count from their
    own begin: they get as many epochs for a better figure as those before had.

    Args:
        patience: The number of epochs without a better figure, at least, after which a validation ends the
            training; 0 or None never ends it.
    """

    # After the hook that decides which checkpoint is the best.
    priority = 'LOWEST'

    def __init__(self, patience: int | None = None) -> None:
        self.patience = patience or 0

    def before_train(self, runner: Runner) -> None:
        """Ends a resumed training at once that had ended.

        Args:
            runner: The runner, after it has loaded the checkpoint and done the validation that was due.

        Raises:
            UserError: Nothing tells which epoch is the best.
        """
        if not self.patience:
            return
        has_best = any(hook.save_best for hook in runner.hooks if isinstance(hook, ResumableCheckpointHook))
        if not has_best or runner.val_loop is None or not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise UserError(
                f'patience={self.patience} goes by what default_hooks.checkpoint.save_best of '
                'ResumableCheckpointHook says after a validation, in a training of epochs; one is absent'
            )
        if runner._resume and runner.message_hub.runtime_info.get(EPOCH_VALIDATED) == runner.epoch:
            self._decide(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Ends the training if it has got no better for too long.

        Args:
            runner: The runner.
            metrics: The figures of the validation, which the checkpoint hook has compared.
        """
        if self.patience:
            self._decide(runner)

    def _decide(self, runner: Runner) -> None:
        loop, epoch = runner.train_loop, runner.epoch
        best = runner.message_hub.runtime_info.get(BEST_EPOCH, 0)
        last = last_epochs(runner)
        switch = runner.max_epochs - last
        since = max(best, switch) if epoch > switch else best
        if loop.stop_training or epoch >= runner.max_epochs or epoch - since < self.patience:
            return
        loop.stop_training = True
        message = (
            f'The training ends after epoch {epoch} of {runner.max_epochs}: the best checkpoint is that of '
            f'epoch {best}, and patience={self.patience}'
        )
        if last and epoch <= switch:
            message += (
                f'. The last epochs (num_last_epochs={last}), which train otherwise and mostly help, did not '
                'come: a larger patience, or fewer max_epochs, lets them'
            )
        runner.logger.info(message, extra=SHOWN)

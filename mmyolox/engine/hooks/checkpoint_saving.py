"""Checkpoints, and the best of them, that a kill at any moment leaves as an undisturbed training would."""

import inspect
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import EpochBasedTrainLoop, Runner, save_checkpoint

from mmyolox.engine.background import BackgroundWork
from mmyolox.engine.snapshot import HostMemory, checkpoint_of
from mmyolox.errors import SHOWN, UserError, did_you_mean, one_line
from mmyolox.files import atomic_write, check_folder
from mmyolox.registry import HOOKS

from .checkpoint_check import AtomicLocalBackend

EPOCH_VALIDATED, BEST_EPOCH = 'epoch_validated', 'best_epoch'
"""What checkpoints keep among MMEngine's ``runtime_info``: the last epoch validated, the best."""


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, of which no kill costs a validation, a score or the last good file.

    - MMEngine writes the checkpoint of an epoch before the epoch is validated, and a resumed training begins
      with the next epoch: a validation that a kill interrupted is never done. Here a checkpoint records
      whether its epoch was validated, and a training that goes on from one that was not validates first.
    - MMEngine removes the old file before it writes the new one, so that a full disk or a kill leaves
      neither. Here the new file comes first. What a kill left behind is removed with the next file.
    - MMEngine saves the last of ``max_epochs``, and no epoch that a training ends with before. Here it does.
    - MMEngine's training waits until the file is written. Here it goes on as soon as its state is copied, and
      a thread writes the copy; one is written at a time. ``last_checkpoint`` names a file when it is whole.
      If the system does not take it, the training ends with its next iteration.

    The parameters are MMEngine's. Hooks see a checkpoint before it is copied, with tensors on their device.

    Raises:
        UserError: There is no such parameter.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.args:
            known = inspect.signature(CheckpointHook.__init__).parameters
            name = next(iter(self.args))
            raise UserError(f'default_hooks.checkpoint has no {name}{did_you_mean(name, known)}')
        self._background = BackgroundWork()
        self._memory = HostMemory()

    def before_train(self, runner: Runner) -> None:
        """Finds the files of the training that goes on, and validates what was not validated.

        Args:
            runner: The runner, after it has loaded the checkpoint.

        Raises:
            UserError: A hook or a scheduler goes by a figure that no validation will give, or the folder of
                the checkpoints takes no files.
        """
        noted = list(runner.message_hub.runtime_info.get('keep_ckpt_ids', ()))
        super().before_train(runner)  # which takes what it removes out of this list
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            check_folder(self.out_dir)
        if noted:
            runner.message_hub.update_info('keep_ckpt_ids', noted)
        check_figures(runner)
        loop = runner.train_loop
        if not runner._resume or loop.iter == 0:
            return
        info = runner.message_hub.runtime_info
        for name in [name for name in info if name.startswith(('best_ckpt', 'last_ckpt')) and info[name]]:
            path = self._find(runner, Path(info[name]).name)
            runner.message_hub.update_info(name, path)
            if name == 'best_ckpt':
                self.best_ckpt_path = path
            elif name != 'last_ckpt':
                self.best_ckpt_path_dict[name.removeprefix('best_ckpt_')] = path
        if not isinstance(loop, EpochBasedTrainLoop):
            return
        self.last_ckpt = self._path(self._now(runner)[0])
        loop._decide_current_val_interval()
        is_due = loop.epoch >= loop.val_begin and (
            loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs
        )
        if runner.val_loop is not None and is_due and info.get(EPOCH_VALIDATED) != loop.epoch:
            runner.logger.info(
                f'Epoch {loop.epoch} was not validated before the training ended: now it is.', extra=SHOWN
            )
            # What is saved says the same as at the end of the epoch.
            runner.message_hub.update_info_dict(dict(epoch=loop.epoch - 1, iter=loop.iter - 1))
            runner.val_loop.run()
        if loop.epoch >= loop.max_epochs:
            runner.logger.info(
                f'This training is finished: {loop.epoch} of {loop.max_epochs} epochs are done. To train on, '
                f'begin another one from its weights: --load-from {one_line(self.last_ckpt)} '
                '--work-dir ...',
                extra=SHOWN,
            )

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Saves as MMEngine's, and ends the training if the checkpoint before could not be written.

        Args:
            runner: The runner.
            batch_idx: The number of the batch in the epoch.
            *args: The batch and the outputs, which are not used.
            **kwargs: The same.

        Raises:
            UserError: The system did not take the checkpoint.
        """
        self._background.check()
        super().after_train_iter(runner, batch_idx, *args, **kwargs)

    def after_val_iter(self, *args: Any, **kwargs: Any) -> None:
        """Ends the validation if the checkpoint before could not be written.

        Args:
            *args: Not used.
            **kwargs: Not used.

        Raises:
            UserError: The system did not take the checkpoint.
        """
        self._background.check()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Keeps the best checkpoint, and records in the epoch's own that it was validated.

        Args:
            runner: The runner.
            metrics: The figures of the validation.
        """
        best = self._note_best(runner, metrics) if self.save_best and metrics else []
        runner.message_hub.update_info(EPOCH_VALIDATED, runner.epoch)
        if best:
            runner.message_hub.update_info(BEST_EPOCH, runner.epoch)
        step, meta = self._now(runner)
        # Beside the checkpoints of its interval there is one of each epoch that is the best so far: a
        # training that goes on from it knows the best file and its score.
        if self.last_ckpt is not None and (best or self.last_ckpt == self._path(step)):
            self._write(runner, meta, best, step)
        elif best:
            self._write(runner, meta, best)

    def after_train(self, runner: Runner) -> None:
        """Writes the checkpoint of the epoch that the training ends with, where its interval has not.

        Args:
            runner: The runner.

        Raises:
            UserError: The system did not take a checkpoint.
        """
        loop = runner.train_loop
        is_early = isinstance(loop, EpochBasedTrainLoop) and loop.stop_training
        if is_early and self.by_epoch and self.save_last and self.last_ckpt != self._path(loop.epoch):
            step, meta = self._now(runner)
            self._write(runner, meta, step=step)
        self.finish()
        super().after_train(runner)

    def finish(self) -> None:
        """Waits until all files are written.

        Raises:
            UserError: The system did not take one.
        """
        self._background.finish()

    def _note_best(self, runner: Runner, metrics: dict[str, Any]) -> list[str]:
        """Notes the scores that are the best so far, and returns the patterns of their files' names."""
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step, _ = self._now(runner)
        patterns = []
        for figure, rule in zip(self.key_indicators, self.rules, strict=True):
            suffix = '' if len(self.key_indicators) == 1 else f'_{figure}'
            score = metrics[figure]
            best = runner.message_hub.runtime_info.get(f'best_score{suffix}', self.init_value_map[rule])
            if score is None or not self.is_better_than[figure](score, best):
                continue
            patterns.append(f'best_{figure}_{self.filename_tmpl}'.replace('/', '_'))
            path = self.file_backend.join_path(self.out_dir, patterns[-1].format(step))
            runner.message_hub.update_info(f'best_score{suffix}', score)
            runner.message_hub.update_info(f'best_ckpt{suffix}', path)
            if suffix:
                self.best_ckpt_path_dict[figure] = path
            else:
                self.best_ckpt_path = path
            runner.logger.info(f'The best {figure} so far, {score:.4f}: {one_line(path)}')
        return patterns

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Saves as MMEngine's, which calls it."""
        self._write(runner, meta, step=step)

    def _write(
        self, runner: Runner, meta: dict[str, Any], best: Sequence[str] = (), step: int | None = None
    ) -> None:
        """Copies the state of the training, and has a thread write it.

        The files are written and removed in an order in which a kill at any moment leaves the training a
        checkpoint to go on from that knows the best file.

        Args:
            runner: The runner.
            meta: What the checkpoint says of the progress.
            best: The patterns of the names of the best checkpoints, which it is to replace.
            step: The number of the checkpoint that is to be the last one; None if only the best are written.
        """
        outdated = [] if step is None else self._note_last(runner, step)
        if not is_main_process():
            return
        self.finish()  # its files, and its memory
        checkpoint = checkpoint_of(
            runner,
            meta,
            save_optimizer=step is not None and self.save_optimizer,
            save_param_scheduler=step is not None and self.save_param_scheduler,
        )
        snapshot = self._memory.copy(checkpoint)
        number = self._now(runner)[0]
        last_note = Path(runner.work_dir, 'last_checkpoint')

        def write() -> None:
            content = snapshot.restore()
            for pattern in best:
                weights = {key: content[key] for key in content.keys() - {'optimizer', 'param_schedulers'}}
                self._put(weights, self.file_backend.join_path(self.out_dir, pattern.format(number)))
                # The best before, and what a killed training left of later ones.
                for other in list(self.file_backend.list_dir_or_file(self.out_dir, list_dir=False)):
                    if other != pattern.format(number) and fnmatchcase(other, pattern.format('*')):
                        self.file_backend.remove(self.file_backend.join_path(self.out_dir, other))
            if step is None:
                return
            self._put(content, self._path(step))
            with atomic_write(last_note) as part:
                part.write_bytes(os.fsencode(self._path(step)))  # a folder's name may be no UTF-8
            for path in map(self._path, outdated):
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

        self._background.start(write)

    def _note_last(self, runner: Runner, step: int) -> list[int]:
        """Notes a checkpoint as the last one, and returns the numbers of those that are not kept with it."""
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = [self.keep_ckpt_ids.popleft()]
            self.keep_ckpt_ids.append(step)
            # A training that goes on from this checkpoint removes what is outdated, if a kill left it.
            runner.message_hub.update_info('keep_ckpt_ids', outdated + list(self.keep_ckpt_ids))
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        return outdated

    def _put(self, checkpoint: dict[str, Any], path: str) -> None:
        """Writes a file, by our backend without a copy of it in memory."""
        if isinstance(self.file_backend, AtomicLocalBackend):
            self.file_backend.save(checkpoint, path)
        else:
            save_checkpoint(checkpoint, path, self.file_client_args, self.backend_args)

    def _find(self, runner: Runner, name: str) -> str | None:
        """Where a file is that a checkpoint speaks of, which has its path in the folder of that time.

        It is among the checkpoints, or beside the one that the training goes on from; None if it is gone.
        """
        folders = [self.out_dir, *([str(Path(runner._load_from).parent)] if runner._load_from else [])]
        paths = [self.file_backend.join_path(folder, name) for folder in folders]
        return next((path for path in paths if self.file_backend.isfile(path)), None)

    def _path(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _now(self, runner: Runner) -> tuple[int, dict[str, Any]]:
        """After a validation: the number in names of files, and what a checkpoint says of the progress."""
        step = runner.epoch if self.by_epoch else runner.iter
        return step, dict(epoch=runner.epoch, iter=runner.iter)


def check_figures(runner: Runner) -> None:
    """Compares what goes by a figure of the validation with the figures that its metrics say they give.

    Those are the ``figure_names()`` of ours; of a metric of others, only MMDetection's for Pascal VOC are
    known.

    Raises:
        UserError: One that something goes by will not be there.
    """
    followed = [
        ('default_hooks.checkpoint.save_best', figure)
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook)
        for figure in hook.save_best or ()
        if figure != 'auto'
    ]
    followed += [('monitor', hook.monitor) for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
    schedulers = runner.param_schedulers if isinstance(runner.param_schedulers, list) else []
    followed += [('monitor', one.monitor) for one in schedulers if hasattr(one, 'monitor')]
    if runner.val_loop is None:
        return
    given = [name for hook in runner.hooks if hasattr(hook, 'figure_names') for name in hook.figure_names()]
    for metric in runner.val_loop.evaluator.metrics:
        if type(metric).__name__ == 'VOCMetric' and metric.metric == 'mAP':
            names = ['mAP', *(f'AP{int(iou * 100):02d}' for iou in metric.iou_thrs)]
            given += [f'{metric.prefix}/{name}' for name in names]
        elif hasattr(metric, 'figure_names'):
            given += metric.figure_names()
        else:
            return
    for key, figure in followed:
        if figure not in given:
            raise UserError(
                f'{key}={figure}: the validation gives no such figure{did_you_mean(figure, given)} '
                f'(it gives {", ".join(given) or "none"})'
            )

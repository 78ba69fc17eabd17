"""Checkpoints, and the best of them, that a kill at any moment leaves as an undisturbed training would."""

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmyolox.errors import SHOWN, UserError, did_you_mean, one_line
from mmyolox.files import atomic_write, check_folder
from mmyolox.registry import HOOKS

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

    The parameters are MMEngine's.
    """

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

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Keeps the best checkpoint, and records in the epoch's own that it was validated.

        Args:
            runner: The runner.
            metrics: The figures of the validation.
        """
        is_better = bool(self.save_best) and bool(metrics) and self._keep_best(runner, metrics)
        runner.message_hub.update_info(EPOCH_VALIDATED, runner.epoch)
        if is_better:
            runner.message_hub.update_info(BEST_EPOCH, runner.epoch)
        step, meta = self._now(runner)
        # Beside the checkpoints of its interval there is one of each epoch that is the best so far: a
        # training that goes on from it knows the best file and its score.
        if self.last_ckpt is not None and (is_better or self.last_ckpt == self._path(step)):
            self._save_checkpoint_with_step(runner, step, meta)

    def after_train(self, runner: Runner) -> None:
        """Writes the checkpoint of the epoch that the training ends with, where its interval has not.

        Args:
            runner: The runner.
        """
        loop = runner.train_loop
        is_early = isinstance(loop, EpochBasedTrainLoop) and loop.stop_training
        if is_early and self.by_epoch and self.save_last and self.last_ckpt != self._path(loop.epoch):
            self._save_checkpoint_with_step(runner, *self._now(runner))
        super().after_train(runner)

    def _keep_best(self, runner: Runner, metrics: dict[str, Any]) -> bool:
        """Writes a checkpoint for each figure that is the best so far; whether there is one."""
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step, meta = self._now(runner)
        is_better = False
        for figure, rule in zip(self.key_indicators, self.rules, strict=True):
            suffix = '' if len(self.key_indicators) == 1 else f'_{figure}'
            score = metrics[figure]
            best = runner.message_hub.runtime_info.get(f'best_score{suffix}', self.init_value_map[rule])
            if score is None or not self.is_better_than[figure](score, best):
                continue
            is_better = True
            name = f'best_{figure}_{self.filename_tmpl}'.replace('/', '_')
            path = self.file_backend.join_path(self.out_dir, name.format(step))
            runner.message_hub.update_info(f'best_score{suffix}', score)
            runner.message_hub.update_info(f'best_ckpt{suffix}', path)
            if suffix:
                self.best_ckpt_path_dict[figure] = path
            else:
                self.best_ckpt_path = path
            runner.save_checkpoint(
                self.out_dir,
                name.format(step),
                self.file_client_args,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=meta,
                by_epoch=False,
                backend_args=self.backend_args,
            )
            runner.logger.info(f'The best {figure} so far, {score:.4f}: {one_line(path)}')
            if is_main_process():  # the best before, and what a killed training left of later ones
                for other in list(self.file_backend.list_dir_or_file(self.out_dir, list_dir=False)):
                    if other != name.format(step) and fnmatchcase(other, name.format('*')):
                        self.file_backend.remove(self.file_backend.join_path(self.out_dir, other))
        return is_better

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Writes a checkpoint, notes it as the last one, and removes the oldest of more than are kept."""
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = [self.keep_ckpt_ids.popleft()]
            self.keep_ckpt_ids.append(step)
            # A training that goes on from this checkpoint removes what is outdated, if a kill left it.
            runner.message_hub.update_info('keep_ckpt_ids', outdated + list(self.keep_ckpt_ids))
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        with atomic_write(Path(runner.work_dir, 'last_checkpoint')) as part:
            part.write_bytes(os.fsencode(self.last_ckpt))  # a folder's name may be no UTF-8
        for path in map(self._path, outdated):
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

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

"""Checkpoints that fit and are whole: checked before the Runner loads them, written in one step."""

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmyolox.checkpoints.classes import ClassNames, names_of, recorded_data
from mmyolox.checkpoints.convert import state_dict_of
from mmyolox.checkpoints.load import without_wrapper
from mmyolox.checkpoints.match import bare_model, match_weights
from mmyolox.checkpoints.published import weights_for
from mmyolox.checkpoints.recognise import recognise
from mmyolox.checkpoints.record import KEY, InputRecord, read_record, record_of
from mmyolox.config.recorded import other_settings
from mmyolox.engine.batch_size import BATCH_SIZE
from mmyolox.engine.resume import (
    EPOCH_LENGTH,
    check_optimizer,
    count_iterations,
    describe_schedule,
    epoch_length,
    kept_optimizer,
    schedule_epoch_length,
)
from mmyolox.errors import UserError, first_few, one_line
from mmyolox.files import atomic_write, open_unshared
from mmyolox.registry import HOOKS


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Checks what a checkpoint gives to the model, and reports it in one line.

    MMEngine loads whatever fits and lists the names of the rest in a warning of up to 30 kB. Here,

    - ``load_from`` before training: what does not fit is left out and reported; layers for other classes
      are expected among it; if most of the model gets no value, that is an error;
    - testing: a layer or a class without a value is an error, since random weights would be evaluated;
    - resuming: everything must be there and fit (weights, EMA weights, optimizer, the order of the classes,
      what is done to pixels), or the training would silently be another one than it was; another size of
      images gives a warning.

    Rows of class layers belong to the classes of their names, where the checkpoint and the data say these.

    Training on weights whose images were normalised in another way, or whose network had other activations,
    epsilons of norms or pooling windows, gives a warning. What the model's images and its network are is
    recorded in the checkpoints that are saved (see :mod:`mmyolox.checkpoints.record`).

    It completes the state dict from the model, so that MMEngine has nothing to warn about and the EMA model
    gets the same weights as the model. Its priority puts it before :class:`mmengine.hooks.EMAHook`.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._schedule_epoch_length: float | None = None
        """That of the training that goes on."""
        self.said = ''
        """What the model got, and from what."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Checks the checkpoint and completes its ``state_dict`` in place.

        Raises:
            UserError: The checkpoint does not fit, for one of the reasons above.
        """
        source = one_line(str(runner._load_from or 'to resume from'))
        weights = state_dict_of(checkpoint, source)
        classes = ClassNames(names_of(recorded_data(checkpoint, weights, source)), _classes_of_data(runner))
        if runner._resume:
            _check_resume(runner, checkpoint, classes, source)
            check_optimizer(runner, checkpoint, source)
            _report_kept(runner, checkpoint, source)
            count_iterations(runner, checkpoint)
            self._schedule_epoch_length = schedule_epoch_length(runner, checkpoint)
        checkpoint['state_dict'], summary = match_weights(runner.model, weights, source, classes)
        if runner._resume and (summary.unexpected or not summary.complete):
            raise UserError(f'checkpoint {source} cannot be resumed with this config: {summary.describe()}')
        if not summary.complete and not isinstance(runner._train_loop, BaseLoop):
            raise UserError(f'checkpoint {source} cannot be tested with this config: {summary.describe()}')
        said = f'{source}: {summary.describe()}'
        runner.logger.log(summary.level, f'checkpoint {said}')
        self.said = said if summary.level == logging.INFO else f'{source}, in part (see the warning)'
        if isinstance(runner._train_loop, BaseLoop):
            _check_record(runner, read_record(checkpoint, weights, source), source)

    def before_train(self, runner: Runner) -> None:
        """Says of a training that starts from nothing what it could start from.

        Args:
            runner: The runner.
        """
        if not runner._resume and not runner._load_from:
            self.said = describe_random_start(bare_model(runner.model))
            runner.logger.info(f'starts from {self.said}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Adds the record of the model's images and network, the batch size, and how long epochs are."""
        checkpoint['meta'][KEY] = record_of(runner).to_meta()
        checkpoint['meta'][BATCH_SIZE] = runner.train_dataloader.batch_size
        checkpoint['meta'][EPOCH_LENGTH] = self._schedule_epoch_length or epoch_length(runner)


def describe_random_start(model: nn.Module) -> str:
    """What a model starts from that no checkpoint was loaded into, and how to change that.

    Args:
        model: The model, without wrappers.

    Returns:
        ``random weights; --load-from yolox_s starts from published ones``, with the name of weights of the
        same network, if there are any.
    """
    if any('Pretrained' in str(getattr(module, 'init_cfg', '')) for module in model.modules()):
        return 'the weights that init_cfg of the model names'
    try:
        architecture = recognise(without_wrapper(model.state_dict()))
    except UserError:  # another network than any of YOLOX
        weights = None
    else:
        weights = weights_for(architecture.family, architecture.name)
    name = weights.name if weights else 'FILE'
    return f'random weights; --load-from {name} starts from {"published" if weights else "trained"} ones'


def _classes_of_data(runner: Runner) -> tuple[str, ...]:
    """The classes of the data set that the model is trained, validated or tested on; empty if unnamed."""
    loops = (runner._train_loop, runner._val_loop, runner._test_loop)
    loop = next(loop for loop in loops if isinstance(loop, BaseLoop))
    return names_of(getattr(loop.dataloader.dataset, 'metainfo', {}))


def _check_record(runner: Runner, record: InputRecord, source: str) -> None:
    """Warns of weights that know another network, other colours or grey levels, or at resuming another size.

    Raises:
        UserError: A training would go on with another network or other pixels.
    """
    size = record_of(runner).img_scale
    if runner._resume and None not in (size, record.img_scale) and size != record.img_scale:
        runner.logger.warning(
            f'checkpoint {source}: its training validated with img_scale={record.img_scale}, but goes on '
            f'with img_scale={size}; to keep it: --cfg-options img_scale="{record.img_scale}"'
        )
    settings = other_settings(record.network, runner.cfg)
    if settings:
        told = first_few(f'{path}={value} (it was {kept})' for path, (kept, value) in settings.items())
        message = f'checkpoint {source}: its weights are of another network than the config: {told}'
        if runner._resume:
            raise UserError(f'{message}; to change it, begin a training: {_begin_from(source)}')
        runner.logger.warning(message)
    own = getattr(bare_model(runner.model).data_preprocessor, 'normalisation', None)
    theirs = record.normalisation
    if own in (None, theirs) or theirs is None or (record.is_guess and theirs.is_near(own)):
        return
    options = ' '.join(f'model.data_preprocessor.{part}' for part in str(theirs).split())
    message = (
        f'checkpoint {source}: its weights were trained on images with {theirs}, but '
        f'model.data_preprocessor has {own}; to keep theirs: --cfg-options {options}'
    )
    if runner._resume and not record.is_guess:
        raise UserError(f'{message}; to change them, begin a training: {_begin_from(source)}')
    runner.logger.warning(message)


def _begin_from(source: str) -> str:
    """The options of a new training that starts from a checkpoint."""
    return f'--load-from {source} --work-dir ... without --resume'


def _check_resume(runner: Runner, checkpoint: dict[str, Any], classes: ClassNames, source: str) -> None:
    """Refuses to resume from what cannot continue the same training."""
    absent = [
        key for key in ('meta', 'optimizer', 'param_schedulers', 'message_hub') if key not in checkpoint
    ]
    if absent:
        raise UserError(
            f'checkpoint {source} holds no {", ".join(absent)}: it cannot be resumed, only started from: '
            f'{_begin_from(source)}'
        )
    if classes.file and classes.model and classes.file != classes.model:
        is_same = sorted(classes.file) == sorted(classes.model)
        order = f'; for its order: --cfg-options classes={",".join(classes.file)}' if is_same else ''
        raise UserError(
            f'checkpoint {source} cannot be resumed with other classes or another order '
            f'({classes.describe()}); to train on other data, begin from its weights: {_begin_from(source)}'
            f'{order}'
        )
    averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
    if averaged != ('ema_state_dict' in checkpoint):
        has, has_not = ('the config', 'the checkpoint') if averaged else ('the checkpoint', 'the config')
        raise UserError(f'checkpoint {source} cannot be resumed: {has} has EMA weights, {has_not} has not')
    if averaged:
        _, summary = match_weights(runner.model, checkpoint['ema_state_dict'], source)
        if not summary.complete:
            raise UserError(f'checkpoint {source} cannot be resumed, its EMA weights: {summary.describe()}')


def _report_kept(runner: Runner, checkpoint: dict[str, Any], source: str) -> None:
    """Warns of what the config says otherwise than the checkpoint, which is followed."""
    kept = kept_optimizer(runner, checkpoint)
    if kept:
        runner.logger.warning(
            f'checkpoint {source}: resuming goes on with what the training began with and ignores '
            f'{", ".join(map(str, kept))}; a training with other settings is a new one: {_begin_from(source)}'
        )
    schedule = describe_schedule(runner, checkpoint)
    if schedule:
        runner.logger.warning(f'checkpoint {source}: {schedule}')


def write_archive(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint to a file, of which no copy is made in memory.

    Args:
        checkpoint: The checkpoint.
        path: The file.

    Raises:
        OSError: The system does not take it. PyTorch goes on after a write that fails, and says at last that
            it is at another place in the file than it should be.
    """
    with open_unshared(path, 'wb') as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """MMEngine's backend for local files, with writes that cannot leave half a file.

    For checkpoints: ``default_hooks.checkpoint.backend_args=dict(backend='atomic_local')``.
    """

    def save(self, checkpoint: dict[str, Any], filepath: str | Path) -> None:
        """Writes a checkpoint; see :func:`~mmyolox.files.atomic_write`.

        Raises:
            UserError: The system does not take the file.
        """
        with atomic_write(filepath) as part:
            write_archive(checkpoint, part)

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes; see :func:`~mmyolox.files.atomic_write`."""
        with atomic_write(filepath) as part:
            part.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text; see :func:`~mmyolox.files.atomic_write`."""
        with atomic_write(filepath) as part:
            part.write_text(obj, encoding=encoding)

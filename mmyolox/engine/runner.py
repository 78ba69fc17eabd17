"""The Runner of our tools: a folder keeps the config of the training in it."""

import logging
import os.path as osp
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather_object, is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from mmyolox.checkpoints.match import bare_model
from mmyolox.compat import without_printed_noise
from mmyolox.datasets.ground_truth import hand_over
from mmyolox.datasets.samplers import ChunkedSampler
from mmyolox.errors import UserError, did_you_mean
from mmyolox.files import atomic_write

from .building import errors_of_parts
from .hooks.accumulation import TotalBatch
from .hooks.checkpoint_saving import ResumableCheckpointHook
from .hooks.header import HeaderHook
from .hooks.mode_switch import last_epochs
from .hooks.progress import ProgressHook
from .hooks.splits import SplitsHook
from .hooks.summary import SummaryHook
from .resume import is_followed
from .schedules import YOLOXLR
from .terminal import attach, terminal_of


class LogFile(logging.FileHandler):
    """The file of a log, without which a run goes on.

    Python prints a traceback for every line that a full disk does not take.
    """

    _is_broken = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  Python's own name
        """Says once that the log is incomplete, and why.

        Args:
            record: What was not written.
        """
        if not self._is_broken:
            self._is_broken = True
            print(f'warning: the log {self.baseFilename} is incomplete: {sys.exc_info()[1]}', file=sys.stderr)


class YOLOXRunner(Runner):
    """MMEngine's Runner, which saves its config where it overwrites none.

    MMEngine writes the config into the work dir when a Runner is built, so that a test, or a call that fails
    a moment later, replaces that of the training. Here it goes into the run's own folder of logs, and into
    the work dir when a training begins.

    An error of a library about a part of the config is a ``UserError`` that names the part. Where the process
    has a :class:`~mmyolox.engine.terminal.Terminal`, a person sees there what concerns them.
    """

    def __init__(self, *args: Any, cfg: Config | None = None, **kwargs: Any) -> None:
        self._has_begun = False
        with self._refusing(cfg or Config()):
            super().__init__(*args, cfg=cfg, **kwargs)

    @contextmanager
    def _refusing(self, cfg: Config) -> Iterator[None]:
        """Turns errors about parts of the config in the block into one line, and leaves no log of a mistake.

        A log of level DEBUG, one of a run that has begun, and one of another error are kept: they have the
        traceback.

        Args:
            cfg: The config.

        Raises:
            UserError: A part cannot be built, or the user has made another mistake.
        """
        try:
            with errors_of_parts(cfg):
                yield
        except Exception as error:
            is_mistake = isinstance(error, UserError) and not self._has_begun
            if is_mistake and cfg.get('log_level') != 'DEBUG':
                self._remove_log()
            elif hasattr(self, 'logger'):
                log_traceback(self.logger)
            raise

    def _remove_log(self) -> None:
        """Removes the folder of a run that has not begun."""
        if is_main_process() and hasattr(self, '_log_dir'):
            for handler in log_files(logger := MMLogger.get_current_instance()):
                logger.removeHandler(handler)
                handler.close()
            shutil.rmtree(self._log_dir, ignore_errors=True)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """As :meth:`_refusing`, and has the block draw on the terminal, if this process has one of ours.

        At the end all checkpoints are written, also after an error.
        """
        terminal = terminal_of(self.logger)
        if terminal is not None and not any(isinstance(hook, HeaderHook) for hook in self.hooks):
            for hook in (HeaderHook(terminal), ProgressHook(terminal), SummaryHook(terminal)):
                self.register_hook(hook)
        try:
            with self._refusing(self.cfg):
                try:
                    yield
                finally:
                    for hook in self.hooks:
                        if isinstance(hook, ResumableCheckpointHook):
                            hook.finish()
        finally:
            if terminal is not None:
                terminal.clear()

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Loads a checkpoint, of which MMEngine prints a line beside the log.

        Args:
            *args: As for MMEngine's Runner.
            **kwargs: As for MMEngine's Runner.

        Returns:
            What the file holds.
        """
        with without_printed_noise():
            loaded: dict[str, Any] = super().load_checkpoint(*args, **kwargs)
        return loaded

    def resume(self, filename: str, *args: Any, map_location: Any = 'cpu', **kwargs: Any) -> None:
        """Continues a training from a checkpoint.

        MMEngine reads it to the device, which then has to hold weights, averages and moments twice.

        Args:
            filename: The checkpoint.
            *args: As for MMEngine's Runner.
            map_location: Where the file's tensors go before they are copied.
            **kwargs: As for MMEngine's Runner.
        """
        super().resume(filename, *args, map_location=map_location, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks, and notes that the run has begun.

        Args:
            fn_name: The name of their method.
            **kwargs: Its arguments.
        """
        self._has_begun = self._has_begun or fn_name.endswith('_iter')
        super().call_hook(fn_name, **kwargs)

    @staticmethod
    def build_dataloader(dataloader: DataLoader | dict, *args: Any, **kwargs: Any) -> DataLoader:
        """Builds a loader; without an accelerator, whose memory it is for, none is pinned.

        A :class:`~mmyolox.datasets.samplers.ChunkedSampler` is told the workers.

        Args:
            dataloader: As for MMEngine's Runner.
            *args: As for MMEngine's Runner.
            **kwargs: As for MMEngine's Runner.
        """
        if isinstance(dataloader, dict) and dataloader.get('pin_memory') and get_device() == 'cpu':
            dataloader = {**dataloader, 'pin_memory': False}
        built = Runner.build_dataloader(dataloader, *args, **kwargs)
        if isinstance(built.sampler, ChunkedSampler):
            built.sampler.share_among(built.batch_size, built.num_workers)
        return built

    @property
    def saved_config(self) -> Path:
        """The file of this run's config, in its folder of logs."""
        return Path(self.log_dir, osp.basename(self.cfg.filename or f'{self.timestamp}.py'))

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds MMEngine's logger, with a :class:`LogFile` in the place of its file.

        Args:
            *args: As for MMEngine's Runner.
            **kwargs: As for MMEngine's Runner.
        """
        logger = super().build_logger(*args, **kwargs)
        terminal = terminal_of(MMLogger.get_instance('mmengine'))
        if terminal is not None:
            attach(terminal, logger)
        for theirs in [handler for handler in logger.handlers if type(handler) is logging.FileHandler]:
            ours = LogFile(theirs.baseFilename, theirs.mode, theirs.encoding, errors='backslashreplace')
            ours.setLevel(theirs.level)
            ours.setFormatter(theirs.formatter)
            theirs.close()
            logger.removeHandler(theirs)
            logger.addHandler(ours)
        return logger

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Builds the visualizer of this run, which writes to its folder.

        MMEngine takes one of the same name that an earlier run of the process made, with that run's folder.

        Args:
            visualizer: As for MMEngine's Runner.
        """
        if isinstance(visualizer, dict) and Visualizer.check_instance_created(visualizer.get('name', '')):
            earlier = Visualizer.get_instance(visualizer['name'])
            for kind in (Visualizer, type(earlier)):
                kind._instance_dict.pop(visualizer['name'], None)
        return super().build_visualizer(visualizer)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop of the training.

        Raises:
            UserError: It would have no iteration.
        """
        built = super().build_train_loop(loop)
        require_batches(built.dataloader, 'train_dataloader')
        return built

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop of the validation, whose metrics get the data set; raises as for the training."""
        built = super().build_val_loop(loop)
        require_batches(built.dataloader, 'val_dataloader')
        hand_over(built.evaluator, built.dataloader.dataset)
        return built

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop of the test, whose metrics get the data set; raises as for the training."""
        built = super().build_test_loop(loop)
        require_batches(built.dataloader, 'test_dataloader')
        hand_over(built.evaluator, built.dataloader.dataset)
        return built

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Builds the optimizer; a first convolution that begins at random has the rate of all layers.

        Args:
            optim_wrapper: The wrapper of the optimizer, or its config.
        """
        paramwise = optim_wrapper.get('paramwise_cfg') if isinstance(optim_wrapper, dict) else None
        if paramwise and 'pixel_lr_mult' in paramwise and not (self._load_from or self._resume):
            paramwise['pixel_lr_mult'] = 1.0  # for weights that have learned, see the constructor
        return super().build_optim_wrapper(optim_wrapper)

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scales the learning rate to the total batch size as MMEngine does, or says that it is not scaled.

        Gradients that are added up over several batches count as those of one batch.

        Args:
            optim_wrapper: The wrapper of the optimizer, whose rate is scaled in place.
            auto_scale_lr: The config's ``auto_scale_lr``.
        """
        scaling = auto_scale_lr or {}
        base, total = scaling.get('base_batch_size'), TotalBatch.of(self)
        if scaling.get('enable'):
            if total.batches > 1:
                self.logger.info(f'The total batch is {total}; below, sizes are of one batch.')
                scaling = dict(scaling, base_batch_size=scaling['base_batch_size'] / total.batches)
            super().scale_lr(optim_wrapper, scaling)
        elif base and total.size not in (0, base) and not self._resume:
            self.logger.warning(
                f'The learning rate is for a total batch of {base} images, and this training has {total}. '
                f'It is not scaled; --auto-scale-lr multiplies it by {total.size / base:g}'
            )

    @master_only
    def dump_config(self) -> None:
        """Writes the config to :attr:`saved_config`."""
        with atomic_write(self.saved_config) as part:
            self.cfg.dump(part)

    def train(self) -> nn.Module:
        """Trains.

        Returns:
            The model.

        Raises:
            UserError: The config names a module that the model has not, or processes on other machines begin
                otherwise.
        """
        modules = dict(bare_model(self.model).named_modules())
        for key in ('activation_checkpointing', 'efficient_conv_bn_eval'):
            names = self.cfg.get(key) or ()
            for name in [names] if isinstance(names, str) else names:
                if name not in modules:
                    hint = did_you_mean(name, filter(None, modules))
                    raise UserError(f'config key {key}: the model has no module {name!r}{hint}')
        loader = self._train_dataloader
        if isinstance(loader, dict) and isinstance(loader.get('batch_size'), int):
            # What `auto` found may differ with what else is in the memory of each device.
            loader['batch_size'] = min(all_gather_object(loader['batch_size']))
        starts = sorted(set(all_gather_object(self._load_from if self._resume else '')))
        if len(starts) > 1:
            raise UserError(
                f'work dir {self.work_dir}: not all processes go on from the same checkpoint '
                f'({", ".join(name or "none" for name in starts)}); it has to be one folder of all machines'
            )
        frozen = getattr(bare_model(self.model), 'frozen_names', ())
        if frozen and not (self._load_from or self._resume):
            self.logger.warning(
                f'model.freeze: {" and ".join(frozen)} will keep the random weights that they begin with; '
                'start from weights by --load-from'
            )
        self.register_hook(SavedConfigHook())
        self.register_hook(PlanHook())
        self.register_hook(SplitsHook())
        with self._running():
            return super().train()

    def val(self) -> dict[str, float]:
        """Validates.

        Returns:
            The figures.
        """
        with self._running():
            return super().val()

    def test(self) -> dict[str, float]:
        """Tests.

        Returns:
            The figures.
        """
        with self._running():
            return super().test()


def log_files(logger: logging.Logger) -> list[logging.FileHandler]:
    """The files that a logger writes to."""
    return [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]


def log_traceback(logger: logging.Logger) -> None:
    """Writes the traceback of the error that is handled to a logger's files, and to no terminal.

    Args:
        logger: The logger.
    """
    place = (__file__, 0, 'the run ends with an error', (), sys.exc_info())
    record = logger.makeRecord(logger.name, logging.ERROR, *place)
    for handler in log_files(logger):
        handler.handle(record)


def require_batches(loader: DataLoader, key: str) -> None:
    """Checks that a loader gives a batch.

    Args:
        loader: The loader; one that has no length is left alone.
        key: Its config key.

    Raises:
        UserError: It gives none.
    """
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset) or len(loader):
        return
    if not len(dataset):
        raise UserError(
            f'config key {key}.dataset: no sample is left of it; look at its indices and filter_cfg'
        )
    raise UserError(
        f'config key {key}.drop_last=True: {len(dataset)} samples make no batch of '
        f'{loader.batch_size}; set it to False, or lower {key}.batch_size'
    )


class SavedConfigHook(Hook):
    """Copies the config of a :class:`YOLOXRunner` into the work dir when its first iteration is due.

    A call that trains nothing leaves the file of the training as it is, and so does a training that is
    resumed with settings that it does not follow.
    """

    def __init__(self) -> None:
        self._is_due = True

    def after_load_checkpoint(self, runner: YOLOXRunner, checkpoint: dict[str, Any]) -> None:
        """Finds out whether the training will be what the config says.

        Args:
            runner: The runner.
            checkpoint: The checkpoint.
        """
        self._is_due = not runner._resume or is_followed(runner, checkpoint)

    @master_only
    def before_train_iter(self, runner: YOLOXRunner, batch_idx: int, data_batch: Any = None) -> None:
        """Copies the file once, after everything was built and loaded.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
        """
        if self._is_due:
            self._is_due = False
            with atomic_write(Path(runner.work_dir, runner.saved_config.name)) as part:
                shutil.copyfile(runner.saved_config, part)


class PlanHook(Hook):
    """Logs the phases of a training with our schedule, which may have been resumed, when it begins."""

    def before_train(self, runner: Runner) -> None:
        """Logs them, also of a training without a mode switch.

        Args:
            runner: The runner.
        """
        for scheduler in runner.param_schedulers or ():
            if isinstance(scheduler, YOLOXLR):
                epoch_length = len(runner.train_dataloader)
                level = logging.WARNING if scheduler.is_low else logging.INFO
                phases = scheduler.phases(epoch_length, runner.max_epochs, last_epochs(runner))
                runner.logger.log(level, f'plan of {phases}; learning rate {scheduler.rates}')

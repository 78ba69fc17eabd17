"""The first lines on a terminal: what is trained, on what, from what, for how long, where it goes."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmyolox.checkpoints.match import bare_model
from mmyolox.config.check import value_at
from mmyolox.datasets.base import detection_datasets
from mmyolox.engine.schedules import YOLOXLR
from mmyolox.engine.terminal import Terminal, shown_path
from mmyolox.errors import counted, first_few, one_line
from mmyolox.models.batch_augments import training_sizes
from mmyolox.utils.devices import usable_cores
from mmyolox.version import __version__

from .accumulation import TotalBatch
from .checkpoint_check import CheckpointCheckHook
from .mode_switch import last_epochs
from .progress import validations_left

Line = tuple[str, str]
"""What a line of the header is about, and what it says."""

_SHOWN_NAMES = 8
_SETTINGS = dict(
    patience='default_hooks.patience.patience',
    class_weights='model.bbox_head.class_weights',
    oversample_thr='train_dataloader.sampler.oversample_thr',
    chunk_size='train_dataloader.sampler.chunk_size',
    val_loss='default_hooks.val_loss',
    trackers='visualizer.trackers',
)
"""Variables that are off unless given, and that no other line speaks of, with the keys that make them so."""


class HeaderHook(Hook):
    """Prints the header when a training or a test begins, and writes it to the log.

    Args:
        terminal: Where to print.
    """

    # Before the checkpoint hook, which may validate what a killed training did not.
    priority = 'LOW'

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def before_train(self, runner: Runner) -> None:
        """Prints the header of a training.

        Args:
            runner: The runner, with all that it needs built and loaded.
        """
        lines = [*training_lines(runner), *_places(runner)]
        self._print(f'training {Path(runner.cfg.filename or "").stem}', lines)

    def before_test(self, runner: Runner) -> None:
        """Prints the header of a test.

        Args:
            runner: The runner, with all that it needs built and loaded.
        """
        lines = [*_start(runner), *_data(runner, 'test', runner.test_dataloader)]
        lines += [
            ('weights', weights(runner, 'random')),
            *_machine(runner, runner.test_dataloader),
            *_places(runner),
        ]
        self._print(f'testing {Path(runner.cfg.filename or "").stem}', lines)

    def _print(self, what: str, lines: Sequence[Line]) -> None:
        if is_main_process():
            self.terminal.print(f'mmyolox {__version__}: {one_line(what)}', 'bold')
            for name, text in lines:
                self.terminal.print_row(name, one_line(text))


def training_lines(runner: Runner) -> list[Line]:
    """What is trained, on what, from what, for how long and where.

    Args:
        runner: The runner, with all that it needs built and loaded.
    """
    lines = [*_start(runner), *_data(runner, 'train', runner.train_dataloader)]
    if runner.val_loop is not None:
        lines += _data(runner, 'val', runner.val_dataloader)
    return [
        *lines,
        ('weights', weights(runner, 'random')),
        *_schedule(runner),
        *_settings(runner),
        *_machine(runner, runner.train_dataloader),
    ]


def weights(runner: Runner, otherwise: str) -> str:
    """What the model's weights come from.

    Args:
        runner: The runner, after it has loaded a checkpoint, if it does.
        otherwise: What to say where it has loaded none.
    """
    said = [hook.said for hook in runner.hooks if isinstance(hook, CheckpointCheckHook) and hook.said]
    if runner._resume and isinstance(runner.train_loop, EpochBasedTrainLoop):
        return f'resumed after epoch {runner.epoch} from {runner._load_from}'
    return next(iter(said), str(runner._load_from or otherwise))


def _start(runner: Runner) -> Iterator[Line]:
    """The config file, the model, and what was recognised of the data."""
    model = bare_model(runner.model)
    size = sum(parameter.numel() for parameter in model.parameters())
    frozen = size - sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if runner.cfg.filename:
        yield 'config', shown_path(runner.cfg.filename)
    parts = f'{type(model).__name__}, {size / 1e6:.2f} M parameters'
    yield 'model', parts + (f' ({frozen / 1e6:.2f} M of them frozen)' if frozen else '')
    if runner.cfg.get('data_layout'):
        yield 'data', runner.cfg.data_layout


def _data(runner: Runner, name: str, loader: DataLoader) -> Iterator[Line]:
    """For each data set its file, what is in it, and the size of the images; the names once."""
    datasets = list(detection_datasets(loader.dataset))
    for dataset in datasets:
        report = dataset.report
        used = '' if len(dataset) == report.images else f' ({len(dataset)} used)'
        counts = f'{counted(report.images, "image")}{used}, {counted(report.boxes, "box")}'
        size = dataset.img_scale
        sizes = training_sizes(bare_model(runner.model), size) if name == 'train' else [size]
        shown = ' to '.join(f'{size.width} x {size.height}' for size in sizes)
        yield name, f'{_file_of(runner, report.path)}{counts}; shown at {shown}'
    if not datasets:
        count = counted(len(loader.dataset), 'sample')  # type: ignore[arg-type]
        yield name, f'{type(loader.dataset).__name__}, {count}'
    metainfo = getattr(loader.dataset, 'metainfo', {})
    keypoints = [*metainfo.get('keypoint_id2name', {}).values()]
    for what, names in (('classes', metainfo.get('classes')), ('keypoints', keypoints)):
        if names and name != 'val':
            yield what, f'{len(names)}: {first_few(names, _SHOWN_NAMES)}'
    if name != 'val' and any(dataset.report.has_unread_keypoints for dataset in datasets):
        yield 'keypoints', 'passed over by a detector; pose configs such as yolox-pose_s train on them'


def _file_of(runner: Runner, path: str) -> str:
    """The beginning of a data set's line: its file, relative to the root that the line above names."""
    root = runner.cfg.get('data_root') if runner.cfg.get('data_layout') else None
    if root is None or not Path(path).is_relative_to(root):
        return f'{shown_path(path)}: '
    return '' if Path(path) == Path(root) else f'{Path(path).relative_to(root)}: '


def _schedule(runner: Runner) -> Iterator[Line]:
    """How long, in what batches and at what rate; when is validated."""
    loop, loader = runner.train_loop, runner.train_dataloader
    total = TotalBatch.of(runner)
    batch = f'batch {total.images} on {counted(total.processes, "device")}'
    batch += f', {total.batches} batches a step' if total.batches > 1 else ''
    if isinstance(loop, EpochBasedTrainLoop):
        length = f'{counted(len(loader), "iteration")} an epoch'
    else:
        length = counted(loop.max_iters, 'iteration')
    yield 'length', f'{length}, {batch}, {_validations(runner)}'
    for scheduler in runner.param_schedulers or ():
        if isinstance(scheduler, YOLOXLR):
            yield 'schedule', scheduler.phases(len(loader), runner.max_epochs, last_epochs(runner))
            yield 'rate', f'{type(runner.optim_wrapper.optimizer).__name__}, {scheduler.rates}'


def _settings(runner: Runner) -> Iterator[Line]:
    """What is on beside the recipe, as the variable says it where that is what gave it."""
    values = {name: value for name, key in _SETTINGS.items() if (value := value_at(runner.cfg, key))}
    if values:
        given = {name: runner.cfg.get(name) or value for name, value in values.items()}
        texts = {
            name: value if isinstance(value, list) else [isinstance(value, dict) or value]
            for name, value in given.items()
        }
        yield 'settings', '; '.join(f'{name}={first_few(text, 20)}' for name, text in texts.items())


def _validations(runner: Runner) -> str:
    """When is validated."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return 'no validation'
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    unit, end = ('epoch', loop.max_epochs) if by_epoch else ('iteration', loop.max_iters)
    # MMEngine's loops look from one step before a milestone on for its interval.
    changes = zip(loop.dynamic_milestones, loop.dynamic_intervals, strict=True)
    intervals = {max(milestone - 1, 1): interval for milestone, interval in changes if milestone <= end}
    if {*intervals.values()} != {1} and validations_left(runner) == 1:
        return f'validation after the last {unit}'
    words = [
        f'from {unit} {step} ' * (step > 1)
        + (f'after each {unit}' if interval == 1 else f'every {counted(interval, unit)}')
        for step, interval in intervals.items()
    ]
    words += [f'not before {unit} {loop.val_begin}'] * (loop.val_begin > 1)
    return f'validation {", ".join(words)}'


def _machine(runner: Runner, loader: DataLoader) -> Iterator[Line]:
    """The device, the number format, the data workers and the seed."""
    device = next(runner.model.parameters()).device
    name = (
        f'{device.type}, {counted(torch.get_num_threads(), "thread")}'
        if device.type == 'cpu'
        else device.type
    )
    wrapper: Any = runner.optim_wrapper
    dtype = getattr(wrapper, 'dtype', None) or getattr(wrapper, 'cast_dtype', None) or 'float32'
    precision = str(dtype).removeprefix('torch.')
    workers, cores = loader.num_workers, usable_cores()
    told = counted(workers, 'data worker') + f' on {counted(cores, "CPU core")}' * (workers > cores)
    yield 'device', f'{name}, {precision}; {told}; seed {runner.seed}'


def _places(runner: Runner) -> Iterator[Line]:
    """Where the files go."""
    yield 'to', f'{shown_path(runner.work_dir)}; log: {log_file(runner)}'


def log_file(runner: Runner) -> str:
    """The file of the log, in the work dir if it is there; empty for none.

    Args:
        runner: The runner.
    """
    files = (handler for handler in runner.logger.handlers if isinstance(handler, logging.FileHandler))
    path = next((Path(handler.baseFilename) for handler in files), None)
    if path is None:
        return ''
    work_dir = Path(runner.work_dir)
    return str(path.relative_to(work_dir) if path.is_relative_to(work_dir) else path)

"""What of the log comes to the terminal, and what is said on Ctrl-C."""

import errno
import io
import logging
import os
import re
import sys
import warnings
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.logging import MMLogger, print_log
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.visualization import MLflowVisBackend
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from mmyolox.engine import terminal
from mmyolox.engine.runner import YOLOXRunner
from mmyolox.engine.terminal import (
    NOISE,
    Terminal,
    attach,
    command_line,
    next_command,
    resumable,
    terminal_of,
    use_terminal,
)
from mmyolox.errors import SHOWN


@pytest.fixture(autouse=True)
def no_loggers():
    """Every test begins without loggers of tests before it."""
    MMLogger._instance_dict.clear()


@pytest.fixture
def shown(capsys):
    """What was printed since the last call."""
    return lambda: capsys.readouterr().out


def test_warnings_and_what_is_to_be_shown_once_each(shown):
    use_terminal()
    logger = MMLogger.get_current_instance()
    for _ in range(2):
        logger.info('the whole config')
        logger.warning('no mosaic [bold]here[/]')
        print_log('a line that is no Unicode: \udcff', 'current', logging.ERROR)
    logger.info('the last epochs begin', extra=SHOWN)
    assert shown().splitlines() == [
        'warning: no mosaic [bold]here[/]',
        r'error: a line that is no Unicode: \udcff',
        r'error: a line that is no Unicode: \udcff',
        'the last epochs begin',
    ]


def test_all_of_the_log_when_asked_for(shown):
    use_terminal(verbose=True)
    MMLogger.get_current_instance().info('the whole config')
    assert shown().endswith(' - mmengine - INFO - the whole config\n')


def test_a_process_that_is_not_the_first_says_errors_alone(shown):
    use_terminal(is_first=False)
    logger = MMLogger.get_current_instance()
    logger.warning('of all')
    logger.info('of all', extra=SHOWN)
    logger.error('its own')
    assert shown() == 'error: its own\n'


def noise(name, text):
    """What comes to a terminal of a warning with the line in a file of a package."""
    buffer = io.StringIO()
    terminal = Terminal(console=Console(file=buffer))
    path = f'/lib/{name}/logging/logger.py'
    terminal.handle(logging.LogRecord('mmengine', logging.WARNING, path, 1, text, None, None))
    return buffer.getvalue()


@pytest.mark.parametrize(('begin', 'package'), NOISE)
def test_noise_is_that_of_its_package(begin, package):
    assert noise(package, f'{begin} and more') == ''
    assert noise('mine', f'{begin} and more')
    assert noise(package, f'mine: {begin}')


class Partly(nn.Sequential):
    """A model with a frozen layer."""

    def __init__(self):
        super().__init__(nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False))


def test_noise_is_in_the_installed_packages(tmp_path, shown, monkeypatch):
    """MMEngine still says what is filtered, so that the list has no dead lines."""
    from mmengine.fileio import FileClient, HardDiskBackend

    use_terminal()
    said = []
    MMLogger.get_current_instance().addHandler(handler := logging.StreamHandler())
    handler.emit = lambda record: said.append(record.getMessage())
    FileClient.infer_client(None, str(tmp_path))
    HardDiskBackend()
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    OptimWrapper(sgd, accumulative_counts=2).initialize_count_status(nn.BatchNorm2d(1), 1, 4)
    build_optim_wrapper(
        Partly(), dict(optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict(bias_lr_mult=2))
    )
    monkeypatch.setitem(sys.modules, 'mlflow', MagicMock())
    MLflowVisBackend(str(tmp_path), tracking_uri='sqlite:///mlflow.db').experiment.log_metric('x', 1)
    assert [begin for begin, _ in NOISE if not any(re.match(begin, text) for text in said)] == []
    assert shown() == ''


def test_python_warnings_are_silenced_one_by_one(monkeypatch):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        use_terminal()
        with warnings.catch_warnings(record=True) as said:
            torch.cuda.amp.GradScaler(enabled=False)
            torch.cuda.amp.autocast(enabled=False)
        texts = [str(one.message) for one in said]
        assert len(texts) == 2
        for text in (*texts, 'torch is mine'):
            for name in ('mmengine.runner.amp', 'mine'):
                warnings.warn_explicit(text, FutureWarning, 'amp.py', 1, name)
    assert [str(one.message) for one in caught] == [*texts, 'torch is mine', 'torch is mine']


@pytest.mark.parametrize(
    ('text', 'category', 'name'),
    [
        ('`broadcast_buffers` is deprecated. Use', FutureWarning, 'mmengine.model.wrappers.distributed'),
        (
            'Setting MKL_NUM_THREADS environment variable for each',
            UserWarning,
            'mmengine.utils.dl_utils.setup_env',
        ),
        ('This DataLoader will create 4 worker processes in total.', UserWarning, DataLoader.__module__),
    ],
)
def test_what_others_warn_of_is_silenced_there_alone(text, category, name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        use_terminal()
        for module in (name, 'mine'):
            warnings.warn_explicit(text, category, 'file.py', 1, module)
    assert len(caught) == 1


def test_the_log_file_has_everything_and_the_terminal_does_not(tmp_path, shown):
    use_terminal()
    runner = YOLOXRunner(model=nn.Identity(), work_dir=str(tmp_path), experiment_name=f'all-{tmp_path.name}')
    runner.logger.warning('look')
    assert shown() == 'warning: look\n'
    (log,) = tmp_path.glob('*/*.log')
    assert 'System environment' in log.read_text()
    assert log.read_text().endswith('WARNING - look\n')


def test_the_level_of_the_log_holds_for_the_terminal(tmp_path, shown):
    use_terminal()
    options = dict(work_dir=str(tmp_path), experiment_name=f'level-{tmp_path.name}', log_level='ERROR')
    YOLOXRunner(model=nn.Identity(), **options).logger.warning('look')
    assert shown() == ''


def test_without_ours_a_runner_prints_as_ever(tmp_path, shown):
    runner = YOLOXRunner(model=nn.Identity(), work_dir=str(tmp_path), experiment_name=f'mm-{tmp_path.name}')
    assert terminal_of(runner.logger) is None
    assert 'System environment' in shown()


@pytest.mark.parametrize(
    'error', [BrokenPipeError(errno.EPIPE, 'Broken pipe'), OSError(errno.ENOSPC, 'No space left')]
)
def test_an_output_that_takes_no_more_ends_nothing(error, capfd, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise error

    monkeypatch.setattr('sys.stdout', SimpleNamespace(fileno=lambda: os.dup(1)))  # which rich closes
    ours = Terminal(console=Console(file=Gone()))
    for _ in range(2):
        ours.print('a line')
        ours.draw('progress')
        ours.clear()
    warning = f'warning: no more is printed ({error}); the work goes on, and the log has all\n'
    assert capfd.readouterr().err == warning


def test_attaching_twice_is_attaching_once(shown):
    logger = MMLogger.get_current_instance()
    attach(Terminal(), logger)
    attach(Terminal(), logger)
    logger.warning('once')
    assert shown() == 'warning: once\n'


def test_what_is_printed_goes_above_the_line_that_lives():
    buffer = io.StringIO()
    terminal = Terminal(console=Console(file=buffer, force_terminal=True, width=40, color_system=None))
    terminal.draw('50%')
    terminal.print('above')
    terminal.draw('60%')
    terminal.clear()
    text = buffer.getvalue()
    assert text.index('50%') < text.index('above') < text.index('60%')
    assert text.endswith('\x1b[2K')  # nothing of it stays
    terminal.print('after')
    assert buffer.getvalue().endswith('after\n')


@pytest.mark.parametrize(
    ('console', 'verbose', 'is_live'),
    [
        (dict(force_terminal=True), False, True),
        (dict(force_terminal=True), True, False),
        (dict(force_terminal=False), False, False),
        (dict(force_terminal=True, _environ=dict(TERM='dumb')), False, False),
    ],
)
def test_where_a_line_can_live(console, verbose, is_live):
    assert Terminal(verbose, Console(file=io.StringIO(), **console)).is_live == is_live


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [
        (['tools/train.py', 'a b.py', '--amp'], "python tools/train.py 'a b.py' --amp --resume"),
        (['mmyolox train', 'a.py', '--resume'], 'mmyolox train a.py --resume'),
        (['train.py', 'a.py', '--resume', 'old.pth', '--amp'], 'python train.py a.py --amp --resume'),
        (['train.py', '--resume=old.pth', 'a.py'], 'python train.py a.py --resume'),
        (
            ['train.py', 'a.py', '--cfg-options', 'img_scale=(64,64)'],
            "python train.py a.py --cfg-options 'img_scale=(64,64)' --resume",
        ),
    ],
)
def test_the_command_that_goes_on(monkeypatch, argv, expected):
    monkeypatch.setattr(sys, 'argv', argv)
    assert command_line('--resume', without='--resume') == expected


def test_the_next_command_is_called_like_this_one(monkeypatch, tmp_path):
    (tmp_path / 'image_demo.py').touch()
    for program, expected in (
        (str(tmp_path / 'train.py'), f'python {tmp_path}/image_demo.py'),
        ('mmyolox train', 'mmyolox predict'),
        ('pytest', 'mmyolox predict'),
    ):
        monkeypatch.setattr(sys, 'argv', [program])
        assert next_command('predict', 'image_demo.py', 'a b.jpg') == f"{expected} 'a b.jpg'"


@pytest.mark.parametrize(
    ('checkpoint', 'launcher', 'expected'),
    [
        (None, 'none', 'there is no checkpoint yet: the same command begins anew'),
        ('epoch_3.pth', 'none', 'to go on from epoch_3.pth: mmyolox train a.py --resume'),
        (
            'epoch_3.pth',
            'pytorch',
            'start the processes as before, with --resume: mmyolox train a.py --resume',
        ),
    ],
)
def test_ctrl_c_says_how_to_go_on(monkeypatch, tmp_path, checkpoint, launcher, expected):
    monkeypatch.setattr(sys, 'argv', ['mmyolox train', 'a.py'])
    monkeypatch.setattr(terminal, 'latest_checkpoint', lambda folder: checkpoint and folder / checkpoint)
    with pytest.raises(KeyboardInterrupt) as caught, resumable(tmp_path, launcher):
        raise KeyboardInterrupt
    assert expected in str(caught.value)


def test_mlflow_finds_a_stream_in_every_handler(capsys):
    use_terminal()
    for handler in MMLogger.get_current_instance().handlers:
        assert not handler.stream.closed
        handler.stream.write('here')
    assert capsys.readouterr().out == 'here'

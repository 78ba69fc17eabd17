"""Disks that get full while a file is written: a small tmpfs for each case."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

from tests.crash.crashing import FILLER, fill
from tests.crash.kills import Case
from tests.crash.trainings import LostError, Tool, check, left_behind, read_moments

SIZE = '64m'
REASON = 'No space left on device'


class Disk:
    """A small disk of its own under a folder, as long as the block lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> 'Disk':
        self.folder.mkdir(parents=True)
        command = ['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LostError(f'no disk can be mounted here ({done.stderr.strip()})')
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(['umount', '--lazy', str(self.folder)], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Fills the disk while the block lasts."""
        fill(self.folder)
        try:
            yield
        finally:
            (self.folder / FILLER).unlink(missing_ok=True)


def digests(folder: Path, names: str) -> dict[Path, str]:
    """What the files of a pattern hold."""
    return {path: sha256(path.read_bytes()).hexdigest() for path in folder.glob(names) if path.is_file()}


def check_error(tool: Tool, name: str) -> None:
    """Raises a :class:`LostError` if a tool did not end in one line that names the file and the reason."""
    output = tool.finish()
    lines = [line for line in output.splitlines() if line.startswith('error: ')]
    if tool.process.returncode != 1 or len(lines) != 1 or 'Traceback' in output:
        raise LostError(f'status {tool.process.returncode}, errors {lines}: {output[-1500:]}')
    if output.splitlines()[-1] != lines[0]:
        raise LostError(f'the error is not the last line: {output[-500:]}')
    if not re.search(name, lines[0]) or REASON not in lines[0]:
        raise LostError(f'{lines[0]!r} does not name {name} and {REASON!r}')


def tool_on_full_disk(command: list[object], target: str, names: str, folder: Path) -> None:
    """A tool that writes to a full disk, where it wrote before.

    Args:
        command: A tool and its arguments; ``{disk}`` in one stands for the folder of the disk.
        target: A pattern of the name in the error.
        names: The files that must stay as they are, a pattern under the disk's folder.
        folder: An empty folder.
    """
    with Disk(folder / 'disk') as disk:
        words = [str(word).format(disk=disk.folder, folder=folder) for word in command]
        Tool(*words).succeed()
        good = digests(disk.folder, names)
        if not good:
            raise LostError(f'{names} was not written')
        with disk.full():
            check_error(Tool(*words), target)
        if digests(disk.folder, names) != good:
            raise LostError(f'{names} is not as it was')
        Tool(*words).succeed()
        if fault := left_behind(disk.folder):
            raise LostError(fault)


def training_on_full_disk(config: Path, straight: Path, moment: str, name: str, folder: Path) -> None:
    """A training whose disk is full from a moment on, and that goes on when there is room.

    Args:
        config: The training.
        straight: The folder of one that nobody disturbed.
        moment: The moment; none for a training that is to go on with a full disk.
        name: A pattern of the name in the error.
        folder: An empty folder.
    """
    with Disk(folder / 'disk') as disk:
        work_dir = disk.folder / 'run'
        words = ('train.py', config, '--work-dir', work_dir, '--resume')
        env = dict(CRASH_JOURNAL=folder)
        if moment:
            check_error(Tool(*words, **env, CRASH_AT=moment, CRASH_FILL=disk.folder), name)
        else:
            Tool(*words, **env, CRASH_AT='validation 2').finish()
            saved = digests(work_dir, '[!.]*')
            with disk.full():
                check_error(Tool(*words, **env), name)
            if digests(work_dir, '[!.]*') != saved:
                raise LostError(f'the files of {work_dir} are not as they were')
        (disk.folder / FILLER).unlink(missing_ok=True)
        Tool(*words, **env).succeed()
        check(work_dir, straight)


def disk_cases(config: Path, straight: Path, data: Path) -> list[Case]:
    """A case for each writer.

    Args:
        config: A training.
        straight: The folder of one that nobody disturbed.
        data: Its data set.
    """
    moments = read_moments(straight)
    best = [moment for moment in moments if moment.startswith('write best_')]
    last = straight / 'epoch_5.pth'
    test = ('test.py', config, last, '--work-dir', '{folder}/test')
    coco = ('--cfg-options', 'test_evaluator.type=YOLOXCocoMetric')
    export = ('deployment/export.py', config, last, '--out')
    trainings = {
        'checkpoint': ('write epoch_3.pth', r'epoch_3\.pth'),
        'best': (best[-1], r'best_.*\.pth'),
        'log and curves': ('iteration 8', r'run'),
        'config': ('', r'run'),
    }
    tools = {
        'results': ((*test, '--out', '{disk}/results.json'), r'results\.bbox\.json', 'results.bbox.json'),
        'pickle': ((*test, '--out', '{disk}/results.pkl'), r'results\.pkl', 'results.pkl'),
        'pictures of a test': ((*test, '--show-dir', '{disk}/shown'), 'shown', 'shown/*'),
        'pictures of the demo': (
            ('image_demo.py', data / 'images/val', config, last, '--out-dir', '{disk}/drawn'),
            'drawn',
            'drawn/**/*',
        ),
        'ONNX': ((*export, '{disk}/a.onnx'), r'a\.onnx', 'a.*'),
        'TorchScript': (
            (*export, '{disk}/a.torchscript', '--format', 'torchscript'),
            r'a\.torchscript',
            'a.*',
        ),
        'OpenVINO': ((*export, '{disk}/a.xml', '--format', 'openvino'), r'a\.(xml|bin)', 'a.*'),
        'converter': (
            ('model_converters/convert_checkpoint.py', last, '{disk}/a.pth', '--to', 'megvii'),
            r'a\.pth',
            'a.pth',
        ),
        'safetensors': (
            ('model_converters/convert_checkpoint.py', last, '{disk}/a.safetensors'),
            r'a\.safetensors',
            'a.*',
        ),
        'generator': (
            ('dataset_converters/make_shapes.py', '{disk}/made', '--train', 3, '--val', 2, '--size', 64),
            'made',
            'made/**/*',
        ),
        'samples': (
            ('analysis_tools/browse_dataset.py', config, '--out-dir', '{disk}/samples', '--number', 2),
            'samples',
            'samples/*',
        ),
        'curves': (('analysis_tools/plot_curves.py', straight, '--out', '{disk}/c.png'), r'c\.png', 'c.png'),
    }
    cases: list[Case] = [
        (title, partial(training_on_full_disk, config, straight, *what)) for title, what in trainings.items()
    ]
    for title, (command, target, names) in tools.items():
        words = [*command, *coco] if command[0] == 'test.py' else list(command)
        cases.append((title, partial(tool_on_full_disk, words, target, names)))
    return cases

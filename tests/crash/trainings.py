"""The trainings of the crash test: how they are run, and what of two of them must be equal."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from tests.crash.crashing import JOURNAL

ROOT = Path(__file__).parents[2]
RECIPES = ('yolox_nano_fast_8xb8-300e_coco', 'yolox_nano_fast_8xb32-300e-rtmdet-hyp_coco')
"""SGD and AdamW, both with mosaic, mixup and multi-scale."""
TIMEOUT = 300

CONFIG = """
_base_ = '{root}/configs/yolox/{recipe}.py'

data_root = '{data}'
train_ann_file = 'annotations/train.json'
val_ann_file = 'annotations/val.json'
train_img_prefix = 'images/'
val_img_prefix = 'images/'
classes = ('disk', 'box', 'triangle', 'star')
metainfo = dict(classes=classes)
img_scale = (64, 64)
max_epochs = 5
num_last_epochs = 2
warmup_epochs = 1
base_lr = 1e-3
val_interval = 1
train_batch_size_per_gpu = 4
train_num_workers = 1
val_num_workers = 0
custom_imports = dict(imports=['tests.crash.crashing'])
model = dict(
    data_preprocessor=dict(batch_augments=[dict(_base_.resize, ratio_range=(0.5, 1.5), interval=2)]),
    bbox_head=dict(head_module=dict(num_classes=4)),
    test_cfg=dict(score_thr=0, max_per_img=20),
)
train_dataloader = dict(dataset=dict(metainfo=metainfo))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='DigestMetric')
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(
        interval=1,
        max_keep_ckpts=2,
        save_best='digest/score',
        rule='greater',
        backend_args=dict(backend='crashing_local'),
    ),
    moments=dict(type='MomentsHook'),
)
"""


class LostError(Exception):
    """A promise that was not kept."""


def write_config(folder: Path, data: Path, recipe: str) -> Path:
    """Writes the config of a small training by one of the recipes."""
    path = folder / f'{recipe}.py'
    path.write_text(CONFIG.format(root=ROOT, data=data, recipe=recipe))
    return path


class Tool:
    """A running tool; what it prints goes to a file, so that it never waits for a reader.

    Args:
        script: Its path in ``tools``.
        *args: Its arguments.
        torchrun: Options of torchrun, if it is to start the tool.
        env: Environment variables to add.
    """

    def __init__(self, script: str, *args: object, torchrun: tuple[str, ...] = (), **env: object) -> None:
        command = [sys.executable]
        if torchrun:
            command += ['-m', 'torch.distributed.run', '--standalone', *torchrun]
        self.command = [*command, str(ROOT / 'tools' / script), *map(str, args)]
        own = dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1') | {key: str(env[key]) for key in env}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed at the end
        self.process = subprocess.Popen(
            self.command, env={**os.environ, **own}, stdout=self._output, stderr=subprocess.STDOUT
        )

    def finish(self) -> str:
        """Waits for the end, and returns what was printed."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise LostError(f'no end after {TIMEOUT} s: {shlex.join(self.command[1:])}') from None
        self._output.seek(0)
        with self._output as file:
            return file.read().decode('utf-8', 'replace')

    def succeed(self) -> str:
        """The same, where the end must be a good one."""
        output = self.finish()
        if self.process.returncode:
            last = [line for line in output.splitlines() if line.strip()][-8:]
            raise LostError(
                '\n'.join([f'status {self.process.returncode}: {shlex.join(self.command[1:])}', *last])
            )
        return output

    def wait_for(self, folder: Path, when: float) -> None:
        """Waits until a training came to so many moments, and a while more for the fraction, or has ended."""
        while len(read_moments(folder)) < int(when) and self.process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3 * (when % 1))


def read_moments(work_dir: Path) -> list[str]:
    """The moments that a training came to."""
    journal = work_dir / JOURNAL
    return journal.read_text().splitlines() if journal.exists() else []


def difference(expected: Path, actual: Path) -> str | None:
    """How the checkpoints that two trainings left in their folders differ; None if they do not.

    Compared are the names of the files, and all that is in them but times, names of folders and the config's
    text: weights, moving average, optimizer, schedule, scores, what is best, the history of the losses.
    """
    names = [sorted(path.name for path in folder.glob('*.pth')) for folder in (expected, actual)]
    if names[0] != names[1]:
        return f'files {", ".join(names[1])} instead of {", ".join(names[0])}'
    for name in names[0]:
        ours, theirs = (_content(folder / name) for folder in (expected, actual))
        unequal = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if unequal:
            return f'{name}: {len(unequal)} values differ, such as {", ".join(unequal[:3])}'
    return None


def left_behind(folder: Path) -> str | None:
    """Names half-written files in a folder."""
    parts = [str(path.relative_to(folder)) for path in folder.rglob('.*.part*')]
    return f'left behind: {", ".join(parts)}' if parts else None


def check(work_dir: Path, straight: Path) -> None:
    """Raises a :class:`LostError` if a training did not end as an undisturbed one."""
    fault = difference(straight, work_dir) or left_behind(work_dir)
    if fault:
        raise LostError(fault)


_OWN = {'time', 'data_time', 'eta', 'experiment_name', 'cfg', 'memory', 'resumed_keys', 'mmengine_version'}
"""What two runs of the same training have each for itself."""


def _content(path: Path) -> dict[str, Any]:
    return dict(_leaves(torch.load(path, map_location='cpu', weights_only=False), ''))


def _leaves(value: Any, path: str):
    if path.rpartition('/')[2] in _OWN:
        return
    if isinstance(value, torch.Tensor):
        yield path, (str(value.dtype), tuple(value.shape), sha256(value.numpy().tobytes()).hexdigest())
    elif isinstance(value, HistoryBuffer):
        yield path, tuple(array.tobytes() for array in value.data)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f'{path}/{key}')
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f'{path}/{index}')
    elif path.endswith(('ckpt', 'best_ckpt')):
        yield path, Path(str(value)).name
    else:
        yield path, repr(value)

"""How long a checkpoint holds up the training, written by MMEngine's hook and by the thread of ours.

    python benchmarks/checkpoint_stall.py        # YOLOX-x: weights, moving average, SGD's momentum

Trains by ``tools/train.py`` on small made images, with a checkpoint after each epoch, each way in a process
of its own. MMEngine's hook writes through our file backend, which is what ours did before it had a thread.

- stall: from the end of an epoch's last iteration to the end of the hooks that follow. The first is stated
  apart: it takes memory that is new to the process; the others are a median.
- whole: from the same moment until the file is on the disk.
- step, step beside: the median iteration while nothing is written, and while the thread writes, which shares
  the cores with the network.
- memory: the most that the process had.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.fileio import register_backend
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmyolox.engine import AtomicLocalBackend

ROOT = Path(__file__).resolve().parents[1]
WAYS = {"MMEngine's": 'CheckpointHook', 'ours': 'ResumableCheckpointHook'}
CONFIG = """
_base_ = '{root}/configs/yolox/{config}.py'

data_root = '{folder}/data'
train_ann_file = 'annotations/train.json'
val_ann_file = 'annotations/val.json'
train_img_prefix = 'images/'
val_img_prefix = 'images/'
img_scale = (64, 64)
max_epochs = {epochs}
num_last_epochs = 0
warmup_epochs = 1
val_interval = 99
train_batch_size_per_gpu = 2
train_num_workers = 1
val_num_workers = 0
custom_imports = dict(imports=['checkpoint_stall'])
model = dict(bbox_head=dict(head_module=dict(num_classes=4)))
metainfo = dict(classes=('disk', 'box', 'triangle', 'star'))
train_dataloader = dict(dataset=dict(metainfo=metainfo))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = val_dataloader
default_hooks = dict(
    checkpoint=dict(
        type='{hook}', interval=1, save_best=None, max_keep_ckpts=2, backend_args=dict(backend='timed_local')
    ),
    curves=None,
    report=None,
    begin=dict(type='StallHook', is_first=True, priority=0),
    end=dict(type='StallHook', is_first=False, priority=100),
)
"""
Spans = list[tuple[float, float]]
writes: Spans = []
"""When files were written."""
steps: Spans = []
stalls: Spans = []


@register_backend('timed_local')
class TimedBackend(AtomicLocalBackend):
    """Notes when a checkpoint is written; MMEngine's hook puts bytes, ours saves."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        start = time.monotonic()
        super().put(obj, filepath)
        writes.append((start, time.monotonic()))

    def save(self, checkpoint: dict[str, Any], filepath: str | Path) -> None:
        start = time.monotonic()
        super().save(checkpoint, filepath)
        writes.append((start, time.monotonic()))


@HOOKS.register_module()
class StallHook(Hook):
    """Notes when iterations and the hooks after an epoch begin, as the first hook, and end, as the last."""

    def __init__(self, is_first: bool) -> None:
        self.is_first = is_first

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.is_first:
            steps.append((time.monotonic(), 0.0))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.is_first:
            steps[-1] = (steps[-1][0], time.monotonic())

    def after_train_epoch(self, runner: Any) -> None:
        if self.is_first:
            stalls.append((time.monotonic(), 0.0))
        else:
            stalls[-1] = (stalls[-1][0], time.monotonic())

    def after_train(self, runner: Any) -> None:
        if self.is_first:
            return
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spans = dict(writes=writes, steps=steps, stalls=stalls, peak=peak)
        Path(runner.work_dir, 'spans.json').write_text(json.dumps(spans))


def measure(way: str, args: argparse.Namespace, folder: Path) -> list[str]:
    """A row of the table."""
    path = folder / f'{WAYS[way]}.py'
    content = dict(root=ROOT, config=args.config, folder=folder, epochs=args.saves, hook=WAYS[way])
    path.write_text(CONFIG.format(**content))
    work_dir = folder / WAYS[way]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / 'benchmarks')]))
    tool = [sys.executable, ROOT / 'tools/train.py', path, '--work-dir', work_dir]
    subprocess.run(list(map(str, tool)), env=env, check=True, stdout=subprocess.DEVNULL)
    spans = json.loads((work_dir / 'spans.json').read_text())
    held = [end - start for start, end in spans['stalls']]
    # After a validation a checkpoint is written once more.
    whole = [
        next(end for begin, end in spans['writes'] if begin > start) - start for start, _ in spans['stalls']
    ]
    size = (work_dir / f'epoch_{args.saves}.pth').stat().st_size
    apart, beside = [], []
    for start, end in spans['steps'][2:]:  # the first ones prepare kernels
        is_beside = any(start < w[1] and w[0] < end for w in spans['writes'])
        (beside if is_beside else apart).append(end - start)
    return [
        way,
        f'{size / 1e6:.0f}',
        f'{held[0]:.2f}',
        f'{median(held[1:]):.2f}',
        f'{median(whole[1:]):.2f}',
        f'{median(apart):.2f}',
        f'{median(beside):.2f}' if beside else '-',
        f'{spans["peak"]:.0f}',
    ]


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description='how long a checkpoint holds up the training')
    parser.add_argument('--config', default='yolox_x_fast_8xb8-300e_coco')
    parser.add_argument('--saves', type=int, default=6)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        looks = ('--train', '24', '--val', '2', '--size', '64', '--shapes', '1', '3')
        made = [sys.executable, str(ROOT / 'tools/dataset_converters/make_shapes.py'), str(folder / 'data')]
        subprocess.run([*made, *looks], check=True, stdout=subprocess.DEVNULL)
        titles = ('file, MB', 'first stall, s', 'stall, s', 'whole, s', 'step, s', 'step beside, s')
        print('| hook |', ' | '.join([*titles, 'memory, MiB']), '|')
        print('|:--|', '--:|' * (len(titles) + 1), sep='')
        for way in WAYS:
            print('|', ' | '.join(measure(way, args, folder)), '|', flush=True)


if __name__ == '__main__':
    main()

"""Parts of the crash test's config: a training that stops, or fills its disk, at a moment with a name.

A moment is a line of ``moments.txt`` in the work dir, which a training writes as it goes. Environment
variables say what happens at which: ``CRASH_AT=moment`` kills the process there, and with
``CRASH_FILL=folder`` the disk of that folder is filled instead.
"""

import os
import signal
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.fileio import register_backend
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS
from yapf.yapflib import yapf_api

from mmyolox.engine import AtomicLocalBackend
from mmyolox.engine.hooks.checkpoint_check import write_archive
from mmyolox.files import atomic_write

# MMEngine lays out the config as text five times a run, which takes half of the time of a short one.
yapf_api.FormatCode = lambda text, **_: (text, True)

JOURNAL = 'moments.txt'
FILLER = 'filler'


def fill(folder: Path) -> None:
    """Fills the disk of a folder with a file."""
    with (folder / FILLER).open('ab', buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def reach(work_dir: Path, moment: str) -> None:
    """Notes a moment, and does what is to be done at it."""
    if get_rank() > 0:
        return
    journal = Path(os.environ.get('CRASH_JOURNAL', work_dir), JOURNAL)
    with journal.open('a') as file:
        print(moment, file=file)
    if moment != os.environ.get('CRASH_AT'):
        return
    if folder := os.environ.get('CRASH_FILL'):
        fill(Path(folder))
    else:
        os.kill(os.getpid(), signal.SIGKILL)


@register_backend('crashing_local')
class CrashingBackend(AtomicLocalBackend):
    """The backend of our checkpoints, with moments inside a write, after it, and before a removal."""

    def save(self, checkpoint: dict, filepath: str | Path) -> None:
        path = Path(filepath)
        with atomic_write(path) as part:
            write_archive(checkpoint, part)
            os.truncate(part, part.stat().st_size // 2)
            reach(path.parent, f'write {path.name}')
            write_archive(checkpoint, part)
        reach(path.parent, f'written {path.name}')

    def remove(self, filepath: str | Path) -> None:
        path = Path(filepath)
        reach(path.parent, f'remove {path.name}')
        super().remove(path)


@HOOKS.register_module()
class MomentsHook(Hook):
    """The moments between the files."""

    priority = 'LOWEST'  # after the checkpoints and the switch

    def before_train_epoch(self, runner):
        switch = runner.max_epochs - runner.cfg.num_last_epochs
        reach(Path(runner.work_dir), 'mode switch' if runner.epoch == switch else f'epoch {runner.epoch + 1}')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        reach(Path(runner.work_dir), f'iteration {runner.iter + 1}')

    def after_train_epoch(self, runner):
        reach(Path(runner.work_dir), f'before validation {runner.epoch + 1}')

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        reach(Path(runner.work_dir), f'validation {runner.epoch}')


@METRICS.register_module()
class DigestMetric(BaseMetric):
    """A score that any changed bit of a prediction changes, and that is the best so far now and then."""

    default_prefix = 'digest'

    def process(self, data_batch, data_samples):
        self.results += [
            sample['pred_instances'][name].numpy().tobytes()
            for sample in data_samples
            for name in ('bboxes', 'scores')
        ]

    def compute_metrics(self, results):
        digest = sha256(b''.join(results)).hexdigest()
        score = sha256(f'49{digest}'.encode()).hexdigest()  # by which three epochs are the best so far
        return dict(score=int(score[:12], 16) / 16**12)

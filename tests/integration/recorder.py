"""A hook for the integration tests' runs: writes down what happened, and breaks things on demand."""

import json
import os
import signal
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from yapf.yapflib import yapf_api

# MMEngine lays out the config as text five times a run, which took half of the time of a short one.
yapf_api.FormatCode = lambda text, **_: (text, True)


@HOOKS.register_module()
class Recorder(Hook):
    """Appends one JSON line an iteration to ``<work_dir>/record_rank<R>.jsonl``.

    Args:
        kill_at: iteration (from 0) after which the process gets a signal.
        by: the signal's name.
        kill_at_validation: epoch (from 1) in whose validation the process gets SIGKILL.
        poison_at: iteration before which a weight becomes NaN.
    """

    def __init__(self, kill_at=None, by='SIGKILL', kill_at_validation=None, poison_at=None):
        self.kill_at = kill_at
        self.signal = signal.Signals[by]
        self.kill_at_validation = kill_at_validation
        self.poison_at = poison_at

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == self.kill_at_validation:
            os.kill(os.getpid(), signal.SIGKILL)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.poison_at:
            with torch.no_grad():
                next(runner.model.parameters()).fill_(float('nan'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = getattr(runner.model, 'module', runner.model)
        line = dict(
            iter=runner.iter,
            lr=runner.optim_wrapper.get_lr()['lr'][0],
            losses={name: value.item() for name, value in outputs.items()},
            images=[meta['img_id'] for meta in data_batch['data_samples']['metas']],
            num_gts=int((data_batch['data_samples']['labels'] >= 0).sum()),
            use_l1=model.bbox_head.use_l1,
            persistent_workers=runner.train_dataloader.persistent_workers,
        )
        with Path(runner.work_dir, f'record_rank{get_rank()}.jsonl').open('a') as file:
            print(json.dumps(line), file=file)
        # Processes that torchrun starts anew get the same options.
        is_restart = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') != '0'
        if runner.iter == self.kill_at and get_rank() == 0 and not is_restart:
            os.kill(os.getpid(), self.signal)

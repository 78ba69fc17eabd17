"""A halt before a broken loss ruins a night."""

import json
import math
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmyolox.registry import HOOKS
from mmyolox.utils.errors import UserError


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stops the training when the loss is NaN or infinite, and keeps what is needed to find out why.

    Writes ``<work_dir>/<timestamp>/invalid_loss_iter<N>_rank<R>.json`` with the epoch, the loss parts and the
    image files of the batch, and a ``.pth`` of the same name with the batch (the augmented pixels and
    boxes as the network got them).
    """

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Looks at the losses of the iteration.

        Raises:
            UserError: one of them is not finite.
        """
        losses = {name: value.item() for name, value in (outputs or {}).items() if 'loss' in name}
        if all(math.isfinite(value) for value in losses.values()):
            return
        iteration = runner.iter + 1
        stem = Path(runner.log_dir) / f'invalid_loss_iter{iteration}_rank{get_rank()}'
        metas = data_batch['data_samples']['metas'] if data_batch else []
        images = [str(meta.get('img_path')) for meta in metas]
        report = dict(iteration=iteration, epoch=runner.epoch + 1, losses=losses, images=images)
        stem.with_suffix('.json').write_text(json.dumps(report, indent=2))
        torch.save(data_batch, stem.with_suffix('.pth'))
        parts = ', '.join(f'{name}={value:g}' for name, value in losses.items())
        raise UserError(
            f'the loss is not finite at iteration {iteration} ({parts}); the images and the batch are in '
            f'{stem}.json and .pth. Try a lower learning rate, gradient clipping or training without --amp'
        )

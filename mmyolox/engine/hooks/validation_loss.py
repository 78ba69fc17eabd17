"""The losses on the validation images."""

from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmyolox.checkpoints.match import bare_model
from mmyolox.datasets.gathering import gather_rows, in_order
from mmyolox.models.losses import MatchedBatch, all_reduce_mean
from mmyolox.registry import HOOKS

_L1 = 'val/loss_l1'


@HOOKS.register_module()
class ValidationLossHook(Hook):
    """Adds the losses on the validation images to the figures of a validation.

    They are computed from the raw outputs that the predictions are made of, of the averaged weights, without
    another pass through the network, and change nothing of the training. ``val/loss_cls`` and the others
    are the sums over all images by the number of all positive priors, so that they depend neither on the size
    of the batches nor on the number of processes (parts of a head that divides by other counts are means
    of the images, weighted by their positives). ``val/loss`` is their sum without ``loss_l1``, which is there
    only when it is on, in the last epochs: so the figure is of the same parts in every epoch, and a best
    checkpoint that goes by it may be one of the last.
    """

    # Before the hook that logs the figures.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._outputs: Any = None
        self._images: list[tuple[dict[str, float], float]] = []
        self._handle: Any = None

    def figure_names(self) -> list[str]:
        """What there always is among the figures."""
        return ['val/loss', 'val/loss_cls', 'val/loss_obj', 'val/loss_bbox']

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins to listen to the head's raw outputs, and has the log forget the losses of before.

        MMEngine logs the mean of the last values of whatever is called a loss, which is right for batches.
        """
        scalars = runner.message_hub.log_scalars
        for name in [name for name in scalars if name.startswith('val/val/loss')]:
            del scalars[name]
        self._images = []
        model: Any = bare_model(runner.model)
        self._handle = model.bbox_head.head_module.register_forward_hook(self._keep)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Computes the losses of each image of a batch."""
        model: Any = bare_model(runner.model)
        data_samples = model.data_preprocessor.cast_data(data_batch['data_samples'])
        for index in range(len(data_samples['metas'])):
            self._images.append(image_losses(model.bbox_head, self._outputs, data_samples, index))
        self._outputs = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Adds the figures, the same in all processes."""
        self._handle.remove()
        names = list(self._images[0][0]) if self._images else []
        rows = [[*sums.values(), count] for sums, count in self._images]
        shares = gather_rows(np.array(rows, np.float32).reshape(-1, len(names) + 1))
        size = len(runner.val_loop.dataloader.dataset)
        *sums, positives = np.array(in_order(shares, size), np.float64).reshape(-1, len(names) + 1).sum(0)
        figures = {
            f'val/{name}': float(value / max(positives, 1)) for name, value in zip(names, sums, strict=True)
        }
        everywhere = [figures]
        broadcast_object_list(everywhere)
        if metrics is not None:
            metrics.update(everywhere[0])
            metrics['val/loss'] = sum(value for name, value in everywhere[0].items() if name != _L1)

    def _keep(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        self._outputs = outputs


def image_losses(
    head: Any, outputs: Any, data_samples: dict[str, Any], index: int
) -> tuple[dict[str, float], float]:
    """The losses of one image of a batch, as sums.

    Args:
        head: The head.
        outputs: Its raw outputs, a named tuple of lists of levels (B, ...).
        data_samples: Those of :func:`mmyolox.datasets.yolox_collate`, on the device of the outputs.
        index: Which image.

    Returns:
        By name, each loss times the number of positive priors that the head divides it by; and the image's
        number of positive priors.
    """
    own = type(outputs)(*([level[index : index + 1] for level in levels] for levels in outputs))
    sample = {key: value[index : index + 1] for key, value in data_samples.items()}
    priors = head.priors(own)
    matched = MatchedBatch.of(own, head.assign(own, priors, sample), priors, sample)
    positives: Tensor = matched.assignment.is_positive.sum().float()
    divisor = all_reduce_mean(positives).clamp(min=1)  # as in YOLOXHead.losses, also of several processes
    losses = {name: loss * divisor for name, loss in head.losses(own, matched).items()}
    *sums, count = torch.stack([*losses.values(), positives]).tolist()
    return dict(zip(losses, sums, strict=True)), count

"""Batch norms that were folded into the convolutions before them, for a training that goes on from these."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmyolox.checkpoints.match import bare_model
from mmyolox.registry import HOOKS


@HOOKS.register_module()
class UnfoldNormsHook(Hook):
    """Gives folded batch norms their statistics back before a training.

    The weights of an exported network (Megvii's ONNX files) have batch norms that only add a bias: their mean
    is 0 and their variance 1. They predict as they did. But a training divides by the deviation within each
    batch, which is not 1, so that its first step already scales each channel of each feature map anew, and
    much of what the weights know is lost.

    Here, the statistics are measured on some training batches, and scale and bias undo them: predictions stay
    the same, and those of a training step become nearly the same. Norms with statistics, and those of random
    weights, whose bias is 0, stay as they are; so do all norms of a resumed training: it has frozen those
    that have no statistics.

    Args:
        num_batches: The number of training batches on which each process measures.
    """

    def __init__(self, num_batches: int = 8) -> None:
        self.num_batches = num_batches

    def before_train(self, runner: Runner) -> None:
        """Unfolds the model's norms, where some are folded, and logs their number.

        Args:
            runner: The runner, whose weights are loaded.
        """
        model: Any = bare_model(runner.model)
        norms = folded_norms(model)
        if not norms or runner.iter:
            return
        batches = itertools.islice(runner.train_dataloader, self.num_batches)
        inputs = (model.data_preprocessor(batch, True)['inputs'] for batch in batches)
        unfold(model, norms, inputs)
        runner.logger.info(
            f'{len(norms)} batch norms were folded into convolutions; they have the statistics of the first '
            'batches now'
        )


def folded_norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a model that have a bias and no statistics.

    Args:
        model: The model.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.affine]
    means = [norm.running_mean for norm in norms]
    return [
        norm
        for norm, mean in zip(norms, means, strict=True)
        if mean is not None and norm.bias.any() and not mean.any()
    ]


@torch.no_grad()
def unfold(model: nn.Module, norms: Sequence[_BatchNorm], inputs: Iterable[Tensor]) -> None:
    """Gives norms of mean 0 the statistics of what comes to them; in evaluation the model stays as it was.

    Args:
        model: The model.
        norms: Some of its batch norms.
        inputs: Batches for the model, at least one; all processes have as many.
    """
    moments = {norm: torch.zeros_like(torch.stack([norm.bias, norm.bias])) for norm in norms}

    def measure(norm: _BatchNorm, args: tuple[Tensor]) -> None:
        features = args[0].transpose(0, 1).flatten(1).float()
        variance, mean = torch.var_mean(features, dim=1, correction=0)
        moments[norm] += torch.stack([mean, variance + mean**2])

    was_training = model.training
    handles = [norm.register_forward_pre_hook(measure) for norm in norms]
    model.eval()
    count = 0
    for batch in inputs:
        model(batch)
        count += 1
    model.train(was_training)
    for handle in handles:
        handle.remove()
    for norm, total in moments.items():
        all_reduce(total, op='mean')
        mean, square = total / count
        variance = (square - mean**2).clamp(min=0)
        old = norm.state_dict()
        scale = old['weight'] / (old['running_var'] + norm.eps).sqrt()
        measured = dict(running_mean=mean, running_var=variance)
        undone = dict(weight=scale * (variance + norm.eps).sqrt(), bias=old['bias'] + scale * mean)
        norm.load_state_dict({**old, **measured, **undone})

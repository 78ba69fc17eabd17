"""Optimizers that step all weights at once, and mixed precision in bfloat16."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.optim import Optimizer

from mmyolox.errors import UserError, did_you_mean
from mmyolox.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class YOLOXOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, with few parameter groups and the fused kernel where the device has one.

    MMEngine makes a group of every parameter, 214 in YOLOX-s, and optimizers and schedulers work group by
    group. Here, parameters with the same settings share a group: two or three in our recipes, with and
    without weight decay. Groups with a rate of their own come last, since MMEngine logs the first one's.
    ``fused`` or ``foreach`` in the optimizer's config are left as they are.

    ``paramwise_cfg`` has one key more, ``pixel_lr_mult``: it multiplies the rate of the weights that take the
    pixels, those of the model's first convolution. Adam steps all weights by about the rate, whatever their
    size, and weights for pixels from 0 to 255 are so small, 0.005 on average in the published YOLOX-nano,
    that a few steps at a usual rate leave nothing of what they had learned. These weights are a group of
    their own wherever the key is there, also with 1, so that optimizers with other values can be resumed.
    """

    optimizer_cfg: dict[str, Any]

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Appends the groups of a module's parameters; the outermost module's are merged at the end."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        if 'pixel_lr_mult' in self.paramwise_cfg:
            first = next((weight for weight in module.parameters() if weight.ndim == 4), None)
            for group in params:
                if group['params'][0] is first:
                    rate = group.get('lr', self.base_lr)
                    group['lr'] = rate * self.paramwise_cfg['pixel_lr_mult']
        params[:] = sorted(merge_groups(params), key=lambda group: 'lr' in group)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the wrapper and its optimizer.

        Raises:
            UserError: A key of ``custom_keys`` is in no weight's name.
        """
        names = [name for name, _ in model.named_parameters()]
        for key in self.paramwise_cfg.get('custom_keys', ()):
            if not any(key in name for name in names):
                parts = {'.'.join(name.split('.')[: key.count('.') + 1]) for name in names}
                raise UserError(
                    f'optim_wrapper.paramwise_cfg.custom_keys: {key!r} is in no name of a weight of the model'
                    f'{did_you_mean(key, parts)}'
                )
        if not {'fused', 'foreach'} & self.optimizer_cfg.keys():
            device = next(model.parameters()).device
            if _has_fused_kernel(self.optimizer_cfg['type'], device):
                self.optimizer_cfg = dict(self.optimizer_cfg, fused=True)
        wrapper = super().__call__(model)
        wrapper.optimizer.register_load_state_dict_post_hook(_match_layouts)
        return wrapper


def merge_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merges parameter groups that differ in their ``params`` only, in the order of first appearance."""
    merged: list[dict[str, Any]] = []
    for group in groups:
        settings = {key: value for key, value in group.items() if key != 'params'}
        same = next((one for one in merged if {**one, 'params': ...} == {**settings, 'params': ...}), None)
        if same is None:
            merged.append({'params': [*group['params']], **settings})
        else:
            same['params'].extend(group['params'])
    return merged


def _has_fused_kernel(optimizer: str | type[Optimizer], device: torch.device) -> bool:
    """Whether an optimizer has one for a device; tried out, since PyTorch's list has devices without."""
    cls: Any = OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    if cls is None or 'fused' not in inspect.signature(cls).parameters:
        return False
    weight = nn.Parameter(torch.zeros(1, device=device))
    weight.grad = torch.zeros_like(weight)
    try:
        cls([weight], lr=0.0, fused=True).step()
    except (RuntimeError, ValueError):
        return False
    return True


def _match_layouts(optimizer: Optimizer) -> None:
    """Gives loaded moments the memory layout of their weights.

    PyTorch's fused kernels for the CPU pair elements by their place in memory without a check: moments of a
    run with another layout would be applied to the wrong weights.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Mixed precision on any device that PyTorch's autocast knows, without a scaler for the loss.

    For bfloat16, which has float32's range. MMEngine's ``AmpOptimWrapper`` is for float16; it refuses CPUs.

    Args:
        dtype: The number format of convolutions; weights, losses and matching stay in float32.
        **kwargs: Those of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dtype = getattr(torch, dtype, None)
        if self.dtype not in (torch.bfloat16, torch.float16):
            raise UserError(f'optim_wrapper.dtype={dtype}: autocast takes bfloat16 or float16')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """What the forward pass of a training step runs in."""
        device = self.optimizer.param_groups[0]['params'][0].device
        with super().optim_context(model), torch.autocast(device.type, self.dtype):
            yield

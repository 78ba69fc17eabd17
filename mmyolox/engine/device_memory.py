"""How much memory of an accelerator a training needs, computed without one."""

from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmyolox.deploy.letterbox import Size
from mmyolox.fake_device import NAME, LiveBytes, fake_device, move_to_fake

from .batch_size import autocast_dtype, bytes_of, random_losses, training_model, training_size


class DeviceMemory(NamedTuple):
    """What a training step needs at its peak, in bytes.

    The driver's own memory, and what convolutions need within themselves, is not in it.

    Attributes:
        images: How many a batch has.
        size: The largest images of the training.
        dtype: That of autocast, or None.
        weights: Weights and buffers.
        average: Their moving average.
        gradients: Those of the weights. Several processes need as much again, for the sums.
        moments: What the optimizer keeps.
        activations: All else: what the backward pass needs of the forward pass, and the images.
    """

    images: int
    size: Size
    dtype: torch.dtype | None
    weights: int
    average: int
    gradients: int
    moments: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.average + self.gradients + self.moments + self.activations


def training_memory(cfg: Config) -> DeviceMemory:
    """Computes what a config's training needs, from two steps on tensors without contents.

    Args:
        cfg: The config, with a number for its batch size.

    Raises:
        UserError: This version of PyTorch cannot simulate a device.
    """
    model = training_model(cfg)
    model.bbox_head.use_l1 = True  # as in the last epochs
    count, size, dtype = cfg.train_dataloader.batch_size, training_size(cfg, model), autocast_dtype(cfg)
    hooks = [*cfg.get('default_hooks', {}).values(), *cfg.get('custom_hooks', ())]
    has_average = any('ema_type' in hook for hook in hooks if hook)
    # Of the wrapper the optimizer alone: that of mixed precision asks for a device that is there.
    keys = cfg.optim_wrapper.keys() & {'constructor', 'optimizer', 'paramwise_cfg'}
    plain = {key: cfg.optim_wrapper[key] for key in keys}
    with fake_device() as device:
        move_to_fake(model, device)
        state = [*model.parameters(), *model.buffers()]
        optimizer: Any = build_optim_wrapper(model, plain).optimizer
        with LiveBytes(state) as memory:
            for _ in range(2):  # the second one has the moments beside it
                with torch.autocast(NAME, dtype or torch.bfloat16, enabled=dtype is not None):
                    losses = random_losses(model, count, size, device)
                torch.autograd.backward(torch.stack(losses).sum())
                gradients = bytes_of(x.grad for x in model.parameters() if x.grad is not None)
                optimizer.step()
                optimizer.zero_grad()
                del losses
        kept = (value for values in optimizer.state.values() for value in values.values())
        moments = bytes_of(value for value in kept if torch.is_tensor(value))
    weights = bytes_of(state)
    activations = memory.peak - gradients - moments
    average = weights if has_average else 0
    return DeviceMemory(count, size, dtype, weights, average, gradients, moments, activations)
